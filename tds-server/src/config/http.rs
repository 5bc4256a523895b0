//! The listener.

use std::net::{Ipv4Addr, SocketAddr};

use super::lookup::Reader;

/// The addresses and the accepted hosts of the listener.
#[derive(Clone, Debug)]
pub struct HttpConfig {
    /// `TDS_BIND`, default `127.0.0.1:8000`. Port 0 takes a free port.
    pub bind: SocketAddr,
    /// `ALLOWED_HOSTS`: accepted `Host` values in lower case; `None`: any.
    pub allowed_hosts: Option<Vec<String>>,
    /// `TDS_METRICS_BIND`: a separate address for `/metrics`. `None`: `/metrics` is at the main address.
    pub metrics_bind: Option<SocketAddr>,
}

impl HttpConfig {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        const ACCEPTED: &str = "an address and port such as 127.0.0.1:8000 or [::1]:8000";
        let default = SocketAddr::from((Ipv4Addr::LOCALHOST, 8000));
        Self {
            bind: reader.parse("TDS_BIND", default, ACCEPTED, |text| text.parse().ok()),
            metrics_bind: reader
                .parse("TDS_METRICS_BIND", None, ACCEPTED, |text| text.parse().ok().map(Some)),
            allowed_hosts: allowed_hosts(reader),
        }
    }
}

fn allowed_hosts(reader: &mut Reader<'_>) -> Option<Vec<String>> {
    let hosts = reader.list("ALLOWED_HOSTS");
    let valid =
        |host: &String| host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-:[]_".contains(&byte));
    if hosts.iter().any(|host| host == "*") {
        return None;
    }
    if let Some(bad) = hosts.iter().find(|host| !valid(host)) {
        reader.error(
            "ALLOWED_HOSTS",
            format!("\"{bad}\""),
            "host names, comma separated, without a scheme or a path",
        );
    }
    (!hosts.is_empty()).then(|| hosts.iter().map(|host| host.to_ascii_lowercase()).collect())
}
