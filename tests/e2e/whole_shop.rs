//! Every entity type that came with the whole shop arrives on every path that it has. One server process serves all of
//! them, and a table drives the test: one [`Case`] for each entity type.

mod references;
mod trade;

use serde_json::{Value, json};
use tds_zoho::testkit::{
    FakeZoho, Module, stamp,
    webhook::{Delivery, Form, deliver},
};

use crate::shop::{SECRET, Shop, assert_columns, assert_rows};

/// The columns of a head table that do not follow from the record alone.
const OF_THE_MOMENT: [&str; 4] = ["id", "raw", "synced_at", "zoho_modified_at"];

/// A record of one entity type, and what its tables show of the record.
pub(crate) struct Case {
    /// The entity type, which is also the name of the head table.
    pub(crate) entity: &'static str,
    /// The module of the simulated organization.
    pub(crate) module: Module,
    /// The last part of the address of its webhooks; `None` if no rule of Zoho watches the records.
    pub(crate) webhook: Option<&'static str>,
    /// The record as Zoho stores it, with every key of list and detail.
    pub(crate) record: Value,
    /// Every column of the head row that the record fills, except `zoho_modified_at`.
    pub(crate) row: Value,
    /// The child tables: the name, the column that names the record, the order of the rows, and the rows.
    pub(crate) children: Vec<(&'static str, &'static str, &'static str, Value)>,
    /// A change in Zoho, the columns of the head row that the change makes different, and the rows of the first child
    /// table where they differ.
    pub(crate) change: (Value, Value, Option<Value>),
}

impl Case {
    fn id(&self) -> String {
        self.record[self.module.id_key].as_str().expect("an id").to_owned()
    }

    fn body(&self, shop: &Shop) -> Value {
        serde_json::from_str(&shop.zoho.webhook_body(self.module, &self.id())).expect("JSON")
    }

    fn naming(&self) -> Value {
        json!({self.module.detail_key: {self.module.id_key: self.id()}})
    }

    /// Enters the record in Zoho, changed `minutes` ago.
    fn enter(&self, zoho: &FakeZoho, minutes: i64) {
        let mut record = self.record.clone();
        record["last_modified_time"] = time_of(zoho, minutes);
        zoho.put(self.module, record);
    }

    /// Changes the record in Zoho, or changes it back. The change was made `minutes` ago.
    fn alter(&self, zoho: &FakeZoho, is_changed: bool, minutes: i64) {
        let mut changes = self.change.0.clone();
        if !is_changed {
            for (key, value) in changes.as_object_mut().expect("changes") {
                *value = self.record[key].clone();
            }
        }
        changes["last_modified_time"] = time_of(zoho, minutes);
        assert!(zoho.update(self.module, &self.id(), changes), "{}", self.entity);
    }

    /// Returns the number of calls that read single records.
    fn reads(&self, shop: &Shop) -> u64 {
        shop.zoho.calls_to(&format!("/{}/", self.module.path))
    }

    /// Asserts that the tables show the record, changed or not, in every column and every row.
    async fn assert_shown(&self, shop: &Shop, is_changed: bool, step: &str) {
        let row = shop.row(self.entity, &self.id()).await;
        let row = row.unwrap_or_else(|| panic!("{step}: no row of {}", self.entity));
        let mut expected = self.row.clone();
        let (_, columns, rows) = &self.change;
        for (column, value) in columns.as_object().expect("columns").iter().filter(|_| is_changed) {
            expected[column] = value.clone();
        }
        expected["deleted_at"] = Value::Null;
        for (column, value) in expected.as_object().expect("columns") {
            assert_eq!(row.get(column), Some(value), "{step}: {}.{column} of {row:#}", self.entity);
            if value.is_number() {
                assert_eq!(row[column].to_string(), value.to_string(), "{step}: {}.{column}", self.entity);
            }
        }
        let others = row.as_object().expect("a row").iter().filter(|(column, _)| {
            expected.get(column.as_str()).is_none() && !OF_THE_MOMENT.contains(&column.as_str())
        });
        for (column, value) in others {
            assert!(value.is_null(), "{step}: {}.{column} of {row:#}", self.entity);
        }
        assert_eq!(row["raw"][self.module.id_key], self.record[self.module.id_key], "{step}");
        for (index, (table, owner, order, unchanged)) in self.children.iter().enumerate() {
            let from = format!("(SELECT * FROM erp.{table} WHERE {owner} = '{}')", self.id());
            let changed = rows.as_ref().filter(|_| is_changed && index == 0);
            assert_rows(&shop.rows(&from, order).await, changed.unwrap_or(unchanged));
        }
    }

    async fn assert_gone(&self, shop: &Shop, step: &str) {
        let row = shop.row(self.entity, &self.id()).await.expect("a row");
        assert!(!row["deleted_at"].is_null(), "{step}: {} has no tombstone", self.entity);
    }

