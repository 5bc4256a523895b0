//! Writes whose answers get lost before or after they took effect: repeated, they create nothing twice.

use std::time::Duration;

use serde_json::json;
use tds_zoho::{
    testkit::{Fault, Module, sample},
    write::WriteCall,
};

use crate::{
    local::{Ids, UNIQUE, contract, local},
    support::Caller,
};

const SHORT: Duration = Duration::from_millis(20);

/// The faults of a write, and whether the write took effect.
fn faults() -> Vec<(Fault, bool)> {
    vec![
        (Fault::answer_lost(), true),
        (Fault::answered_late(SHORT), true),
        (Fault::failed_after_commit(502), true),
        (Fault::Unheard(SHORT), false),
        (Fault::BrokenOff, false),
        (Fault::Status(500, 1000, "Internal error".to_owned()), false),
        (Fault::RetryAfter429 { retry_after: "7".to_owned(), code: 44 }, false),
    ]
}

async fn shop() -> (Caller, Ids) {
    let caller = Caller::new().await;
    let tax = caller.fake.put(Module::TAXES, sample::tax(5));
    let customer = caller.fake.put_contact(sample::contact(1, sample::ContactKind::Customer));
    let product = caller.fake.put_item(sample::item(1));
    let location = sample::PLACES[0].0.to_owned();
    let ids = Ids { tax, customer, product, location, ..Ids::default() };
    (caller, ids)
}

/// Returns the calls of an invoice, which is an upsert, and those of an adjustment and a price list, which are not.
fn creates(n: u32, ids: &Ids) -> Vec<(Module, Vec<WriteCall>)> {
    let entities =
        [("invoices", Module::INVOICES), ("stock", Module::ADJUSTMENTS), ("prices", Module::PRICE_LISTS)];
    let calls =
        |entity: &str| contract(entity).create(&local(entity, n, ids), UNIQUE).expect("a valid record");
    entities.into_iter().map(|(entity, module)| (module, calls(entity))).collect()
}

#[tokio::test]
async fn a_create_with_an_unknown_outcome_is_repeated_without_a_double() {
    let (caller, ids) = shop().await;
    for (n, (fault, took_effect)) in (1..).zip(faults()) {
        for (module, calls) in creates(n, &ids) {
            let before = caller.fake.count(module);
            caller.fake.faults().next_writes(&format!("/{}", module.path), 1, fault.clone());
            caller.write(&calls).await.expect_err("a failed call");
            let committed = caller.fake.count(module) - before;
            assert_eq!(committed, usize::from(took_effect), "{} {fault:?}", module.path);
            caller.write(&calls).await.unwrap_or_else(|error| panic!("{fault:?}: {error}"));
            assert_eq!(caller.fake.count(module) - before, 1, "{} {fault:?}", module.path);
        }
    }
    assert_eq!(caller.fake.faults().struck(), 21);
}

#[tokio::test]
async fn a_fault_of_writes_leaves_reads_alone() {
    let (caller, _) = shop().await;
    caller.fake.faults().next_writes("/items", 1, Fault::answer_lost());
    caller.ok("/books/v3/items", &[]).await;
    let body = json!({"name": "Cable", "rate": 1});
    assert_eq!(caller.books("POST", "/items", &body).await.1, serde_json::Value::Null);
    assert_eq!(caller.books("POST", "/items", &body).await.1["code"], 1001, "the first call took effect");
}

#[tokio::test]
async fn a_search_without_a_parameter_reads_every_page() {
    let (caller, ids) = shop().await;
    for n in 1..=205 {
        caller.fake.put(Module::ADJUSTMENTS, sample::adjustment(n, &sample::item(1), 1.into()));
    }
    let calls = contract("stock").create(&local("stock", 1, &ids), UNIQUE).expect("a valid adjustment");
    let first = caller.write(&calls).await.expect("an adjustment");
    let again = caller.write(&calls).await.expect("the same adjustment");
    assert!(!first.found && again.found);
    assert_eq!((first.id, caller.fake.count(Module::ADJUSTMENTS)), (again.id, 206));
}
