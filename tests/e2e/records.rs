//! One whole record of each kind as Zoho shows it, and the rows that it must become, with every column.

use serde_json::{Value, json};

/// JSON whose numbers keep their literal text.
fn literal(text: &str) -> Value {
    serde_json::from_str(text).expect("a fixture is JSON")
}

/// An item with every field that a shop uses: Arabic text, exact amounts, two locations.
pub(crate) fn item() -> Value {
    literal(
        r#"{"item_id":"460000000027009","name":"كيبل شحن 3م","item_name":"كيبل شحن 3م","sku":"CBL-3","unit":"pcs",
        "status":"active","source":"user","item_type":"inventory","product_type":"goods","description":"أسود، \"USB-C\"",
        "rate":12500.00,"purchase_rate":9000.125,"tax_id":"460000000076117","tax_name":"VAT","tax_percentage":15,
        "brand":"Dijla","manufacturer":"","category_id":"460000000011001","category_name":"كيبلات","upc":"012345678905",
        "ean":"","reorder_level":10.00,"image_name":"cable.jpg","image_type":"jpg","image_document_id":"460000000077012",
        "group_id":"460000000055001","group_name":"Cables","attribute_id1":"460000000055002","attribute_name1":"الطول",
        "attribute_option_id1":"460000000055003","attribute_option_name1":"3 م","attribute_name2":"Colour","attribute_option_name2":"Black",
        "custom_fields":[{"customfield_id":"460000000099001","api_name":"cf_shelf","label":"Shelf","value":"A-12","data_type":"string","index":1}],
        "stock_on_hand":42.000000,"available_stock":40.000000,"actual_available_stock":38.000000,"committed_stock":2.000000,
        "locations":[
         {"location_id":"460000000038080","location_name":"المخزن الرئيسي","status":"active","is_primary":true,
          "location_stock_on_hand":45.0,"location_available_stock":43.0,"location_actual_available_stock":41.0,"location_committed_stock":2.0,
          "location_available_for_sale_stock":43.0,"location_actual_available_for_sale_stock":41.0},
         {"location_id":"460000000038081","location_name":"Basra","status":"active","is_primary":false,
          "location_stock_on_hand":-3.0,"location_available_stock":-3.0,"location_actual_available_stock":-3.0,"location_committed_stock":0.0,
          "location_available_for_sale_stock":-3.0,"location_actual_available_for_sale_stock":-3.0}],
        "created_time":"2024-02-01T10:54:54+0300","last_modified_time":"2026-09-14T15:44:57+0300"}"#,
    )
}

/// The row of [`item`] in `erp.products`.
pub(crate) fn item_row() -> Value {
    literal(
        r#"{"zoho_id":"460000000027009","sku":"CBL-3","name":"كيبل شحن 3م","description":"أسود، \"USB-C\"","unit":"pcs",
        "status":"active","item_type":"inventory","product_type":"goods","rate":12500.00,"purchase_rate":9000.125,
        "tax_zoho_id":"460000000076117","tax_percentage":15,"brand":"Dijla","manufacturer":null,
        "category_zoho_id":"460000000011001","category_name":"كيبلات","upc":"012345678905","ean":null,"reorder_level":10.00,
        "image_document_id":"460000000077012","image_name":"cable.jpg","group_zoho_id":"460000000055001","attribute_values":{"الطول":"3 م","Colour":"Black"},
        "custom_fields":{"cf_shelf":"A-12"},"zoho_created_at":"2024-02-01T07:54:54+00:00",
        "zoho_modified_at":"2026-09-14T12:44:57+00:00","deleted_at":null}"#,
    )
}

/// The rows of [`item`] in `erp.stock_levels`, by location.
pub(crate) fn stock_rows() -> Value {
    literal(
        r#"[{"product_zoho_id":"460000000027009","location_zoho_id":"","location_name":null,"stock_on_hand":42.000000,
          "available_stock":40.000000,"actual_available_stock":38.000000,"committed_stock":2.000000},
         {"product_zoho_id":"460000000027009","location_zoho_id":"460000000038080","location_name":"المخزن الرئيسي","stock_on_hand":45.0,
          "available_stock":43.0,"actual_available_stock":41.0,"committed_stock":2.0},
         {"product_zoho_id":"460000000027009","location_zoho_id":"460000000038081","location_name":"Basra","stock_on_hand":-3.0,
          "available_stock":-3.0,"actual_available_stock":-3.0,"committed_stock":0.0}]"#,
    )
}

