//! The abilities of a list, found out with four calls.

use serde_json::json;
use tds_core::{
    queue::Lane,
    source::{Ability, Capability},
};
use tds_zoho::testkit::{FakeZoho, ListHabit, Module};
use time::Duration;

use crate::{
    listing::{all, ids},
    support::{online, source},
};

const SINCE: time::OffsetDateTime = time::macros::datetime!(2026-11-10 00:00 UTC);

async fn organization(habit: ListHabit) -> FakeZoho {
    let zoho = FakeZoho::start().await;
    for n in 0..30 {
        // The times are neither in the order of creation nor in the reverse order.
        let time = format!("2026-11-{:02}T03:00:00+0300", 1 + n * 7 % 20);
        let fields =
            json!({"name":format!("{n:02}"),"invoice_number":n.to_string(),"last_modified_time":time});
        zoho.put_item(fields.clone());
        zoho.put_invoice(fields.clone());
        zoho.put(Module::CUSTOMER_PAYMENTS, fields.clone());
        zoho.put(Module::SALES_ORDERS, fields);
        zoho.put_contact(
            json!({"contact_name":format!("{n:02}"),"contact_type":"customer","last_modified_time":time}),
        );
    }
    zoho.set_list_habit(habit);
    zoho
}

async fn probed(zoho: &FakeZoho, entity: &str) -> Capability {
    source(&online(zoho), entity).probe(Lane::Incremental).await.expect("an answer")
}

#[tokio::test]
async fn what_is_documented_is_proven_and_the_rest_is_found_out() {
    let zoho = organization(ListHabit::default()).await;
    let can = |filter, sort| Capability { filter, sort };
    assert_eq!(probed(&zoho, "products").await, can(Ability::Proven, Ability::Proven));
    assert_eq!(probed(&zoho, "invoices").await, can(Ability::Proven, Ability::Refuted));
    assert_eq!(probed(&zoho, "customers").await, can(Ability::Refuted, Ability::Proven));
    assert_eq!(probed(&zoho, "sales_orders").await, can(Ability::Proven, Ability::Proven));
    assert_eq!(probed(&zoho, "customer_payments").await, can(Ability::Refuted, Ability::Refuted));
}

#[tokio::test]
async fn a_filter_that_is_ignored_or_reads_another_time_is_found_out() {
    let ignored = ListHabit { ignores_filter: true, ..ListHabit::default() };
    let late = ListHabit { filter_shift: Duration::hours(1), ..ListHabit::default() };
    for habit in [ignored, late] {
        let zoho = organization(habit).await;
        assert_eq!(probed(&zoho, "products").await.filter, Ability::Refuted, "{habit:?}");
    }
    let exclusive = ListHabit { filter_is_exclusive: true, ..ListHabit::default() };
    assert_eq!(probed(&organization(exclusive).await, "products").await.filter, Ability::Proven);
}

#[tokio::test]
async fn sorting_that_is_ignored_is_found_out() {
    let zoho = organization(ListHabit { ignores_sorting: true, ..ListHabit::default() }).await;
    assert_eq!(probed(&zoho, "products").await.sort, Ability::Refuted);
}

#[tokio::test]
async fn an_empty_list_proves_nothing() {
    let zoho = FakeZoho::start().await;
    let source = source(&online(&zoho), "products");
    assert_eq!(source.probe(Lane::Incremental).await.expect("an answer"), source.profile().documented);
}

#[tokio::test]
async fn lists_that_do_not_do_what_is_documented_lose_no_change() {
    let ignored = ListHabit { ignores_filter: true, ..ListHabit::default() };
    let unsorted = ListHabit { ignores_sorting: true, ..ListHabit::default() };
    let neither = ListHabit { ignores_sorting: true, ..ignored };
    let exclusive = ListHabit { filter_is_exclusive: true, ..ListHabit::default() };
    for habit in [ignored, unsorted, neither, exclusive] {
        let zoho = organization(habit).await;
        let client = online(&zoho);
        for entity in ["products", "customers", "invoices"] {
            let source = source(&client, entity);
            let everything = all(&*source, None).await.0;
            let changed: Vec<_> = everything.into_iter().filter(|row| row.version >= Some(SINCE)).collect();
            let (rows, _) = all(&*source, Some(SINCE)).await;
            assert!(ids(&changed).is_subset(&ids(&rows)), "{entity} {habit:?}");
        }
    }
}
