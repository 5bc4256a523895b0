//! No bytes make the receiver panic, and none verify without the secret.

use proptest::prelude::*;
use secrecy::SecretString;
use tds_zoho::webhook::{sign, verify};

use crate::bodies::parse_as;

const PATHS: [&str; 13] = [
    "products",
    "customers",
    "vendors",
    "invoices",
    "bills",
    "credit_notes",
    "stock",
    "prices",
    "sales_orders",
    "customer_payments",
    "purchase_orders",
    "vendor_payments",
    "vendor_credits",
];

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let near = "\\{?\"?(item|contact|JSONString|organization_id|line_items)\"?[:=%]?[\\{\\[\"]?\"?(item_id|invoice_id)?\"?[:=]?\"?[0-9]{0,20}.{0,12}";
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..200),
        any::<String>().prop_map(String::into_bytes),
        near.prop_map(String::into_bytes),
    ]
}

fn pairs() -> impl Strategy<Value = Vec<(String, String)>> {
    prop::collection::vec((".{0,8}", ".{0,8}"), 0..5)
}

proptest! {
    #[test]
    fn any_body_is_parsed_to_something(body in bytes(), event in prop::sample::select(&["created", "updated", "deleted"][..])) {
        for path in PATHS {
            let _ = parse_as(path, event, &body);
        }
    }

    #[test]
    fn what_was_signed_verifies(body in bytes(), pairs in pairs(), secret in "[A-Za-z0-9]{12,50}") {
        let secret = SecretString::from(secret);
        let header = sign(&secret, &pairs, &body);
        prop_assert!(verify(&[secret], &pairs, None, &body, Some(&header)).is_ok());
    }

    #[test]
    fn what_was_not_signed_does_not_verify(body in bytes(), pairs in pairs(), header in "(.{0,80}|[0-9a-fA-F]{64}|[A-Za-z0-9+/]{43}=?)", kind in prop::option::of(".{0,40}")) {
        let secrets = [SecretString::from("TdsSecret0123456")];
        prop_assert!(verify(&secrets, &pairs, kind.as_deref(), &body, Some(&header)).is_err());
    }

    #[test]
    fn one_changed_bit_of_the_body_breaks_the_signature(body in prop::collection::vec(any::<u8>(), 1..100), at in any::<prop::sample::Index>(), bit in 0..8_u8) {
        let secret = SecretString::from("TdsSecret0123456");
        let body = [b"{".as_slice(), &body].concat();
        let header = sign(&secret, &[], &body);
        let mut changed = body.clone();
        let at = 1 + at.index(body.len() - 1);
        changed[at] ^= 1 << bit;
        prop_assert!(verify(&[secret], &[], None, &changed, Some(&header)).is_err());
    }
}
