//! The shop's customers and vendors.

use serde_json::{Value, json};
use time::OffsetDateTime;

use super::{Size, items::overwrite, moment, random::Random, words};
use crate::sim::{
    Module, SharedOrganization,
    sample::{self, ContactKind, IQD, USD},
    stamp,
};

/// Enters customers and vendors and returns both.
pub(crate) fn fill(
    zoho: &SharedOrganization,
    random: &mut Random,
    size: Size,
    price_lists: &[Value],
    now: OffsetDateTime,
) -> (Vec<Value>, Vec<Value>) {
    let enter = |contact: Value| {
        zoho.put(Module::CONTACTS, contact.clone());
        contact
    };
    let at = |n, of| moment(n, of, 900, now);
    let customers = (1..=size.customers)
        .map(|n| enter(customer(random, n, price_lists, at(n, size.customers))))
        .collect();
    let vendors = (1..=size.vendors).map(|n| enter(vendor(random, n, at(n, size.vendors)))).collect();
    (customers, vendors)
}

/// Returns a customer. Three of five customers pay in dinars, and one of eight is inactive.
pub(crate) fn customer(random: &mut Random, n: u64, price_lists: &[Value], created: OffsetDateTime) -> Value {
    let mut contact = sample::contact(n, ContactKind::Customer);
    let (first, last) = (random.word(words::FIRST), random.word(words::FAMILY));
    let is_shop = random.per_mille(700);
    let company = if is_shop { format!("{last} {}", random.word(words::SHOPS)) } else { String::new() };
    let name = if is_shop { format!("{company} {n}") } else { format!("{first} {last} {n}") };
    let (currency_id, currency_code) = if random.per_mille(600) { (IQD, "IQD") } else { (USD, "USD") };
    let changes = json!({
        "contact_name": name,
        "company_name": company,
        "customer_sub_type": if is_shop { "business" } else { "individual" },
        "status": if random.per_mille(125) { "inactive" } else { "active" },
        "first_name": first,
        "last_name": last,
        "email": if random.per_mille(300) { format!("customer{n}@example.test") } else { String::new() },
        "currency_id": currency_id,
        "currency_code": currency_code,
        "is_bcy_only_contact": currency_code == "USD",
        "created_time": stamp(created),
        "last_modified_time": stamp(created),
    });
    overwrite(&mut contact, changes);
    if let Some(list) = random.pick(price_lists).filter(|_| is_shop) {
        contact["pricebook_id"] = list["pricebook_id"].clone();
        contact["pricebook_name"] = list["name"].clone();
    }
    contact["contact_persons"][0]["first_name"] = json!(first);
    contact["contact_persons"][0]["last_name"] = json!(last);
    if let Some((city, street)) = random.pick(words::STREETS) {
        sample::set_address(&mut contact, city, street);
    }
    contact
}

/// Returns a vendor. One of five vendors is paid in dinars.
fn vendor(random: &mut Random, n: u64, created: OffsetDateTime) -> Value {
    let mut contact = sample::contact(n, ContactKind::Vendor);
    let name = format!("{} {} {n}", random.word(words::FAMILY), random.word(words::SUPPLIERS));
    let (currency_id, currency_code) = if random.per_mille(200) { (IQD, "IQD") } else { (USD, "USD") };
    let changes = json!({
        "contact_name": name,
        "company_name": name,
        "currency_id": currency_id,
        "currency_code": currency_code,
        "is_bcy_only_contact": currency_code == "USD",
        "created_time": stamp(created),
        "last_modified_time": stamp(created),
    });
    overwrite(&mut contact, changes);
    contact
}
