//! The webhooks and rules that are registered in Zoho: what should be, what is, and what the last look found.

mod install;
mod kept;

use tds_core::{error::Result, queue::Lane};
use tds_postgres::PgStore;
use tds_zoho::{
    ZohoClient,
    entities::{Api, Catalogue},
    rules::{Destination, Deviation, Found, Kind, Pace, Plan, Registered, Target, Unreadable, plan, targets},
};

pub(crate) use self::{
    install::{Installed, take_all},
    kept::{Checked, Kept, Refused, RefusedOf},
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

#[derive(Clone)]
struct Secrets {
    secret: secrecy::SecretString,
    key: Option<secrecy::SecretString>,
}

/// What one look found.
pub(crate) struct Look {
    pub(crate) base: String,
    pub(crate) targets: Vec<Target>,
    /// The products that show what is registered.
    pub(crate) plans: Vec<Plan>,
    /// The products that do not, and that are needed.
    pub(crate) unreadable: Vec<(Api, String)>,
    /// Products that the organization does not have.
    pub(crate) lacking: Vec<String>,
}

impl Rules {
    /// Returns the looks of a program with this configuration.
    pub(crate) fn of(config: &Config, catalogue: &Catalogue) -> Self {
        let accepted = matches!(config.webhooks.verification(), Verification::Signed(_));
        // While a secret is being replaced, the last one is the new one.
        let secret = config.webhooks.secrets.last().filter(|_| accepted).cloned();
        let key = config.webhooks.key.clone();
        Self {
            catalogue: catalogue.clone(),
            config: config.rules.clone(),
            secrets: secret.map(|secret| Secrets { secret, key }),
        }
    }

    /// Returns where webhooks should be sent; `None` if there is no secret that Zoho accepts.
    pub(crate) fn destination(&self, base: &str) -> Option<Destination> {
        let Secrets { secret, key } = self.secrets.clone()?;
        Some(Destination { base: base.trim_end_matches('/').to_owned(), secret, key })
    }

    /// Returns what should be registered.
    pub(crate) fn targets(&self) -> Vec<Target> {
        targets(&self.catalogue, &self.config.modules)
    }

    /// Reads what is registered, and compares it with what should be. Nothing is changed.
    ///
    /// # Errors
    /// Those of limits, of the connection and of a missing token.
    pub(crate) async fn look(
        &self,
        zoho: &ZohoClient,
        destination: &Destination,
        lane: Lane,
        pace: &mut Pace,
    ) -> Result<Look> {
        let targets = self.targets();
        let mut look = Look {
            base: destination.base.clone(),
            plans: Vec::new(),
            unreadable: Vec::new(),
            lacking: Vec::new(),
            targets,
        };
        for (api, found) in self.found(zoho, &look.targets, lane, pace).await? {
            let is_needed = api == Api::Books || look.targets.iter().any(|target| target.api == api);
            match found {
                // Something may be left in a product that is no longer needed. If Zoho does not show it, nothing is missed.
                Registered::Unreadable(_) if !is_needed => {}
                Registered::Known(found) => {
                    look.plans.push(plan(api, &look.targets, destination, &self.config.known_urls, &found));
                }
                Registered::Unreadable(Unreadable::NoProduct(line)) => look.lacking.push(line),
                Registered::Unreadable(Unreadable::Refused(reason)) => look.unreadable.push((api, reason)),
            }
        }
        Ok(look)
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

    /// Looks once, for a server, and keeps what it found for the health report. The base URL is that of the last command
    /// that registered webhooks; without one, nothing is looked at.
    ///
    /// # Errors
    /// Those of [`Rules::look`], and the store does not answer.
    pub(crate) async fn check(&self, zoho: &ZohoClient, store: &PgStore) -> Result<()> {
        let kept = Kept::load(store).await?;
        let Some(destination) = kept.base.as_deref().and_then(|base| self.destination(base)) else {
            return Ok(());
        };
        let mut pace = Pace::new(self.config.pace);
        let look = self.look(zoho, &destination, Lane::Verify, &mut pace).await?;
        if look.is_wrong() {
            tracing::warn!(
                findings = look.wrong().join("; "),
                "the webhooks that are registered in Zoho are not as they should be; tds-server webhooks status says more"
            );
        }
        Kept::looked(store, &look.base, look.checked()).await
    }
}

impl Look {
    /// Returns the names of the rules that should be registered.
    pub(crate) fn rules(&self) -> Vec<String> {
        self.targets.iter().map(Target::rule_name).collect()
    }

    /// Returns everything that is not as it should be.
    pub(crate) fn deviations(&self) -> impl Iterator<Item = &Deviation> {
        self.plans.iter().flat_map(|plan| &plan.deviations)
    }

    /// Returns true if anything is wrong that TDS or an operator has to mend: webhooks of others are not among this.
    pub(crate) fn is_wrong(&self) -> bool {
        self.deviations().any(|one| one.kind != Kind::Foreign)
    }

    /// Returns what is kept of the look for the health report.
    pub(crate) fn checked(&self) -> Checked {
        Checked {
            at: 0,
            wrong: self.wrong(),
            unreadable: self.unreadable.first().map(|(_, reason)| reason.clone()),
            webhooks: self.plans.iter().map(|plan| plan.states.len()).sum(),
        }
    }

    /// Returns what is wrong, one line each, without webhooks of others. The lines have no URLs, because the health report
    /// needs no token.
    pub(crate) fn wrong(&self) -> Vec<String> {
        let wrong = self.deviations().filter(|one| one.kind != Kind::Foreign);
        let mut lines: Vec<String> = wrong.map(|one| format!("{} is {}", one.name, one.kind)).collect();
        lines.dedup();
        lines
    }
}

/// Returns everything of TDS that is registered in a product.
pub(crate) fn removal(api: Api, found: &Found) -> Plan {
    tds_zoho::rules::removal(api, found)
}

#[cfg(test)]
mod tests;
