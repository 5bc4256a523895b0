//! The access to Zoho. The struct is defined by the adapter: [`tds_zoho::ZohoConfig`].

use std::time::Duration;

use reqwest::Url;
use secrecy::ExposeSecret;
use tds_zoho::{DataCenter, TokenKey, ZohoConfig};

use super::lookup::Reader;

/// The secrets of the OAuth credentials. Either all of them are set or none.
const SECRETS: [&str; 2] = ["ZOHO_CLIENT_SECRET", "ZOHO_REFRESH_TOKEN"];

/// Reads the settings of Zoho. Returns `None` if nothing is set and nothing is needed.
pub(super) fn read(
    reader: &mut Reader<'_>,
    organization_id: Option<&str>,
    needed: bool,
) -> Option<ZohoConfig> {
    let token_key = token_key(reader);
    let client_id = reader.text("ZOHO_CLIENT_ID");
    let [client_secret, refresh_token] = SECRETS.map(|variable| reader.secret(variable));
    let nothing = client_id.is_none() && client_secret.is_none() && refresh_token.is_none();
    if nothing && organization_id.is_none() && !needed {
        return None;
    }
    let data_center = data_center(reader);
    let config = ZohoConfig::new(
        required(reader, "ZOHO_CLIENT_ID", client_id, needed),
        required(reader, SECRETS[0], client_secret, needed),
        required(reader, SECRETS[1], refresh_token, needed),
        required(reader, "ZOHO_ORGANIZATION_ID", organization_id.map(str::to_owned), needed),
        data_center,
    );
    let config = ZohoConfig { token_key, ..with_servers(reader, config) };
    Some(config).filter(|config| needed || config.validate().is_ok())
}

/// Reads what is set of the access to Zoho. A value that is not set is empty.
pub(super) fn incomplete(reader: &mut Reader<'_>) -> ZohoConfig {
    let [client_secret, refresh_token] = SECRETS.map(|variable| reader.secret(variable).unwrap_or_default());
    let config = ZohoConfig::new(
        reader.text("ZOHO_CLIENT_ID").unwrap_or_default(),
        client_secret,
        refresh_token,
        organization_id(reader).unwrap_or_default(),
        data_center(reader),
    );
    with_servers(reader, config)
}

/// Adds the addresses and the limits.
fn with_servers(reader: &mut Reader<'_>, mut config: ZohoConfig) -> ZohoConfig {
    if let Some(url) = base_url(reader, "ZOHO_ACCOUNTS_URL") {
        config.accounts_url = url;
    }
    config.api_url = base_url(reader, "ZOHO_API_URL");
    config.requests_per_minute =
        reader.number("ZOHO_REQUESTS_PER_MINUTE", config.requests_per_minute, 1, 10_000);
    config.max_concurrency = reader.number("ZOHO_MAX_CONCURRENCY", 5, 1, 100);
    config.daily_limit = reader.parse("ZOHO_DAILY_LIMIT", None, "a whole number above 0", |text| {
        text.parse().ok().filter(|limit: &u32| *limit > 0).map(Some)
    });
    config.outage_probe =
        reader.duration("TDS_OUTAGE_PROBE", config.outage_probe).max(Duration::from_millis(120));
    config
}

/// `ENCRYPTION_KEY` (or `…_FILE`): the key that seals the access token in the database, where all processes of TDS find
/// it.
fn token_key(reader: &mut Reader<'_>) -> Option<TokenKey> {
    let text = reader.secret("ENCRYPTION_KEY")?;
    let key = TokenKey::from_base64(text.expose_secret());
    if key.is_none() {
        let accepted = "32 bytes, base64, such as `openssl rand -base64 32` prints";
        reader.error("ENCRYPTION_KEY", "a value that is something else", accepted);
    }
    key
}

/// `ZOHO_UNIQUE_FIELD`: the API name of the custom field that contains our key of a record that TDS created.
pub(super) fn unique_field(reader: &mut Reader<'_>) -> String {
    let accepted = "the API name of a custom field, such as cf_tds_id";
    reader.parse("ZOHO_UNIQUE_FIELD", "cf_tds_id".to_owned(), accepted, |text| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        text.bytes().all(plain).then(|| text.to_owned())
    })
}

/// Returns the value. A missing value that the command needs adds an error.
fn required<T: Default>(reader: &mut Reader<'_>, variable: &str, value: Option<T>, needed: bool) -> T {
    value.unwrap_or_else(|| {
        let file_variable = format!("{variable}_FILE");
        let (has_file, is_secret) = (reader.text(&file_variable).is_some(), SECRETS.contains(&variable));
        // A value that is present and wrong has already been reported.
        if needed && reader.text(variable).is_none() && !(has_file && is_secret) {
            let found = match has_file {
                true => format!("nothing ({file_variable} is not read: only secrets come from files)"),
                false => "nothing".to_owned(),
            };
            let accepted = match variable {
                "ZOHO_ORGANIZATION_ID" => "the id of the organization (digits), from the settings of Zoho",
                _ => "the value from Zoho's API console (api-console.zoho.com)",
            };
            reader.error(variable, found, accepted);
        }
        T::default()
    })
}

/// `ZOHO_ORGANIZATION_ID`.
pub(super) fn organization_id(reader: &mut Reader<'_>) -> Option<String> {
    reader.parse("ZOHO_ORGANIZATION_ID", None, "digits", |text| {
        text.bytes().all(|byte| byte.is_ascii_digit()).then(|| Some(text.to_owned()))
    })
}

fn data_center(reader: &mut Reader<'_>) -> DataCenter {
    let names: Vec<&str> = DataCenter::ALL.into_iter().map(DataCenter::as_str).collect();
    reader.parse("ZOHO_DATA_CENTER", DataCenter::Us, &format!("one of {}", names.join(" ")), |text| {
        DataCenter::ALL.into_iter().find(|center| center.as_str() == text)
    })
}

/// Returns a base URL: HTTPS, or plain HTTP on this machine.
fn base_url(reader: &mut Reader<'_>, variable: &str) -> Option<String> {
    const ACCEPTED: &str = "an https:// URL without user, query and fragment (http:// for this machine only)";
    let text = reader.text(variable)?;
    let Ok(url) = Url::parse(&text) else {
        reader.error(variable, "a value that is not a URL", ACCEPTED);
        return None;
    };
    let loopback = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
    let plain = url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    if plain && (url.scheme() == "https" || (url.scheme() == "http" && loopback)) {
        return Some(text.trim_end_matches('/').to_owned());
    }
    // A user part may hold a password, so only the scheme and the host are shown.
    let found = format!("{}://{}", url.scheme(), url.host_str().unwrap_or_default());
    reader.error(variable, found, ACCEPTED);
    None
}
