//! Customers and vendors.

use serde_json::{Value, json};

use super::{Template, USD, id, kinds, literal::number};

static TEMPLATE: Template = Template::new(include_str!("contact.json"));

/// The role of a contact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContactKind {
    /// The contact buys from the organization.
    Customer,
    /// The contact sells to the organization.
    Vendor,
}

/// Returns a contact with both addresses and one contact person. Keys of the other role are absent.
#[must_use]
pub fn contact(n: u64, kind: ContactKind) -> Value {
    let vendor = kind == ContactKind::Vendor;
    let name = if vendor { format!("Gulf Supplies {n}") } else { format!("Dijla Trading {n}") };
    let person = id(kinds::PERSON, n + if vendor { 5_000_000_000 } else { 0 });
    let (city, street) = match n % 3 {
        0 => ("Baghdad", "1 River Street"),
        1 => ("Basra", "12 Port Road"),
        _ => ("Erbil", "60 Meter Street"),
    };
    let mobile = format!("+96477000{n:05}");
    let changes = json!({
        "contact_id": id(if vendor { kinds::VENDOR } else { kinds::CUSTOMER }, n),
        "contact_name": name,
        "company_name": name,
        "contact_type": if vendor { "vendor" } else { "customer" },
        "first_name": "Contact",
        "last_name": format!("Person {n}"),
        "email": format!("contact{n}@example.test"),
        "phone": format!("+96417000{n:05}"),
        "mobile": mobile,
        "payment_terms": 15,
        "payment_terms_label": "Net 15",
        "currency_id": USD,
        "currency_code": "USD",
        "credit_limit": number("5000.00"),
        "primary_contact_id": person,
        "contact_persons": [{
            "contact_person_id": person, "first_name": "Contact", "last_name": format!("Person {n}"),
            "email": format!("contact{n}@example.test"), "phone": "", "mobile": mobile, "is_primary_contact": true,
            "communication_preference": {"is_email_enabled": true, "is_whatsapp_enabled": false},
        }],
    });
    let mut contact = Value::Object(TEMPLATE.with(changes));
    for (key, kind) in [("billing_address", kinds::ADDRESS), ("shipping_address", kinds::ADDRESS + 1)] {
        contact[key]["address_id"] = json!(id(kind + if vendor { 2 } else { 0 }, n));
    }
    set_address(&mut contact, city, street);
    if vendor {
        to_vendor(&mut contact);
    }
    contact
}

/// Sets the billing address.
pub(crate) fn set_address(contact: &mut Value, city: &str, street: &str) {
    let address = &mut contact["billing_address"];
    address["address"] = json!(street);
    address["city"] = json!(city);
    address["country"] = json!("Iraq");
    address["country_code"] = json!("IQ");
}

/// Replaces the keys that only customers have by those of vendors.
fn to_vendor(contact: &mut Value) {
    let Some(fields) = contact.as_object_mut() else { return };
    for key in ["credit_limit", "customer_sub_type", "pricebook_id", "pricebook_name"] {
        fields.remove(key);
    }
    for key in ["outstanding_receivable_amount", "unused_credits_receivable_amount"] {
        fields.remove(key);
        fields.insert(key.replace("receivable", "payable"), number("0.00"));
    }
}
