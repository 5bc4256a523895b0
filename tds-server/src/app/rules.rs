//! The webhooks and rules that are registered in Zoho: what should be, what is, and what the last look found.

mod install;
mod kept;
mod look;

use std::collections::BTreeSet;

use secrecy::SecretString;
use tds_core::{error::Result, queue::Lane};
use tds_postgres::PgStore;
use tds_zoho::{
    ZohoClient,
    entities::{Api, Catalogue},
    rules::{Destination, Found, Pace, Plan, Registered, Target, targets},
};

#[cfg(test)]
pub(crate) use self::kept::Looking;
pub(crate) use self::{
    install::{Done, Progress, take_all},
    kept::{Checked, Kept, Refused, RefusedOf},
    look::{Before, Look},
};
use crate::config::{Config, RulesConfig, Verification};

/// The products that can have rules.
const PRODUCTS: [Api; 2] = [Api::Books, Api::Inventory];

/// What is needed to look at registered webhooks and rules.
#[derive(Clone)]
pub(crate) struct Rules {
    pub(crate) catalogue: Catalogue,
    pub(crate) config: RulesConfig,
    /// The secret and the key of the webhooks. `None`: they cannot be registered, because there is no secret that Zoho
    /// accepts.
    secrets: Option<Secrets>,
}

/// The secrets and keys that the servers accept. The last ones are those that are registered.
#[derive(Clone)]
struct Secrets {
    secrets: Vec<SecretString>,
    keys: Vec<SecretString>,
}

impl Rules {
    /// Returns the looks of a program with this configuration.
    pub(crate) fn of(config: &Config, catalogue: &Catalogue) -> Self {
        let accepted = matches!(config.webhooks.verification(), Verification::Signed(_));
        let crate::config::WebhookConfig { secrets, keys, .. } = config.webhooks.clone();
        Self {
            catalogue: catalogue.clone(),
            config: config.rules.clone(),
            secrets: accepted.then_some(Secrets { secrets, keys }),
        }
    }

    /// Returns where webhooks should be sent; `None` if there is no secret that Zoho accepts.
    pub(crate) fn destination(&self, base: &str) -> Option<Destination> {
        self.destinations(base).pop()
    }

    /// Returns the destination with each secret and each key. While one is being replaced, the last one is the new one.
    fn destinations(&self, base: &str) -> Vec<Destination> {
        let Some(Secrets { secrets, keys }) = &self.secrets else { return Vec::new() };
        let base = base.trim_end_matches('/');
        let keys = || {
            let none = keys.is_empty().then_some(None);
            keys.iter().cloned().map(Some).chain(none)
        };
        let of = |secret: &SecretString| {
            let secret = secret.clone();
            keys().map(move |key| Destination { base: base.to_owned(), secret: secret.clone(), key })
        };
        secrets.iter().flat_map(of).collect()
    }

    /// Returns what should be registered.
    pub(crate) fn targets(&self) -> Vec<Target> {
        targets(&self.catalogue, &self.config.modules)
    }

    /// Reads what is registered in each product.
    ///
    /// # Errors
    /// Those of [`Rules::look`].
    pub(crate) async fn found(
        &self,
        zoho: &ZohoClient,
        targets: &[Target],
        lane: Lane,
        pace: &mut Pace,
    ) -> Result<Vec<(Api, Registered)>> {
        let mut all = Vec::new();
        for api in PRODUCTS {
            all.push((api, zoho.registered(api, targets, lane, pace).await?));
        }
        Ok(all)
    }

    /// Makes the look of the day for a server, if no process has made it. One that has no result is made again after a
    /// quarter of an hour, by whatever process.
    ///
    /// # Errors
    /// Those of [`Rules::check`].
    pub(crate) async fn check_of_the_day(&self, zoho: &ZohoClient, store: &PgStore) -> Result<()> {
        match Kept::claim_look(store).await? {
            Some(kept) => self.check(zoho, store, &kept).await,
            None => Ok(()),
        }
    }

    /// Looks once, for a server, and keeps what it found for the health report. The base URL is that of the last command
    /// that registered webhooks; without one, nothing is looked at.
    ///
    /// # Errors
    /// Those of [`Rules::look`], and the store does not answer.
    pub(crate) async fn check(&self, zoho: &ZohoClient, store: &PgStore, kept: &Kept) -> Result<()> {
        let Some(destination) = kept.base.as_deref().and_then(|base| self.destination(base)) else {
            return Ok(());
        };
        let mut pace = Pace::new(self.config.pace);
        let before = Before { in_inventory: kept.in_inventory, ..Before::default() };
        let look = self.look(zoho, &destination, &before, Lane::Verify, &mut pace).await?;
        if look.is_wrong() {
            tracing::warn!(
                findings = look.wrong().join("; "),
                "the webhooks that are registered in Zoho are not as they should be; tds-server webhooks status says more"
            );
        }
        Kept::looked(store, &look.base, look.checked()).await
    }

    /// Returns the paths of entity types.
    pub(crate) fn paths_of<'a>(&self, entities: impl Iterator<Item = &'a str>) -> BTreeSet<String> {
        let path = |entity: &str| {
            let of = self.catalogue.iter().find(|one| one.entity().as_str() == entity)?;
            Some(of.webhooks.as_ref()?.path.to_owned())
        };
        entities.filter_map(path).collect()
    }

    /// Returns the entity types at whose addresses the deliveries of these paths arrive.
    pub(crate) fn entities_of(&self, paths: &BTreeSet<String>) -> Vec<String> {
        let entity = |path: &String| Some(self.catalogue.of_webhook_path(path)?.entity().as_str().to_owned());
        paths.iter().filter_map(entity).collect()
    }
}

/// Returns everything of TDS that is registered in a product.
pub(crate) fn removal(api: Api, found: &Found) -> Plan {
    tds_zoho::rules::removal(api, found)
}

#[cfg(test)]
mod tests;
