//! Orders, credits of vendors, and payments with the documents that they pay.

use serde_json::{Value, json};
use tds_zoho::testkit::Module;

use super::{Case, literal};

/// A record as Zoho shows it, and the rows that it must become, with every column. The id, `reference_number` and the
/// times are added.
struct Kind {
    entity: &'static str,
    webhook: &'static str,
    module: Module,
    /// The key of the list that fills the child table.
    list: &'static str,
    children: &'static str,
    /// The column of the child table that names the record.
    owner: &'static str,
    record: &'static str,
    row: &'static str,
    /// The rows of the child table, by position.
    rows: &'static str,
}

const ID: &str = "460000000610001";

/// One record of each entity type that shows trade.
pub(crate) fn cases() -> Vec<Case> {
    KINDS.iter().map(Kind::case).collect()
}

impl Kind {
    /// Returns the case. In the change, the record has another reference and only the second element of its list.
    fn case(&self) -> Case {
        let (mut record, mut row, mut rows) = (literal(self.record), literal(self.row), literal(self.rows));
        record[self.module.id_key] = json!(ID);
        record["reference_number"] = json!("مرجع 1");
        row["zoho_id"] = json!(ID);
        row["reference_number"] = json!("مرجع 1");
        for row in rows.as_array_mut().expect("rows") {
            row[self.owner] = json!(ID);
        }
        let second = record[self.list][1].clone();
        let mut left = rows.as_array().expect("rows")[row_of_second(&second)].clone();
        if second.get("item_order").is_none() {
            left["position"] = json!(1);
        }
        Case {
            entity: self.entity,
            module: self.module,
            webhook: Some(self.webhook),
            change: (
                json!({"reference_number": "R-2", self.list: [second]}),
                json!({"reference_number": "R-2"}),
                Some(json!([left])),
            ),
            record,
            row,
            children: vec![(self.children, self.owner, "position", rows)],
        }
    }
}

/// Returns the index of the row of the second element of the list. Rows are in the order of `item_order`.
fn row_of_second(second: &Value) -> usize {
    usize::from(second.get("item_order") != Some(&json!(1)))
}

