//! The bodies and calls of every entity type, byte by byte.

use serde_json::json;
use tds_zoho::write::{Idempotence, Method, Purpose, WriteCall, contracts};

use crate::local::{Ids, UNIQUE, contract, key, local};

fn creates(entity: &str) -> Vec<WriteCall> {
    let record = local(entity, 1, &Ids::default());
    contract(entity).create(&record, UNIQUE).unwrap_or_else(|error| panic!("{entity}: {error}"))
}

/// Returns a call in one line: method, path, query and body.
fn line(call: &WriteCall) -> String {
    let query: Vec<String> = call.query.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let query = if query.is_empty() { String::new() } else { format!("?{}", query.join("&")) };
    let body = call.body.as_ref().map(|body| format!(" {}", body.as_str())).unwrap_or_default();
    format!("{} {}{query}{body}", call.method.as_str(), call.path)
}

#[test]
fn new_records_are_written_with_these_calls() {
    let mut lines = Vec::new();
    for contract in contracts() {
        lines.push(contract.entity.to_string());
        lines.extend(creates(contract.entity.as_str()).iter().map(|call| format!("  {}", line(call))));
    }
    let expected: Vec<&str> = include_str!("../data/write-calls.txt").lines().collect();
    assert_eq!(lines, expected);
}

#[test]
fn an_upsert_names_our_key_and_a_search_goes_before_every_other_create() {
    for contract in contracts() {
        let calls = creates(contract.entity.as_str());
        let create = calls.iter().find(|call| call.purpose == Purpose::Create).expect("a create");
        match contract.idempotence {
            Idempotence::UniqueField => {
                let headers = [
                    ("X-Unique-Identifier-Key", UNIQUE.to_owned()),
                    ("X-Unique-Identifier-Value", key(1)),
                    ("X-Upsert", "true".to_owned()),
                ];
                assert_eq!(
                    (create.method, &create.headers[..]),
                    (Method::Put, &headers[..]),
                    "{}",
                    contract.entity
                );
                let body = create.body.as_ref().expect("a body").as_str();
                assert!(body.contains(&key(1)), "the body of {} has our key", contract.entity);
            }
            Idempotence::Search { .. } => {
                assert_eq!(
                    (calls[0].method, create.method),
                    (Method::Get, Method::Post),
                    "{}",
                    contract.entity
                );
                assert!(matches!(calls[0].purpose, Purpose::Search { .. }));
            }
        }
        assert!(
            calls.iter().skip_while(|call| call.purpose != Purpose::Create).skip(1).all(WriteCall::needs_id)
        );
    }
}

#[test]
fn the_id_is_read_from_a_record_under_its_key_or_at_the_top_level() {
    let answer = creates("vendor_payments")[0].answer;
    for body in [json!({"code": 0, "payment_id": "7"}), json!({"vendorpayment": {"payment_id": 7}})] {
        assert_eq!(answer.id(body.as_object().expect("an object")).expect("an id"), "7");
    }
    assert!(answer.id(json!({"code": 0}).as_object().expect("an object")).is_err());
}
