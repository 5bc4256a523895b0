//! The organization writes only keys that Zoho is known to write.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use tds_zoho::testkit::{
    FakeZoho, Module,
    demo::{self, Changes, Size},
};

use crate::{records::furnished, support::Caller};

/// The names of keys, by kind of record and by the source of the knowledge.
struct Known(Value);

impl Known {
    fn read() -> Self {
        let text = include_str!("../data/zoho-keys.json");
        Self(serde_json::from_str(text).expect("key names"))
    }

    fn of(&self, kind: &str) -> BTreeSet<&str> {
        let names = self.0["kinds"][kind].as_object().unwrap_or_else(|| panic!("no kind {kind}"));
        names
            .values()
            .flat_map(|list| list.as_array().into_iter().flatten())
            .filter_map(Value::as_str)
            .collect()
    }
}

/// The keys of every kind of record that was answered.
#[derive(Default)]
struct Answered(BTreeMap<&'static str, BTreeSet<String>>);

impl Answered {
    fn note(&mut self, kind: &'static str, record: &Value) {
        let record = record.as_object().unwrap_or_else(|| panic!("{kind} is no object: {record}"));
        self.0.entry(kind).or_default().extend(record.keys().cloned());
    }

    fn note_all(&mut self, kind: &'static str, records: &Value) {
        for record in records.as_array().unwrap_or_else(|| panic!("{kind} is no list: {records}")) {
            self.note(kind, record);
        }
    }

    fn inside(&mut self, kind: &'static str, record: &Value, key: &str) {
        match &record[key] {
            Value::Array(_) => self.note_all(kind, &record[key]),
            Value::Object(_) => self.note(kind, &record[key]),
            _ => {}
        }
    }

    fn assert_known(&self) {
        let known = Known::read();
        let mut invented = Vec::new();
        for (kind, keys) in &self.0 {
            let names = known.of(kind);
            invented.extend(
                keys.iter().filter(|key| !names.contains(key.as_str())).map(|k| format!("{kind}.{k}")),
            );
        }
        assert!(invented.is_empty(), "Zoho is not known to write {invented:?}");
    }
}

/// Each module, the base of its calls, and the kinds of its rows and records.
const MODULES: [(Module, &str, &str, &str); 19] = [
    (Module::ITEMS, "/inventory/v1", "item_row", "item"),
    (Module::ITEMS, "/books/v3", "item_row", "item"),
    (Module::CONTACTS, "/books/v3", "contact_row", "contact"),
    (Module::INVOICES, "/books/v3", "invoice_row", "invoice"),
    (Module::BILLS, "/books/v3", "bill_row", "bill"),
    (Module::CREDIT_NOTES, "/books/v3", "credit_note_row", "credit_note"),
    (Module::PRICE_LISTS, "/books/v3", "price_list_row", "price_list"),
    (Module::SALES_ORDERS, "/books/v3", "sales_order_row", "sales_order"),
    (Module::CUSTOMER_PAYMENTS, "/books/v3", "customer_payment_row", "customer_payment"),
    (Module::PURCHASE_ORDERS, "/books/v3", "purchase_order_row", "purchase_order"),
    (Module::VENDOR_PAYMENTS, "/books/v3", "vendor_payment_row", "vendor_payment"),
    (Module::VENDOR_CREDITS, "/books/v3", "vendor_credit_row", "vendor_credit"),
    (Module::ADJUSTMENTS, "/inventory/v1", "adjustment_row", "adjustment"),
    (Module::LOCATIONS, "/books/v3", "location_row", "location"),
    (Module::LOCATIONS, "/inventory/v1", "location_row", "location"),
    (Module::TAXES, "/books/v3", "tax_row", "tax"),
    (Module::CURRENCIES, "/books/v3", "currency_row", "currency"),
    (Module::ITEM_GROUPS, "/inventory/v1", "item_group_row", "item_group"),
    (Module::COMPOSITE_ITEMS, "/inventory/v1", "composite_item_row", "composite_item"),
];

/// Parts of records: the kind of the whole, the key, and the kind of the part.
const PARTS: [(&str, &str, &str); 24] = [
    ("item", "locations", "item_location"),
    ("contact", "contact_persons", "contact_person"),
    ("contact", "billing_address", "contact_address"),
    ("contact", "shipping_address", "contact_address"),
    ("invoice", "line_items", "invoice_line"),
    ("invoice", "billing_address", "invoice_address"),
    ("invoice", "shipping_address", "invoice_address"),
    ("bill", "line_items", "bill_line"),
    ("credit_note", "line_items", "credit_note_line"),
    ("credit_note", "billing_address", "credit_note_address"),
    ("price_list", "pricebook_items", "price"),
    ("adjustment", "line_items", "adjustment_line"),
    ("item_group", "items", "item_group_item"),
    ("item_group", "attributes", "item_group_attribute"),
    ("composite_item", "mapped_items", "composite_item_component"),
    ("sales_order", "line_items", "sales_order_line"),
    ("sales_order", "billing_address", "sales_order_address"),
    ("sales_order", "shipping_address", "sales_order_address"),
    ("customer_payment", "invoices", "customer_payment_allocation"),
    ("purchase_order", "line_items", "purchase_order_line"),
    ("purchase_order", "billing_address", "purchase_order_address"),
    ("purchase_order", "delivery_address", "purchase_order_address"),
    ("vendor_payment", "bills", "vendor_payment_allocation"),
    ("vendor_credit", "line_items", "vendor_credit_line"),
];

async fn everything(caller: &Caller) -> Answered {
    let mut answered = Answered::default();
    for (module, base, row_kind, kind) in MODULES {
        let list = caller.ok(&format!("{base}/{}", module.path), &[("per_page", "200")]).await;
        answered.note_all(row_kind, &list[module.list_key]);
        answered.inside("page_context", &list, "page_context");
        for id in caller.fake.ids(module) {
            let body = caller.ok(&format!("{base}/{}/{id}", module.path), &[]).await;
            let mut record = body[module.detail_key].clone();
            if module.detail_key.is_empty() {
                record = body;
                record.as_object_mut().expect("a record").retain(|key, _| key != "code" && key != "message");
            }
            let record = &record;
            answered.note(kind, record);
            for (_, key, part) in PARTS.iter().filter(|(whole, ..)| *whole == kind) {
                answered.inside(part, record, key);
            }
            for attribute in record["attributes"].as_array().into_iter().flatten() {
                answered.inside("item_group_option", attribute, "options");
            }
            for (part, key) in module.parts {
                let rates = caller.ok(&format!("{base}/{}/{id}/{part}", module.path), &[]).await;
                answered.inside("exchange_rate", &rates, key);
            }
            for price in record["pricebook_items"].as_array().into_iter().flatten() {
                answered.inside("price_bracket", price, "price_brackets");
            }
        }
    }
    let ids = caller.fake.ids(Module::ITEMS);
    let asked = ids[..ids.len().min(100)].join(",");
    let details = caller.ok("/inventory/v1/itemdetails", &[("item_ids", &asked)]).await;
    answered.note_all("item", &details["items"]);
    answered
}

#[tokio::test]
async fn samples_have_no_key_that_zoho_is_not_known_to_write() {
    let answered = everything(&furnished().await).await;
    assert_eq!(answered.0.len(), 58, "kinds of records: {:?}", answered.0.keys());
    answered.assert_known();
}

#[tokio::test]
async fn a_trading_shop_has_no_key_that_zoho_is_not_known_to_write() {
    let fake = FakeZoho::start().await;
    let size = Size {
        items: 12,
        customers: 6,
        vendors: 2,
        invoices: 6,
        bills: 3,
        credit_notes: 3,
        sales_orders: 6,
        purchase_orders: 3,
        vendor_credits: 3,
    };
    demo::organization(&fake, size, 11);
    let mut changes = Changes::new(11);
    for _ in 0..80 {
        changes.next_change(&fake);
    }
    everything(&Caller::of(fake).await).await.assert_known();
}
