//! Exchanges the code of Zoho's API console for a refresh token.

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};
use tds_core::{
    error::{Error, ErrorKind, Result, Retry},
    hint::Hint,
};

use crate::{
    answer::read_body,
    auth::follow,
    client::http,
    config::{DataCenter, ZohoConfig},
    error::{in_one_line, transport_fault},
    mask::masked,
    setting::Setting,
};

/// The maximum size of an answer.
const MOST_BYTES: usize = 64 * 1024;
/// What has become of a code that was not sent.
const UNUSED: &str = "the code was not used: run the command again with it within its few minutes";
/// What may have become of a code whose exchange has no result.
const PERHAPS_USED: &str =
    "the code may have been used up: run the command again with it, and if it is refused, make a new one";

/// What a code was exchanged for. `Debug` shows no secret.
#[derive(Clone, Debug)]
pub struct Grant {
    /// The refresh token.
    pub refresh_token: SecretString,
    /// The scopes of the refresh token, if Zoho states them.
    pub scopes: Vec<String>,
    /// The data centre that the answer names, if it is one of Zoho's own.
    pub data_center: Option<DataCenter>,
    /// The API host that the answer names and that is not used, because it is not one of Zoho's known hosts.
    pub ignored_api_domain: Option<String>,
}

/// Exchanges a code. Zoho accepts a code once, and only for some minutes. Of the configuration, the client, its secret
/// and the accounts server are used; there needs to be no refresh token and no organization yet.
///
/// # Errors
/// Kind `Unauthorized` if Zoho refuses the exchange: Zoho's words, and what to do. Kind `Unavailable` if Zoho cannot be
/// reached or understood, and whether the code may still be used.
pub async fn exchange(config: &ZohoConfig, code: &SecretString, redirect_uri: Option<&str>) -> Result<Grant> {
    let url = format!("{}/oauth/v2/token", config.accounts_url.trim_end_matches('/'));
    let mut form = vec![
        ("grant_type", "authorization_code"),
        ("client_id", config.client_id.as_str()),
        ("client_secret", config.client_secret.expose_secret()),
        ("code", code.expose_secret().trim()),
    ];
    form.extend(redirect_uri.map(|uri| ("redirect_uri", uri)));
    let broken = |fault: reqwest::Error| {
        let code = if fault.is_connect() { UNUSED } else { PERHAPS_USED };
        Error::unavailable(format!("Zoho's token server: {}; {code}", transport_fault(fault)))
    };
    let response = http(config)?.post(url).form(&form).send().await.map_err(broken)?;
    let status = response.status().as_u16();
    let body = read_body(response, MOST_BYTES).await.map_err(broken)?;
    let secrets = [
        config.client_secret.expose_secret(),
        config.refresh_token.expose_secret(),
        code.expose_secret().trim(),
    ];
    read(status, &body.unwrap_or_default(), config, &secrets)
}

/// `secrets`: the values that no message may repeat.
fn read(status: u16, body: &[u8], config: &ZohoConfig, secrets: &[&str]) -> Result<Grant> {
    let Ok(Value::Object(answer)) = serde_json::from_slice(body) else {
        let text =
            format!("Zoho's token server answered HTTP {status} without a JSON object; {PERHAPS_USED}");
        return Err(Error::unavailable(text));
    };
    let refresh_token = text(&answer, "refresh_token");
    if refresh_token.is_empty() || !refresh_token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(refusal(status, &answer, secrets));
    }
    let named = text(&answer, "api_domain");
    let domain = follow(named, config.api_url.is_some());
    let is_of = |center: &DataCenter| {
        let url = domain.api_url.as_ref().map(|url| url.as_str().trim_end_matches('/').to_owned());
        url.is_some_and(|url| url == center.api_url()) || text(&answer, "location") == center.as_str()
    };
    let scopes = text(&answer, "scope").split([' ', ',']).filter(|scope| !scope.is_empty());
    Ok(Grant {
        refresh_token: SecretString::from(refresh_token),
        scopes: scopes.map(in_one_line).collect(),
        data_center: DataCenter::ALL.into_iter().find(is_of),
        ignored_api_domain: domain.ignored,
    })
}

