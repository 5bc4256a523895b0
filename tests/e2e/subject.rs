//! One shape for what the tests show of each entity type, so that they walk every path with every type.

use serde_json::{Value, json};
use tds_zoho::testkit::Module;

use crate::{
    records::{self, Kind},
    shop::{Shop, assert_columns, assert_rows},
};

/// One entity type: a record of it, and what its tables show of the record.
pub(crate) struct Subject {
    pub(crate) entity: &'static str,
    pub(crate) webhook: &'static str,
    pub(crate) module: Module,
    /// The key of one record in Zoho's envelopes.
    pub(crate) envelope: &'static str,
    pub(crate) id_key: &'static str,
    pub(crate) record: Value,
    /// A change that Zoho dates, the column that shows the change, and the new value of the column.
    pub(crate) change: (Value, &'static str, Value),
    /// True if a webhook with the whole record needs no further read.
    pub(crate) webhook_is_enough: bool,
    /// The prefix of the paths whose calls read single records.
    pub(crate) detail_path: &'static str,
    kind: Table,
}

enum Table {
    Products,
    Contacts(&'static str),
    Documents(Kind),
    Stock,
    Prices,
}

impl Subject {
    pub(crate) fn all() -> Vec<Self> {
        let mut subjects = vec![Self::products(), Self::contacts("customer"), Self::contacts("vendor")];
        subjects.extend(Kind::ALL.map(Self::documents));
        subjects.extend([Self::stock(), Self::prices()]);
        subjects
    }

    fn products() -> Self {
        Self {
            entity: "products",
            webhook: "products",
            module: Module::ITEMS,
            envelope: "item",
            id_key: "item_id",
            record: records::item(),
            change: (json!({"name": "كيبل جديد"}), "name", json!("كيبل جديد")),
            webhook_is_enough: true,
            detail_path: "/inventory/v1/item",
            kind: Table::Products,
        }
    }

    fn contacts(kind: &'static str) -> Self {
        Self {
            entity: if kind == "customer" { "customers" } else { "vendors" },
            webhook: "customers",
            module: Module::CONTACTS,
            envelope: "contact",
            id_key: "contact_id",
            record: records::contact(kind),
            change: (json!({"email": "new@example.test"}), "email", json!("new@example.test")),
            webhook_is_enough: true,
            detail_path: "/books/v3/contacts",
            kind: Table::Contacts(kind),
        }
    }

    fn documents(kind: Kind) -> Self {
        let (webhook, module, id_key, detail_path) = match kind {
            Kind::Invoice => ("invoices", Module::INVOICES, "invoice_id", "/books/v3/invoices"),
            Kind::Bill => ("bills", Module::BILLS, "bill_id", "/books/v3/bills"),
            Kind::CreditNote => {
                ("credit-notes", Module::CREDIT_NOTES, "creditnote_id", "/books/v3/creditnotes")
            }
        };
        Self {
            entity: kind.entity(),
            webhook,
            module,
            envelope: kind.key(),
            id_key,
            record: records::document(kind),
            change: (json!({"reference_number": "SO-78"}), "reference_number", json!("SO-78")),
            webhook_is_enough: true,
            detail_path,
            kind: Table::Documents(kind),
        }
    }

    fn stock() -> Self {
        Self {
            entity: "stock",
            webhook: "stock",
            module: Module::ITEMS,
            envelope: "item",
            id_key: "item_id",
            record: records::item(),
            change: (json!({"stock_on_hand": 7}), "stock_on_hand", json!(7)),
            webhook_is_enough: false,
            detail_path: "/inventory/v1/item",
            kind: Table::Stock,
        }
    }

    fn prices() -> Self {
        Self {
            entity: "prices",
            webhook: "prices",
            module: Module::PRICE_LISTS,
            envelope: "pricebook",
            id_key: "pricebook_id",
            record: records::price_list(),
            change: (json!({"name": "مفرد B"}), "name", json!("مفرد B")),
            webhook_is_enough: false,
            detail_path: "/books/v3/pricebooks/",
            kind: Table::Prices,
        }
    }

    pub(crate) fn id(&self) -> &str {
        self.record[self.id_key].as_str().expect("an id")
    }

    /// The default webhook body with the whole record.
    pub(crate) fn whole_body(&self, shop: &Shop) -> Value {
        let mut record = self.record.clone();
        if self.module == Module::CREDIT_NOTES {
            // Zoho's details of credit notes name the field `updated_time`.
            let object = record.as_object_mut().expect("an object");
            let time = object.remove("last_modified_time").expect("a time");
            object.insert("updated_time".to_owned(), time);
        }
        json!({"organization_id": shop.zoho.credentials().organization_id, self.envelope: record})
    }

    /// A body that only names the record.
    pub(crate) fn naming_body(&self) -> Value {
        json!({self.envelope: {self.id_key: self.id()}})
    }

    /// Asserts that the tables show the record in every column.
    pub(crate) async fn assert_landed(&self, shop: &Shop) {
        let id = self.id();
        match &self.kind {
            Table::Products => assert_columns(&self.head(shop).await, &records::item_row()),
            Table::Contacts(kind) => assert_columns(&self.head(shop).await, &records::contact_row(kind)),
            Table::Documents(kind) => {
                assert_columns(&self.head(shop).await, &records::document_row(*kind));
                let lines =
                    format!("(SELECT * FROM erp.{} WHERE document_zoho_id = '{id}')", kind.lines_table());
                assert_rows(&shop.rows(&lines, "position").await, &records::line_rows());
            }
            Table::Stock => {
                let rows = shop.rows("erp.stock_levels", "location_zoho_id").await;
                assert_rows(&rows, &records::stock_rows());
            }
            Table::Prices => {
                assert_columns(&self.head(shop).await, &records::price_list_row());
                let rows = shop.rows("erp.price_list_items", "product_zoho_id, start_quantity").await;
                assert_rows(&rows, &records::price_rows());
            }
        }
        if self.head_table().is_some() {
            let raw = &self.head(shop).await["raw"];
            assert_eq!(raw[self.id_key], self.record[self.id_key], "raw is the record as Zoho sent it");
        }
    }

    /// Returns the head row, which must exist.
    pub(crate) async fn head(&self, shop: &Shop) -> Value {
        let table = self.head_table().expect("a head table");
        shop.row(table, self.id()).await.unwrap_or_else(|| panic!("no row of {} {}", self.entity, self.id()))
    }

    pub(crate) fn head_table(&self) -> Option<&'static str> {
        match self.kind {
            Table::Stock => None,
            Table::Prices => Some("price_lists"),
            _ => Some(self.entity),
        }
    }

    /// Returns the value of the column that [`Subject::change`] changes.
    pub(crate) async fn changed_column(&self, shop: &Shop) -> Value {
        let column = self.change.1;
        match self.kind {
            Table::Stock => shop.rows("erp.stock_levels", "location_zoho_id").await[0][column].clone(),
            _ => self.head(shop).await[column].clone(),
        }
    }

    /// Asserts that the record is marked as gone.
    pub(crate) async fn assert_gone(&self, shop: &Shop) {
        match self.kind {
            Table::Stock => assert_eq!(shop.count("erp.stock_levels").await, 0),
            _ => assert_ne!(
                self.head(shop).await["deleted_at"],
                Value::Null,
                "{} has a tombstone",
                self.entity
            ),
        }
    }
}
