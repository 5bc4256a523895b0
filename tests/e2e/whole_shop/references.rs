//! Item groups, composite items, currencies, taxes and locations.

use serde_json::json;
use tds_zoho::testkit::Module;

use super::{Case, literal};

/// One record of each entity type that other records refer to.
pub(crate) fn cases() -> Vec<Case> {
    vec![item_group(), composite_item(), currency(), tax(), location()]
}

fn item_group() -> Case {
    let record = literal(
        r#"{"group_id":"460000000055001","group_name":"كيبلات شحن","product_type":"goods","unit":"pcs","description":"أسود، \"USB-C\"",
        "brand":"Dijla","manufacturer":"","is_taxable":true,"tax_id":"460000000076117","tax_name":"VAT","tax_percentage":15,
        "status":"active","source":"user","attribute_id1":"460000000055002","attribute_name1":"الطول",
        "attributes":[{"id":"460000000055002","name":"الطول","options":[{"id":"460000000055003","name":"3 م"},{"id":"460000000055004","name":"5 م"}]},
         {"id":"460000000055005","name":"Colour","options":[{"id":"460000000055006","name":"Black"}]}],
        "items":[{"item_id":"460000000027009","name":"كيبل شحن 3م","attribute_option_name1":"3 م"}],
        "custom_fields":[{"customfield_id":"460000000099002","label":"Season","value":"2026"}],
        "created_time":"2024-02-01T10:54:54+0300"}"#,
    );
    let row = literal(
        r#"{"zoho_id":"460000000055001","name":"كيبلات شحن","unit":"pcs","description":"أسود، \"USB-C\"","brand":"Dijla",
        "manufacturer":null,"status":"active","tax_zoho_id":"460000000076117",
        "attributes":[{"name":"الطول","options":["3 م","5 م"]},{"name":"Colour","options":["Black"]}],
        "custom_fields":{"Season":"2026"},"zoho_created_at":"2024-02-01T07:54:54+00:00"}"#,
    );
    let attributes =
        r#"[{"id":"460000000055002","name":"الطول","options":[{"id":"460000000055003","name":"3 م"}]}]"#;
    let changed = json!({"status": "inactive", "attributes": [{"name": "الطول", "options": ["3 م"]}]});
    Case {
        entity: "item_groups",
        module: Module::ITEM_GROUPS,
        webhook: None,
        record,
        row,
        children: Vec::new(),
        change: (json!({"status": "inactive", "attributes": literal(attributes)}), changed, None),
    }
}

