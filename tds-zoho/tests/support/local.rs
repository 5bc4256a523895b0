//! Records of the ERP with every column that a contract writes.

use serde_json::{Value, json};
use tds_core::{
    outbound::LocalRecord,
    record::{EntityType, Fields},
};
use tds_zoho::write::{Contract, contract_of};

/// The unique custom field of the tests.
pub(crate) const UNIQUE: &str = "cf_tds_id";

/// The ids of what the records refer to.
#[derive(Clone)]
pub(crate) struct Ids {
    pub(crate) customer: String,
    pub(crate) vendor: String,
    pub(crate) product: String,
    pub(crate) invoice: String,
    pub(crate) bill: String,
    pub(crate) tax: String,
    pub(crate) location: String,
}

impl Default for Ids {
    fn default() -> Self {
        let id = |n: u8| format!("46000000000000000{n:02}");
        Self {
            customer: id(1),
            vendor: id(2),
            product: id(3),
            invoice: id(4),
            bill: id(5),
            tax: id(6),
            location: id(7),
        }
    }
}

/// Returns the contract of an entity type.
pub(crate) fn contract(entity: &str) -> &'static Contract {
    contract_of(&entity.parse::<EntityType>().expect("an entity type")).expect("a contract")
}

/// The currency of the records: dollars.
const CURRENCY: &str = "4600000000000000099";

/// Returns our key of a record: the text of a UUID.
pub(crate) fn key(n: u32) -> String {
    format!("0f0e7a3c-6a52-4d0b-9d2f-{n:012}")
}

/// Returns a record with every column that a new record may have.
pub(crate) fn local(entity: &str, n: u32, ids: &Ids) -> LocalRecord {
    let (fields, table, rows) = content(entity, n, ids);
    let record = LocalRecord::new(key(n), object(fields));
    if table.is_empty() { record } else { record.with_rows(table, rows.into_iter().map(object).collect()) }
}

pub(crate) fn object(value: Value) -> Fields {
    match value {
        Value::Object(fields) => fields,
        _ => Fields::new(),
    }
}

/// Returns a number with exactly these digits.
pub(crate) fn digits(text: &str) -> Value {
    serde_json::from_str(text).expect("a number")
}

