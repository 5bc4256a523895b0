//! Which columns can be hidden, and where their values are in the records of Zoho.

use std::collections::BTreeMap;

use tds_core::record::EntityType;

use super::{
    Catalogue, Descriptor, contacts,
    hiding::{EntityRules, HashKey, HideRule, Hiding, How},
};
use crate::reading::Column;

/// Columns that TDS itself computes with: sums, ages, references and the order of lines.
const NEEDED: [&str; 16] = [
    "amount",
    "balance",
    "code",
    "currency_code",
    "date",
    "due_date",
    "exchange_rate",
    "is_base_currency",
    "outstanding_amount",
    "payment_made",
    "percentage",
    "position",
    "status",
    "total",
    "unused_amount",
    "unused_credits",
];

/// The columns of a contact that say who and where a person is, with the keys that hold the same values: in the contact,
/// in its persons and addresses, and in the documents that name the contact.
const PERSONAL: [(&str, &[&str]); 9] = [
    ("name", &["contact_name", "customer_name", "vendor_name", "delivery_customer_name"]),
    ("company_name", &["company_name"]),
    ("first_name", &["first_name"]),
    ("last_name", &["last_name"]),
    ("email", &["email"]),
    ("phone", &["phone"]),
    ("mobile", &["mobile"]),
    (
        "billing_address",
        &["billing_address", "customer_default_billing_address", "contact_address", "addresses"],
    ),
    ("shipping_address", &["shipping_address", "delivery_address", "addresses"]),
];
/// The column of a contact with its persons, and the keys that hold the same persons.
const PERSONS: (&str, &[&str]) = (
    "contact_persons",
    &["contact_persons", "contact_persons_details", "contact_persons_associated", "contact_person"],
);
/// The keys whose values are searched for in the whole record.
const REPEATED: [&str; 3] = ["email", "phone", "mobile"];
/// The columns that have personal values inside.
const AROUND: [&str; 3] = ["contact_persons", "billing_address", "shipping_address"];

/// Why a column cannot be hidden.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotHideable {
    /// The column as it was written.
    pub found: String,
    /// What could be written.
    pub accepted: String,
}

impl Catalogue {
    /// Returns the same catalogue, by which the values of these columns are not kept.
    ///
    /// # Errors
    /// A rule names an entity type or a column that the catalogue does not have or that TDS needs, or asks for hashes of
    /// a column that is not text, or for hashes without a key.
    pub fn hide(&self, rules: &[HideRule], key: Option<HashKey>) -> Result<Self, NotHideable> {
        let mut found: BTreeMap<EntityType, EntityRules> = BTreeMap::new();
        for rule in rules {
            self.add(rule, key.is_some(), &mut found)?;
        }
        let mut names: Vec<String> = rules.iter().map(ToString::to_string).collect();
        names.sort_unstable();
        names.dedup();
        Ok(self.hiding(Hiding::new(found, key, names)))
    }

    /// Returns the same catalogue, by which nothing is kept that says who a customer or a vendor is.
    #[must_use]
    pub fn without_persons(&self) -> Self {
        let columns = PERSONAL.iter().map(|(column, _)| *column).chain([PERSONS.0, "notes"]);
        let places = self.iter().filter(|it| is_contact(it)).map(Descriptor::name);
        let rules = places.flat_map(|place| {
            columns.clone().map(move |column| HideRule {
                place: place.to_owned(),
                column: column.to_owned(),
                how: How::Drop,
            })
        });
        let mut found = BTreeMap::new();
        // Contacts of another program may lack a column.
        let names =
            rules.filter(|rule| self.add(rule, false, &mut found).is_ok()).map(|rule| rule.to_string());
        let names = names.collect();
        self.hiding(Hiding::new(found, None, names))
    }

