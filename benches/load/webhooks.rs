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
