//! Organizations whose calls to Zoho Inventory are refused.

use serde_json::json;
use tds_core::{error::Retry, queue::Lane, record::EntityType};
use wiremock::{Request, ResponseTemplate};

use super::support::{Zoho, call, refusal};
use crate::answer::{Api, Call};

const GROUPS: EntityType = EntityType::from_static("item_groups");

fn items() -> Call {
    let query = vec![("page", "1".to_owned()), ("sort_column", "last_modified_time".to_owned())];
    Call { api: Api::Inventory, path: "/items".to_owned(), query, ..call(Lane::Full) }
}

fn found(place: &str) -> ResponseTemplate {
    ResponseTemplate::new(200)
        .set_body_json(json!({"code": 0, "message": "success", "items": [], "place": place}))
}

fn is_inventory(request: &Request) -> bool {
    request.url.path().starts_with("/inventory/")
}

#[tokio::test]
async fn an_organization_without_inventory_gets_the_items_of_books_and_one_line() {
    for (status, code) in [(401, 57), (400, 9017), (400, 6041)] {
        let zoho = Zoho::new().await;
        zoho.api(move |request| match is_inventory(request) {
            true => refusal(status, code),
            // Books does not document how to sort items by the time of change.
            false if request.url.query().is_some_and(|query| query.contains("sort_column")) => {
                refusal(400, 2)
            }
            false => found("books"),
        })
        .await;
        let client = zoho.client();
        let answer = client.get(items()).await.expect("the items of Books");
        assert_eq!(answer.body["place"], "books");
        let (line, lost) = client.missing_inventory().expect("a line");
        assert!(line.contains(&format!("code {code}")) && line.contains("Zoho Inventory refuses"), "{line}");
        assert!(!lost, "it never had it");
        // The refusal is still current. No call is spent on asking again, and no token was minted for it.
        client.get(items()).await.expect("the items of Books");
        assert_eq!((zoho.calls().await, zoho.mints()), (3, 1));
    }
}

#[tokio::test]
async fn where_books_refuses_too_it_is_not_inventory_that_is_missing() {
    let zoho = Zoho::new().await;
    zoho.api(|_| refusal(400, 6041)).await;
    let client = zoho.client();
    let error = client.get(items()).await.expect_err("nobody answers");
    assert!(
        matches!(error.retry(), Retry::AuthPaused { .. }) && error.to_string().contains("6041"),
        "{error}"
    );
    assert_eq!(client.missing_inventory(), None);
    // Neither product is asked for the next item. Both were asked once, and only single probes are sent to them
    // now.
    client.get(items()).await.expect_err("nobody answers");
    assert_eq!(zoho.calls().await, 2);
}

#[tokio::test]
async fn an_expired_token_does_not_count_as_a_refusal_of_inventory() {
    let zoho = Zoho::new().await;
    zoho.api(|request| match super::support::bearer(request).as_str() {
        "t1" => refusal(401, 57),
        _ if is_inventory(request) => found("inventory"),
        _ => found("books"),
    })
    .await;
    let client = zoho.client();
    let answer = client.get(items()).await.expect("an answer");
    assert_eq!((&answer.body["place"], zoho.mints()), (&json!("inventory"), 2));
    assert_eq!(client.missing_inventory(), None);
}

#[tokio::test]
async fn inventory_that_worked_and_is_refused_is_reported_as_lost() {
    let zoho = Zoho::new().await;
    let calls = std::sync::atomic::AtomicUsize::new(0);
    zoho.api(move |request| match is_inventory(request) {
        true if calls.fetch_add(1, std::sync::atomic::Ordering::SeqCst) == 0 => found("inventory"),
        true => refusal(401, 57),
        false => found("books"),
    })
    .await;
    let client = zoho.client();
    client.get(items()).await.expect("the items of Inventory");
    let answer = client.get(items()).await.expect("the items of Books");
    assert_eq!(answer.body["place"], "books");
    assert!(client.missing_inventory().expect("a line").1, "it had it before");
}

fn groups() -> Call {
    Call { path: "/itemgroups".to_owned(), query: Vec::new(), entity: Some(GROUPS), ..items() }
}

#[tokio::test]
async fn what_only_inventory_has_waits_without_calls_where_inventory_is_missing() {
    for (status, code) in [(401, 57), (400, 9017), (400, 6041)] {
        let zoho = Zoho::new().await;
        zoho.api(move |request| if is_inventory(request) { refusal(status, code) } else { found("books") })
            .await;
        let client = zoho.client();
        let error = client.get(groups()).await.expect_err("no groups");
        assert!(
            matches!(error.retry(), Retry::AuthPaused { .. })
                && error.to_string().contains("Zoho Inventory refuses"),
            "{error}"
        );
        assert!(client.missing_inventory().is_some());
        let calls = zoho.calls().await;
        assert!(client.get(groups()).await.is_err());
        assert_eq!(zoho.calls().await, calls, "the refusal is still current");
        // What Books has is read all the same.
        let books = Call { api: Api::Books, path: "/settings/taxes".to_owned(), ..groups() };
        assert_eq!(client.get(books).await.expect("taxes").body["place"], "books");
    }
}

#[tokio::test]
async fn a_missing_scope_of_one_kind_of_call_is_not_a_missing_inventory() {
    let zoho = Zoho::new().await;
    zoho.api(
        |request| if request.url.path().contains("itemgroups") { refusal(401, 57) } else { found("there") },
    )
    .await;
    let client = zoho.client();
    let error = client.get(groups()).await.expect_err("no groups");
    assert!(error.to_string().contains("lacks the scope"), "{error}");
    assert_eq!(client.missing_inventory(), None);
    client.get(items()).await.expect("the items of Inventory");
}
