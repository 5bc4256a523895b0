//! Operators and monitors that read from the API all the time.

use std::sync::Arc;

use crate::{dice::Dice, operators::judge, world::World};

pub(crate) const PATHS: [&str; 9] = [
    "/health",
    "/readyz",
    "/livez",
    "/metrics",
    "/api/zoho/sync/stats",
    "/api/zoho/sync/runs?limit=20",
    "/api/zoho/sync/queue?limit=20",
    "/api/zoho/webhooks/inbox?limit=20",
    "/api/zoho/webhooks/inbox/stats",
];

pub(crate) async fn read(world: Arc<World>, mut dice: Dice) {
    while !world.is_over() {
        let (path, process) = (dice.pick(&PATHS), dice.below(2));
        let since = world.journal.now();
        let answered = world.processes[process].get(path).await;
        judge(&world, process, since, path, answered);
        world.journal.count("look at the API");
        tokio::time::sleep(dice.millis(20, 200)).await;
    }
}
