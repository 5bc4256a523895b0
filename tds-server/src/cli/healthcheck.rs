//! `healthcheck`: asks a running server whether it is ready, for containers and scripts.

use std::{
    error::Error as _,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use clap::Args;
use reqwest::{StatusCode, Url};

use super::{
    exit::{CommandResult, Failure},
    lookup::Lookup,
    output,
    settings::{Given, LISTEN, flags},
};
use crate::config::{HttpConfig, parse_duration};

/// The longest part of an answer that is shown, in characters.
const LONGEST: usize = 200;

/// Ask whether a server is ready: exit status 0 if /readyz answers 200
#[derive(Args)]
#[command(
    args = flags(&[LISTEN]),
    after_help = "The command needs no other setting than the address, and asks neither the database nor Zoho itself.\n\n\
    Examples:\n  tds-server healthcheck\n  tds-server healthcheck --url https://tds.example.com --timeout 10s"
)]
pub(crate) struct HealthcheckArgs {
    /// Base URL of the server [default: the address in TDS_BIND, or http://127.0.0.1:8000]
    #[arg(long, value_name = "BASE", value_parser = base)]
    url: Option<Url>,
    /// Longest time to wait for the answer
    #[arg(long, value_name = "DURATION", default_value = "3s", value_parser = duration)]
    timeout: Duration,
}

fn base(text: &str) -> Result<Url, &'static str> {
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    url.ok_or("accepted: a URL such as http://127.0.0.1:8000 or https://tds.example.com")
}

fn duration(text: &str) -> Result<Duration, &'static str> {
    parse_duration(text).ok_or("accepted: a duration such as 250ms, 2s or 1m")
}

impl HealthcheckArgs {
    pub(crate) async fn run(self, flags: Given) -> CommandResult {
        let base = match self.url {
            Some(url) => url.to_string(),
            None => {
                let lookup = Lookup::load_silently(flags)?;
                let bind = HttpConfig::from_lookup(|name| lookup.get(name))?.bind;
                if bind.port() == 0 {
                    return Err(Failure::usage("TDS_BIND has port 0, which is any port: state --url"));
                }
                format!("http://{}", reachable(bind))
            }
        };
        let url = format!("{}/readyz", base.trim_end_matches('/'));
        match ask(&url, self.timeout).await {
            Ok((StatusCode::OK, _)) => Ok(()),
            Ok((status, answer)) => Err(Failure::failed(format!("{url}: {status}: {}", one_line(&answer)))),
            Err(error) => Err(Failure::failed(format!("{url}: {}", reason(&error)))),
        }
    }
}

async fn ask(url: &str, patience: Duration) -> Result<(StatusCode, String), reqwest::Error> {
    // The server is on this machine or at a URL that was stated: a proxy of the environment would ask another machine.
    let client = reqwest::Client::builder().no_proxy().timeout(patience).build()?;
    let answer = client.get(url).send().await?;
    Ok((answer.status(), answer.text().await?))
}

/// Returns the address at which a server that listens on `bind` answers on the same machine.
fn reachable(bind: SocketAddr) -> SocketAddr {
    let ip = match bind.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, bind.port())
}

/// Returns the innermost cause, which says what happened. The outer ones repeat the URL.
fn reason(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "no answer in time".to_owned();
    }
    let mut innermost = error.source();
    while let Some(deeper) = innermost.and_then(std::error::Error::source) {
        innermost = Some(deeper);
    }
    innermost.map_or_else(|| error.to_string(), ToString::to_string)
}

/// Returns what an answer says, in one line. The answer is a problem document if it comes from TDS.
fn one_line(answer: &str) -> String {
    let document: serde_json::Value = serde_json::from_str(answer).unwrap_or_default();
    let text = document["detail"].as_str().unwrap_or(answer);
    let words: Vec<&str> = text.split_whitespace().collect();
    output::clean(&words.join(" ")).chars().take(LONGEST).collect()
}

#[cfg(test)]
mod tests {
    use super::reachable;

    #[test]
    fn an_unspecified_address_is_asked_on_the_loopback() {
        for (bind, asked) in [
            ("0.0.0.0:8000", "127.0.0.1:8000"),
            ("[::]:81", "[::1]:81"),
            ("127.0.0.1:8000", "127.0.0.1:8000"),
            ("10.1.2.3:80", "10.1.2.3:80"),
        ] {
            assert_eq!(reachable(bind.parse().expect("an address")).to_string(), asked);
        }
    }
}
