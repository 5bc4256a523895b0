//! The values that Zoho derives: what the mirror shows, and what the organization shows.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use rust_decimal::Decimal;
use serde_json::Value;
use tds_postgres::testkit::TestDatabase;
use tds_zoho::{
    sim::{Module, decimal},
    testkit::FakeZoho,
};
use tokio::{
    sync::mpsc,
    time::{Instant, sleep},
};

const PATIENCE: Duration = Duration::from_secs(60);

/// The values of each record, by its id and the name of the value.
pub(crate) type Values = BTreeMap<String, BTreeMap<&'static str, String>>;

/// A value that Zoho derives.
struct Derived {
    name: &'static str,
    /// The ids and the values in the mirror.
    sql: &'static str,
    /// The records of the organization that have it.
    module: Module,
    contact_type: Option<&'static str>,
    key: &'static str,
}

const DERIVED: [Derived; 11] = [
    Derived::of(
        "stock on hand",
        "SELECT product_zoho_id, stock_on_hand::text FROM erp.stock_levels WHERE location_zoho_id = ''",
        Module::ITEMS,
        "stock_on_hand",
    ),
    Derived::of(
        "committed stock",
        "SELECT product_zoho_id, committed_stock::text FROM erp.stock_levels WHERE location_zoho_id = ''",
        Module::ITEMS,
        "committed_stock",
    ),
    Derived::of_contact(
        "owed by the customer",
        "SELECT zoho_id, outstanding_amount::text FROM erp.customers",
        "customer",
        "outstanding_receivable_amount",
    ),
    Derived::of_contact(
        "credits of the customer",
        "SELECT zoho_id, unused_credits::text FROM erp.customers",
        "customer",
        "unused_credits_receivable_amount",
    ),
    Derived::of_contact(
        "owed to the vendor",
        "SELECT zoho_id, outstanding_amount::text FROM erp.vendors",
        "vendor",
        "outstanding_payable_amount",
    ),
    Derived::of_contact(
        "credits of the vendor",
        "SELECT zoho_id, unused_credits::text FROM erp.vendors",
        "vendor",
        "unused_credits_payable_amount",
    ),
    Derived::of(
        "balance of the invoice",
        "SELECT zoho_id, balance::text FROM erp.live_invoices",
        Module::INVOICES,
        "balance",
    ),
    Derived::of(
        "paid of the invoice",
        "SELECT zoho_id, payment_made::text FROM erp.live_invoices",
        Module::INVOICES,
        "payment_made",
    ),
    Derived::of(
        "status of the invoice",
        "SELECT zoho_id, status FROM erp.live_invoices",
        Module::INVOICES,
        "status",
    ),
    Derived::of(
        "balance of the bill",
        "SELECT zoho_id, balance::text FROM erp.live_bills",
        Module::BILLS,
        "balance",
    ),
    Derived::of("status of the bill", "SELECT zoho_id, status FROM erp.live_bills", Module::BILLS, "status"),
];

impl Derived {
    const fn of(name: &'static str, sql: &'static str, module: Module, key: &'static str) -> Self {
        Self { name, sql, module, contact_type: None, key }
    }

    const fn of_contact(
        name: &'static str,
        sql: &'static str,
        kind: &'static str,
        key: &'static str,
    ) -> Self {
        Self { contact_type: Some(kind), ..Self::of(name, sql, Module::CONTACTS, key) }
    }
}

/// Writes equal numbers equally.
fn spelled(value: &Value) -> String {
    match value {
        Value::String(text) if text.parse::<Decimal>().is_err() => text.clone(),
        other => decimal(other).normalize().to_string(),
    }
}