    fn add(
        &self,
        rule: &HideRule,
        has_key: bool,
        found: &mut BTreeMap<EntityType, EntityRules>,
    ) -> Result<(), NotHideable> {
        let refuse = |accepted: String| Err(NotHideable { found: format!("\"{rule}\""), accepted });
        if rule.how == How::Hash && !has_key {
            return refuse(
                "=hash only with an encryption key, from which the key of the hashes is made".to_owned(),
            );
        }
        let Some((descriptor, table)) = self.iter().find_map(|it| Some((it, place_of(it, &rule.place)?)))
        else {
            let known: Vec<&str> = self.iter().flat_map(places).collect();
            return refuse(format!(
                "TABLE.COLUMN or TABLE.COLUMN=hash, with a table out of {}",
                known.join(", ")
            ));
        };
        let custom = table.is_none() && descriptor.schema.head.is_some() && rule.column.starts_with("cf_");
        let column = columns(descriptor, table).find(|column| column.name() == rule.column);
        let column = match column.filter(|column| hideable(column)) {
            _ if custom => None,
            Some(column) if rule.how == How::Hash && !column.is_text() => {
                return refuse(format!("{}.{} without =hash: only text is hashed", rule.place, rule.column));
            }
            Some(column) => Some(column),
            None => {
                let names: Vec<&str> =
                    columns(descriptor, table).filter(|it| hideable(it)).map(Column::name).collect();
                let custom = if table.is_none() { ", or a custom field such as cf_note" } else { "" };
                return refuse(format!("of {} one of {}{custom}", rule.place, names.join(", ")));
            }
        };
        let rules = found.entry(descriptor.entity().clone()).or_insert_with(|| EntityRules::of(descriptor));
        match (column, table) {
            (None, _) => rules.custom.push((rule.column.clone(), rule.how)),
            (Some(column), Some((table, list))) => {
                rules.tables.entry(table).or_default().insert(column.name(), rule.how);
                rules.lists.extend(column.keys().iter().map(|key| (list, *key, rule.how)));
            }
            (Some(column), None) => {
                rules.columns.insert(column.name(), rule.how);
                match personal(descriptor, column.name()) {
                    Some(keys) => {
                        add_personal(rules, descriptor, keys, rule.how);
                        self.add_to_documents(descriptor, column.name(), keys, rule.how, found);
                    }
                    None => rules.top.extend(column.keys().iter().map(|key| (*key, rule.how))),
                }
            }
        }
        Ok(())
    }

    /// Hides a value of a contact in the documents that name the contact.
    fn add_to_documents(
        &self,
        contact: &Descriptor,
        column: &str,
        keys: &'static [&'static str],
        how: How,
        found: &mut BTreeMap<EntityType, EntityRules>,
    ) {
        let name = if contact.name() == "vendors" { "vendor_name" } else { "customer_name" };
        let names_contact = |it: &&'static Descriptor| columns(it, None).any(|column| column.name() == name);
        for document in self.iter().filter(names_contact) {
            let rules = found.entry(document.entity().clone()).or_insert_with(|| EntityRules::of(document));
            let own = if column == "name" { name } else { column };
            // An address and a name are columns of the document as well.
            if let Some(own) = columns(document, None).find(|it| it.name() == own)
                && (column == "name" || column.ends_with("_address"))
            {
                rules.columns.insert(own.name(), how);
            }
            add_personal(rules, document, keys, how);
        }
    }
}

fn add_personal(
    rules: &mut EntityRules,
    descriptor: &'static Descriptor,
    keys: &'static [&'static str],
    how: How,
) {
    rules.deep.extend(keys.iter().map(|key| (*key, how)));
    rules.repeated.extend(keys.iter().filter(|key| REPEATED.contains(key)));
    // A number may be repeated in any of them; a name is in the persons only.
    let is_repeated = keys.iter().any(|key| REPEATED.contains(key));
    let is_in_persons = contacts::PERSON.iter().any(|column| keys.contains(&column.name()));
    let has_part =
        |name: &&str| AROUND.contains(name) && (is_repeated || is_in_persons && *name == PERSONS.0);
    rules.around.extend(columns(descriptor, None).map(Column::name).filter(has_part));
}

fn is_contact(descriptor: &Descriptor) -> bool {
    descriptor.sibling.is_some()
}

