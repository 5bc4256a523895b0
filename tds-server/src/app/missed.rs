//! Missed webhooks: once a day, changes are compared with deliveries, and the records of deliveries that Zoho reports as
//! failed are read again, and what is registered in Zoho is compared with what should be.

use std::{sync::Arc, time::Duration};

use tds_core::{
    clock::Clock,
    error::Result,
    measures::{Coverage, HistoryCheck, Measures, Watched},
    queue::{Lane, NewItem, Queue, Work},
    shutdown::Shutdown,
};
use tds_postgres::PgStore;
use tds_zoho::{WebhookHistory, ZohoClient, entities::Catalogue};
use time::Date;

use super::{
    rules::Rules,
    services::{Measured, Ports, Services},
};
use crate::hint::command;

/// The time from the start of a server to its first look for the work of the day.
const FIRST: Duration = Duration::from_secs(90);
/// The time between two looks for the work of the day. What is registered in Zoho is looked at again after this time if
/// the first look of the day had no result.
const EVERY: Duration = Duration::from_secs(15 * 60);
/// The number of past days that are compared if they were not compared yet.
const DAYS: u16 = 7;
/// How far back Zoho's history is read the first time.
const BACK: time::Duration = time::Duration::days(7);
/// The time by which two looks at Zoho's history overlap.
const OVERLAP: time::Duration = time::Duration::hours(1);

/// The work of a day.
#[derive(Clone)]
pub(crate) struct Daily {
    pub(crate) measures: Arc<dyn Measures>,
    pub(crate) queue: Arc<dyn Queue>,
    pub(crate) zoho: ZohoClient,
    pub(crate) catalogue: Catalogue,
    pub(crate) clock: Arc<dyn Clock>,
    /// What should be registered in Zoho, and the store that keeps what a look found.
    pub(crate) registered: Option<(Rules, PgStore)>,
}

impl Daily {
    /// Returns the work of a server, if its store measures.
    pub(crate) fn of(services: &Services, registered: Option<(Rules, PgStore)>) -> Option<Self> {
        let Services { ports, zoho, catalogue, clock, .. } = services.clone();
        let Measured { measures, work, .. } = ports.measured?;
        Some(Self { measures, queue: work, zoho, catalogue, clock, registered })
    }

    /// Does the work of each day until the shutdown signal. Of all processes, one does it.
    pub(crate) async fn run(self, shutdown: Shutdown) {
        let mut pause = FIRST;
        while !shutdown.sleep(pause).await {
            pause = EVERY;
            if let Err(error) = self.look().await {
                tracing::debug!(error = %error.chain(), "the figures of the day could not be stored; trying tomorrow");
            }
            self.check_registered().await;
        }
    }

    /// Does the work of the day if no process has taken it.
    pub(crate) async fn look(&self) -> Result<()> {
        if !self.measures.claim_day().await? {
            return Ok(());
        }
        let days = self.measures.store_day(&watched(&self.catalogue), DAYS).await?;
        tracing::debug!(days, "changes were compared with deliveries");
        self.read_history().await
    }

    /// Compares what is registered in Zoho with what should be, if that was not done today.
    pub(crate) async fn check_registered(&self) {
        let Some((rules, store)) = &self.registered else { return };
        if let Err(error) = rules.check_of_the_day(&self.zoho, store).await {
            tracing::warn!(
                error = %error.explain(command),
                "the webhooks that are registered in Zoho could not be looked at; trying again in 15 minutes"
            );
        }
    }

    /// Reads what Zoho's own history of webhooks shows since the last look, and reads the records again.
    pub(crate) async fn read_history(&self) -> Result<()> {
        let now = self.clock.now();
        let checks = self.measures.history_checks((now - BACK).date()).await?;
        let last = checks.iter().find(|check| check.is_answered).map(|check| check.at - OVERLAP);
        let since = last.unwrap_or(now - BACK);
        let check = match self.zoho.webhook_history(&self.catalogue, since).await? {
            WebhookHistory::Unavailable(reason) => {
                tracing::info!(
                    reason,
                    "Zoho does not show its history of webhooks; nothing is known of failed ones"
                );
                HistoryCheck {
                    at: now,
                    is_answered: false,
                    detail: reason,
                    calls: 1,
                    failed: 0,
                    read_again: 0,
                }
            }
            WebhookHistory::Known { failed, others, calls, is_complete } => {
                let items: Vec<NewItem> = failed
                    .iter()
                    .map(|one| {
                        NewItem::new(
                            one.key.clone(),
                            Lane::Incremental,
                            Work { recheck: true, ..Work::fetch() },
                        )
                    })
                    .collect();
                let read_again = u64::try_from(items.len()).unwrap_or(u64::MAX);
                self.queue.enqueue(items).await?;
                let rest = if is_complete { "" } else { "; older ones were not read, to save calls" };
                let detail = format!(
                    "{} failed deliveries since {}; {read_again} of their records are read again{rest}",
                    read_again + others,
                    since.date()
                );
                if read_again > 0 {
                    tracing::warn!(
                        records = read_again,
                        "Zoho reports failed webhooks; their records are read again"
                    );
                }
                HistoryCheck {
                    at: now,
                    is_answered: true,
                    detail,
                    calls,
                    failed: read_again + others,
                    read_again,
                }
            }
        };
        self.measures.store_history_check(&check).await
    }
}

/// The changes that were announced, and looks at Zoho's own history of webhooks.
pub(crate) struct Missed {
    pub(crate) coverage: Vec<Coverage>,
    pub(crate) history: Vec<HistoryCheck>,
}

/// Returns what is known of missed webhooks in the last days.
///
/// # Errors
/// The store cannot be reached.
pub(crate) async fn missed(ports: &Ports, catalogue: &Catalogue) -> Result<Missed> {
    let measures = &ports.measured()?.measures;
    let coverage = measures.coverage(&watched(catalogue), DAYS).await?;
    let since = coverage.first().map_or(Date::MIN, |row| row.day);
    Ok(Missed { coverage, history: measures.history_checks(since).await? })
}

/// Returns the entity types whose changes Zoho announces. Records without a version, such as stock, cannot be compared.
pub(crate) fn watched(catalogue: &Catalogue) -> Vec<Watched> {
    let announced = catalogue.synced().filter(|one| one.versioned).filter_map(|one| {
        let address = catalogue.of_webhook_path(one.webhooks.as_ref()?.path)?;
        Some(Watched { entity: one.entity().clone(), delivered_as: address.entity().clone() })
    });
    announced.collect()
}

#[cfg(test)]
mod tests {
    use tds_zoho::entities::Catalogue;

    use super::watched;

    #[test]
    fn vendors_are_announced_at_the_address_of_customers_and_stock_cannot_be_compared() {
        let watched = watched(&Catalogue::default());
        let of = |name: &str| {
            watched
                .iter()
                .find(|one| one.entity.as_str() == name)
                .map(|one| one.delivered_as.as_str().to_owned())
        };
        assert_eq!(of("vendors").as_deref(), Some("customers"));
        assert_eq!(of("sales_orders").as_deref(), Some("sales_orders"));
        assert_eq!((of("stock"), of("taxes")), (None, None));
    }
}
