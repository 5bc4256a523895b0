//! What the subcommands of `webhooks` share: the client of Zoho, the database if there is one, and the base URL.

use std::{collections::BTreeSet, net::IpAddr, sync::Arc};

use reqwest::Url;
use tds_core::{
    clock::{Clock as _, SystemClock},
    error::Error,
};
use tds_zoho::{
    ZohoClient,
    rules::{Destination, Pace},
};

use crate::{
    app::rules::{Before, Kept, Look, RefusedOf, Rules},
    cli::{
        exit::{CommandResult, Failure},
        lookup::Lookup,
        output,
        store::{of_organization, quiet_config},
    },
    config::Need,
    engine::{BuildError, Storage},
    entities::Entities,
};

/// Zoho gives at most 10 access tokens in 10 minutes. This command leaves some of them to servers.
const MOST_MINTS: u32 = 6;
/// How long ago a refused delivery is shown.
const LATELY: time::Duration = time::Duration::hours(24);

pub(super) struct Session {
    pub(super) zoho: ZohoClient,
    pub(super) rules: Rules,
    /// `None`: there is no database with the schema of this program.
    storage: Option<Storage>,
    has_key: bool,
}

impl Session {
    pub(super) async fn open(lookup: &Lookup, entities: &Entities) -> CommandResult<Self> {
        let config = quiet_config(lookup, Need::Sync)?;
        config.rules.check(&entities.catalogue).map_err(|error| Failure::usage(error.to_string()))?;
        let catalogue =
            config.entities.of(&entities.catalogue).map_err(|error| Failure::usage(error.to_string()))?;
        let mut zoho = config.zoho.clone().ok_or(BuildError::NoZoho)?;
        zoho.most_mints = MOST_MINTS;
        let (storage, trouble) = match Storage::open_existing(&config.database).await {
            Ok(storage) if storage.database.schema().await.is_ok_and(|status| status.is_current()) => {
                if let Err(failure) = of_organization(&storage, &config).await {
                    storage.close().await;
                    return Err(failure);
                }
                (Some(storage), String::new())
            }
            Ok(storage) => {
                storage.close().await;
                (None, "the schema of the database is that of another version".to_owned())
            }
            Err(error) => (None, error.to_string()),
        };
        let clock = Arc::new(SystemClock);
        let client = match &storage {
            // Calls of this command count in the shared budget like those of any other process.
            Some(Storage { store, .. }) => {
                let store = Arc::new(store.clone());
                ZohoClient::shared(zoho, clock, store.clone(), store)
            }
            None => {
                output::talk(&output::clean(&format!(
                    "{trouble}. The command works without a database: it does not share the limits of Zoho with other \
                     processes, and servers do not learn its result"
                )));
                ZohoClient::new(zoho, clock)
            }
        };
        Ok(Self {
            zoho: client?,
            rules: Rules::of(&config, &catalogue),
            storage,
            has_key: !config.webhooks.keys.is_empty(),
        })
    }

    pub(super) async fn close(self) {
        self.zoho.close().await;
        if let Some(storage) = self.storage {
            storage.close().await;
        }
    }

    pub(super) fn pace(&self) -> Pace {
        Pace::new(self.rules.config.pace)
    }

    /// Webhooks need the header `X-Webhook-Key`.
    pub(super) fn has_key(&self) -> bool {
        self.has_key
    }

    /// Returns where webhooks are sent: to the given base URL, or to that of the last install.
    pub(super) async fn destination(&self, given: Option<&str>) -> CommandResult<Destination> {
        let base = match given {
            Some(text) => base_url(text)?,
            None => self.kept().await.base.ok_or_else(|| {
                Failure::usage("--url: state the base URL of the server as Zoho reaches it, such as https://tds.example.com")
            })?,
        };
        if is_unreachable(&base) {
            output::talk(&format!(
                "{base} is not an address on the Internet, so Zoho cannot reach it; only tests can use it."
            ));
        }
        self.rules.destination(&base).ok_or_else(|| {
            Failure::usage(
                "ZOHO_WEBHOOK_SECRET: found nothing that Zoho accepts; accepted: 12 to 50 letters and digits, without \
                 quotation marks, such as `openssl rand -hex 16` prints",
            )
        })
    }

    async fn kept(&self) -> Kept {
        match &self.storage {
            Some(storage) => Kept::load(&storage.store).await.unwrap_or_default(),
            None => Kept::default(),
        }
    }

    /// Returns what is known before a look. `is_repairing`: webhooks whose deliveries are refused are to be created again.
    pub(super) async fn before(&self, is_repairing: bool) -> Before {
        let refused = if is_repairing { self.refused().await } else { Vec::new() };
        let refused = self.rules.paths_of(refused.iter().map(|(entity, _)| entity.as_str()));
        Before { in_inventory: self.kept().await.in_inventory, refused, suspects: None }
    }