/// Returns the keys that hold the same value as a column that says something about a person.
fn personal(descriptor: &Descriptor, column: &str) -> Option<&'static [&'static str]> {
    let mut all = PERSONAL.iter().chain([&PERSONS]);
    let found = all.find(|(name, _)| is_contact(descriptor) && *name == column);
    found.map(|(_, keys)| *keys)
}

/// Returns the place of a rule: the head of an entity type (`None`), or a child table with the key of its list.
pub(super) type Place = Option<(&'static str, &'static str)>;

fn place_of(descriptor: &'static Descriptor, name: &str) -> Option<Place> {
    if let Some(head) = descriptor.schema.head
        && (descriptor.name() == name || head == name)
    {
        return Some(None);
    }
    let rows = descriptor.rows.iter().find(|rows| rows.table == name);
    rows.map(|rows| Some((rows.table, rows.key)))
}

fn places(descriptor: &'static Descriptor) -> impl Iterator<Item = &'static str> {
    let head = descriptor.schema.head.map(|_| descriptor.name());
    head.into_iter().chain(descriptor.rows.iter().map(|rows| rows.table))
}

/// Iterates over the columns of a head table or of a child table.
pub(super) fn columns(
    descriptor: &'static Descriptor,
    table: Place,
) -> impl Iterator<Item = &'static Column> {
    let head = table.is_none().then(|| {
        let persons = if is_contact(descriptor) { contacts::PERSON } else { &[] };
        descriptor.columns.iter().chain(descriptor.volatile).chain(persons)
    });
    let rows = descriptor.rows.iter().filter(move |rows| table.is_some_and(|(name, _)| name == rows.table));
    head.into_iter().flatten().chain(rows.flat_map(|rows| rows.columns.iter().copied().flatten()))
}