fn composite_item() -> Case {
    let record = literal(
        r#"{"composite_item_id":"460000000053250","name":"طقم البداية","sku":"KIT-1","unit":"طقم","status":"active","source":"user",
        "description":"","is_combo_product":true,"combo_type":"kit","item_type":"inventory","product_type":"goods",
        "rate":21500.50,"purchase_rate":15000.125,"tax_id":"","tax_name":"","tax_percentage":0,
        "custom_fields":[{"customfield_id":"460000000099003","label":"Box","value":"ب-7"}],
        "mapped_items":[
         {"line_item_id":"460000000053251","item_id":"460000000027009","item_order":1,"name":"كيبل شحن 3م","quantity":2.50,"rate":12500.00},
         {"line_item_id":"460000000053252","item_id":"460000000027010","item_order":2,"name":"Charger","quantity":1,"rate":9000.00}],
        "created_time":"2024-02-01T10:54:54+0300"}"#,
    );
    let row = literal(
        r#"{"zoho_id":"460000000053250","sku":"KIT-1","name":"طقم البداية","unit":"طقم","status":"active","rate":21500.50,
        "purchase_rate":15000.125,"item_type":"inventory","custom_fields":{"Box":"ب-7"},"zoho_created_at":"2024-02-01T07:54:54+00:00"}"#,
    );
    let components = literal(
        r#"[{"composite_zoho_id":"460000000053250","position":1,"product_zoho_id":"460000000027009","name":"كيبل شحن 3م","quantity":2.50},
         {"composite_zoho_id":"460000000053250","position":2,"product_zoho_id":"460000000027010","name":"Charger","quantity":1}]"#,
    );
    let change = literal(
        r#"{"rate":21750.25,"mapped_items":[{"line_item_id":"460000000053251","item_id":"460000000027009","item_order":1,
        "name":"كيبل شحن 3م","quantity":3.25,"rate":12500.00}]}"#,
    );
    let changed = literal(
        r#"[{"composite_zoho_id":"460000000053250","position":1,"product_zoho_id":"460000000027009","name":"كيبل شحن 3م","quantity":3.25}]"#,
    );
    Case {
        entity: "composite_items",
        module: Module::COMPOSITE_ITEMS,
        webhook: Some("composite-items"),
        record,
        row,
        children: vec![("composite_item_components", "composite_zoho_id", "position", components)],
        change: (change, literal(r#"{"rate":21750.25}"#), Some(changed)),
    }
}

fn currency() -> Case {
    let record = literal(
        r#"{"currency_id":"460000000000097","currency_code":"IQD","currency_name":"IQD- دينار عراقي","currency_symbol":"د.ع",
        "price_precision":0,"currency_format":"1,234,567","is_base_currency":false,"exchange_rate":0.000763358,"effective_date":"2026-10-01",
        "exchange_rates":[
         {"exchange_rate_id":"2","currency_id":"460000000000097","currency_code":"IQD","effective_date":"2026-10-01","rate":0.000763358},
         {"exchange_rate_id":"1","currency_id":"460000000000097","currency_code":"","effective_date":"2026-09-01","rate":0.00076000}]}"#,
    );
    let row = literal(
        r#"{"zoho_id":"460000000000097","code":"IQD","name":"IQD- دينار عراقي","symbol":"د.ع","price_precision":0,"format":"1,234,567",
        "is_base_currency":false,"exchange_rate":0.000763358,"effective_date":"2026-10-01"}"#,
    );
    let rates = literal(
        r#"[{"currency_zoho_id":"460000000000097","currency_code":"IQD","effective_date":"2026-09-01","rate":0.00076000},
         {"currency_zoho_id":"460000000000097","currency_code":"IQD","effective_date":"2026-10-01","rate":0.000763358}]"#,
    );
    let change = literal(
        r#"{"exchange_rate":0.000770001,"effective_date":"2026-11-01","exchange_rates":[
         {"exchange_rate_id":"3","currency_id":"460000000000097","currency_code":"IQD","effective_date":"2026-11-01","rate":0.000770001},
         {"exchange_rate_id":"2","currency_id":"460000000000097","currency_code":"IQD","effective_date":"2026-10-01","rate":0.000763358},
         {"exchange_rate_id":"1","currency_id":"460000000000097","currency_code":"","effective_date":"2026-09-01","rate":0.00076000}]}"#,
    );
    let mut changed = rates.clone();
    let newest = r#"{"currency_zoho_id":"460000000000097","currency_code":"IQD","effective_date":"2026-11-01","rate":0.000770001}"#;
    changed.as_array_mut().expect("rows").push(literal(newest));
    let columns = literal(r#"{"exchange_rate":0.000770001,"effective_date":"2026-11-01"}"#);
    Case {
        entity: "currencies",
        module: Module::CURRENCIES,
        webhook: None,
        record,
        row,
        children: vec![("exchange_rates", "currency_zoho_id", "effective_date", rates)],
        change: (change, columns, Some(changed)),
    }
}

fn tax() -> Case {
    let record = literal(
        r#"{"tax_id":"460000000076117","tax_name":"ضريبة المبيعات","tax_percentage":10.50,"tax_type":"tax","tax_factor":"rate",
        "tax_specific_type":"","tax_authority_id":"","tax_authority_name":"","is_value_added":true,"is_default_tax":true,
        "is_editable":true,"status":"Active"}"#,
    );
    let row = literal(
        r#"{"zoho_id":"460000000076117","name":"ضريبة المبيعات","percentage":10.50,"tax_type":"tax","status":"Active"}"#,
    );
    Case {
        entity: "taxes",
        module: Module::TAXES,
        webhook: None,
        record,
        row,
        children: Vec::new(),
        change: (literal(r#"{"tax_percentage":12.250}"#), literal(r#"{"percentage":12.250}"#), None),
    }
}

fn location() -> Case {
    let record = literal(
        r#"{"location_id":"460000000038080","location_name":"المخزن الرئيسي","type":"general","is_location_active":true,
        "is_primary_location":true,"parent_location_id":"460000000041010","email":"store@example.test","phone":"",
        "address":{"city":"بغداد","country":"Iraq","street_address1":"1 River St"}}"#,
    );
    let row = literal(
        r#"{"zoho_id":"460000000038080","name":"المخزن الرئيسي","location_type":"general","status":"active","is_primary":true,
        "parent_zoho_id":"460000000041010","email":"store@example.test","phone":null,
        "address":{"city":"بغداد","country":"Iraq","street_address1":"1 River St"}}"#,
    );
    let change =
        json!({"phone": "+9647000000001", "is_location_active": false, "is_primary_location": false});
    let columns = json!({"phone": "+9647000000001", "status": "inactive", "is_primary": false});
    Case {
        entity: "locations",
        module: Module::LOCATIONS,
        webhook: None,
        record,
        row,
        children: Vec::new(),
        change: (change, columns, None),
    }
}
