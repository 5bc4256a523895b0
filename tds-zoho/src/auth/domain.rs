//! The API host that a token answer names. The name comes from the network, and the bearer token is sent to the
//! host. For this reason only Zoho's own hosts are used.

use reqwest::Url;

use crate::{config::DataCenter, error::in_one_line};

/// The maximum number of characters that are shown of a host that is not used.
const SHOWN: usize = 100;

/// The host for calls, according to the token answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Domain {
    /// The host to use. `None` means that calls keep using the host of the data centre.
    pub(crate) api_url: Option<Url>,
    /// The host that is not used, for operators.
    pub(crate) ignored: Option<String>,
}

/// Decides which host to use. If `configured` is true, the configuration names a host, which takes precedence.
pub(crate) fn follow(api_domain: &str, configured: bool) -> Domain {
    if configured || api_domain.is_empty() {
        return Domain::default();
    }
    let api_url = known(api_domain);
    let ignored = api_url.is_none().then(|| in_one_line(api_domain).chars().take(SHOWN).collect());
    Domain { api_url, ignored }
}

/// Returns the URL if it is exactly the base URL of a data centre: HTTPS, and nothing but the host.
fn known(api_domain: &str) -> Option<Url> {
    let url = Url::parse(api_domain).ok()?;
    DataCenter::ALL.iter().any(|center| Url::parse(&center.api_url()) == Ok(url.clone())).then_some(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zohos_own_hosts_are_followed() {
        for center in DataCenter::ALL {
            assert!(follow(&center.api_url(), false).api_url.is_some(), "{center}");
        }
        assert!(follow("https://www.zohoapis.eu/", false).api_url.is_some());
        assert!(follow("https://www.zohoapis.ae", false).api_url.is_some());
    }

    #[test]
    fn nothing_else_is_followed() {
        for hostile in [
            "http://www.zohoapis.com",
            "http://127.0.0.1:8080",
            "https://www.zohoapis.com.attacker.example",
            "https://evil.zohoapis.com.attacker",
            "https://evil.zohoapis.com",
            "https://www.zohoapis.com@attacker.example",
            "https://user:word@www.zohoapis.com",
            "https://www.zohoapis.com:8443",
            "https://www.zohoapis.com./x",
            "https://www.zohoapis.com/redirect?to=x",
            "https://attacker.example/www.zohoapis.com",
            "//www.zohoapis.com",
            "www.zohoapis.com",
            "",
        ] {
            let domain = follow(hostile, false);
            assert_eq!(domain.api_url, None, "{hostile}");
            assert_eq!(domain.ignored.is_some(), !hostile.is_empty(), "what is not followed is named");
        }
    }

    #[test]
    fn a_configured_address_wins() {
        assert_eq!(follow("https://www.zohoapis.eu", true), Domain::default());
    }
}
