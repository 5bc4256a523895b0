//! The checklist of readiness, and the webhooks that Zoho missed.

use tds_core::measures::{Coverage, HistoryCheck};
use time::{Date, OffsetDateTime};

use super::{each, names::CheckResult};
use crate::app::{missed, readiness};

wire! {
    /// Whether the mirror can be relied upon
    Readiness from readiness: readiness::Readiness {
        /// Whether every check is passed
        ready: bool = readiness.is_ready(),
        checks: Vec<ReadinessCheck> = each(readiness.checks),
    }

    /// One line of the checklist
    ReadinessCheck from check: readiness::Check {
        /// The name, such as `products_verified`
        name: String,
        #[schema(inline, value_type = CheckResult)]
        status: &'static str = check.status.as_str(),
        /// What was measured, in the unit of the target; null if nothing was measured
        value: Option<f64> = check.value,
        /// What the value must be
        target: &'static str = check.target,
        /// What was measured in words, and what to do
        hint: String,
    }

    /// The changes that Zoho announced by a webhook, and those that it did not
    MissedWebhooks from missed: missed::Missed {
        /// The last days by entity type, oldest first; today so far is among them
        coverage: Vec<WebhookCoverage> = each(missed.coverage),
        /// Looks at Zoho's own history of webhooks, newest first
        history: Vec<WebhookHistoryCheck> = each(missed.history),
    }

    /// The changes of one entity type on one day
    WebhookCoverage from row: Coverage {
        /// The day (UTC)
        #[schema(value_type = String, format = Date)]
        day: String = day(row.day),
        entity_type: String = row.entity.to_string(),
        /// Changes that were seen
        changes: u64,
        /// Changes for which a webhook arrived
        delivered: u64,
        /// Their share; null without changes
        share_percent: Option<f64> = row.share_percent(),
        /// Median time from the change to its webhook
        late_p50_seconds: Option<f64> = row.late_p50,
        /// 99th percentile of this time
        late_p99_seconds: Option<f64> = row.late_p99,
    }

    /// A look at Zoho's own history of webhooks
    WebhookHistoryCheck from check: HistoryCheck {
        #[serde(with = "time::serde::rfc3339")]
        at: OffsetDateTime,
        /// Whether Zoho showed its history; if not, nothing is known
        answered: bool = check.is_answered,
        /// One line about the answer
        detail: String,
        calls: u64,
        /// Failed webhooks
        failed: u64,
        /// Records that are read again because of them
        read_again: u64,
    }
}

fn day(day: Date) -> String {
    day.to_string()
}
