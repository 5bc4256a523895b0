//! What a program of the shop enters: one record of every entity type that can be written, in one transaction. The
//! records refer to each other by their local ids.

use std::collections::BTreeMap;

use tds_core::record::EntityType;
use tds_zoho::testkit::Module;

use super::both::{Both, write_on};

/// An entity type whose records are created, changed and removed.
pub(crate) struct Kind {
    pub(crate) entity: EntityType,
    /// The head table.
    pub(crate) table: &'static str,
    /// The child table, and the column that names the record in the ERP.
    pub(crate) lines: Option<(&'static str, &'static str)>,
    pub(crate) module: Module,
    /// The last part of the address of its webhooks.
    pub(crate) path: &'static str,
    /// A column that both sides change, and its key in Zoho.
    pub(crate) change: (&'static str, &'static str),
}

const fn kind(
    entity: &'static str,
    table: &'static str,
    lines: Option<(&'static str, &'static str)>,
    module: Module,
    path: &'static str,
    change: (&'static str, &'static str),
) -> Kind {
    Kind { entity: EntityType::from_static(entity), table, lines, module, path, change }
}

const REFERENCE: (&str, &str) = ("reference_number", "reference_number");
const COMPANY: (&str, &str) = ("company_name", "company_name");
const DESCRIPTION: (&str, &str) = ("description", "description");

/// Every entity type that can be written, except stock.
pub(crate) static KINDS: [Kind; 11] = [
    kind(
        "sales_orders",
        "sales_orders",
        Some(("sales_order_lines", "document_id")),
        Module::SALES_ORDERS,
        "sales-orders",
        REFERENCE,
    ),
    kind(
        "customer_payments",
        "customer_payments",
        Some(("customer_payment_allocations", "payment_id")),
        Module::CUSTOMER_PAYMENTS,
        "customer-payments",
        REFERENCE,
    ),
    kind(
        "invoices",
        "invoices",
        Some(("invoice_lines", "document_id")),
        Module::INVOICES,
        "invoices",
        REFERENCE,
    ),
    kind("customers", "customers", None, Module::CONTACTS, "customers", COMPANY),
    kind("products", "products", None, Module::ITEMS, "products", DESCRIPTION),
    kind(
        "credit_notes",
        "credit_notes",
        Some(("credit_note_lines", "document_id")),
        Module::CREDIT_NOTES,
        "credit-notes",
        REFERENCE,
    ),
    kind("vendors", "vendors", None, Module::CONTACTS, "customers", COMPANY),
    kind("bills", "bills", Some(("bill_lines", "document_id")), Module::BILLS, "bills", REFERENCE),
    kind(
        "prices",
        "price_lists",
        Some(("price_list_items", "price_list_id")),
        Module::PRICE_LISTS,
        "prices",
        DESCRIPTION,
    ),
    kind(
        "purchase_orders",
        "purchase_orders",
        Some(("purchase_order_lines", "document_id")),
        Module::PURCHASE_ORDERS,
        "purchase-orders",
        REFERENCE,
    ),
    kind(
        "vendor_payments",
        "vendor_payments",
        Some(("vendor_payment_allocations", "payment_id")),
        Module::VENDOR_PAYMENTS,
        "vendor-payments",
        REFERENCE,
    ),
];
pub(crate) const STOCK: EntityType = EntityType::from_static("stock");

/// The local ids of what was entered, by entity type.
pub(crate) type Entered = BTreeMap<&'static str, i64>;

/// Enters one record of each entity type in one transaction. `tag` makes their names and numbers unique.
pub(crate) async fn enter(shop: &Both, tag: &str) -> Entered {
    let mut ids = Entered::new();
    let mut tx = shop.database.database().pool().begin().await.expect("a transaction");
    // Payments come first and contacts last as far as references allow: the order of the program is not that of Zoho.
    for (entity, sql) in statements(tag) {
        let filled =
            ids.iter().fold(sql, |sql, (name, id)| sql.replace(&format!("{{{name}}}"), &id.to_string()));
        let id = write_on(&mut tx, &filled).await;
        if !entity.is_empty() {
            ids.insert(entity, id);
        }
    }
    tx.commit().await.expect("committed");
    ids
}