    /// Walks through every path that an entity type with webhooks has beyond the lists. The record is not known yet.
    async fn walk_webhooks(&self, shop: &Shop, path: &str) {
        let reads = self.reads(shop);
        self.enter(&shop.zoho, 600);
        shop.webhook_done(path, &self.body(shop)).await;
        self.assert_shown(shop, false, "a complete webhook").await;
        assert_eq!(self.reads(shop), reads, "{}: a complete webhook needs no read", self.entity);

        self.alter(&shop.zoho, true, 590);
        let bare = self.body(shop)[self.module.detail_key].clone();
        shop.webhook_done(path, &bare).await;
        self.assert_shown(shop, true, "a bare record").await;
        assert_eq!(self.reads(shop), reads, "{}: a bare record needs no read", self.entity);

        self.alter(&shop.zoho, false, 580);
        let delivery = Delivery {
            entity_path: path.to_owned(),
            event: "updated".to_owned(),
            body: self.body(shop).to_string(),
        };
        let receipt = deliver(&delivery, &shop.base, SECRET, Form::JsonString).await.expect("an answer");
        assert_eq!(receipt.status, 200, "{}", receipt.body);
        shop.settled().await;
        self.assert_shown(shop, false, "a form").await;

        self.alter(&shop.zoho, true, 570);
        shop.webhook_done(path, &self.naming()).await;
        self.assert_shown(shop, true, "an incomplete webhook").await;
        assert!(self.reads(shop) > reads, "{}: an incomplete webhook makes a read", self.entity);

        shop.zoho.delete(self.module, &self.id());
        shop.webhook_done(&format!("{path}?event=deleted"), &self.naming()).await;
        self.assert_gone(shop, "a deletion webhook").await;
        self.enter(&shop.zoho, 560);
        shop.webhook_done(path, &self.body(shop)).await;
        self.assert_shown(shop, false, "a return by webhook").await;
    }

    /// Walks through the lists: full, incremental, a deletion, and the return of the record.
    async fn walk_lists(&self, shop: &Shop) {
        if self.webhook.is_none() {
            self.enter(&shop.zoho, 560);
        }
        let run = shop.sync(self.entity, "full").await;
        assert_eq!((&run["total_items"], &run["failed_items"]), (&json!(1), &json!(0)), "{run:#}");
        self.assert_shown(shop, false, "a full sync").await;

        self.alter(&shop.zoho, true, 2);
        shop.sync(self.entity, "incremental").await;
        self.assert_shown(shop, true, "an incremental sync").await;
        let written = format!("SELECT xmin::text FROM erp.{}", self.entity);
        let before = shop.text(&written).await;
        shop.sync(self.entity, "incremental").await;
        assert_eq!(shop.text(&written).await, before, "{} was written again", self.entity);

        shop.zoho.delete(self.module, &self.id());
        shop.sync(self.entity, "full").await;
        self.assert_gone(shop, "a full sync without the record").await;
        self.enter(&shop.zoho, 1);
        shop.sync(self.entity, "full").await;
        self.assert_shown(shop, false, "a return by a full sync").await;
    }
}

fn time_of(zoho: &FakeZoho, minutes: i64) -> Value {
    json!(stamp(zoho.now() - time::Duration::minutes(minutes)))
}

/// JSON whose numbers keep their literal text.
pub(crate) fn literal(text: &str) -> Value {
    serde_json::from_str(text).expect("a fixture is JSON")
}

fn cases() -> Vec<Case> {
    let mut cases = references::cases();
    cases.extend(trade::cases());
    cases
}

/// Enters one record of every entity type that came with the whole shop. The records changed long ago.
pub(crate) fn enter_all(zoho: &FakeZoho) {
    cases().iter().for_each(|case| case.enter(zoho, 600));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_type_of_the_whole_shop_arrives_on_every_path() {
    let shop = Shop::open().await;
    for case in cases() {
        if let Some(path) = case.webhook {
            case.walk_webhooks(&shop, path).await;
        }
        case.walk_lists(&shop).await;
    }
    // The addresses of the predecessor are aliases.
    for (name, entity) in [("orders", "sales_orders"), ("payments", "customer_payments")] {
        let case = trade::cases().into_iter().find(|case| case.entity == entity).expect("a case");
        case.alter(&shop.zoho, true, 0);
        let address = format!("/api/tds/webhooks/{name}");
        let (status, answer) = shop.signed(&address, &case.body(&shop).to_string()).await;
        assert_eq!((status.as_u16(), &answer["status"]), (200, &json!("accepted")), "{name}: {answer}");
        shop.settled().await;
        case.assert_shown(&shop, true, &address).await;
    }
    // Payments of customers have no schedule for changes, because no list of them is documented.
    let schedules = "SELECT string_agg(name, ' ') FROM tds_schedules WHERE name LIKE '%customer_payments%'";
    let schedules = shop.text(schedules).await.expect("a schedule");
    assert!(schedules.contains("full") && !schedules.contains("incremental"), "{schedules}");
    assert_eq!(shop.count("tds_sync_queue WHERE status = 'dead_letter'").await, 0);
    assert_eq!(shop.count("tds_inbox_events WHERE status <> 'completed'").await, 0);

    // A rate that Zoho does not state is unknown. It is not 1.
    let euro = literal(
        r#"{"currency_id":"460000000000101","currency_code":"EUR","currency_name":"EUR- Euro","exchange_rate":"",
        "effective_date":"","is_base_currency":false,"exchange_rates":[]}"#,
    );
    let id = shop.zoho.put(Module::CURRENCIES, euro);
    shop.sync("currencies", "incremental").await;
    let row = shop.row("currencies", &id).await.expect("a row");
    assert_columns(&row, &json!({"code": "EUR", "exchange_rate": null, "effective_date": null}));
    assert_eq!(shop.count("erp.exchange_rates WHERE currency_code = 'EUR'").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unchanged_hour_of_reference_data_costs_one_call_for_each_list() {
    let shop = Shop::open().await;
    let cases: Vec<Case> = cases().into_iter().filter(|case| case.webhook.is_none()).collect();
    for case in &cases {
        case.enter(&shop.zoho, 600);
        shop.sync(case.entity, "full").await;
    }
    for case in &cases {
        let before = shop.zoho.calls_to(&format!("/{}", case.module.path));
        shop.sync(case.entity, "incremental").await;
        assert_eq!(shop.zoho.calls_to(&format!("/{}", case.module.path)) - before, 1, "{}", case.entity);
    }
}
