//! The operators: they start runs, pause, retry, discard, replay and prune, and run the statements of their handbook.

use std::sync::Arc;

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::{database::operate, dice::Dice, world::World};

pub(crate) const ENTITIES: [&str; 8] =
    ["products", "customers", "vendors", "invoices", "bills", "credit_notes", "stock", "prices"];

/// The reading statements from the operators' handbook.
const QUESTIONS: [&str; 4] = [
    "SELECT status, COUNT(*) FROM tds_sync_queue GROUP BY status",
    "SELECT entity_type, AVG(EXTRACT(EPOCH FROM (processing_completed_at - queued_at))) AS avg_delay_seconds
       FROM tds_sync_queue WHERE status = 'completed' AND processing_completed_at IS NOT NULL GROUP BY entity_type",
    "SELECT entity_type, error_message, COUNT(*) AS count FROM tds_sync_queue
      WHERE status = 'failed' AND queued_at > NOW() - INTERVAL '24 hours' GROUP BY entity_type, error_message
      ORDER BY count DESC",
    "SELECT COUNT(*) AS total_webhooks, SUM(CASE WHEN status = 'completed' THEN 1 ELSE 0 END) AS successful,
            SUM(CASE WHEN status = 'failed' THEN 1 ELSE 0 END) AS failed,
            ROUND(100.0 * SUM(CASE WHEN status = 'completed' THEN 1 ELSE 0 END) / COUNT(*), 2) AS success_rate_percent
       FROM tds_inbox_events WHERE received_at > NOW() - INTERVAL '24 hours' HAVING COUNT(*) > 0",
];
/// The deleting statement from the handbook, with a shorter age.
const DELETION: &str = "DELETE FROM tds_sync_queue WHERE status IN ('completed', 'dead_letter')
                        AND queued_at < NOW() - INTERVAL '2 seconds'";

#[derive(Clone, Copy, Debug)]
enum Deed {
    Sync,
    Cancel,
    Resume,
    Pause,
    Retry,
    RetryBySql,
    Discard,
    Replay,
    Prune,
    Ask,
    Delete,
}

/// Performs one action after the other; each kind has its turn.
pub(crate) async fn work(world: Arc<World>, mut dice: Dice) {
    use Deed::{Ask, Cancel, Delete, Discard, Pause, Prune, Replay, Resume, Retry, RetryBySql, Sync};
    let deeds = [
        Sync, Cancel, Sync, Resume, Pause, Retry, Ask, RetryBySql, Discard, Sync, Replay, Prune, Delete,
        Resume, Sync, RetryBySql, Delete,
    ];
    while !world.is_over() {
        for deed in dice.shuffled(&deeds) {
            world.rest(dice.millis(50, 500)).await;
            if world.is_over() {
                return;
            }
            let about = once(&world, &mut dice, deed).await;
            world.journal.did(&format!("operator {deed:?}").to_lowercase(), about);
        }
    }
}

async fn once(world: &World, dice: &mut Dice, deed: Deed) -> String {
    match deed {
        Deed::Sync => {
            let (entity, mode) = (dice.pick(&ENTITIES), dice.pick(&["full", "incremental"]));
            post(world, dice, "/api/zoho/bulk-sync", json!({"entity_type": entity, "mode": mode})).await;
            format!("{entity} {mode}")
        }
        Deed::Cancel => on_a_run(world, dice, "cancel", "status IN ('pending', 'running')").await,
        Deed::Resume => on_a_run(world, dice, "resume", "status IN ('cancelled', 'failed')").await,
        Deed::Pause => {
            let entity = dice.pick(&ENTITIES);
            post(world, dice, "/api/zoho/sync/pause", json!({ "entity_type": entity })).await;
            world.rest(dice.millis(200, 2_500)).await;
            post(world, dice, "/api/zoho/sync/resume", json!({ "entity_type": entity })).await;
            entity.to_owned()
        }
        Deed::Retry => {
            let status = dice.pick(&["dead_letter", "failed"]);
            post(world, dice, "/api/zoho/sync/queue/retry", json!({ "status": status })).await;
            status.to_owned()
        }
        Deed::RetryBySql => {
            let status = dice.pick(&["failed", "dead_letter"]);
            let sql = format!("UPDATE tds_sync_queue SET status = 'pending' WHERE status = '{status}'");
            operate(world, "monkey-operates", &sql).await;
            status.to_owned()
        }
        Deed::Discard => {
            let entity = dice.pick(&ENTITIES);
            let request = json!({"status": "dead_letter", "entity_type": entity});
            post(world, dice, "/api/zoho/sync/queue/discard", request).await;
            entity.to_owned()
        }
        Deed::Replay => {
            let sql = "SELECT id::text FROM tds_inbox_events ORDER BY random() LIMIT 1";
            let Some(id) = world.text(sql).await else { return "nothing".to_owned() };
            post(world, dice, &format!("/api/zoho/webhooks/inbox/{id}/replay"), json!({})).await;
            format!("event {id}")
        }
        Deed::Prune => {
            let dead_letters = if dice.percent(50) { &["--dead-letters"][..] } else { &[] };
            let process = &world.processes[dice.below(2)];
            let mut said = String::new();
            // Versions that ask for confirmation need `--yes`; older versions refuse the argument.
            for yes in [&["--yes"][..], &[]] {
                let arguments = [&["prune", "--older-than", "4s"][..], dead_letters, yes].concat();
                let beside = world.command_begins();
                let output = process.command(&arguments).await.output().await.expect("it runs");
                drop(beside);
                said = String::from_utf8_lossy(&output.stderr).lines().last().unwrap_or_default().to_owned();
                if output.status.code() != Some(2) {
                    break;
                }
            }
            said
        }
        Deed::Ask => {
            for question in QUESTIONS {
                operate(world, "monkey-operates", question).await;
            }
            "the handbook's questions".to_owned()
        }
        Deed::Delete => {
            operate(world, "monkey-deletes", DELETION).await;
            "finished items and dead letters of more than 2 s".to_owned()
        }
    }
}

async fn on_a_run(world: &World, dice: &mut Dice, verb: &str, which: &str) -> String {
    let sql = format!("SELECT id::text FROM tds_sync_runs WHERE {which} ORDER BY random() LIMIT 1");
    let Some(id) = world.text(&sql).await else { return "no run".to_owned() };
    post(world, dice, &format!("/api/zoho/sync/runs/{id}/{verb}"), json!({})).await;
    format!("run {id}")
}

/// Sends a request to either process. A refusal has its reason; only a failure while nothing is disturbed is a fault.
async fn post(world: &World, dice: &mut Dice, path: &str, body: Value) {
    let (process, since) = (dice.below(2), world.journal.now());
    let answered = world.processes[process].post(path, body).await;
    judge(world, process, since, path, answered);
}

/// Every status below 500 is accepted, and every answer while something is disturbed. The time of an answer depends on
/// the machine, so a timeout is no fault.
pub(crate) fn judge(
    world: &World,
    process: usize,
    since: u64,
    path: &str,
    answered: Result<(StatusCode, Value), reqwest::Error>,
) {
    let wrong = match answered {
        Ok((status, _)) if status.as_u16() < 500 => return,
        Ok((status, answer)) => format!("{status}: {answer}"),
        Err(error) if error.is_timeout() => return,
        Err(error) => format!("no answer: {error}"),
    };
    if world.was_calm(process, since) {
        let name = world.processes[process].name;
        world.journal.wrong("the API fails in calm conditions", format!("{path} of process {name}: {wrong}"));
    }
}
