//! The listener.

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use super::{
    ConfigErrors,
    lookup::{Reader, parse_duration},
};

/// The longest time that a server may go on after it was asked to stop. Service managers kill a program that does not end
/// within a minute and a half.
const LONGEST_DELAY: Duration = Duration::from_secs(60);

/// The addresses and the accepted hosts of the listener.
#[derive(Clone, Debug)]
pub struct HttpConfig {
    /// `TDS_BIND`, default `127.0.0.1:8000`. Port 0 takes a free port.
    pub bind: SocketAddr,
    /// `ALLOWED_HOSTS`: accepted `Host` values in lower case; `None`: any.
    pub allowed_hosts: Option<Vec<String>>,
    /// `TDS_METRICS_BIND`: a separate address for `/metrics`. `None`: `/metrics` is at the main address.
    pub metrics_bind: Option<SocketAddr>,
    /// `TDS_SHUTDOWN_DELAY`, default `off`: how long a server that was asked to stop still accepts connections, while
    /// `/readyz` answers 503.
    pub shutdown_delay: Duration,
}

impl HttpConfig {
    /// Reads this part alone, for a command that needs nothing else.
    ///
    /// # Errors
    /// Every wrong value, one line each.
    pub(crate) fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigErrors> {
        let mut reader = Reader::new(&lookup);
        let config = Self::read(&mut reader);
        reader.finish(config)
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        const ACCEPTED: &str = "an address and port such as 127.0.0.1:8000 or [::1]:8000";
        let default = SocketAddr::from((Ipv4Addr::LOCALHOST, 8000));
        Self {
            bind: reader.parse("TDS_BIND", default, ACCEPTED, |text| text.parse().ok()),
            metrics_bind: reader
                .parse("TDS_METRICS_BIND", None, ACCEPTED, |text| text.parse().ok().map(Some)),
            allowed_hosts: allowed_hosts(reader),
            shutdown_delay: shutdown_delay(reader),
        }
    }
}

fn shutdown_delay(reader: &mut Reader<'_>) -> Duration {
    const ACCEPTED: &str = "a duration of at most 1m such as 5s, or off";
    reader.parse("TDS_SHUTDOWN_DELAY", Duration::ZERO, ACCEPTED, |text| match text {
        "off" => Some(Duration::ZERO),
        text => parse_duration(text).filter(|delay| *delay <= LONGEST_DELAY),
    })
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