fn content(entity: &str, n: u32, ids: &Ids) -> (Value, &'static str, Vec<Value>) {
    let address = json!({
        "attention": "Sara", "address": "1 River St", "city": "Baghdad", "state": "", "zipcode": "10001",
        "country": "Iraq", "fax": "", "address_id": "460000000026053", "county": "",
    });
    let custom = json!({"cf_shelf": "A-1"});
    let lines = vec![
        json!({
            "position": 2, "product_zoho_id": ids.product, "name": "Cable 3m", "description": "red",
            "unit": "pcs", "quantity": digits("3.00"), "rate": digits("10.50"), "discount": "1.50",
            "tax_zoho_id": ids.tax, "total": digits("999.00"), "line_zoho_id": null,
        }),
        json!({
            "position": 1, "product_zoho_id": ids.product, "quantity": "2", "rate": "12.000",
            "discount": "5%", "tax_zoho_id": null,
        }),
    ];
    let sale = |number: &str| {
        json!({
            "customer_zoho_id": ids.customer, "number": number, "reference_number": format!("POS-{n}"),
            "date": "2026-11-28", "currency_zoho_id": CURRENCY, "currency_code": "USD",
            "exchange_rate": digits("1.00"), "discount": null, "shipping_charge": digits("5.00"),
            "adjustment": digits("-0.50"), "salesperson_name": "Ali", "location_zoho_id": ids.location,
            "notes": "Thanks", "terms": "Net 15", "custom_fields": custom, "billing_address": address,
            "shipping_address": address,
        })
    };
    let with = |mut record: Value, more: Value| {
        if let (Value::Object(record), Value::Object(more)) = (&mut record, more) {
            record.extend(more);
        }
        record
    };
    match entity {
        "sales_orders" => {
            let more = json!({"shipment_date": "2026-11-30", "delivery_method": "Taxi", "status": "open"});
            (with(sale(&format!("ERP-SO-{n}")), more), "sales_order_lines", lines)
        }
        "invoices" => {
            let more = json!({"due_date": "2026-12-13", "status": "sent"});
            (with(sale(&format!("ERP-INV-{n}")), more), "invoice_lines", lines)
        }
        "credit_notes" => {
            let more = json!({"status": "open", "shipping_charge": null, "adjustment": null, "salesperson_name": null});
            (with(sale(&format!("ERP-CN-{n}")), more), "credit_note_lines", lines)
        }
        "bills" | "purchase_orders" => {
            let is_bill = entity == "bills";
            let more = json!({
                "customer_zoho_id": null, "vendor_zoho_id": ids.vendor, "shipping_charge": null,
                "salesperson_name": null, "status": "open", "due_date": "2026-12-13",
                "delivery_date": "2026-12-01", "adjustment": if is_bill { digits("-0.50") } else { Value::Null },
            });
            let table = if is_bill { "bill_lines" } else { "purchase_order_lines" };
            (with(sale(&format!("ERP-B-{n}")), more), table, lines)
        }
        "customers" | "vendors" => {
            let contact = json!({
                "name": format!("Dijla Trading {n}"), "company_name": "Dijla", "contact_sub_type": "business",
                "payment_terms": 15, "payment_terms_label": "Net 15", "currency_zoho_id": CURRENCY,
                "currency_code": "USD", "credit_limit": digits("5000.00"), "price_list_zoho_id": null,
                "billing_address": address, "shipping_address": address, "notes": "since 2019",
                "first_name": "Sara", "last_name": "K", "email": "s@example.test", "phone": "+964170",
                "mobile": null, "status": "active", "custom_fields": custom,
            });
            (contact, "", Vec::new())
        }
        "products" => {
            let product = json!({
                "name": format!("Cable {n} m"), "rate": digits("12.500"), "sku": format!("CBL-{n}"),
                "description": "braided", "purchase_rate": digits("9.00"), "tax_zoho_id": ids.tax,
                "item_type": "inventory", "product_type": "goods", "reorder_level": digits("5.00"),
                "unit": "pcs", "upc": "111111111111", "ean": null, "status": "active", "custom_fields": custom,
            });
            (product, "", Vec::new())
        }
        "stock" => {
            let head = json!({
                "date": "2026-11-28", "reason": "Stocktaking results", "description": "second shelf",
                "location_zoho_id": ids.location,
            });
            let row = json!({
                "product_zoho_id": ids.product, "location_zoho_id": ids.location,
                "quantity_adjusted": digits("-3.000000"), "position": 1,
            });
            (head, "stock_adjustment_lines", vec![row])
        }
        "prices" => {
            let list = json!({
                "name": format!("Wholesale {n}"), "description": "for shops", "currency_zoho_id": CURRENCY,
                "currency_code": "USD", "pricebook_type": "per_item", "pricing_scheme": "volume",
                "sales_or_purchase_type": "sales", "percentage": null, "is_increase": false,
                "rounding_type": "no_rounding", "status": "active",
            });
            let bracket = |from: &str, to: Value, rate: &str| {
                json!({
                    "product_zoho_id": ids.product, "start_quantity": digits(from), "end_quantity": to,
                    "rate": digits(rate), "discount": null,
                })
            };
            let rows = vec![bracket("10.0", digits("19.0"), "11.80"), bracket("20.0", Value::Null, "11.00")];
            (list, "price_list_items", rows)
        }
        "customer_payments" | "vendor_payments" => {
            let is_sale = entity == "customer_payments";
            let payment = json!({
                "customer_zoho_id": if is_sale { json!(ids.customer) } else { Value::Null },
                "vendor_zoho_id": if is_sale { Value::Null } else { json!(ids.vendor) },
                "payment_mode": "cash", "amount": digits("20.00"), "date": "2026-11-28",
                "reference_number": format!("POS-{n}"), "description": "at the till",
                "exchange_rate": digits("1.00"), "bank_charges": if is_sale { digits("0.25") } else { Value::Null },
                "account_zoho_id": "4600000000000000361", "location_zoho_id": ids.location,
                "custom_fields": custom,
            });
            let row = json!({
                "position": 1, "document_zoho_id": if is_sale { &ids.invoice } else { &ids.bill },
                "document_number": "X", "amount_applied": digits("15.00"), "tax_amount_withheld": digits("0.00"),
            });
            let table = if is_sale { "customer_payment_allocations" } else { "vendor_payment_allocations" };
            (payment, table, vec![row])
        }
        other => panic!("no record for {other}"),
    }
}
