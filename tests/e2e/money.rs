//! The checks of money over what a sync of the whole demo brought.

use tds_core::{
    record::EntityType,
    verify::{MoneyCheck as _, MoneyDifference},
};
use tds_postgres::{PgStore, StoreSettings};
use tds_zoho::entities::Catalogue;

use crate::shop::Shop;

/// Makes all checks.
async fn check(shop: &Shop) -> Vec<MoneyDifference> {
    let store = PgStore::new(shop.database.database().clone(), StoreSettings::default());
    let entities: Vec<EntityType> = Catalogue::default().names().map(EntityType::from_static).collect();
    store.check_money(&entities).await.expect("checks")
}

/// Asserts that every check was made and that each of them holds.
pub(crate) async fn assert_holds(shop: &Shop) {
    let rows = check(shop).await;
    assert!(rows.iter().all(|row| row.holds && row.in_flight == 0), "{rows:#?}");
    let unknown: Vec<&MoneyDifference> = rows.iter().filter(|row| !row.examples.is_empty()).collect();
    assert!(unknown.is_empty(), "the rules of the demo are known: {unknown:#?}");
    let mut made: Vec<String> = rows
        .iter()
        .map(|row| format!("{} {}", row.check, row.of.as_deref().unwrap_or_default()).trim().to_owned())
        .collect();
    made.sort();
    made.dedup();
    let expected = [
        "allocations customer_payments",
        "allocations vendor_payments",
        "balances bills",
        "balances credit_notes",
        "balances invoices",
        "balances vendor_credits",
        "documents bills",
        "documents credit_notes",
        "documents invoices",
        "documents purchase_orders",
        "documents sales_orders",
        "documents vendor_credits",
        "payables",
        "payments bills",
        "payments invoices",
        "rates",
        "receivables",
        "stock_locations actual_available_stock",
        "stock_locations available_stock",
        "stock_locations committed_stock",
        "stock_locations stock_on_hand",
    ];
    assert_eq!(made, expected);
}

/// Plants errors in the rows, and asserts that each is named and that nothing else is.
pub(crate) async fn assert_finds_planted_errors(shop: &Shop) {
    let pick = |sql: &'static str| async move { shop.text(sql).await.expect("a record") };
    let rate = pick(
        "SELECT max(i.zoho_id) FROM erp.invoices AS i WHERE i.currency_code = 'IQD' AND i.status = 'paid'
            AND i.payment_made > 0",
    )
    .await;
    let line = pick("SELECT max(zoho_id) FROM erp.sales_orders WHERE currency_code = 'USD'").await;
    let paid = pick(
        "SELECT max(a.document_zoho_id) FROM erp.customer_payment_allocations AS a
           JOIN erp.invoices AS i ON i.zoho_id = a.document_zoho_id
           JOIN tds_sync_runs AS r ON r.entity_type = 'customer_payments' AND r.started_at > i.synced_at",
    )
    .await;
    let payment = pick("SELECT zoho_id FROM erp.customers WHERE outstanding_amount > 0 LIMIT 1").await;
    shop.database
        .execute(format!(
            "UPDATE erp.invoices SET exchange_rate = exchange_rate * 1500 WHERE zoho_id = '{rate}';
             UPDATE erp.sales_order_lines SET total = total + 0.01 WHERE document_zoho_id = '{line}' AND position = 1;
             DELETE FROM erp.customer_payment_allocations WHERE document_zoho_id = '{paid}';
             UPDATE erp.customers SET outstanding_amount = outstanding_amount + 0.01 WHERE zoho_id = '{payment}'"
        ))
        .await;
    let faults: Vec<String> = check(shop)
        .await
        .iter()
        .filter(|row| !row.holds)
        .map(|row| format!("{}: {}", row.check, row.examples.join(" | ")))
        .collect();
    let expected = [
        format!("receivables: customers {payment} "),
        format!("documents: sales_orders {line} "),
        format!("payments: invoices {paid} "),
        "allocations: customer_payments ".to_owned(),
        format!("rates: invoices {rate} "),
    ];
    let found = faults.len() == expected.len()
        && expected.iter().zip(&faults).all(|(expected, fault)| fault.starts_with(expected.as_str()));
    assert!(found, "expected {expected:#?}\nfound {faults:#?}");
}