/// A contact with addresses and a person; `kind` is `customer` or `vendor`.
pub(crate) fn contact(kind: &str) -> Value {
    let (id, amounts) = if kind == "customer" {
        (
            "460000000026049",
            r#""outstanding_receivable_amount":250.50,"unused_credits_receivable_amount":0.00"#,
        )
    } else {
        ("460000000038029", r#""outstanding_payable_amount":250.50,"unused_credits_payable_amount":0.00"#)
    };
    literal(&format!(
        r#"{{"contact_id":"{id}","contact_name":"شركة دجلة للتجارة","company_name":"Dijla Trading","contact_type":"{kind}",
        "customer_sub_type":"business","status":"active","first_name":"سارة","last_name":"K","email":"s@example.test","phone":"",
        "mobile":"+9647000000001","payment_terms":15,"payment_terms_label":"Net 15","currency_id":"460000000000097",
        "currency_code":"IQD","credit_limit":5000000.00,"pricebook_id":"460000000000123","pricebook_name":"Wholesale A",
        "primary_contact_id":"460000000026051",
        "billing_address":{{"address_id":"460000000026053","attention":"","address":"1 River St","street2":"","city":"بغداد","state":"",
         "state_code":"","zip":"10001","country":"Iraq","country_code":"IQ","phone":"","fax":""}},
        "shipping_address":{{"address_id":"460000000026055","address":"","city":"","country":""}},"addresses":[],
        "contact_persons":[{{"contact_person_id":"460000000026051","first_name":"سارة","last_name":"K","email":"s@example.test",
         "phone":"","mobile":"","is_primary_contact":true}}],
        "custom_fields":[{{"field_id":"982000000991001","api_name":"cf_risk_score","label":"Credit Risk","data_type":"dropdown","value":"Medium","index":1}}],
        {amounts},"notes":"يدفع نقدا","created_time":"2025-08-05T12:06:10+0300","last_modified_time":"2026-10-07T18:24:51+0300"}}"#
    ))
}

/// The row of [`contact`] in `erp.customers` or `erp.vendors`.
pub(crate) fn contact_row(kind: &str) -> Value {
    let source = contact(kind);
    let mut row = literal(
        r#"{"name":"شركة دجلة للتجارة","company_name":"Dijla Trading","contact_sub_type":"business","status":"active",
        "first_name":"سارة","last_name":"K","email":"s@example.test","phone":null,"mobile":"+9647000000001","currency_code":"IQD",
        "payment_terms":15,"payment_terms_label":"Net 15","credit_limit":5000000.00,"outstanding_amount":250.50,
        "unused_credits":0.00,"price_list_zoho_id":"460000000000123","notes":"يدفع نقدا",
        "custom_fields":{"cf_risk_score":"Medium"},"zoho_created_at":"2025-08-05T09:06:10+00:00",
        "zoho_modified_at":"2026-10-07T15:24:51+00:00","deleted_at":null}"#,
    );
    for (column, key) in [
        ("zoho_id", "contact_id"),
        ("billing_address", "billing_address"),
        ("shipping_address", "shipping_address"),
        ("contact_persons", "contact_persons"),
    ] {
        row[column] = source[key].clone();
    }
    row
}

const HEAD: &str = r#""reference_number":"SO-77","date":"2026-11-17","currency_code":"IQD","exchange_rate":1.00,
    "location_id":"460000000038080","location_name":"Main","discount":"5%","discount_type":"entity_level",
    "sub_total":25000.00,"tax_total":0.25,"adjustment":0.00,"total":25000.25,"balance":20000.25,"payment_made":5000.00,
    "taxes":[{"tax_name":"VAT","tax_amount":0.25}],"price_precision":2,"notes":"شكرا","terms":"",
    "billing_address":{"address":"1 River St","city":"بغداد"},"custom_fields":[],
    "created_time":"2026-11-17T09:17:40+0300""#;

