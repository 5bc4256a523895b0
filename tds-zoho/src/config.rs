//! The configuration of the client.

mod data_center;
mod token_key;

use std::time::Duration;

use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};
use tds_core::error::{Error, Result};

pub use data_center::{DataCenter, InvalidDataCenter};
pub use token_key::TokenKey;

/// The addresses and credentials of Zoho, and the limits of calls. `Debug` shows no secret.
#[derive(Clone, Debug)]
pub struct ZohoConfig {
    /// The client of Zoho's API console.
    pub client_id: String,
    /// The secret of this client.
    pub client_secret: SecretString,
    /// The refresh token that access tokens are minted with.
    pub refresh_token: SecretString,
    /// The id of the organization, in digits. Every call has this parameter.
    pub organization_id: String,
    /// The data centre, whose API host is used while no other host is known.
    pub data_center: DataCenter,
    /// The server that issues tokens, such as `https://accounts.zoho.com`.
    pub accounts_url: String,
    /// The base URL of the API, which is followed by `/books/v3`. It takes precedence over the host in the token
    /// answer.
    pub api_url: Option<String>,
    /// The ceiling of calls in any 60 seconds.
    pub requests_per_minute: u32,
    /// The number of calls that may be in flight at the same time.
    pub max_concurrency: usize,
    /// Calls a day that the organization's plan includes. 80 % of them are for this program.
    pub daily_limit: Option<u32>,
    /// The maximum time that reads for webhooks wait if the day's calls will not suffice. If the calls are
    /// far from sufficient, five times this time applies. Webhooks about one record that arrive during the wait
    /// become one read. The default is 60 s.
    pub frugal_wait: Duration,
    /// The first interval after which an account that Zoho refuses is probed. Each further interval is twice as
    /// long, up to fifteen times this one. While Zoho cannot be reached, the first interval is a twelfth of this
    /// time, and the longest is this time. The default is 60 s.
    pub outage_probe: Duration,
    /// The key that the access token is sealed with before it is shared. Without a key the token is not shared.
    pub token_key: Option<TokenKey>,
    /// The number of access tokens that all processes may have minted within ten minutes before this process mints
    /// no more. Zoho allows 10. A command uses a lower number, to leave some tokens to servers.
    pub most_mints: u32,
    /// The time limit for opening a connection.
    pub connect_timeout: Duration,
    /// The time limit of one try, from the connection to the last byte of the body.
    pub request_timeout: Duration,
    /// The maximum size of a body in bytes, after decompression.
    pub max_body_bytes: usize,
    /// The maximum size of an image in bytes. Zoho accepts images of up to 7 MB. The default is 10 MiB.
    pub max_image_bytes: usize,
}

impl ZohoConfig {
    /// Creates a configuration with the defaults of the data centre.
    #[must_use]
    pub fn new(
        client_id: impl Into<String>,
        client_secret: impl Into<SecretString>,
        refresh_token: impl Into<SecretString>,
        organization_id: impl Into<String>,
        data_center: DataCenter,
    ) -> Self {
        Self {
            client_id: client_id.into(),
            client_secret: client_secret.into(),
            refresh_token: refresh_token.into(),
            organization_id: organization_id.into(),
            data_center,
            accounts_url: data_center.accounts_url(),
            api_url: None,
            requests_per_minute: 100,
            max_concurrency: 5,
            daily_limit: None,
            frugal_wait: Duration::from_secs(60),
            outage_probe: Duration::from_secs(60),
            token_key: None,
            most_mints: 10,
            connect_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_secs(60),
            max_body_bytes: 32 * 1024 * 1024,
            max_image_bytes: 10 * 1024 * 1024,
        }
    }

    /// Checks the configuration.
    ///
    /// # Errors
    /// Kind `Config`, with one sentence for everything that is wrong. Each sentence names the field.
    pub fn validate(&self) -> Result<()> {
        let mut faults = Vec::new();
        let texts = [
            ("client_id", self.client_id.as_str()),
            ("client_secret", self.client_secret.expose_secret()),
            ("refresh_token", self.refresh_token.expose_secret()),
        ];
        for (name, text) in texts {
            if text.is_empty() || text.trim() != text {
                faults.push(format!("{name} must not be empty, and must not begin or end with a blank"));
            }
        }
        if self.organization_id.is_empty() || !self.organization_id.bytes().all(|byte| byte.is_ascii_digit())
        {
            faults.push(format!("organization_id is {:?}, but must be digits", self.organization_id));
        }
        let urls = [("accounts_url", Some(&self.accounts_url)), ("api_url", self.api_url.as_ref())];
        for (name, url) in urls.into_iter().filter_map(|(name, url)| Some((name, url?))) {
            if let Err(fault) = base_url(url) {
                faults.push(format!("{name} {fault}"));
            }
        }
        if self.requests_per_minute == 0 {
            faults.push("requests_per_minute is 0, but must be 1 or more".to_owned());
        }
        if self.max_concurrency == 0 {
            faults.push("max_concurrency is 0, but must be 1 or more".to_owned());
        }
        if faults.is_empty() {
            return Ok(());
        }
        Err(Error::config(faults.join("; ")))
    }
}

/// Reads a base URL. The bearer token and the secrets are sent to this URL, so plain HTTP is accepted for this
/// machine only.
pub(crate) fn base_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|fault| format!("is not a URL: {fault}"))?;
    let host = url.host_str().unwrap_or_default();
    let loopback = matches!(host, "localhost" | "127.0.0.1" | "[::1]");
    let plain = url.scheme() == "http" && loopback;
    if url.scheme() != "https" && !plain {
        return Err("must begin with https:// (http:// is accepted for this machine only)".to_owned());
    }
    if !url.username().is_empty()
        || url.password().is_some()
        || url.query().is_some()
        || url.fragment().is_some()
    {
        return Err("must not contain a user, a password, a query or a fragment".to_owned());
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> ZohoConfig {
        ZohoConfig::new("1000.ID", "canary-secret", "canary-refresh", "10234695", DataCenter::Eu)
    }

    #[test]
    fn the_defaults_of_a_data_center_are_valid_and_debug_shows_no_secret() {
        let config = config();
        assert!(config.validate().is_ok());
        assert_eq!(config.accounts_url, "https://accounts.zoho.eu");
        assert!(!format!("{config:?}").contains("canary"));
    }

    #[test]
    fn every_fault_is_named_at_once() {
        let mut config = config();
        config.client_id = "1000.ID ".to_owned();
        config.organization_id = "abc".to_owned();
        config.api_url = Some("http://www.zohoapis.com".to_owned());
        config.max_concurrency = 0;
        let message = config.validate().expect_err("faults").to_string();
        for name in ["client_id", "organization_id", "api_url", "max_concurrency"] {
            assert!(message.contains(name), "{name} in {message}");
        }
    }

    #[test]
    fn plain_http_is_for_this_machine_only() {
        assert!(base_url("http://127.0.0.1:4000").is_ok());
        assert!(base_url("http://localhost:4000/zoho").is_ok());
        assert!(base_url("http://10.0.0.5").is_err());
        assert!(base_url("https://user@www.zohoapis.com").is_err());
        assert!(base_url("accounts.zoho.com").is_err());
    }
}