fn refusal(status: u16, answer: &Map<String, Value>, secrets: &[&str]) -> Error {
    // Zoho's words may repeat a value of the call.
    let said = |key: &str| in_one_line(&masked(text(answer, key), secrets));
    let (error, words) = (said("error"), said("error_description"));
    if status >= 500 {
        let said = format!("Zoho's token server answered HTTP {status} {error} {words}");
        return Error::unavailable(format!("{}; {PERHAPS_USED}", said.trim_end()));
    }
    let said = match (error.as_str(), words.as_str()) {
        ("", _) => match said("message").as_str() {
            "" => format!("Zoho answered HTTP {status} without a refresh token"),
            message => format!("Zoho answered HTTP {status} without a refresh token: {message}"),
        },
        (_, "") => format!("Zoho refuses the code: {error}"),
        _ => format!("Zoho refuses the code: {error} ({words})"),
    };
    let lower = format!("{error} {words}").to_ascii_lowercase().replace('_', " ");
    let again = "make a new code in Zoho's API console and run the command again at once";
    let (advice, settings): (String, &'static [&'static str]) = if lower.contains("redirect") {
        let text = "the client was registered with a redirect URI: state it exactly as it was registered (a self client has none)";
        (format!("{text}, and {again}"), &[])
    } else if lower.contains("access denied") || lower.contains("too many") {
        ("too many codes or tokens were requested: wait ten minutes, and ".to_owned() + again, &[])
    } else if lower.contains("client secret") {
        (format!("check the secret of the client, and {again}"), const { &[Setting::ClientSecret.as_str()] })
    } else if lower.contains("client") {
        let text = "check the id of the client: client, code and organization belong to one data center";
        let settings = const { &[Setting::ClientId.as_str(), Setting::DataCenter.as_str()] };
        (format!("{text}; then {again}"), settings)
    } else if lower.contains("code") {
        let text = "the code is wrong, was used before or has expired, or belongs to another data center: a code works once, for a few minutes";
        (format!("{text}; {again}"), const { &[Setting::DataCenter.as_str()] })
    } else if error.is_empty() && !text(answer, "access_token").is_empty() {
        let text = "the code was made for access without a refresh token: use a self client, or ask with access_type=offline and prompt=consent";
        (format!("{text}; {again}"), &[])
    } else {
        (again.to_owned(), &[])
    };
    let error = Error::new(ErrorKind::Unauthorized, Retry::Permanent, format!("{said}; {advice}"));
    if settings.is_empty() { error } else { error.with_hint(Hint::Settings(settings)) }
}

fn text<'a>(answer: &'a Map<String, Value>, key: &str) -> &'a str {
    answer.get(key).and_then(Value::as_str).unwrap_or_default().trim()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(body: &str) -> Result<Grant> {
        let config = ZohoConfig::new("1000.ID", "canary-secret", "", "0", DataCenter::Us);
        read(200, body.as_bytes(), &config, &["canary-secret", "1000.code"])
    }

    #[test]
    fn words_that_repeat_a_secret_are_masked() {
        let body = r#"{"error":"invalid_code","error_description":"1000.code of canary-secret is unknown"}"#;
        let text = answered(body).expect_err("a refusal").to_string();
        assert!(text.contains("invalid_code (… of … is unknown)"), "{text}");
    }

    #[test]
    fn the_data_center_follows_from_zohos_own_hosts_only() {
        let of = |domain: &str| {
            let body = format!(
                r#"{{"refresh_token":"1000.r","api_domain":"{domain}","scope":"A.b.READ C.d.READ"}}"#
            );
            answered(&body).expect("a grant")
        };
        let eu = of("https://www.zohoapis.eu");
        assert_eq!((eu.data_center, eu.ignored_api_domain), (Some(DataCenter::Eu), None));
        assert_eq!(eu.scopes, ["A.b.READ", "C.d.READ"]);
        let hostile = of("https://www.zohoapis.eu.attacker.example");
        assert_eq!(hostile.data_center, None);
        assert!(hostile.ignored_api_domain.is_some());
    }

    #[test]
    fn every_refusal_has_zohos_words_and_what_to_do() {
        for (body, words, advice) in [
            (r#"{"error":"invalid_code"}"#, "invalid_code", "was used before"),
            (r#"{"error":"invalid_client"}"#, "invalid_client", "data center"),
            (r#"{"error":"invalid_client_secret"}"#, "invalid_client_secret", "the secret of the client"),
            (r#"{"error":"invalid_redirect_uri"}"#, "invalid_redirect_uri", "redirect URI"),
            (
                r#"{"error":"Access Denied","error_description":"too many requests"}"#,
                "Access Denied",
                "ten minutes",
            ),
            (r#"{"access_token":"1000.a"}"#, "without a refresh token", "access_type=offline"),
            (r#"{"error":"general_error"}"#, "general_error", "new code"),
        ] {
            let error = answered(body).expect_err(body);
            let text = error.to_string();
            assert_eq!(error.kind(), ErrorKind::Unauthorized, "{body}");
            assert!(text.contains(words) && text.contains(advice), "{text}");
            assert!(!text.contains("canary"), "{text}");
        }
    }

    #[test]
    fn without_a_result_it_is_said_that_the_code_may_have_been_used() {
        let config = ZohoConfig::new("1000.ID", "canary-secret", "", "0", DataCenter::Us);
        for (status, body) in [
            (200, "<html>"),
            (500, ""),
            (502, "<html>"),
            (503, r#"{"error":"server_error"}"#),
            (500, r#"{"error":"invalid_code"}"#),
        ] {
            let error = read(status, body.as_bytes(), &config, &[]).expect_err("no grant");
            assert_eq!(error.kind(), ErrorKind::Unavailable, "{body}");
            assert!(error.to_string().contains("may have been used up"), "{error}");
        }
    }

    #[tokio::test]
    async fn a_code_that_was_not_sent_is_not_used() {
        let closed = std::net::TcpListener::bind("127.0.0.1:0").and_then(|port| port.local_addr());
        let mut config = ZohoConfig::new("1000.ID", "canary-secret", "", "0", DataCenter::Us);
        config.accounts_url = format!("http://{}", closed.expect("a port"));
        let error = exchange(&config, &"1000.code".into(), None).await.expect_err("nobody listens");
        assert!(error.to_string().contains("the code was not used"), "{error}");
    }
}
