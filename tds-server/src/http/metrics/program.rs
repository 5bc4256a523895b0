//! The series of this process: its worker, its token and its database connections. Nothing is read from the store.

use metrics::{counter, gauge, histogram};
use tds_core::{
    engine::{Engine, HandledItems, WorkTally},
    queue::AttemptResult,
};
use tds_postgres::{Database, EventCommit, PoolFigures};
use tds_zoho::{EndedCall, TokenFigures};
use time::OffsetDateTime;

use super::{count, figures::timestamp};

/// The outcomes of the attempt on an item.
const COMPLETED: &str = "completed";
const FAILED: &str = "failed";

/// The counters of the worker. Every registered entity type has its counter of dead letters.
pub(super) fn work(engine: &Engine, tally: &WorkTally) {
    for (result, ended) in tally.results() {
        counter!("tds_jobs_ended_total", "result" => result.as_str()).absolute(ended);
    }
    counter!("tds_jobs_rescued_total").absolute(tally.rescued());
    counter!("tds_fenced_writes_total").absolute(tally.fenced());
    let dead = tally.dead_letters();
    for entity in engine.registry().entities() {
        let dead = dead.get(entity).copied().unwrap_or_default();
        counter!("tds_dead_letters_total", "entity" => entity.as_str().to_owned()).absolute(dead);
    }
}

/// The series of the access token.
pub(super) fn token(token: &TokenFigures, now: OffsetDateTime) {
    for (result, refreshes) in token.refreshes {
        counter!("tds_token_refresh_total", "result" => result.as_str()).absolute(refreshes);
    }
    gauge!("tds_token_expiry_timestamp_seconds").set(timestamp(token.expires_in.map(|left| now + left)));
    gauge!("tds_token_missing").set(f64::from(u8::from(token.is_missing)));
}

/// The series of the database connections. A store without connections has zeros.
pub(super) fn pools(database: Option<&Database>) {
    let (work, ingest) = database.map(Database::pool_figures).unwrap_or_default();
    for (pool, figures) in [("work", work), ("ingest", ingest)] {
        let PoolFigures { most, idle, in_use, waiting, waits, timeouts } = figures;
        for (state, connections) in [("idle", idle), ("in_use", in_use)] {
            gauge!("tds_db_pool_connections", "pool" => pool, "state" => state).set(float(connections));
        }
        gauge!("tds_db_pool_connections_max", "pool" => pool).set(f64::from(most));
        gauge!("tds_db_pool_waiting", "pool" => pool).set(float(waiting));
        counter!("tds_db_pool_waits_total", "pool" => pool).absolute(waits);
        counter!("tds_db_pool_timeouts_total", "pool" => pool).absolute(timeouts);
    }
}

/// Creates the series of calls to Zoho.
pub(super) fn no_calls() {
    for product in EndedCall::PRODUCTS {
        for result in EndedCall::RESULTS {
            counter!("tds_source_requests_total", "product" => product, "result" => result).absolute(0);
        }
        drop(histogram!("tds_source_request_duration_seconds", "product" => product));
    }
}

/// Counts a call to Zoho.
pub(super) fn call(call: EndedCall) {
    let EndedCall { product, result, elapsed } = call;
    counter!("tds_source_requests_total", "product" => product, "result" => result).increment(1);
    histogram!("tds_source_request_duration_seconds", "product" => product).record(elapsed);
}

/// Creates the series of commits of webhooks.
pub(super) fn no_commits() {
    drop(histogram!("tds_ingest_batch_rows"));
    drop(histogram!("tds_ingest_commit_duration_seconds"));
}

/// Counts a commit of webhooks.
pub(super) fn commit(commit: EventCommit) {
    let EventCommit { events, elapsed } = commit;
    histogram!("tds_ingest_batch_rows").record(float(events));
    histogram!("tds_ingest_commit_duration_seconds").record(elapsed);
}

/// Creates the series of the jobs of every entity type.
pub(super) fn no_jobs(engine: &Engine) {
    for entity in engine.registry().entities() {
        for outcome in [COMPLETED, FAILED] {
            let entity = entity.as_str().to_owned();
            drop(histogram!("tds_job_duration_seconds", "entity" => entity, "outcome" => outcome));
        }
    }
}

/// Counts items that a handler handled together. Items that were given back had no outcome.
pub(super) fn jobs(items: HandledItems<'_>) {
    let outcome = match items.result {
        AttemptResult::Completed => COMPLETED,
        AttemptResult::Retry | AttemptResult::DeadLetter => FAILED,
        AttemptResult::Released | AttemptResult::LeaseLost => return,
    };
    let entity = items.entity.as_str().to_owned();
    histogram!("tds_job_duration_seconds", "entity" => entity, "outcome" => outcome)
        .record_many(items.elapsed.as_secs_f64(), items.count);
}

fn float(size: usize) -> f64 {
    count(u64::try_from(size).unwrap_or(u64::MAX))
}
