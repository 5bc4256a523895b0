//! The number of connections that the processes have open.

use std::{sync::Arc, time::Duration};

use tokio::time::sleep;

use crate::world::{CONNECTIONS, DATABASE, World};

/// The time, in milliseconds, in which the server may still show connections of a process that was killed, cut off or
/// ended.
const TRACES: u64 = 5_000;

/// Counts the connections all the time.
pub(crate) async fn count(world: Arc<World>) {
    while !world.is_over() {
        look(&world).await;
        world.rest(Duration::from_millis(400)).await;
    }
}

/// Two processes have at most twice the connections of one process, including the connection that listens. Only calm
/// moments are judged, and a count must last for a moment: a connection that is just ending is no fault.
pub(crate) async fn look(world: &World) {
    let since = world.journal.now();
    let first = open(world).await;
    let allowed = 2 * CONNECTIONS;
    if first <= allowed {
        return;
    }
    sleep(Duration::from_millis(200)).await;
    let found = open(world).await.min(first);
    let calm_since = since.saturating_sub(TRACES);
    let is_calm = [0, 1].into_iter().all(|process| world.was_calm(process, calm_since));
    if found > allowed && is_calm && world.was_alone(calm_since) {
        world.journal.wrong("more connections than allowed", format!("{found}, not {allowed}"));
    }
    world.journal.count("crowded moment");
}

async fn open(world: &World) -> usize {
    let sql = format!(
        "SELECT count(*)::text FROM pg_stat_activity
          WHERE datname = '{DATABASE}' AND backend_type = 'client backend' AND application_name NOT LIKE 'monkey%'"
    );
    let text = world.text(&sql).await.unwrap_or_default();
    text.parse().expect("a number")
}