/// Returns the values of the mirror.
async fn shown(database: &TestDatabase) -> Values {
    let selects = DERIVED
        .iter()
        .enumerate()
        .map(|(at, derived)| format!("(SELECT {at}, v.* FROM ({}) v)", derived.sql));
    let sql = format!(
        "SELECT coalesce(jsonb_agg(jsonb_build_array(at, id, value)), '[]')::text
           FROM ({}) AS v(at, id, value) WHERE value IS NOT NULL",
        selects.collect::<Vec<String>>().join(" UNION ALL ")
    );
    let pool = database.database().pool();
    let text: String = sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).fetch_one(pool).await.expect("rows");
    let rows: Vec<(usize, String, Value)> = serde_json::from_str(&text).expect("JSON");
    let mut values = Values::new();
    for (at, id, value) in rows {
        values.entry(id).or_default().insert(DERIVED[at].name, spelled(&value));
    }
    values
}

/// Returns the values of the organization.
pub(crate) fn expected(zoho: &FakeZoho) -> Values {
    let mut values = Values::new();
    zoho.read(|records| {
        for derived in &DERIVED {
            for record in records.records(derived.module) {
                if derived.contact_type.is_none_or(|kind| record["contact_type"] == kind) {
                    let id = record[derived.module.id_key].as_str().expect("an id");
                    let of_record = values.entry(id.to_owned()).or_default();
                    of_record.insert(derived.name, spelled(&record[derived.key]));
                }
            }
        }
    });
    values
}

/// Returns what differs: the values of the mirror and of the organization, by id.
pub(crate) async fn differences(zoho: &FakeZoho, database: &TestDatabase) -> BTreeMap<String, String> {
    let (shown, expected) = (shown(database).await, expected(zoho));
    let ids = shown.keys().chain(expected.keys().filter(|id| !shown.contains_key(*id)));
    ids.filter(|id| shown.get(*id) != expected.get(*id))
        .map(|id| (id.clone(), format!("{:?}, in Zoho {:?}", shown.get(id), expected.get(id))))
        .collect()
}

/// Asserts that the mirror shows every value of the organization.
pub(crate) async fn assert_equal(zoho: &FakeZoho, database: &TestDatabase) {
    let differences = differences(zoho, database).await;
    assert!(differences.is_empty(), "{differences:#?}");
}

/// A delivery that was sent.
pub(crate) struct Sent {
    /// The ids of the records whose values the delivery moved.
    pub(crate) moves: Vec<String>,
    pub(crate) at: Instant,
    /// The values of the organization when the delivery was sent.
    pub(crate) state: Arc<Values>,
}

/// Measures for each delivery how long it takes until all values that it moved equal those of the organization: the
/// ones when it was sent, or later ones. Ends when the senders are gone. Returns the times, sorted.
pub(crate) async fn ages(
    zoho: &FakeZoho,
    database: &TestDatabase,
    mut sent: mpsc::UnboundedReceiver<Sent>,
) -> Vec<Duration> {
    let (mut states, mut waiting, mut ages) = (Vec::<Arc<Values>>::new(), Vec::new(), Vec::new());
    let mut last = Instant::now();
    loop {
        let is_over = sent.is_closed();
        while let Ok(one) = sent.try_recv() {
            last = Instant::now();
            if states.last().is_none_or(|state| !Arc::ptr_eq(state, &one.state)) {
                states.push(Arc::clone(&one.state));
            }
            waiting.push((states.len() - 1, one));
        }
        let (shown, now) = (shown(database).await, expected(zoho));
        let is_right = |since: usize, id: &String| {
            let value = shown.get(id);
            value == now.get(id) || states[since..].iter().any(|state| value == state.get(id))
        };
        waiting.retain(|(since, one)| {
            let is_waiting = !one.moves.iter().all(|id| is_right(*since, id));
            if !is_waiting {
                ages.push(one.at.elapsed());
            }
            is_waiting
        });
        if waiting.is_empty() && is_over {
            ages.sort();
            return ages;
        }
        assert!(
            last.elapsed() < PATIENCE,
            "{} deliveries are not right: {:#?}",
            waiting.len(),
            differences(zoho, database).await
        );
        sleep(Duration::from_millis(20)).await;
    }
}
