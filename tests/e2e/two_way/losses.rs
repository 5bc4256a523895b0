//! Answers that get lost, and a program that is killed, in the middle of pushes: nothing is created twice.

use std::{collections::BTreeMap, time::Duration};

use serde_json::Value;
use tds_core::record::EntityType;
use tds_zoho::testkit::{Fault, Module};

use super::{
    both::Both,
    entries::{KINDS, enter},
};
use crate::process::{calls_of_the_dead_are_over, until};

const CUSTOMERS: EntityType = EntityType::from_static("customers");
/// The number of rounds with lost answers, each with one record of every entity type. Each entity type loses an answer in
/// one of them.
const ROUNDS: usize = 4;
/// The number of kills.
const KILLS: u64 = 5;
/// The number of customers and of sales orders that are entered before each kill.
const EACH: usize = 12;

pub(crate) fn counts(shop: &Both) -> BTreeMap<&'static str, usize> {
    let modules = KINDS.iter().map(|kind| kind.module).chain([Module::ADJUSTMENTS]);
    modules.map(|module| (module.path, shop.zoho.count(module))).collect()
}

/// Asserts that each module has got so many records of each kind, and that no two of them have our key in common.
fn assert_grown(shop: &Both, before: &BTreeMap<&'static str, usize>, by: usize) {
    for (path, count) in counts(shop) {
        let new = if path == Module::CONTACTS.path { 2 * by } else { by };
        assert_eq!(count, before[path] + new, "{path}");
    }
    for kind in &KINDS {
        assert_unique_keys(shop, kind.module);
    }
}

pub(crate) fn assert_unique_keys(shop: &Both, module: Module) {
    let key_of = |record: &serde_json::Map<String, Value>| {
        let fields = record.get("custom_fields")?.as_array()?;
        Some(fields.iter().find(|field| field["api_name"] == "cf_tds_id")?["value"].to_string())
    };
    let mut keys: Vec<String> = shop.zoho.read(|all| all.records(module).filter_map(key_of).collect());
    let all = keys.len();
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), all, "{} has records with one key", module.path);
}

/// Calls that write take effect, and their answers get lost: by a broken connection, or a gateway. Webhooks of the writes
/// arrive before the pushes know of them. The answers for price lists and adjustments arrive: without an upsert, the
/// search for them begins a minute later.
pub(super) async fn answers(shop: &Both) {
    let before = counts(shop);
    for round in 0..ROUNDS {
        let fault = match round {
            0 => Fault::answer_lost(),
            1 => Fault::failed_after_commit(502),
            2 => Fault::failed_after_commit(500),
            _ => Fault::AfterCommit(Box::new(Fault::EmptyBody)),
        };
        // Many losses at once are an outage, in which the engine makes single calls only.
        let of_round = KINDS.iter().enumerate().filter(|(index, _)| index % ROUNDS == round);
        for (_, kind) in of_round.filter(|(_, kind)| kind.module != Module::PRICE_LISTS) {
            shop.zoho.faults().next_writes(&format!("/{}", kind.module.path), 1, fault.clone());
        }
        enter(shop, &format!("Lost {round}")).await;
        until("all answers got lost", async || {
            shop.echo().await;
            shop.count("tds_outbox WHERE status = 'pending'").await == 0
        })
        .await;
        shop.zoho.faults().clear();
        shop.echo().await;
        shop.arrived("lost answers").await;
    }
    assert_grown(shop, &before, ROUNDS);
    for kind in &KINDS {
        let doubled = format!(
            "(SELECT zoho_id FROM erp.{} WHERE zoho_id IS NOT NULL GROUP BY zoho_id HAVING count(*) > 1) AS doubled",
            kind.table
        );
        assert_eq!(shop.count(&doubled).await, 0, "{}", kind.entity);
        let local_only = format!("erp.{} WHERE zoho_id IS NULL AND deleted_at IS NULL", kind.table);
        assert_eq!(shop.count(&local_only).await, 0, "{}", kind.entity);
    }
}

