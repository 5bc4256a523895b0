//! Signed webhooks, which are made before the clock starts.

use secrecy::SecretString;
use tds_zoho::webhook;

use crate::server::SECRET;

/// Returns the JSON of one item, about 1 kB, in the form of a webhook body.
pub(crate) fn body(id: u64, change: u32) -> String {
    let (hour, minute, second) = (change / 3_600 % 24, change / 60 % 60, change % 60);
    format!(
        r#"{{"item":{{"item_id":"46000000{id:011}","name":"كيبل شحن {id}","sku":"CBL-{id}","unit":"pcs","status":"active",
"item_type":"inventory","product_type":"goods","description":"Black cable, braided, USB-C to USB-C, 60 W, {id}","rate":12500.{cents:02},
"purchase_rate":9000.125,"tax_id":"460000000076117","tax_name":"VAT","tax_percentage":15,"brand":"Dijla","manufacturer":"Dijla",
"category_id":"460000000011001","category_name":"كيبلات","upc":"","ean":"","reorder_level":10.00,"image_name":"cable.jpg",
"image_document_id":"460000000077012","group_id":"460000000055001","group_name":"Cables",
"custom_fields":[{{"customfield_id":"460000000099001","api_name":"cf_shelf","label":"Shelf","value":"A-{id}","data_type":"string"}}],
"stock_on_hand":42.000000,"available_stock":40.000000,"actual_available_stock":38.000000,"committed_stock":2.000000,
"created_time":"2024-02-01T10:54:54+0300","last_modified_time":"2026-09-14T{hour:02}:{minute:02}:{second:02}+0300"}}}}"#,
        cents = change % 100,
    )
}

/// Returns the JSON of an invoice with five lines, about 3 kB, in the form of a webhook body.
pub(crate) fn invoice(id: u64) -> String {
    let line = |line: u64| {
        format!(
            r#"{{"line_item_id":"46100000{:011}","item_id":"46000000{:011}","name":"كيبل شحن {line}","description":"","item_order":{line},
"rate":12500.00,"bcy_rate":12500.00,"quantity":2.00,"unit":"pcs","discount":0.00,"discount_amount":0.00,"tax_id":"","tax_name":"",
"tax_type":"tax","tax_percentage":0,"item_total":25000.00,"location_id":"460000000038080"}}"#,
            id * 5 + line,
            (id * 7 + line) % 8_000,
        )
    };
    let lines: Vec<String> = (0..5).map(line).collect();
    format!(
        r#"{{"invoice":{{"invoice_id":"46200000{id:011}","invoice_number":"INV-{id}","reference_number":"SO-{id}","status":"sent",
"customer_id":"46300000{customer:011}","customer_name":"Dijla Trading {customer}","date":"2026-11-17","due_date":"2026-12-02","payment_terms":15,
"currency_id":"460000000000097","currency_code":"IQD","exchange_rate":1.00,"is_inclusive_tax":false,"discount":0.00,
"discount_type":"item_level","is_discount_before_tax":true,"location_id":"460000000038080","location_name":"Main","line_items":[{}],
"sub_total":125000.00,"tax_total":0.00,"shipping_charge":0.00,"adjustment":0.00,"total":125000.00,"payment_made":0.00,
"credits_applied":0.00,"write_off_amount":0.00,"balance":125000.00,"taxes":[],"price_precision":2,
"billing_address":{{"address":"1 River St","city":"Baghdad","country":"Iraq"}},"shipping_address":{{"address":"1 River St","city":"Baghdad"}},
"notes":"Thank you","terms":"","custom_fields":[],"created_time":"2026-11-17T09:17:40+0300","last_modified_time":"2026-11-17T09:17:40+0300"}}}}"#,
        lines.join(","),
        customer = id % 3_000,
    )
}

/// Returns the whole request.
pub(crate) fn request(id: u64, change: u32) -> Vec<u8> {
    let body = body(id, change);
    let signature = webhook::sign(&SecretString::from(SECRET), &[], body.as_bytes());
    format!(
        "POST /api/zoho/webhooks/products HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\n\
         x-zoho-webhook-signature: {signature}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}
