//! A shop whose two sides are written: a simulated organization in which everything belongs together, a real server
//! process, and a real PostgreSQL.

use std::time::Duration;

use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, PgConnection, postgres::PgDatabaseError};
use tds_core::record::EntityType;
use tds_postgres::testkit::TestDatabase;
use tds_zoho::{
    testkit::{FakeZoho, Module, demo, webhook::Delivery},
    write::contracts,
};
use tokio::time::Instant;

use crate::{
    process::{PATIENCE, Process, until, until_count},
    shop::FEW,
};

/// Local changes that have not come to an end, and work that waits. Second looks at derived values count as enqueued a
/// minute later.
const ON_THE_WAY: &str = "(SELECT 1 FROM tds_outbox WHERE status = 'pending' UNION ALL
    SELECT 1 FROM tds_sync_queue WHERE status IN ('pending','processing','failed') AND queued_at <= now()) AS on_the_way";
const DEAD: &str = "SELECT string_agg(entity_type || ' ' || coalesce(entity_id, '') || ': ' || coalesce(error_message, ''), E'\n')
    FROM tds_sync_queue WHERE status IN ('failed', 'dead_letter')";

pub(crate) struct Both {
    pub(crate) zoho: FakeZoho,
    pub(crate) database: TestDatabase,
    pub(crate) server: Process,
}

impl Both {
    /// Opens a shop, and waits for the end of the first full sync. Nothing but webhooks and requests begins work
    /// afterwards.
    pub(crate) async fn open(seed: u64) -> Self {
        let (zoho, database) = (FakeZoho::start().await, TestDatabase::new().await);
        demo::organization(&zoho, FEW, seed);
        let server = Self::server(&zoho, &database).await;
        let shop = Self { zoho, database, server };
        shop.sync("all").await;
        shop.quiet().await;
        shop
    }

    /// Starts a server that begins nothing by itself.
    pub(crate) async fn server(zoho: &FakeZoho, database: &TestDatabase) -> Process {
        Self::server_with(zoho, database, &[]).await
    }

    /// Starts a server that begins nothing by itself, with further environment variables.
    pub(crate) async fn server_with(
        zoho: &FakeZoho,
        database: &TestDatabase,
        further: &[(&str, &str)],
    ) -> Process {
        let schedules = ["INCREMENTAL", "FULL", "STOCK", "PRICES", "VERIFY"];
        let schedules = schedules.map(|name| format!("TDS_{name}_EVERY"));
        let mut more: Vec<(&str, &str)> = schedules.iter().map(|name| (name.as_str(), "off")).collect();
        more.extend([("TDS_DERIVED_WAIT", "100ms"), ("TDS_WRITE_GUARD", "on")]);
        more.extend(further);
        Process::start(zoho, database, &more).await
    }

    /// Runs a full sync to its end.
    pub(crate) async fn sync(&self, entity: &str) {
        let body = json!({"entity_type": entity, "mode": "full"});
        let (status, answer) = self.server.post("/api/zoho/bulk-sync", body).await;
        assert_eq!(status, 202, "{answer}");
        for run in answer["runs"].as_array().expect("runs") {
            let run = self.server.run_ended(run["id"].as_i64().expect("an id")).await;
            assert_eq!(run["status"], "completed", "{run:#}");
        }
    }

    /// Sets the mode of an entity type without the procedure of a switch.
    pub(crate) async fn set_mode(&self, entity: &str, mode: &str) {
        self.set(json!({"entity_type": entity, "mode": mode})).await;
    }

    /// Sets the mode of every entity type that can be written.
    pub(crate) async fn set_modes(&self, mode: &str) {
        for contract in contracts() {
            self.set_mode(contract.entity.as_str(), mode).await;
        }
    }

    pub(crate) async fn set(&self, change: Value) {
        let (status, answer) = self.server.put("/api/zoho/sync/modes", change.clone()).await;
        assert_eq!(status, 200, "{change}: {answer}");
    }

    /// Waits until nothing is on its way any more.
    pub(crate) async fn quiet(&self) {
        until_count(&self.database, ON_THE_WAY, 0).await;
    }

