//! URLs of webhooks as people may see them.

use reqwest::Url;

use super::target::Destination;
use crate::mask::masked;

/// Returns a URL without the values of its query and without a user, which may be secrets of others, and without a secret
/// of this program.
pub(super) fn shown_url(url: &str, destination: &Destination) -> String {
    let text = match Url::parse(url) {
        Ok(parsed) if parsed.has_host() => of_parsed(&parsed),
        // It cannot be told what is a secret in it.
        _ if url.is_empty() => String::new(),
        _ => "a URL that cannot be read".to_owned(),
    };
    masked(&text, &destination.secrets())
}

fn of_parsed(url: &Url) -> String {
    let user = if url.username().is_empty() && url.password().is_none() { "" } else { "…@" };
    let host = url.host_str().unwrap_or_default();
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    let mut text = format!("{}://{user}{host}{port}{}", url.scheme(), url.path());
    for (number, part) in url.query().into_iter().flat_map(|query| query.split('&')).enumerate() {
        let sign = if number == 0 { '?' } else { '&' };
        text.push(sign);
        match part.split_once('=') {
            // The only parameter of this program's own URLs is no secret.
            Some(("event", event @ ("updated" | "deleted" | "created"))) => {
                text.push_str(&format!("event={event}"));
            }
            Some((name, _)) => text.push_str(&format!("{name}=…")),
            None => text.push('…'),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_shown_without_user_values_and_secrets() {
        let destination = Destination {
            base: "https://tds.example.com".to_owned(),
            secret: "TdsSecret0123456".into(),
            key: Some("key-of-header".into()),
        };
        for (url, shown) in [
            ("https://u:pass@a.example:8443/x/y?token=abc&b", "https://…@a.example:8443/x/y?token=…&…"),
            ("https://a.example/x?event=deleted#frag", "https://a.example/x?event=deleted"),
            ("https://a.example/TdsSecret0123456/key-of-header", "https://a.example/…/…"),
            ("not a url with pass", "a URL that cannot be read"),
            ("", ""),
        ] {
            assert_eq!(shown_url(url, &destination), shown, "{url}");
        }
    }
}