/// Zoho refuses a name that is taken: the push becomes a dead letter with Zoho's words, and nothing waits for it. The next
/// edit of the row is pushed as any other.
pub(super) async fn refusals(shop: &Both) {
    let (_, taken) = shop.known("customers", 0).await;
    let name = shop.in_zoho(Module::CONTACTS, &taken, "contact_name").as_str().expect("a name").to_owned();
    let insert = "INSERT INTO erp.customers (name, currency_code) VALUES";
    let local = shop.write(&format!("{insert} ('{name}', 'IQD') RETURNING id")).await;
    let other = shop.write(&format!("{insert} ('Another name', 'IQD') RETURNING id")).await;
    shop.becomes(&CUSTOMERS, other, "pushed").await;
    let is_dead = async || shop.entry(&CUSTOMERS, local).await["queue_item_status"] == "dead_letter";
    until("the push is a dead letter", is_dead).await;
    let entry = shop.entry(&CUSTOMERS, local).await;
    let said = entry["error_message"].as_str().expect("words");
    assert!(said.contains("already exists") && entry["status"] == "pending", "{entry:#}");
    assert_eq!(entry["in_doubt"], false, "{entry:#}");
    let calls = shop.zoho.writes();
    shop.write(&format!("UPDATE erp.customers SET name = 'A name of its own' WHERE id = {local}")).await;
    shop.becomes(&CUSTOMERS, local, "pushed").await;
    shop.arrived("a corrected record").await;
    assert_eq!(shop.zoho.writes(), calls + 1);
    assert_eq!(
        shop.count("tds_outbox WHERE status = 'pending'").await,
        0,
        "the first change went with the second"
    );
}

/// The program is killed with SIGKILL in the middle of pushes, at other moments each time.
pub(super) async fn kills(shop: &Both) {
    let before = counts(shop);
    let (product, _) = shop.known("products", 0).await;
    for round in 0..KILLS {
        shop.zoho.set_latency(Duration::from_millis(30));
        let at_least = shop.zoho.writes() + 3 + round * 4;
        shop.write(&format!(
            "WITH customer AS (INSERT INTO erp.customers (name, currency_code)
                    SELECT 'Killed {round} ' || n, 'IQD' FROM generate_series(1, {EACH}) AS n RETURNING id),
                  head AS (INSERT INTO erp.sales_orders (customer_id, date, currency_code)
                    SELECT id, current_date, 'IQD' FROM customer RETURNING id),
                  line AS (INSERT INTO erp.sales_order_lines (document_id, position, product_id, quantity, rate)
                    SELECT id, 1, {product}, 1, 10 FROM head)
             SELECT count(*) FROM head"
        ))
        .await;
        until("pushes are under way", async || shop.zoho.writes() >= at_least).await;
        shop.server.kill().await;
        calls_of_the_dead_are_over(&shop.zoho, &shop.database).await;
        shop.zoho.set_latency(Duration::ZERO);
        shop.server.start_again().await;
    }
    shop.echo().await;
    shop.arrived("pushes after kills").await;
    let entered = EACH * usize::try_from(KILLS).expect("few");
    let now = counts(shop);
    for module in [Module::CONTACTS, Module::SALES_ORDERS] {
        assert_eq!(now[module.path], before[module.path] + entered, "{}", module.path);
        assert_unique_keys(shop, module);
    }
    let known = "erp.customers AS c JOIN erp.sales_orders AS o ON o.customer_id = c.id AND o.customer_zoho_id = c.zoho_id
        WHERE c.name LIKE 'Killed %' AND o.zoho_id IS NOT NULL";
    assert_eq!(shop.count(known).await, i64::try_from(entered).expect("few"));
    assert_eq!(
        shop.count("erp.customers WHERE name LIKE 'Killed %'").await,
        i64::try_from(entered).expect("few")
    );
}