/// Returns the statements, each with the entity type whose id it returns. `{customers}` stands for such an id.
fn statements(tag: &str) -> Vec<(&'static str, String)> {
    let document = "date, currency_code, reference_number";
    let values = format!("current_date, 'IQD', '{tag}'");
    vec![
        ("vendors", format!("INSERT INTO erp.vendors (name, currency_code) VALUES ('{tag} vendor', 'IQD') RETURNING id")),
        (
            "customers",
            format!(
                "INSERT INTO erp.customers (name, company_name, phone, currency_code) VALUES ('{tag} customer', '{tag}', '0770', 'IQD') RETURNING id"
            ),
        ),
        (
            "products",
            format!(
                "INSERT INTO erp.products (name, sku, unit, rate, item_type, product_type) VALUES ('{tag} cable', '{tag}', 'pcs', 1500.50, 'inventory', 'goods') RETURNING id"
            ),
        ),
        (
            "prices",
            format!(
                "INSERT INTO erp.price_lists (name, currency_code, pricebook_type, pricing_scheme, sales_or_purchase_type) VALUES ('{tag} prices', 'IQD', 'per_item', 'unit', 'sales') RETURNING id"
            ),
        ),
        (
            "",
            "INSERT INTO erp.price_list_items (price_list_id, product_id, rate) VALUES ({prices}, {products}, 1400)".to_owned(),
        ),
        (
            "sales_orders",
            format!("INSERT INTO erp.sales_orders (customer_id, status, {document}) VALUES ({{customers}}, 'open', {values}) RETURNING id"),
        ),
        (
            "",
            "INSERT INTO erp.sales_order_lines (document_id, position, product_id, quantity, rate) VALUES ({sales_orders}, 1, {products}, 3, 1500.50)".to_owned(),
        ),
        (
            "invoices",
            format!("INSERT INTO erp.invoices (customer_id, status, {document}) VALUES ({{customers}}, 'sent', {values}) RETURNING id"),
        ),
        (
            "",
            "INSERT INTO erp.invoice_lines (document_id, position, product_id, quantity, rate) VALUES ({invoices}, 1, {products}, 2, 1500.50), ({invoices}, 2, {products}, 1, 1000)".to_owned(),
        ),
        (
            "credit_notes",
            format!("INSERT INTO erp.credit_notes (customer_id, number, {document}) VALUES ({{customers}}, 'CN-{tag}', {values}) RETURNING id"),
        ),
        (
            "",
            "INSERT INTO erp.credit_note_lines (document_id, position, product_id, quantity, rate) VALUES ({credit_notes}, 1, {products}, 1, 1000)".to_owned(),
        ),
        (
            "bills",
            format!("INSERT INTO erp.bills (vendor_id, number, {document}) VALUES ({{vendors}}, 'B-{tag}', {values}) RETURNING id"),
        ),
        (
            "",
            "INSERT INTO erp.bill_lines (document_id, position, product_id, quantity, rate) VALUES ({bills}, 1, {products}, 10, 900)".to_owned(),
        ),
        (
            "purchase_orders",
            format!("INSERT INTO erp.purchase_orders (vendor_id, status, {document}) VALUES ({{vendors}}, 'open', {values}) RETURNING id"),
        ),
        (
            "",
            "INSERT INTO erp.purchase_order_lines (document_id, position, product_id, quantity, rate) VALUES ({purchase_orders}, 1, {products}, 5, 900)".to_owned(),
        ),
        (
            "customer_payments",
            format!(
                "INSERT INTO erp.customer_payments (customer_id, date, payment_mode, amount, reference_number) VALUES ({{customers}}, current_date, 'cash', 2500, '{tag}') RETURNING id"
            ),
        ),
        (
            "",
            "INSERT INTO erp.customer_payment_allocations (payment_id, document_id, amount_applied) VALUES ({customer_payments}, {invoices}, 2000)".to_owned(),
        ),
        (
            "vendor_payments",
            format!(
                "INSERT INTO erp.vendor_payments (vendor_id, date, payment_mode, amount, reference_number) VALUES ({{vendors}}, current_date, 'cash', 4000, '{tag}') RETURNING id"
            ),
        ),
        (
            "",
            "INSERT INTO erp.vendor_payment_allocations (payment_id, document_id, amount_applied) VALUES ({vendor_payments}, {bills}, 4000)".to_owned(),
        ),
        (
            "stock",
            format!("INSERT INTO erp.stock_adjustments (date, reason, description) VALUES (current_date, 'Counted', '{tag}') RETURNING id"),
        ),
        (
            "",
            "INSERT INTO erp.stock_adjustment_lines (document_id, position, product_id, quantity_adjusted) VALUES ({stock}, 1, {products}, 7)".to_owned(),
        ),
    ]
}