    /// Waits until nothing is on its way any more, and asserts that everything arrived.
    pub(crate) async fn arrived(&self, step: &str) {
        let deadline = Instant::now() + PATIENCE;
        while self.count(ON_THE_WAY).await > 0 {
            assert!(Instant::now() < deadline, "{step}: {:?}", self.text(DEAD).await);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(self.text(DEAD).await, None, "{step}");
    }

    /// Delivers the webhooks of what was written in Zoho since the last time, the newest first, and the first of them
    /// twice. Returns their number.
    pub(crate) async fn echo(&self) -> usize {
        let mut echoes = self.zoho.take_webhooks();
        echoes.reverse();
        echoes.extend(echoes.first().cloned());
        for echo in &echoes {
            self.deliver(echo).await;
        }
        echoes.len()
    }

    pub(crate) async fn deliver(&self, delivery: &Delivery) {
        let path = format!("{}?event={}", delivery.entity_path, delivery.event);
        self.server.webhook_accepted(&path, &delivery.body).await;
    }

    /// Changes a record in Zoho as its users do, and delivers the webhook.
    pub(crate) async fn edit(&self, path: &str, module: Module, id: &str, changes: Value) {
        self.edit_unheard(module, id, changes);
        let delivery = Delivery {
            entity_path: path.to_owned(),
            event: "updated".to_owned(),
            body: self.zoho.webhook_body(module, id),
        };
        self.deliver(&delivery).await;
    }

    /// Changes a record in Zoho, whose webhook gets lost.
    pub(crate) fn edit_unheard(&self, module: Module, id: &str, changes: Value) {
        assert!(self.zoho.update(module, id, changes), "{} has no {id}", module.path);
    }

    /// Returns a value of a record in Zoho.
    pub(crate) fn in_zoho(&self, module: Module, id: &str, key: &str) -> Value {
        let record = self.zoho.get(module, id).unwrap_or_else(|| panic!("{} has no {id}", module.path));
        record.get(key).cloned().unwrap_or(Value::Null)
    }

    /// Writes as a program does, and returns the first column of the first row.
    pub(crate) async fn write(&self, sql: &str) -> i64 {
        let mut connection = self.database.database().pool().acquire().await.expect("a connection");
        write_on(&mut connection, sql).await
    }

    /// Writes as a program does, and returns the error with its detail and its hint.
    pub(crate) async fn refused(&self, sql: &str) -> String {
        let done = sqlx::query(AssertSqlSafe(sql.to_owned())).execute(self.database.database().pool()).await;
        let error = done.err().unwrap_or_else(|| panic!("{sql} was not refused"));
        let error = error.as_database_error().and_then(|error| error.try_downcast_ref::<PgDatabaseError>());
        let error = error.unwrap_or_else(|| panic!("{sql} was not refused by PostgreSQL"));
        let more = [error.detail(), error.hint()];
        more.into_iter().flatten().fold(error.message().to_owned(), |told, more| format!("{told} {more}"))
    }

    pub(crate) async fn text(&self, sql: &str) -> Option<String> {
        let row: Option<Option<String>> = sqlx::query_scalar(AssertSqlSafe(sql.to_owned()))
            .fetch_optional(self.database.database().pool())
            .await
            .unwrap_or_else(|error| panic!("{sql}: {error}"));
        row.flatten()
    }

    pub(crate) async fn count(&self, from: &str) -> i64 {
        crate::process::count(&self.database, from).await
    }

    /// Returns the head row with this local id.
    pub(crate) async fn row(&self, table: &str, local_id: i64) -> Value {
        let sql = format!("SELECT to_jsonb(t)::text FROM erp.{table} AS t WHERE id = {local_id}");
        let row = self.text(&sql).await.unwrap_or_else(|| panic!("{table} has no {local_id}"));
        serde_json::from_str(&row).expect("JSON")
    }

    /// Returns the child rows of a record, by their positions.
    pub(crate) async fn lines(&self, table: &str, owner: &str, local_id: i64) -> Vec<Value> {
        let sql = format!(
            "SELECT coalesce(jsonb_agg(to_jsonb(t) ORDER BY t.position, t.id), '[]')::text FROM erp.{table} AS t WHERE {owner} = {local_id}"
        );
        serde_json::from_str(&self.text(&sql).await.expect("an array")).expect("JSON")
    }

    /// Returns the local id and the Zoho id of the n-th live record that both sides have.
    pub(crate) async fn known(&self, table: &str, n: usize) -> (i64, String) {
        let sql = format!(
            "SELECT id || ' ' || zoho_id FROM erp.{table} WHERE zoho_id IS NOT NULL AND deleted_at IS NULL ORDER BY id OFFSET {n} LIMIT 1"
        );
        let found = self.text(&sql).await.unwrap_or_else(|| panic!("{table} has no record {n}"));
        let (local, remote) = found.split_once(' ').expect("two ids");
        (local.parse().expect("a number"), remote.to_owned())
    }

    /// Returns what became of the newest change of a record.
    pub(crate) async fn entry(&self, entity: &EntityType, local_id: i64) -> Value {
        let newest = format!(
            "SELECT max(id)::text FROM tds_outbox WHERE entity_type = '{entity}' AND local_id = {local_id}"
        );
        let id = self.text(&newest).await.unwrap_or_else(|| panic!("{entity} {local_id} was not captured"));
        self.server.get(&format!("/api/zoho/outbox/{id}")).await
    }

    /// Waits until the newest change of a record has this status.
    pub(crate) async fn becomes(&self, entity: &EntityType, local_id: i64, status: &str) -> Value {
        until(&format!("{entity} {local_id} is {status}"), async || {
            self.entry(entity, local_id).await["status"] == status
        })
        .await;
        self.entry(entity, local_id).await
    }
}

/// Executes a statement of a transaction. Returns the first column of its first row; 0 where it returns nothing.
pub(crate) async fn write_on(connection: &mut PgConnection, sql: &str) -> i64 {
    let row: Result<Option<i64>, sqlx::Error> =
        sqlx::query_scalar(AssertSqlSafe(sql.to_owned())).fetch_optional(connection).await;
    row.unwrap_or_else(|error| panic!("{sql}: {error}")).unwrap_or_default()
}