const KINDS: [Kind; 5] = [
    Kind {
        entity: "sales_orders",
        webhook: "sales-orders",
        module: Module::SALES_ORDERS,
        list: "line_items",
        children: "sales_order_lines",
        owner: "document_zoho_id",
        record: r#"{"salesorder_number":"SO-77","status":"partially_invoiced","order_status":"open",
            "invoiced_status":"partially_invoiced","paid_status":"unpaid","shipped_status":"partially_shipped",
            "customer_id":"460000000026049","customer_name":"شركة دجلة","date":"2026-11-17","shipment_date":"2026-11-20",
            "currency_id":"460000000000097","currency_code":"IQD","exchange_rate":0.000763358,"discount":"5%","sub_total":25000.15,
            "tax_total":0.25,"shipping_charge":1500.00,"adjustment":-0.40,"total":26500.00,"balance":"13250.005",
            "salesperson_name":"علي","location_id":"460000000038080","location_name":"Main","delivery_method":"سيارة",
            "notes":"شكرا 🚚","terms":"","billing_address":{"address":"1 River St","city":"بغداد","zip":"10001"},
            "shipping_address":{"city":"Basra"},"taxes":[{"tax_name":"VAT","tax_amount":0.25}],"invoices":[],"packages":[],
            "custom_fields":[{"customfield_id":"460000000099001","api_name":"cf_shelf","label":"Shelf","value":"رف ١٢"}],
            "line_items":[
            {"line_item_id":"460000000567021","item_id":"460000000027009","name":"كيبل شحن 3م","description":"","item_order":1,
             "rate":12500.00,"bcy_rate":9.54,"quantity":2.00,"quantity_invoiced":1.00,"quantity_packed":1.0,"quantity_shipped":"0.50",
             "quantity_cancelled":0,"unit":"pcs","discount":"5%","discount_amount":1250.00,"tax_id":"460000000076117","tax_name":"VAT",
             "tax_type":"tax","tax_percentage":15,"item_total":25000.00},
            {"line_item_id":"460000000567022","item_id":"","name":"Delivery","description":"إلى الكرادة","item_order":2,"rate":0.10,
             "bcy_rate":0.10,"quantity":1.5,"quantity_invoiced":"","unit":"","discount":0.00,"discount_amount":0.00,"tax_id":"",
             "tax_name":"","tax_percentage":0,"item_total":0.15}],
            "created_time":"2026-11-17T09:17:40+0300"}"#,
        row: r#"{"number":"SO-77","status":"partially_invoiced","order_status":"open","invoiced_status":"partially_invoiced",
            "paid_status":"unpaid","shipped_status":"partially_shipped","customer_zoho_id":"460000000026049",
            "customer_name":"شركة دجلة","date":"2026-11-17","shipment_date":"2026-11-20","currency_code":"IQD",
            "exchange_rate":0.000763358,"sub_total":25000.15,"discount":"5%","tax_total":0.25,"shipping_charge":1500.00,
            "adjustment":-0.40,"total":26500.00,"balance":13250.005,"salesperson_name":"علي","location_zoho_id":"460000000038080",
            "delivery_method":"سيارة","notes":"شكرا 🚚","terms":null,
            "billing_address":{"address":"1 River St","city":"بغداد","zip":"10001"},"shipping_address":{"city":"Basra"},
            "taxes":[{"tax_name":"VAT","tax_amount":0.25}],"custom_fields":{"cf_shelf":"رف ١٢"},
            "zoho_created_at":"2026-11-17T06:17:40+00:00"}"#,
        rows: r#"[{"line_zoho_id":"460000000567021","position":1,"product_zoho_id":"460000000027009","name":"كيبل شحن 3م",
            "description":null,"unit":"pcs","quantity":2.00,"rate":12500.00,"discount":"5%","discount_amount":1250.00,
            "tax_zoho_id":"460000000076117","tax_name":"VAT","tax_percentage":15,"total":25000.00,"quantity_invoiced":1.00,
            "quantity_packed":1.0,"quantity_shipped":0.50,"quantity_cancelled":0},
            {"line_zoho_id":"460000000567022","position":2,"product_zoho_id":null,"name":"Delivery","description":"إلى الكرادة",
            "unit":null,"quantity":1.5,"rate":0.10,"discount":"0.00","discount_amount":0.00,"tax_zoho_id":null,"tax_name":null,
            "tax_percentage":0,"total":0.15,"quantity_invoiced":null,"quantity_packed":null,"quantity_shipped":null,
            "quantity_cancelled":null}]"#,
    },
    Kind {
        entity: "purchase_orders",
        webhook: "purchase-orders",
        module: Module::PURCHASE_ORDERS,
        list: "line_items",
        children: "purchase_order_lines",
        owner: "document_zoho_id",
        record: r#"{"purchaseorder_number":"PO-9","status":"partially_billed","billed_status":"partially_billed",
            "received_status":"received","vendor_id":"460000000038029","vendor_name":"شركة الخليج","date":"2026-11-17",
            "delivery_date":"2026-11-27","expected_delivery_date":"2026-11-29","currency_code":"IQD","exchange_rate":"",
            "discount":12.50,"sub_total":700.00,"tax_total":"0.10","adjustment":0.40,"total":688.000,
            "location_id":"460000000038080","notes":"","terms":"الدفع نقدا","taxes":[],"custom_fields":[],"bills":[],
            "line_items":[
            {"line_item_id":"460000000568021","item_id":"460000000027009","account_id":"460000000000403","name":"كيبل شحن 3م",
             "description":"كرتون","item_order":1,"rate":7.00,"bcy_rate":7.00,"quantity":100.0,"quantity_received":100.0,
             "quantity_billed":60.00,"unit":"pcs","tax_id":"","tax_name":"","tax_percentage":0,"item_total":700.00},
            {"line_item_id":"460000000568022","item_id":"","name":"شحن","description":"","item_order":2,"rate":0.00,"quantity":1,
             "quantity_received":0,"unit":"","tax_id":"460000000076117","tax_name":"VAT","tax_percentage":15,"item_total":0.00}],
            "created_time":"2026-11-17T09:17:40+0300"}"#,
        row: r#"{"number":"PO-9","status":"partially_billed","billed_status":"partially_billed","received_status":"received",
            "vendor_zoho_id":"460000000038029","vendor_name":"شركة الخليج","date":"2026-11-17","delivery_date":"2026-11-27",
            "currency_code":"IQD","exchange_rate":null,"sub_total":700.00,"discount":"12.50","tax_total":0.10,"adjustment":0.40,
            "total":688.000,"location_zoho_id":"460000000038080","notes":null,"terms":"الدفع نقدا","taxes":[],"custom_fields":{},
            "zoho_created_at":"2026-11-17T06:17:40+00:00"}"#,
        rows: r#"[{"line_zoho_id":"460000000568021","position":1,"product_zoho_id":"460000000027009","name":"كيبل شحن 3م",
            "description":"كرتون","unit":"pcs","quantity":100.0,"rate":7.00,"discount":null,"discount_amount":null,
            "tax_zoho_id":null,"tax_name":null,"tax_percentage":0,"total":700.00,"quantity_received":100.0,"quantity_billed":60.00},
            {"line_zoho_id":"460000000568022","position":2,"product_zoho_id":null,"name":"شحن","description":null,"unit":null,
            "quantity":1,"rate":0.00,"discount":null,"discount_amount":null,"tax_zoho_id":"460000000076117","tax_name":"VAT",
            "tax_percentage":15,"total":0.00,"quantity_received":0,"quantity_billed":null}]"#,
    },
    Kind {
        entity: "vendor_credits",
        webhook: "vendor-credits",
        module: Module::VENDOR_CREDITS,
        list: "line_items",
        children: "vendor_credit_lines",
        owner: "document_zoho_id",
        record: r#"{"vendor_credit_number":"VC-3","status":"open","vendor_id":"460000000038029","vendor_name":"شركة الخليج",
            "date":"2026-11-18","currency_code":"USD","exchange_rate":1.000000,"sub_total":14.00,"tax_total":0.07,"total":14.07,
            "balance":4.07,"total_credits_used":10.00,"location_id":"","notes":"بضاعة تالفة","custom_fields":[],
            "bills_credited":[{"bill_id":"460000000098765","vendor_credit_bill_id":"460000000098799","amount":10.00}],
            "line_items":[
            {"line_item_id":"460000000569021","item_id":460000000027009,"account_id":"460000000000403","name":"كيبل شحن 3م",
             "description":"","item_order":2,"rate":"7.000","quantity":2,"unit":"pcs","tax_id":"460000000076117","tax_name":"VAT",
             "tax_percentage":0.5,"item_total":14.00},
            {"line_item_id":"460000000569022","item_id":"460000000027010","name":"Cable 5m","description":"","item_order":1,
             "rate":0,"quantity":1.25,"unit":"pcs","tax_id":"","tax_name":"","tax_percentage":"","item_total":0.00}],
            "created_time":"2026-11-18T09:17:40+0300"}"#,
        row: r#"{"number":"VC-3","status":"open","vendor_zoho_id":"460000000038029","vendor_name":"شركة الخليج",
            "date":"2026-11-18","currency_code":"USD","exchange_rate":1.000000,"sub_total":14.00,"tax_total":0.07,"total":14.07,
            "balance":4.07,"location_zoho_id":null,"notes":"بضاعة تالفة","custom_fields":{},
            "zoho_created_at":"2026-11-18T06:17:40+00:00"}"#,
        rows: r#"[{"line_zoho_id":"460000000569022","position":1,"product_zoho_id":"460000000027010","name":"Cable 5m",
            "description":null,"unit":"pcs","quantity":1.25,"rate":0,"discount":null,"discount_amount":null,"tax_zoho_id":null,
            "tax_name":null,"tax_percentage":null,"total":0.00},
            {"line_zoho_id":"460000000569021","position":2,"product_zoho_id":"460000000027009","name":"كيبل شحن 3م",
            "description":null,"unit":"pcs","quantity":2,"rate":7.000,"discount":null,"discount_amount":null,
            "tax_zoho_id":"460000000076117","tax_name":"VAT","tax_percentage":0.5,"total":14.00}]"#,
    },
    Kind {
        entity: "customer_payments",
        webhook: "customer-payments",
        module: Module::CUSTOMER_PAYMENTS,
        list: "invoices",
        children: "customer_payment_allocations",
        owner: "payment_zoho_id",
        record: r#"{"payment_number":"512","payment_mode":"نقد","description":"دفعة تشرين","customer_id":"460000000026049",
            "customer_name":"شركة دجلة","email":"s@example.test","date":"2026-11-19","currency_code":"IQD",
            "exchange_rate":0.000763358,"amount":250000.10,"unused_amount":"0.10","bank_charges":5.00,
            "account_id":"460000000000361","account_name":"الصندوق","location_id":"460000000038080","status":"paid",
            "custom_fields":[{"index":1,"label":"Box","api_name":"cf_box","value":"7"}],
            "invoices":[
            {"invoice_id":"460000000567114","invoice_number":"INV-00003","date":"2026-11-17","invoice_amount":200000.00,
             "balance_amount":0.00,"amount_applied":200000.00,"tax_amount_withheld":0.00},
            {"invoice_id":460000000567115,"invoice_number":"INV-٤","invoice_amount":90000.00,"balance_amount":40000.00,
             "amount_applied":"50000.00","tax_amount_withheld":""}],
            "created_time":"2026-11-19T09:17:40+0300"}"#,
        row: r#"{"number":"512","payment_mode":"نقد","description":"دفعة تشرين","customer_zoho_id":"460000000026049",
            "customer_name":"شركة دجلة","date":"2026-11-19","currency_code":"IQD","exchange_rate":0.000763358,"amount":250000.10,
            "unused_amount":0.10,"bank_charges":5.00,"account_zoho_id":"460000000000361","account_name":"الصندوق",
            "location_zoho_id":"460000000038080","status":"paid","custom_fields":{"cf_box":"7"},
            "zoho_created_at":"2026-11-19T06:17:40+00:00"}"#,
        rows: r#"[{"position":1,"document_zoho_id":"460000000567114","document_number":"INV-00003","document_total":200000.00,
            "document_balance":0.00,"amount_applied":200000.00,"tax_amount_withheld":0.00},
            {"position":2,"document_zoho_id":"460000000567115","document_number":"INV-٤","document_total":90000.00,
            "document_balance":40000.00,"amount_applied":50000.00,"tax_amount_withheld":null}]"#,
    },
    Kind {
        entity: "vendor_payments",
        webhook: "vendor-payments",
        module: Module::VENDOR_PAYMENTS,
        list: "bills",
        children: "vendor_payment_allocations",
        owner: "payment_zoho_id",
        record: r#"{"payment_number":31,"payment_mode":"banktransfer","description":"","vendor_id":"460000000038029",
            "vendor_name":"شركة الخليج","date":"2026-11-19","currency_id":"460000000000099","currency_code":"USD",
            "exchange_rate":1.00,"amount":705.50,"balance":5.50,"paid_through_account_id":"460000000000363",
            "paid_through_account_name":"مصرف","location_id":"","custom_fields":[],
            "bills":[
            {"bill_payment_id":"460000000570001","bill_id":"460000000098765","bill_number":"B-454","date":"2026-09-11",
             "total":700.00,"balance":"50.00","amount_applied":650.00,"tax_amount_withheld":0.00},
            {"bill_payment_id":"460000000570002","bill_id":"460000000098766","bill_number":"ف-٩","total":50,"balance":0,
             "amount_applied":50.00}],
            "created_time":"2026-11-19T09:17:40+0300"}"#,
        row: r#"{"number":"31","payment_mode":"banktransfer","description":null,"vendor_zoho_id":"460000000038029",
            "vendor_name":"شركة الخليج","date":"2026-11-19","currency_code":"USD","exchange_rate":1.00,"amount":705.50,
            "balance":5.50,"account_zoho_id":"460000000000363","account_name":"مصرف","location_zoho_id":null,"custom_fields":{},
            "zoho_created_at":"2026-11-19T06:17:40+00:00"}"#,
        rows: r#"[{"position":1,"document_zoho_id":"460000000098765","document_number":"B-454","document_total":700.00,
            "document_balance":50.00,"amount_applied":650.00,"tax_amount_withheld":0.00},
            {"position":2,"document_zoho_id":"460000000098766","document_number":"ف-٩","document_total":50,
            "document_balance":0,"amount_applied":50.00,"tax_amount_withheld":null}]"#,
    },
];
