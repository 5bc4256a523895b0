//! What the subcommands of `webhooks` share: the client of Zoho, the database if there is one, and the base URL.

use std::sync::Arc;

use reqwest::Url;
use tds_core::clock::{Clock as _, SystemClock};
use tds_zoho::{
    ZohoClient,
    rules::{Destination, Pace},
};

use crate::{
    app::rules::{Kept, Look, RefusedOf, Rules},
    cli::{
        exit::{CommandResult, Failure},
        lookup::Lookup,
        output,
        store::quiet_config,
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
        let catalogue =
            config.entities.of(&entities.catalogue).map_err(|error| Failure::usage(error.to_string()))?;
        let mut zoho = config.zoho.clone().ok_or(BuildError::NoZoho)?;
        zoho.most_mints = MOST_MINTS;
        let (storage, trouble) = match Storage::open_existing(&config.database).await {
            Ok(storage) if storage.database.schema().await.is_ok_and(|status| status.is_current()) => {
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
            has_key: config.webhooks.key.is_some(),
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

    /// Keeps what a look found, for the health report of the servers.
    pub(super) async fn keep(&self, look: &Look, registers: bool) {
        let Some(storage) = &self.storage else { return };
        if let Err(error) = Kept::checked(&storage.store, &look.base, look.checked(), registers).await {
            output::talk(&format!("the result could not be stored for the health report: {}", error.chain()));
        }
    }

    /// Forgets what was registered.
    pub(super) async fn forget(&self) {
        let Some(storage) = &self.storage else { return };
        if let Err(error) = Kept::forget(&storage.store).await {
            output::talk(&format!("the database still names the removed webhooks: {}", error.chain()));
        }
    }

    /// Returns the deliveries that the servers refused lately.
    pub(super) async fn refused(&self) -> Vec<(String, RefusedOf)> {
        let Some(storage) = &self.storage else { return Vec::new() };
        let known = Kept::refused(&storage.store).await.unwrap_or_default();
        let since = (SystemClock.now() - LATELY).unix_timestamp();
        let recent = |(path, mut of): (String, RefusedOf)| {
            if of.unsigned_at < since {
                of.unsigned = 0;
            }
            if of.mismatched_at < since {
                of.mismatched = 0;
            }
            (of.unsigned + of.mismatched > 0).then_some((path, of))
        };
        known.into_iter().filter_map(recent).collect()
    }
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
    let loopback = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
    let plain = url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    if plain && (url.scheme() == "https" || (url.scheme() == "http" && loopback)) {
        return Ok(url.as_str().trim_end_matches('/').to_owned());
    }
    Err(refused())
}

#[cfg(test)]
mod tests {
    use super::base_url;

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
        ] {
            assert_eq!(accepted(text), None, "{text}");
        }
    }
}
