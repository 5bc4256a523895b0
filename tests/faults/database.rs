//! Disturbances of the database: restarts, terminated backends, and locks that other programs hold.

use std::{sync::Arc, time::Duration};

use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use crate::{
    cluster::{End, is_away},
    dice::Dice,
    weather::Part,
    world::{DATABASE, World},
};

#[derive(Clone, Copy, Debug)]
enum Deed {
    TerminateSome,
    TerminateAll,
    Restart(End),
    LockProducts,
    LockItems,
    LockTable,
    EditMirror,
}

/// Causes one disturbance after the other; each kind has its turn.
pub(crate) async fn disturb(world: Arc<World>, mut dice: Dice) {
    use Deed::{EditMirror, LockItems, LockProducts, LockTable, Restart, TerminateAll, TerminateSome};
    let deeds = [
        TerminateSome,
        LockProducts,
        LockItems,
        Restart(End::Immediate),
        LockTable,
        TerminateSome,
        EditMirror,
        LockItems,
        TerminateAll,
        LockProducts,
        Restart(End::Fast),
    ];
    while !world.is_over() {
        for deed in dice.shuffled(&deeds) {
            world.rest(dice.millis(300, 1_800)).await;
            if world.is_over() {
                return;
            }
            once(&world, &mut dice, deed).await;
        }
    }
}

async fn once(world: &World, dice: &mut Dice, deed: Deed) {
    let limit = dice.pick(&[1, 1, 2, 5]);
    let held = dice.millis(300, 4_000);
    let about = match deed {
        Deed::TerminateSome => {
            terminate(world, &format!("ORDER BY random() LIMIT {limit}")).await;
            format!("{limit} backends")
        }
        Deed::TerminateAll => {
            terminate(world, "").await;
            "all backends".to_owned()
        }
        Deed::Restart(how) => {
            restart(world, how).await;
            format!("{how:?}")
        }
        Deed::LockProducts => {
            let rows = format!(
                "SELECT zoho_id FROM erp.products ORDER BY md5(zoho_id || {}) LIMIT {limit} FOR UPDATE",
                dice.below(1_000)
            );
            hold(world, &rows, held).await;
            format!("the ERP held {limit} products for {held:?}")
        }
        Deed::LockItems => {
            let rows = format!(
                "UPDATE tds_sync_queue SET error_message = 'looked at' WHERE id IN
                 (SELECT id FROM tds_sync_queue WHERE status <> 'completed' ORDER BY id LIMIT {limit})"
            );
            hold(world, &rows, held).await;
            format!("an operator held up to {limit} queue items for {held:?}")
        }
        Deed::LockTable => {
            let held = dice.millis(100, 900);
            hold(world, "LOCK TABLE tds_queue_live IN EXCLUSIVE MODE", held).await;
            format!("the queue was locked for {held:?}")
        }
        Deed::EditMirror => {
            let edit = "UPDATE erp.products SET rate = 1, name = 'changed by hand' WHERE zoho_id =
                        (SELECT zoho_id FROM erp.products WHERE deleted_at IS NULL ORDER BY random() LIMIT 1)
                        RETURNING zoho_id";
            let mut connection = world.cluster.connect(DATABASE, "monkey-erp").await;
            let edited: Result<Option<String>, sqlx::Error> =
                sqlx::query_scalar(edit).fetch_optional(&mut connection).await;
            if let Ok(Some(id)) = &edited {
                world.source.was_edited(("products", id.clone()));
            }
            format!("by hand: {edited:?}")
        }
    };
    world.journal.did(&format!("database {deed:?}").to_lowercase(), about);
}

/// Terminates backends of the processes.
async fn terminate(world: &World, which: &str) {
    world.storm(Part::Database, 60_000);
    let sql = format!(
        "SELECT count(pg_terminate_backend(pid)) FROM
         (SELECT pid FROM pg_stat_activity WHERE datname = '{DATABASE}' AND application_name NOT LIKE 'monkey%' {which}) b"
    );
    let mut connection = world.cluster.connect("postgres", "monkey").await;
    let _ = sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await;
    world.weather.clear(&world.journal, Part::Database, 3_000);
}

async fn restart(world: &World, how: End) {
    world.storm(Part::Database, 120_000);
    world.cluster.end(how);
    // The cluster first notices the end, and then starts the server again.
    tokio::time::sleep(Duration::from_millis(700)).await;
    drop(world.cluster.connect("postgres", "monkey").await);
    world.weather.clear(&world.journal, Part::Database, 8_000);
}

/// Holds the locks of a statement in a transaction for this time, and then rolls the transaction back.
async fn hold(world: &World, statement: &str, duration: Duration) {
    let mut connection = world.cluster.connect(DATABASE, "monkey-holds").await;
    let held = async {
        let mut transaction = connection.begin().await?;
        sqlx::raw_sql(AssertSqlSafe(statement.to_owned())).execute(&mut *transaction).await?;
        world.rest(duration).await;
        transaction.rollback().await
    };
    if let Err(error) = held.await {
        judge(world, statement, &error);
    }
}

/// Reports the error of a statement that another user of the tables ran. Only an error because the server ended is no
/// fault.
pub(crate) fn judge(world: &World, statement: &str, error: &sqlx::Error) {
    if !is_away(error) {
        let first = statement.split_whitespace().take(12).collect::<Vec<_>>().join(" ");
        world.journal.wrong("an operator's statement fails", format!("{first} …: {error}"));
    }
}

/// Runs an operator's statement, and reports its error.
pub(crate) async fn operate(world: &World, application: &str, statement: &str) {
    let mut connection: PgConnection = world.cluster.connect(DATABASE, application).await;
    if let Err(error) = sqlx::raw_sql(AssertSqlSafe(statement.to_owned())).execute(&mut connection).await {
        judge(world, statement, &error);
    }
}
