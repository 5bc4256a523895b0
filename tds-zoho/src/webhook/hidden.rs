//! Hides values in the bodies that the inbox keeps.

use serde_json::{Map, Value};
use tds_core::record::EntityType;

use super::body;
use crate::entities::{Catalogue, Descriptor};

/// What is kept of a body that cannot be read while values are hidden: nobody knows where they are in it.
const UNREADABLE: &[u8] = b"(a body that could not be read is not kept while columns are hidden)";

/// The key of a value that has to be mended.
const MENDED: &str = "mended";

/// Returns the body as the inbox keeps it; `None` if nothing in it is hidden. `certain`: the body holds records of this
/// entity type. Otherwise the values of every entity type are hidden in it.
///
/// The stored body can be parsed again: it leads to the same work as the original body, in the same form.
#[must_use]
pub fn kept_body(catalogue: &Catalogue, entity: &EntityType, body: &[u8], certain: bool) -> Option<Vec<u8>> {
    let hiding = catalogue.hidden_values();
    if hiding.is_empty() || body.trim_ascii().is_empty() || body == UNREADABLE {
        return None;
    }
    let descriptor = catalogue.find(entity).filter(|descriptor| certain && descriptor.versioned);
    let sibling = descriptor.and_then(|it| it.sibling).map(|sibling| sibling.entity.clone());
    let entities: Vec<EntityType> =
        descriptor.map(Descriptor::entity).into_iter().cloned().chain(sibling).collect();
    if !hiding.concerns(&entities) {
        return None;
    }
    let Ok(read) = body::read(body) else { return Some(UNREADABLE.to_vec()) };
    let mut object = read.object;
    let before = object.clone();
    hiding.body(&entities, &mut object);
    if object == before {
        return None;
    }
    if read.is_mended {
        mark(&mut object);
    }
    Some(if read.is_pairs { form(&object) } else { Value::Object(object).to_string().into_bytes() })
}

/// Returns what the inbox keeps of a body in which no record was found; `None` if the body itself may be kept. Whatever its
/// form is, nobody knows where in it a hidden value is.
#[must_use]
pub fn kept_of_unparsed(catalogue: &Catalogue, body: &[u8]) -> Option<Vec<u8>> {
    let is_kept = catalogue.hidden_values().is_empty() || body.trim_ascii().is_empty();
    (!is_kept).then(|| UNREADABLE.to_vec())
}

/// Adds to a body what makes it mended again when it is read: a mended body does not stand for its record.
fn mark(object: &mut Map<String, Value>) {
    object.values_mut().filter_map(Value::as_object_mut).for_each(|inner| {
        inner.insert(MENDED.to_owned(), "\0".into());
    });
    object.insert(MENDED.to_owned(), "\0".into());
}

/// Writes the pairs of a form.
fn form(object: &Map<String, Value>) -> Vec<u8> {
    let pair = |(name, value): (&String, &Value)| {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        format!("{}={}", encoded(name), encoded(&text))
    };
    object.iter().map(pair).collect::<Vec<_>>().join("&").into_bytes()
}

fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => encoded.push(char::from(byte)),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(body: &str, entity: &str) -> Option<String> {
        let rules = ["customers.phone", "products.description"].map(|rule| rule.parse().expect("a rule"));
        let catalogue = Catalogue::default().hide(&rules, None).expect("known columns");
        let entity = entity.parse().expect("an entity type");
        let kept = kept_body(&catalogue, &entity, body.as_bytes(), true)?;
        Some(String::from_utf8(kept).expect("text"))
    }

    #[test]
    fn nothing_is_kept_of_a_body_without_a_record_while_anything_is_hidden() {
        let hidden = Catalogue::default().hide(&["customers.phone".parse().expect("a rule")], None);
        let hidden = hidden.expect("known columns");
        for body in [r#"{"foo":{"phone":"123"}}"#, "phone=123&JSONString=x", "phone 123"] {
            let kept = kept_of_unparsed(&hidden, body.as_bytes()).expect("not kept");
            assert_eq!(kept, UNREADABLE, "{body}");
            assert_eq!(kept_of_unparsed(&Catalogue::default(), body.as_bytes()), None);
        }
        assert_eq!(kept_of_unparsed(&hidden, b" "), None);
    }

    #[test]
    fn a_template_spells_keys_and_wraps_records_as_it_likes() {
        let inner = r#"{\"contact_id\":\"7\",\"phone\":\"555\",\"city\":\"Basra\"}"#;
        let cases = [
            (r#"{"contact_id":"7","PHONE":"555","Phone":"555"}"#.to_owned(), r#"{"contact_id":"7"}"#.to_owned()),
            (r#"{"CONTACT":{"contact_id":"7","Phone":"555"}}"#.to_owned(), r#"{"CONTACT":{"contact_id":"7"}}"#.to_owned()),
            (
                "contact_id=7&contact_phone=555&contact.phone=555&CONTACT[phone]=555&Phone=555&city=Basra".to_owned(),
                "contact_id=7&city=Basra".to_owned(),
            ),
            (
                format!(r#"{{"contact_id":"7","payload":"{inner}"}}"#),
                r#"{"contact_id":"7","payload":"{\"city\":\"Basra\",\"contact_id\":\"7\"}"}"#.to_owned(),
            ),
            (
                r#"{"contact_id":"7","payload":"[{\"mobile\":\"1\",\"PHONE\":\"555\"}]","log":"{\"phone\" 555"}"#.to_owned(),
                r#"{"contact_id":"7","log":"","payload":"[{\"mobile\":\"1\"}]"}"#.to_owned(),
            ),
        ];
        for (body, left) in cases {
            let found = kept(&body, "customers").unwrap_or_else(|| panic!("{body}"));
            let ordered = |text: &str| -> Vec<String> {
                let mut pairs: Vec<String> = text.split('&').map(str::to_owned).collect();
                pairs.sort_unstable();
                pairs
            };
            match (serde_json::from_str::<Value>(&found), serde_json::from_str::<Value>(&left)) {
                (Ok(found), Ok(left)) => assert_eq!(found, left, "{body}"),
                _ => assert_eq!(ordered(&found), ordered(&left), "{body}"),
            }
            assert_eq!(kept(&found, "customers"), None, "a second time changes nothing: {found}");
        }
        // The name of a party is not the name of a product, whatever the body is about.
        let rules = ["products.name".parse().expect("a rule")];
        let products = Catalogue::default().hide(&rules, None).expect("known columns");
        let invoice = r#"{"invoice":{"customer_name":"Ali","invoice_id":"1","item_name":"Tea"}}"#;
        let kept_of_any =
            kept_body(&products, &EntityType::from_static("invoices"), invoice.as_bytes(), false);
        let kept_of_any = kept_of_any.map(|body| String::from_utf8(body).expect("text"));
        assert_eq!(kept_of_any.as_deref(), Some(r#"{"invoice":{"customer_name":"Ali","invoice_id":"1"}}"#));
        // Texts that are no JSON, and keys of another record, stay as they are.
        for body in [
            r#"{"contact_id":"7","notes":"[VIP] {call}","telephone_book":"x","phone_id":"1"}"#,
            r#"{"contact_id":"7","payload":"{\"city\":\"Basra\"}"}"#,
        ] {
            assert_eq!(kept(body, "customers"), None, "{body}");
        }
    }

    #[test]
    fn bodies_of_every_form_are_kept_in_their_form_without_what_is_hidden() {
        assert_eq!(
            kept(r#"{"contact":{"contact_id":"7","phone":"123"},"n":1}"#, "customers").as_deref(),
            Some(r#"{"contact":{"contact_id":"7"},"n":1}"#)
        );
        assert_eq!(
            kept("contact_id=7&phone=123&note=a+b%26", "customers").as_deref(),
            Some("contact_id=7&note=a%20b%26")
        );
        let form = kept("payload=%7B%22contact_id%22%3A%227%22%2C%22phone%22%3A%221%22%7D", "customers");
        assert_eq!(form.as_deref(), Some("payload=%7B%22contact_id%22%3A%227%22%7D"));
        let invoice = r#"{"invoice":{"invoice_id":"1","contact":{"phone":"123"}}}"#;
        assert_eq!(
            kept(invoice, "invoices").as_deref(),
            Some(r#"{"invoice":{"contact":{},"invoice_id":"1"}}"#)
        );
        assert_eq!(
            kept(r#"{"contact_id":"7","email":"a@b.example"}"#, "customers"),
            None,
            "nothing is hidden"
        );
        assert_eq!(kept(r#"{"bill_id":"7","phone":"123"}"#, "bills"), None, "bills name no customer");
        // A body that had to be mended is one that has to be mended again, so it does not stand for its record.
        let mended = kept(r#"{"contact":{"contact_id":"7","phone":"123","notes":NaN}}"#, "customers");
        let mended = mended.expect("something is hidden");
        let read = body::read(mended.as_bytes()).expect("it is read again");
        assert!(read.is_mended && !mended.contains("123"), "{mended}");
        // Nobody knows where the value is in this one.
        let broken = kept("phone 123", "customers").expect("not kept");
        assert!(
            kept(r#"{"contacts":[{"contact_id":"7","phone":"123" "x"}]}"#, "customers")
                .is_none_or(|it| !it.contains("123"))
        );
        assert!(!broken.contains("123"), "{broken}");
        assert_eq!(kept(&broken, "customers"), None, "a second time changes nothing");
    }
}
