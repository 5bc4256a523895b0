//! The end of a monkey test: all disturbances end, all work ends, and the result is judged.

use std::time::Duration;

use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::{
    check, crowd,
    database::operate,
    journal::{Fault, report},
    mirror::{self, Mirror},
    processes::back,
    world::{DATABASE, SCHEDULES, World},
};

/// The longest time that all work may take to end. TDS rarely tries what Zoho refuses to all processes.
const PATIENCE: Duration = Duration::from_secs(100);
const WAITING: &str = "SELECT (SELECT count(*) FROM tds_queue_live WHERE dead_lettered_at IS NULL)
    || ' items, ' || (SELECT count(*) FROM tds_inbox_events WHERE status IN ('pending', 'processing'))
    || ' events, ' || (SELECT count(*) FROM tds_sync_runs WHERE status IN ('pending', 'running')) || ' runs'";
const NOTHING: &str = "0 items, 0 events, 0 runs";

/// Judges everything after all work has ended; returns the faults and the mirror that is expected.
pub(crate) async fn judge(world: &World) -> (Vec<Fault>, Mirror) {
    let mut faults = Vec::new();
    settle(world, &mut faults).await;
    let after_webhooks = Mirror::of(&world.cluster, DATABASE).await;
    let announced = world.source.announced();
    let given_up = given_up(world).await;
    full_sync(world, &mut faults).await;
    let most = world.source.zoho.max_in_any_minute();
    if most > world.ceiling {
        faults.push(Fault::new(
            "the ceiling is exceeded",
            format!("{most} calls in a minute, not {}", world.ceiling),
        ));
    }
    crowd::look(world).await;
    faults.extend(health(world).await);
    for process in &world.processes {
        if let Err(why) = process.terminate().await {
            faults.push(Fault::new(
                "a process does not end in order",
                format!("{why}: {}", process.end_of_log(5)),
            ));
        }
    }
    world.source.cure();
    let fresh = Mirror::fresh(&world.cluster, &world.source, world.ceiling).await;
    let rule = "a webhook was accepted and is not to be seen";
    let concerns =
        |subject: &crate::source::Subject| announced.contains(subject) && !given_up.contains(&subject.1);
    faults.extend(after_webhooks.differences(&fresh, rule, concerns));
    faults.extend(at_rest(world, DATABASE, &fresh).await);
    faults.extend(world.journal.faults());
    (faults, fresh)
}

/// Checks what must hold in any database in which all work has ended.
pub(crate) async fn at_rest(world: &World, database: &str, fresh: &Mirror) -> Vec<Fault> {
    let mut faults = check::state(&world.cluster, database, &world.source.poison_ids()).await;
    faults.extend(check::accepted(&world.cluster, database, &world.letters.accepted()).await);
    let mirror = Mirror::of(&world.cluster, database).await;
    let rule = "the mirror differs from a fresh one";
    faults.extend(mirror.differences(fresh, rule, |(_, id)| !world.source.is_poison(id)));
    faults.extend(mirror::against_source(&mirror, &world.source));
    faults
}

/// Undoes every disturbance: processes run, connections work, nothing is paused. Then all waiting work has to end by
/// itself.
async fn settle(world: &World, faults: &mut Vec<Fault>) {
    world.source.calm();
    for index in 0..2 {
        let (process, relay) = (&world.processes[index], &world.relays[index]);
        relay.thaw();
        relay.refuse(false);
        relay.delay(Duration::ZERO);
        process.signal("CONT").await;
        back(world, index).await;
        // From now on no schedule starts runs. The process restarts in order to read the new setting.
        for schedule in SCHEDULES {
            process.set(schedule, "off").await;
        }
        if let Err(why) = process.terminate().await {
            faults.push(Fault::new(
                "a process does not end in order",
                format!("{why}: {}", process.end_of_log(5)),
            ));
        }
        back(world, index).await;
    }
    operate(world, "monkey-operates", "UPDATE tds_entity_controls SET paused_at = NULL").await;
    let retried =
        world.processes[0].post("/api/zoho/sync/queue/retry", json!({"status": "dead_letter"})).await;
    world.journal.did("at rest", format!("dead letters are retried: {retried:?}"));
    until_quiet(world, faults, "without a full sync").await;
}

pub(crate) async fn until_quiet(world: &World, faults: &mut Vec<Fault>, when: &str) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let waiting = world.text(WAITING).await.unwrap_or_default();
        if waiting == NOTHING {
            world.journal.did("at rest", when);
            return;
        }
        if Instant::now() > deadline {
            let state = check::state(&world.cluster, DATABASE, &world.source.poison_ids()).await;
            faults.push(Fault::new(
                "it does not come to rest",
                format!("{when}: {waiting}\n{}", report(&state)),
            ));
            return;
        }
        sleep(Duration::from_millis(100)).await;
    }
}

async fn full_sync(world: &World, faults: &mut Vec<Fault>) {
    for entity in ["products", "customers", "vendors", "invoices", "bills", "credit_notes", "stock", "prices"]
    {
        let request = json!({"entity_type": entity, "mode": "full"});
        match world.processes[0].post("/api/zoho/bulk-sync", request).await {
            Ok((status, _)) if status.as_u16() == 202 => {}
            other => faults.push(Fault::new("a full sync does not begin", format!("{entity}: {other:?}"))),
        }
    }
    until_quiet(world, faults, "with a full sync of everything").await;
    confirm_deletions(world).await;
    until_quiet(world, faults, "with the deletions that an operator confirmed").await;
}

/// Confirms the held deletions: too many deletions at once wait for an operator.
async fn confirm_deletions(world: &World) {
    let held = "SELECT string_agg(id::text, ' ') FROM tds_sync_runs WHERE held_ids <> '{}'";
    for run in world.text(held).await.unwrap_or_default().split_whitespace() {
        let confirmed =
            world.processes[0].post(&format!("/api/zoho/sync/runs/{run}/confirm-deletions"), json!({})).await;
        world.journal.did("at rest", format!("deletions of run {run} are confirmed: {confirmed:?}"));
    }
}

/// Returns the records of which an operator discarded work: their deliveries are not expected in the mirror.
async fn given_up(world: &World) -> std::collections::BTreeSet<String> {
    let sql = "SELECT string_agg(id, ' ') FROM (
        SELECT zoho_entity_id AS id FROM tds_queue_done WHERE outcome = 'discarded'
        UNION SELECT entity_id FROM tds_inbox_events WHERE outcome = 'discarded'
        UNION SELECT zoho_id FROM monkey.dead_letters) d";
    world.text(sql).await.unwrap_or_default().split_whitespace().map(str::to_owned).collect()
}

async fn health(world: &World) -> Vec<Fault> {
    let deadline = Instant::now() + PATIENCE;
    let mut faults = Vec::new();
    for process in &world.processes {
        loop {
            let answer = process.get("/health").await;
            let healthy = answer.as_ref().is_ok_and(|(_, health)| health["status"] == "healthy");
            if healthy {
                break;
            }
            if Instant::now() > deadline {
                faults.push(Fault::new("it is not healthy", format!("process {}: {answer:?}", process.name)));
                break;
            }
            sleep(Duration::from_millis(200)).await;
        }
    }
    faults
}
