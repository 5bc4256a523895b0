//! Verifications.

use std::collections::BTreeMap;

use serde_json::Value;
use tds_core::{
    mirror::FieldDifference as Difference,
    runs::Run,
    verify::{self, DriftClass},
};
use time::OffsetDateTime;

use super::{
    each,
    names::{DriftName, SyncStatus},
    runs::{ActiveRun, SyncRun},
};
use crate::app::{runs::Started, verify::verification_of};

wire! {
    /// The report of a verification
    VerificationReport from report: verify::VerificationReport {
        /// The id: that of the first run
        id: i64 = report.id.0,
        // `running` until every run and the checks of money have ended; then the worst status of the runs.
        #[schema(inline, value_type = SyncStatus)]
        status: &'static str = report.status.as_str(),
        requested_by: Option<String> = report.requested_by.clone(),
        #[serde(with = "time::serde::rfc3339")]
        created_at: OffsetDateTime,
        #[serde(with = "time::serde::rfc3339::option")]
        started_at: Option<OffsetDateTime>,
        #[serde(with = "time::serde::rfc3339::option")]
        completed_at: Option<OffsetDateTime>,
        /// Calls to Zoho that the comparison took
        api_calls: i64 = report.calls(),
        /// Records that differ and are not repaired
        drift_total: u64 = report.drift_total(),
        /// The checks of money, each with its result; empty until they were made
        money: Vec<MoneyCheck> = each(report.money),
        entities: Vec<ComparedEntity> = each(report.entities),
    }

    /// A check of money
    MoneyCheck from row: verify::MoneyDifference {
        /// The name of the check
        check: String,
        /// The currency; null for a check of quantities or rates
        currency: Option<String>,
        /// What the amounts belong to, such as a month; null for a whole currency
        of: Option<String>,
        /// The amount that Zoho states
        zoho: Option<String> = row.source,
        /// The amount that the rows of the ERP add up to
        erp: Option<String> = row.target,
        difference: String,
        /// Whether the check holds
        holds: bool,
        /// Records that are still changing
        in_flight: u64,
        /// The records at fault
        examples: Vec<String> = row.examples,
    }

    /// The comparison of one entity type
    ComparedEntity from entity: verify::EntityReport {
        entity_type: String = entity.entity.to_string(),
        run_id: i64 = entity.run.0,
        #[schema(inline, value_type = SyncStatus)]
        status: &'static str = entity.status.as_str(),
        /// Why the run failed, or which records could not be read from Zoho
        error: Option<String> = entity.error.clone(),
        #[serde(with = "time::serde::rfc3339::option")]
        started_at: Option<OffsetDateTime>,
        #[serde(with = "time::serde::rfc3339::option")]
        completed_at: Option<OffsetDateTime>,
        /// Calls to Zoho
        api_calls: i64 = entity.calls,
        /// Records that the list of Zoho showed
        zoho_records: u64 = entity.counts.source_records,
        /// Live records of the ERP
        erp_records: u64 = entity.counts.target_records,
        /// Records that were compared
        compared: u64 = entity.counts.compared,
        /// Records that were read whole as a random sample
        sampled: u64 = entity.counts.sampled,
        /// If no record of the sample differed: the largest share of all records that may differ in what only a whole
        /// record shows, in percent, with a confidence of 95 percent
        sample_bound_percent: Option<f64> = sample_bound_percent(entity.counts.sampled),
        /// Records about which nothing is known: they were still changing at the last look, or could not be read from Zoho
        in_flight: u64,
        /// Records that differed and are equal again
        repaired: u64,
        /// Records that differ and are not repaired
        drift: DriftCounts = entity.drift.clone().into(),
        /// Records that differed, repaired or not
        found: DriftCounts = entity.found.clone().into(),
        /// The number of findings that name each field
        fields: BTreeMap<String, u64> = entity.by_field,
        /// The first records that differ, and then those that are repaired
        examples: Vec<DriftingRecord> = each(entity.examples),
    }

    /// Numbers of records by the class of their drift
    DriftCounts from counts: BTreeMap<DriftClass, u64> {
        /// Zoho has the record, and the ERP does not
        missing_local: u64 = of(&counts, DriftClass::MissingLocal),
        /// The ERP has the record, and Zoho does not
        missing_remote: u64 = of(&counts, DriftClass::MissingRemote),
        /// The ERP has an older version
        stale: u64 = of(&counts, DriftClass::Stale),
        /// The same version has other values
        field_diff: u64 = of(&counts, DriftClass::FieldDiff),
    }

    /// A record that differs
    DriftingRecord from finding: verify::Finding {
        zoho_id: String = finding.id.to_string(),
        #[schema(inline, value_type = DriftName)]
        class: &'static str = finding.class.as_str(),
        fields: Vec<DriftingField> = each(finding.fields),
        #[serde(with = "time::serde::rfc3339")]
        looked_at: OffsetDateTime,
        /// When the record was found to be equal again; null while it differs
        #[serde(with = "time::serde::rfc3339::option")]
        repaired_at: Option<OffsetDateTime>,
    }

    /// A field that differs
    DriftingField from difference: Difference {
        /// The column; for a child row, the table, what identifies the row, and the column
        field: String,
        zoho: Value = difference.source,
        erp: Value = difference.target,
    }
}

/// A verification that was started
#[derive(serde::Serialize, utoipa::ToSchema)]
pub(crate) struct StartedVerification {
    /// The first run. Its id is that of the verification.
    #[serde(flatten)]
    first: SyncRun,
    /// Every run
    runs: Vec<SyncRun>,
    /// Comparisons of requested entity types that were already active, for which no run was created
    active: Vec<ActiveRun>,
}

impl StartedVerification {
    /// Returns the document, or `None` if no run was started.
    pub(crate) fn of(started: Started) -> Option<Self> {
        let first: Run = started.runs.first()?.clone();
        debug_assert_eq!(verification_of(&started.runs), Some(first.id));
        Some(Self { first: first.into(), runs: each(started.runs), active: each(started.active) })
    }
}

fn of(counts: &BTreeMap<DriftClass, u64>, class: DriftClass) -> u64 {
    counts.get(&class).copied().unwrap_or_default()
}

/// Returns the bound of a sample without a difference: 3 in the number of its records.
#[expect(clippy::cast_precision_loss, reason = "a percentage needs no more than a float has")]
pub(crate) fn sample_bound_percent(sampled: u64) -> Option<f64> {
    (sampled > 0).then(|| (300.0 / sampled as f64 * 100.0).round().min(10_000.0) / 100.0)
}