fn hideable(column: &Column) -> bool {
    !column.is_id() && !NEEDED.contains(&column.name())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::config::TokenKey;

    fn rules(text: &str) -> Vec<HideRule> {
        text.split(',').map(|rule| rule.parse().expect("a rule")).collect()
    }

    fn key() -> Option<HashKey> {
        HashKey::derived(&TokenKey::from_base64("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")?)
    }

    fn hidden(text: &str, entity: &str, record: Value) -> Value {
        let catalogue = Catalogue::default().hide(&rules(text), key()).expect("columns that can be hidden");
        let mut record = record;
        catalogue.hidden_values().part(&entity.parse().expect("an entity type"), &mut record);
        record
    }

    #[test]
    fn a_value_is_hidden_in_the_contact_in_its_persons_and_wherever_it_is_repeated() {
        let contact = json!({"contact_id": "1", "contact_name": "Ali", "phone": "+964 770 1", "phone_formatted": "x",
            "contact_persons": [{"phone": "+964 770 2", "email": "a@shop.example"}],
            "billing_address": {"phone": "+964 770 1", "city": "Basra"},
            "note": "call +964 770 2", "history": ["+964 770 1", "x"]});
        let left = hidden("customers.phone", "customers", contact.clone());
        assert_eq!(
            left,
            json!({"contact_id": "1", "contact_name": "Ali", "contact_persons": [{"email": "a@shop.example"}],
                "billing_address": {"city": "Basra"}, "history": ["x"]})
        );
        // An id is no number of a person, even if it looks like one.
        let like = json!({"contact_id": "9647701", "phone": "9647701", "number": "19647701"});
        assert_eq!(
            hidden("customers.phone", "customers", like),
            json!({"contact_id": "9647701", "number": "19647701"})
        );
        // A hash stands for the value everywhere, and hashing again changes nothing.
        let hashed = hidden("customers.phone=hash", "customers", contact);
        let (one, other) = (&hashed["phone"], &hashed["billing_address"]["phone"]);
        assert!(
            one == other && one.as_str().is_some_and(|text| text.starts_with("hmac-sha256:")),
            "{hashed}"
        );
        assert!(!hashed.to_string().contains("964"), "{hashed}");
        assert_eq!(hidden("customers.phone=hash", "customers", hashed.clone()), hashed);
    }

    #[test]
    fn what_is_hidden_of_a_contact_is_hidden_in_its_documents() {
        let invoice = json!({"invoice_id": "1", "customer_id": "7", "customer_name": "Ali", "email": "a@shop.example",
            "total": 5, "billing_address": {"phone": "123", "city": "Basra"},
            "line_items": [{"name": "Tea", "description": "for Ali"}]});
        let left = hidden("customers.email,customers.phone,customers.name", "invoices", invoice.clone());
        assert_eq!(
            left,
            json!({"invoice_id": "1", "customer_id": "7", "total": 5, "billing_address": {"city": "Basra"},
                "line_items": [{"name": "Tea", "description": "for Ali"}]})
        );
        assert_eq!(hidden("vendors.email", "invoices", invoice.clone()), invoice, "the party is no vendor");
        let left = hidden("invoice_lines.description", "invoices", invoice);
        assert_eq!(left["line_items"], json!([{"name": "Tea"}]));
    }

    #[test]
    fn custom_fields_are_hidden_in_every_form() {
        let item = json!({"item_id": "1", "cf_note": "secret", "cf_note_unformatted": "secret", "name": "Tea",
            "custom_fields": [{"api_name": "cf_note", "value": "secret"}, {"api_name": "cf_shelf", "value": "A1"}],
            "custom_field_hash": {"cf_note": "secret", "cf_shelf": "A1"}});
        let left = hidden("products.cf_note", "products", item.clone());
        assert_eq!(
            left,
            json!({"item_id": "1", "name": "Tea", "custom_fields": [{"api_name": "cf_shelf", "value": "A1"}],
                "custom_field_hash": {"cf_shelf": "A1"}})
        );
        let hashed = hidden("products.cf_note=hash", "products", item);
        assert!(!hashed.to_string().contains("secret"), "{hashed}");
        assert_eq!(hashed["custom_fields"][0]["value"], hashed["cf_note"]);
        // A part of a record, such as a column of the mirror, is treated in the same way.
        assert_eq!(hidden("products.cf_note", "products", json!({"cf_note": "secret"})), json!({}));
    }

    #[test]
    fn what_cannot_be_hidden_is_refused_in_one_line_that_names_what_can() {
        let refused = |text: &str, key: Option<HashKey>| {
            let error = Catalogue::default().hide(&rules(text), key).expect_err("cannot be hidden");
            format!("{}; {}", error.found, error.accepted)
        };
        for (text, part) in [
            ("people.phone", "with a table out of products, customers,"),
            ("customers.total", "of customers one of name, company_name,"),
            ("invoices.total", "of invoices one of number, reference_number,"),
            ("invoices.customer_zoho_id", "of invoices one of number,"),
            ("customers.credit_limit=hash", "without =hash"),
        ] {
            let error = refused(text, key());
            assert!(error.contains(text.trim_end_matches("=hash")) && error.contains(part), "{error}");
            assert_eq!(error.lines().count(), 1, "{error}");
        }
        assert!(refused("customers.email=hash", None).contains("only with an encryption key"));
        assert!(
            "customers".parse::<HideRule>().is_err() && "customers.email=md5".parse::<HideRule>().is_err()
        );
    }

    #[test]
    fn a_column_with_a_hidden_part_is_not_written_to_zoho() {
        let catalogue =
            Catalogue::default().hide(&rules("customers.phone,products.cf_note"), None).expect("known");
        let hiding = catalogue.hidden_values();
        let customers = EntityType::from_static("customers");
        let kept: Vec<&str> = ["phone", "email", "contact_persons", "billing_address", "name"]
            .into_iter()
            .filter(|column| hiding.keeps_from_source(&customers, column))
            .collect();
        assert_eq!(kept, ["phone", "contact_persons", "billing_address"]);
        assert!(hiding.keeps_from_source(&EntityType::from_static("products"), "custom_fields"));
    }
}
