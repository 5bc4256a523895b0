//! The API host that a token answer names. It comes from the network, and the bearer goes there: only Zoho's
//! own hosts are followed.

use reqwest::Url;

use crate::config::DataCenter;

/// The host to follow, or `None`: keep the configured one.
pub(super) fn follow(api_domain: &str, configured: bool) -> Option<Url> {
    if configured || api_domain.is_empty() {
        return None;
    }
    let known = known(api_domain);
    if known.is_none() {
        tracing::warn!("the token answer names an API host that is not Zoho's: it is ignored");
    }
    known
}

fn known(api_domain: &str) -> Option<Url> {
    let url = Url::parse(api_domain).ok()?;
    let host = url.host_str()?;
    let center = DataCenter::ALL.into_iter().find(|center| center.api_host() == host)?;
    let plain = url.username().is_empty() && url.password().is_none() && url.port().is_none();
    let bare = matches!(url.path(), "" | "/") && url.query().is_none() && url.fragment().is_none();
    if url.scheme() != "https" || !plain || !bare {
        return None;
    }
    Url::parse(&center.api_url()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zohos_own_hosts_are_followed() {
        for center in DataCenter::ALL {
            assert!(follow(&center.api_url(), false).is_some(), "{center}");
        }
        assert!(follow("https://www.zohoapis.eu/", false).is_some());
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
            assert_eq!(follow(hostile, false), None, "{hostile}");
        }
    }

    #[test]
    fn a_configured_address_wins() {
        assert_eq!(follow("https://www.zohoapis.eu", true), None);
    }
}
