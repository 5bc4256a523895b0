//! The decisions of the guard, which the history of a record shows.

use tds_core::{
    guard::{RereadReason, Verdict, VerdictKind},
    mirror::Operation,
    queue::Outcome,
    record::{EntityType, Read},
};
use time::OffsetDateTime;

use crate::db::text::{Query, column};

/// A decision on a read, with what came of it.
pub(super) struct Decision<'a> {
    pub(super) read: &'a Read,
    pub(super) verdict: Verdict,
    /// `None`: the record is read again.
    pub(super) outcome: Option<Outcome>,
    pub(super) reason: Option<RereadReason>,
    /// `None`: no row was written.
    pub(super) operation: Option<Operation>,
    pub(super) changed: Vec<&'a str>,
}

/// The separator of the changed columns of a row in its text. No name contains it.
const BETWEEN: &str = "\n";

/// Returns the statement that stores the decisions of one entity type. Its parameters begin with this number; the first
/// is the entity type.
///
/// The statement is the beginning of the statement that stores the sync states, so that it costs no round trip of its
/// own.
pub(super) fn insert(entity: usize, first: usize) -> String {
    let parameters: Vec<String> = [
        "text",
        "timestamptz",
        "timestamptz",
        "timestamptz",
        "bigint",
        "bigint",
        "bool",
        "text",
        "text",
        "text",
        "text",
        "text",
        "text",
    ]
    .iter()
    .zip(first..)
    .map(|(name, number)| format!("${number}::{name}[]"))
    .collect();
    format!(
        "INSERT INTO tds_decisions (at, entity_type, zoho_id, version, observed_began, observed_ended, item_id,
           inbox_event_id, by_run, kind, verdict, outcome, operation, detail, changed)
         SELECT t.at, ${entity}, d.zoho_id, d.version, d.began, d.ended, d.item, d.event, d.by_run, d.kind, d.verdict,
           d.outcome, d.operation, d.detail, string_to_array(d.changed, E'\\n')
           FROM unnest({}) AS d(zoho_id, version, began, ended, item, event, by_run, kind, verdict, outcome, operation,
             detail, changed),
             (SELECT clock_timestamp() AS at) AS t",
        parameters.join(", ")
    )
}

/// Binds the parameters of [`insert`] after the entity type.
pub(super) fn bind<'q>(query: Query<'q>, decisions: &[Decision<'_>]) -> Query<'q> {
    let seen = |decision: &Decision<'_>| decision.read.observed.interval();
    let cause = |decision: &Decision<'_>| decision.read.cause;
    let changed =
        |decision: &Decision<'_>| (!decision.changed.is_empty()).then(|| decision.changed.join(BETWEEN));
    query
        .bind(column(decisions, |it| it.read.key.id.as_str().to_owned()))
        .bind(column(decisions, |it| it.read.version()))
        .bind(column(decisions, |it| -> OffsetDateTime { seen(it).began }))
        .bind(column(decisions, |it| seen(it).ended))
        .bind(column(decisions, |it| cause(it).map(|cause| cause.item.0)))
        .bind(column(decisions, |it| cause(it).and_then(|cause| cause.event).map(|event| event.0)))
        .bind(column(decisions, |it| cause(it).is_some_and(|cause| cause.by_run)))
        .bind(column(decisions, |it| it.read.origin().as_str()))
        .bind(column(decisions, |it| VerdictKind::from(it.verdict).as_str()))
        .bind(column(decisions, |it| it.outcome.map(Outcome::as_str)))
        .bind(column(decisions, |it| it.operation.map(Operation::as_str)))
        .bind(column(decisions, |it| it.reason.map(|reason| reason.to_string())))
        .bind(column(decisions, changed))
}

/// Stores decisions that are the only thing to store.
pub(super) fn alone<'q>(
    sql: sqlx::AssertSqlSafe<String>,
    entity: &'q EntityType,
    decisions: &[Decision<'_>],
) -> Query<'q> {
    bind(sqlx::query(sql).bind(entity.as_str()), decisions)
}
