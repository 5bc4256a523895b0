//! Every table of the engine, and what an erasure does with it. The list is compared with the migrations, so that nobody
//! adds a table without a decision. The tables of the mirror are found by their columns (`documents.rs`).

use std::collections::BTreeSet;

use crate::db::migrations::MIGRATOR;

/// Values and texts of the person, and of documents that name the person, are removed here.
const ERASED: [(&str, &str); 13] = [
    (
        "tds_sync_records",
        "record.rs: the hashes of the person's record. Hashes of documents stay until the erasure is undone",
    ),
    (
        "tds_inbox_events",
        "events.rs: bodies and errors; bodies.rs: what arrives later. The headers are those of the sender of the webhook",
    ),
    ("tds_queue_live", "texts.rs: payloads and errors"),
    ("tds_queue_done", "texts.rs: errors"),
    ("tds_queue_attempts", "texts.rs: errors"),
    ("tds_run_kept", "texts.rs: payloads"),
    (
        "tds_sync_runs",
        "texts.rs: logs that name a record. Plans, selections and held deletions have ids only",
    ),
    ("tds_outbox", "record.rs, stored.rs: differences; texts.rs: notes"),
    ("tds_captured", "a part of tds_outbox for every statement"),
    ("tds_links", "record.rs, stored.rs: earlier, kept and sent values"),
    ("tds_conflicts", "record.rs, stored.rs: the versions of both sides, and the decisions"),
    ("tds_verifications", "record.rs: the examples of the checks of money"),
    ("tds_verify_findings", "record.rs, stored.rs: both values of each difference; texts.rs: errors"),
];

/// Nothing in these tables says who a person is.
const NOTHING: [(&str, &str); 25] = [
    ("tds_erasures", "the id and the counts: what keeps the person out"),
    ("tds_decisions", "names of columns, times, and the words of the guard"),
    ("tds_queue_waiters", "numbers"),
    ("tds_queue_tally", "counts"),
    ("tds_run_records", "ids"),
    ("tds_entity_controls", "entity types that are paused"),
    ("tds_cursors", "times"),
    ("tds_schedules", "times"),
    ("tds_leases", "names of processes"),
    ("tds_processes", "names of processes, and the state of the whole organization"),
    ("tds_shared_states", "limits, facts about lists, and the encrypted access token"),
    ("tds_api_calls", "counts by kind of call"),
    ("tds_sync_functions", "the functions of the database"),
    ("tds_unknown_fields", "names of fields"),
    ("tds_verify_counts", "counts"),
    ("tds_answer_times", "times"),
    ("tds_webhook_coverage", "counts"),
    ("tds_webhook_histories", "counts, and why there is no history"),
    ("tds_table_sizes", "sizes"),
    ("tds_daily", "days"),
    ("tds_modes", "modes and policies"),
    ("tds_capture_settings", "a setting, and the words of the program"),
    ("tds_redaction", "names of columns"),
    ("tds_database_identity", "numbers of the database"),
    ("tds_oldest_program", "the version of a schema"),
];

#[test]
fn every_table_of_the_engine_is_decided() {
    let known: BTreeSet<&str> = ERASED.iter().chain(&NOTHING).map(|(table, _)| *table).collect();
    assert_eq!(known.len(), ERASED.len() + NOTHING.len(), "a table is in the list twice");
    let mut made = BTreeSet::new();
    for migration in MIGRATOR.iter() {
        for rest in migration.sql.as_str().split("CREATE TABLE ").skip(1) {
            let name = rest.trim_start_matches("IF NOT EXISTS ");
            let name = name.split(|end: char| !(end.is_alphanumeric() || "_.".contains(end))).next();
            made.extend(name.filter(|name| name.starts_with("tds_")).map(str::to_owned));
        }
    }
    assert_eq!(made.iter().map(String::as_str).collect::<BTreeSet<_>>(), known);
}
