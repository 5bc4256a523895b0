//! The order of examples, months, and tables that an operator replaced.

use crate::support::{Books, row};

#[tokio::test]
async fn the_worst_twenty_records_are_named_first() {
    let books = Books::new().await;
    let many = "INSERT INTO erp.sales_orders (zoho_id, number, currency_code, exchange_rate, total, raw)
      SELECT 'x' || n, 'X', 'USD', 1, n, '{\"line_items\": [{}]}' FROM generate_series(1, 30) AS n";
    books.with(many).await;
    let rows = books.check().await;
    let orders = row(&rows, "documents", Some("USD"), Some("sales_orders"));
    assert_eq!((orders.holds, orders.difference.as_str()), (false, "465.00"), "{orders:#?}");
    assert_eq!((orders.source.as_deref(), orders.target.as_deref()), (Some("485.00"), Some("20.00")));
    assert_eq!(orders.examples.len(), 20);
    assert!(orders.examples[0].starts_with("sales_orders x30 "), "{orders:#?}");
    assert!(orders.examples[19].starts_with("sales_orders x11 "), "{orders:#?}");
}

#[tokio::test]
async fn the_documents_of_the_last_months_are_added_up_by_currency() {
    let books = Books::new().await;
    books
        .with(
            "UPDATE erp.invoices SET date = '2026-01-05';
             UPDATE erp.invoices SET date = '2025-09-30' WHERE zoho_id IN ('i1', 'i2', 'd1');
             UPDATE erp.invoices SET date = '2025-07-01' WHERE zoho_id = 'i3';
             UPDATE erp.invoices SET date = current_date WHERE zoho_id = 'i4'",
        )
        .await;
    let months = books.months("invoices", 3).await;
    let days: Vec<String> = months.iter().map(|month| month.days.to_string()).collect();
    assert_eq!(days.len(), 3, "{days:?}");
    assert!(months[0].is_current && !months[2].is_current, "{months:#?}");
    let sums: Vec<_> = months[2]
        .currencies
        .iter()
        .map(|(currency, n, total)| (currency.as_deref(), *n, total.as_str()))
        .collect();
    assert_eq!(sums, [(Some("IQD"), 1, "24000"), (Some("USD"), 2, "145.6")]);
    assert_eq!(months[2].days.to().map(|day| day.to_string()).as_deref(), Some("2025-09-30"));
    assert_eq!(books.months("customer_payments", 9).await.len(), 1);
    assert_eq!(books.months("products", 9).await, []);
}

#[tokio::test]
async fn a_table_of_the_operator_stops_its_own_check_only() {
    let books = Books::new().await;
    books.with("ALTER TABLE erp.bills RENAME COLUMN balance TO still_open").await;
    let rows = books.check().await;
    let payables = row(&rows, "payables", None, None);
    assert!(
        payables.holds && payables.examples[0].starts_with("unknown: the check cannot be made: "),
        "{payables:#?}"
    );
    assert!(row(&rows, "receivables", Some("USD"), None).examples.is_empty());
    assert!(rows.iter().all(|row| row.holds), "{rows:#?}");
}