    /// Keeps what a look found after webhooks were registered, for the health report of the servers.
    pub(super) async fn keep_installed(&self, look: &Look) {
        let Some(storage) = &self.storage else { return };
        let in_inventory = look.is_in_inventory();
        let kept =
            Kept::installed(&storage.store, &look.base, &look.rules(), look.checked(), in_inventory).await;
        kept.unwrap_or_else(|error| not_kept(&error));
    }

    /// Forgets the refused deliveries of webhooks in whose place there are others now.
    pub(super) async fn switched(&self, paths: &BTreeSet<String>) {
        let Some(storage) = self.storage.as_ref().filter(|_| !paths.is_empty()) else { return };
        let forgotten = Kept::forget_refused(&storage.store, &self.rules.entities_of(paths)).await;
        forgotten.unwrap_or_else(|error| not_kept(&error));
    }

    /// Keeps what a look found, if it is about what the servers look at.
    pub(super) async fn keep(&self, look: &Look) {
        let Some(storage) = &self.storage else { return };
        if !self.kept().await.is_about(&look.base, &look.rules()) {
            output::talk(
                "This is not the URL, or these are not the entity types, of the last install: the health report of the \
                 servers stays as it is.",
            );
            return;
        }
        Kept::looked(&storage.store, &look.base, look.checked())
            .await
            .unwrap_or_else(|error| not_kept(&error));
    }

    /// Forgets what was registered.
    pub(super) async fn forget(&self) {
        let Some(storage) = &self.storage else { return };
        if let Err(error) = Kept::forget(&storage.store).await {
            output::talk(&format!("the database still names the removed webhooks: {}", error.chain()));
        }
    }

    /// Returns the deliveries that the servers refused lately, and since an install put other webhooks in the place of those
    /// that sent them.
    pub(super) async fn refused(&self) -> Vec<(String, RefusedOf)> {
        let Some(storage) = &self.storage else { return Vec::new() };
        let known = Kept::refused(&storage.store).await.unwrap_or_default();
        let since = (SystemClock.now() - LATELY).unix_timestamp();
        known.into_iter().filter_map(|(path, of)| Some((path, of.since(since)?))).collect()
    }
}

fn not_kept(error: &Error) {
    output::talk(&format!("the result could not be stored for the health report: {}", error.chain()));
}

/// Returns a base URL: HTTPS, or plain HTTP on this machine.
fn base_url(text: &str) -> CommandResult<String> {
    let refused = || {
        Failure::usage(
            "--url: accepted is an https:// URL without user, query and fragment, such as https://tds.example.com \
             (http:// for this machine only)",
        )
    };
    let url = Url::parse(text.trim()).map_err(|_| refused())?;
    let host = url.host_str().unwrap_or_default();
    let loopback = matches!(host, "localhost" | "127.0.0.1" | "[::1]");
    let plain = url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    if !plain || !(url.scheme() == "https" || (url.scheme() == "http" && loopback)) {
        return Err(refused());
    }
    if host == "your-server" {
        return Err(Failure::usage("--url: YOUR-SERVER stands for the host name of your server"));
    }
    if url.path().contains("/api/zoho") {
        return Err(Failure::usage(
            "--url: state the base URL only, such as https://tds.example.com; TDS adds /api/zoho/webhooks/…",
        ));
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

/// Returns true if Zoho certainly cannot reach the host of a base URL: it is a name without a domain, or an address of a
/// private network.
fn is_unreachable(base: &str) -> bool {
    let Ok(url) = Url::parse(base) else { return false };
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    match host.parse() {
        Ok(IpAddr::V4(address)) => {
            address.is_loopback()
                || address.is_private()
                || address.is_link_local()
                || address.is_unspecified()
        }
        Ok(IpAddr::V6(address)) => {
            address.is_loopback()
                || address.is_unique_local()
                || address.is_unicast_link_local()
                || address.is_unspecified()
        }
        Err(_) => !host.trim_end_matches('.').contains('.'),
    }
}

#[cfg(test)]
mod tests {
    use super::{base_url, is_unreachable};

    #[test]
    fn a_base_url_is_https_or_this_machine() {
        let accepted = |text: &str| base_url(text).ok();
        assert_eq!(accepted("https://TDS.example.com/").as_deref(), Some("https://tds.example.com"));
        assert_eq!(accepted("https://example.com/tds/").as_deref(), Some("https://example.com/tds"));
        assert_eq!(accepted("http://127.0.0.1:8000").as_deref(), Some("http://127.0.0.1:8000"));
        for text in [
            "http://tds.example.com",
            "tds.example.com",
            "https://u:p@tds.example.com",
            "https://a.example/?x=1",
            "https://tds.example.com/api/zoho/webhooks/products",
            "https://YOUR-SERVER",
        ] {
            assert_eq!(accepted(text), None, "{text}");
        }
        for (text, expected) in [
            ("https://tds.example.com", false),
            ("https://192.0.2.7:8443", false),
            ("https://tds", true),
            ("https://192.168.1.5", true),
            ("http://127.0.0.1:8000", true),
            ("https://[fd00::1]/tds", true),
        ] {
            assert_eq!(is_unreachable(text), expected, "{text}");
        }
    }
}