const LINES: &str = r#"[{"line_item_id":"460000000567021","item_id":"460000000027009","name":"كيبل شحن 3م","description":"","item_order":1,
     "rate":12500.00,"bcy_rate":12500.00,"quantity":2.00,"unit":"pcs","discount":"5%","discount_amount":1250.00,
     "tax_id":"460000000076117","tax_name":"VAT","tax_type":"tax","tax_percentage":15,"item_total":25000.00},
    {"line_item_id":"460000000567022","item_id":"","name":"Delivery","description":"إلى الكرادة","item_order":2,
     "rate":0.10,"bcy_rate":0.10,"quantity":1.5,"unit":"","discount":0.00,"discount_amount":0.00,
     "tax_id":"","tax_name":"","tax_percentage":0,"item_total":0.15}]"#;

/// The kinds of documents that have lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Invoice,
    Bill,
    CreditNote,
}

impl Kind {
    pub(crate) const ALL: [Self; 3] = [Self::Invoice, Self::Bill, Self::CreditNote];

    /// The entity type, which is also the name of the head table.
    pub(crate) fn entity(self) -> &'static str {
        match self {
            Self::Invoice => "invoices",
            Self::Bill => "bills",
            Self::CreditNote => "credit_notes",
        }
    }

    pub(crate) fn lines_table(self) -> &'static str {
        match self {
            Self::Invoice => "invoice_lines",
            Self::Bill => "bill_lines",
            Self::CreditNote => "credit_note_lines",
        }
    }

    /// The key of one record in Zoho's envelopes.
    pub(crate) fn key(self) -> &'static str {
        match self {
            Self::Invoice => "invoice",
            Self::Bill => "bill",
            Self::CreditNote => "creditnote",
        }
    }
}

/// A document with two lines.
pub(crate) fn document(kind: Kind) -> Value {
    let own = match kind {
        Kind::Invoice => {
            r#""invoice_id":"460000000567114","invoice_number":"INV-00003","status":"sent","customer_id":"460000000026049",
            "customer_name":"شركة دجلة","due_date":"2026-12-02","shipping_charge":0.00,"salesperson_name":"علي",
            "shipping_address":{"city":"Basra"},"last_modified_time":"2026-11-17T09:17:41+0300""#
        }
        Kind::Bill => {
            r#""bill_id":"460000000567114","bill_number":"B-454","status":"open","vendor_id":"460000000038029",
            "vendor_name":"Acme","due_date":"2026-12-02","last_modified_time":"2026-11-17T09:17:41+0300""#
        }
        Kind::CreditNote => {
            r#""creditnote_id":"460000000567114","creditnote_number":"CN-29","status":"open","customer_id":"460000000026049",
            "customer_name":"شركة دجلة","last_modified_time":"2026-11-17T09:17:41+0300""#
        }
    };
    literal(&format!("{{{own},{HEAD},\"line_items\":{LINES}}}"))
}

/// The row of [`document`] in its head table.
pub(crate) fn document_row(kind: Kind) -> Value {
    let mut row = literal(
        r#"{"zoho_id":"460000000567114","reference_number":"SO-77","date":"2026-11-17","currency_code":"IQD","exchange_rate":1.00,
        "sub_total":25000.00,"tax_total":0.25,"total":25000.25,"balance":20000.25,
        "zoho_created_at":"2026-11-17T06:17:40+00:00","zoho_modified_at":"2026-11-17T06:17:41+00:00",
        "custom_fields":{},"deleted_at":null}"#,
    );
    let own = match kind {
        Kind::Invoice => {
            json!({"number": "INV-00003", "status": "sent", "customer_zoho_id": "460000000026049",
            "customer_name": "شركة دجلة", "due_date": "2026-12-02", "discount": "5%", "shipping_charge": literal("0.00"),
            "adjustment": literal("0.00"), "payment_made": literal("5000.00"), "salesperson_name": "علي",
            "location_zoho_id": "460000000038080", "notes": "شكرا", "terms": null,
            "billing_address": {"address": "1 River St", "city": "بغداد"}, "shipping_address": {"city": "Basra"},
            "taxes": literal(r#"[{"tax_name":"VAT","tax_amount":0.25}]"#)})
        }
        Kind::Bill => json!({"number": "B-454", "status": "open", "vendor_zoho_id": "460000000038029",
            "vendor_name": "Acme", "due_date": "2026-12-02", "payment_made": literal("5000.00")}),
        Kind::CreditNote => {
            json!({"number": "CN-29", "status": "open", "customer_zoho_id": "460000000026049",
            "customer_name": "شركة دجلة"})
        }
    };
    for (column, value) in own.as_object().expect("an object") {
        row[column] = value.clone();
    }
    row
}

/// The rows of [`document`] in its line table, by position.
pub(crate) fn line_rows() -> Value {
    literal(
        r#"[{"document_zoho_id":"460000000567114","line_zoho_id":"460000000567021","position":1,"product_zoho_id":"460000000027009",
          "name":"كيبل شحن 3م","description":null,"unit":"pcs","quantity":2.00,"rate":12500.00,"discount":"5%","discount_amount":1250.00,
          "tax_zoho_id":"460000000076117","tax_name":"VAT","tax_percentage":15,"total":25000.00},
         {"document_zoho_id":"460000000567114","line_zoho_id":"460000000567022","position":2,"product_zoho_id":null,
          "name":"Delivery","description":"إلى الكرادة","unit":null,"quantity":1.5,"rate":0.10,"discount":"0.00","discount_amount":0.00,
          "tax_zoho_id":null,"tax_name":null,"tax_percentage":0,"total":0.15}]"#,
    )
}

/// A price list with a plain price, a discount and two quantity brackets.
pub(crate) fn price_list() -> Value {
    literal(
        r#"{"pricebook_id":"460000000870002","name":"جملة A","description":"","currency_id":"460000000000097","currency_code":"IQD",
        "decimal_place":0,"is_increase":false,"percentage":"","pricebook_rate":"","pricebook_type":"per_item","pricing_scheme":"volume",
        "rounding_type":"no_rounding","sales_or_purchase_type":"sales","status":"active","is_default":false,"products":[],
        "last_modified_time":"2026-05-09T13:10:22+0300","pricebook_items":[
        {"pricebook_item_id":"460000000870101","item_id":"460000000027009","name":"Cable 3m","pricebook_rate":11800.00,"pricebook_discount":""},
        {"item_id":"460000000027010","name":"Cable 5m","price_brackets":[
          {"pricebook_item_id":"460000000870201","start_quantity":10.0,"end_quantity":19.0,"pricebook_rate":15000.0,"pricebook_discount":"5%"},
          {"pricebook_item_id":"460000000870202","start_quantity":20.0,"end_quantity":"","pricebook_rate":"","pricebook_discount":""}]}]}"#,
    )
}

/// The row of [`price_list`] in `erp.price_lists`.
pub(crate) fn price_list_row() -> Value {
    literal(
        r#"{"zoho_id":"460000000870002","name":"جملة A","description":null,"currency_code":"IQD","pricebook_type":"per_item",
        "pricing_scheme":"volume","sales_or_purchase_type":"sales","percentage":null,"is_increase":false,"rounding_type":"no_rounding",
        "status":"active","deleted_at":null}"#,
    )
}

/// The rows of [`price_list`] in `erp.price_list_items`, by product and start.
pub(crate) fn price_rows() -> Value {
    literal(
        r#"[{"price_list_zoho_id":"460000000870002","product_zoho_id":"460000000027009","start_quantity":null,"end_quantity":null,"rate":11800.00,"discount":null},
         {"price_list_zoho_id":"460000000870002","product_zoho_id":"460000000027010","start_quantity":10.0,"end_quantity":19.0,"rate":15000.0,"discount":"5%"},
         {"price_list_zoho_id":"460000000870002","product_zoho_id":"460000000027010","start_quantity":20.0,"end_quantity":null,"rate":null,"discount":null}]"#,
    )
}
