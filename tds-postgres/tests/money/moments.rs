//! Values that were read at different times are not compared.

use crate::support::{Books, row};

/// A contact that says something else than its documents.
const DIFFERS: &str = "UPDATE erp.customers SET outstanding_amount = 300 WHERE zoho_id = 'c1'";

/// The state of the documents: a detail of their version was read.
const STATES: &str = "INSERT INTO tds_sync_records (entity_type, zoho_id, version, pushed, observed_began, observed_ended, detail_version, detail_seen)
  SELECT e, id, '2026-11-20 09:00Z', false, '2026-11-20 09:30Z', '2026-11-20 09:30Z', '2026-11-20 09:00Z', '2026-11-20 09:30Z'
    FROM (SELECT 'invoices' AS e, zoho_id AS id FROM erp.invoices UNION ALL SELECT 'customer_payments', zoho_id FROM erp.customer_payments) AS s";

#[tokio::test]
async fn values_of_different_moments_are_in_flight_and_not_a_difference() {
    let books = Books::new().await;
    let cases = [
        // The contact was read before one of its documents was written, which may be a tombstone.
        ("receivables", None, format!("{DIFFERS}; UPDATE erp.invoices SET synced_at = '2026-11-20 11:00Z' WHERE zoho_id = 'i1'")),
        ("receivables", None, format!("{DIFFERS}; UPDATE erp.customer_payments SET synced_at = '2026-11-20 11:30Z' WHERE zoho_id = 'a3'")),
        // The contact was read after the list of payments, or that list was never read.
        ("receivables", None, format!("{DIFFERS}; UPDATE tds_sync_runs SET started_at = '2026-11-20 10:59Z' WHERE entity_type = 'customer_payments'")),
        ("receivables", None, format!("{DIFFERS}; UPDATE tds_sync_runs SET status = 'failed' WHERE entity_type = 'credit_notes'")),
        // A list showed a newer version than the lines and the allocations are of.
        ("documents", Some("invoices"), format!("{STATES}; UPDATE erp.invoices SET total = 42 WHERE zoho_id = 'i1';
           UPDATE tds_sync_records SET version = '2026-11-20 09:10Z' WHERE zoho_id = 'i1'")),
        ("allocations", Some("customer_payments"), format!("{STATES}; DELETE FROM erp.customer_payment_allocations WHERE document_zoho_id = 'i5';
           UPDATE tds_sync_records SET detail_seen = NULL WHERE zoho_id = 'a1';
           UPDATE erp.invoices SET payment_made = 0 WHERE zoho_id = 'i5'")),
        // The invoice was paid after the list of payments was read, and the payment is not known.
        ("payments", Some("invoices"), "UPDATE erp.customer_payment_allocations SET document_zoho_id = 'other' WHERE document_zoho_id = 'i5';
           UPDATE erp.invoices SET synced_at = '2026-11-20 12:01Z' WHERE zoho_id = 'i5'".to_owned()),
        // The payment was written after the invoice was read.
        ("payments", Some("invoices"), format!("{STATES}; UPDATE erp.invoices SET payment_made = 0 WHERE zoho_id = 'i5';
           UPDATE erp.customer_payments SET synced_at = '2026-11-20 09:31Z' WHERE zoho_id = 'a1'")),
    ];
    for (check, of, statements) in cases {
        books.with(&statements).await;
        let rows = books.check().await;
        let row = row(&rows, check, Some("USD"), of);
        assert!(row.holds && row.in_flight == 1 && row.difference == "0.00", "{statements}\n{row:#?}");
        assert!(rows.iter().all(|row| row.holds), "{statements}\n{rows:#?}");
    }
    // A later list of contacts showed the contact as it was read first, and the documents were listed after their change.
    let later = "UPDATE erp.invoices SET synced_at = '2026-11-20 11:30Z' WHERE zoho_id = 'i1';
      INSERT INTO tds_sync_runs (run_type, entity_type, source_type, status, listing_done, started_at)
        VALUES ('verify', 'customers', 'zoho', 'running', true, '2026-11-20 12:30Z')";
    books.with(&format!("{DIFFERS}; {later}")).await;
    let faults = books.faults().await;
    assert!(faults[0].starts_with("receivables USD 82.05: customers c1"), "{faults:#?}");
    // The same without the difference of times is a difference.
    books
        .with(&format!("{STATES}; {DIFFERS}; UPDATE erp.invoices SET total = 42 WHERE zoho_id = 'i1'"))
        .await;
    let faults = books.faults().await;
    assert!(
        faults.iter().any(|fault| fault.starts_with("receivables USD 82.05: customers c1")),
        "{faults:#?}"
    );
    assert!(faults.iter().any(|fault| fault.starts_with("documents USD 1.00: invoices i1")), "{faults:#?}");
}

#[tokio::test]
async fn what_cannot_be_known_is_counted_and_is_no_difference() {
    let books = Books::new().await;
    let cases = [
        ("receivables", None, "UPDATE erp.customers SET outstanding_amount = 300, raw = '{\"opening_balance_amount\": 7}' WHERE zoho_id = 'c1'",
         "customers c1 (Dijla): the contact has an opening balance"),
        ("receivables", None, "UPDATE erp.invoices SET currency_code = 'EUR' WHERE zoho_id = 'i1'",
         "customers c1 (Dijla): documents in another currency than that of the contact"),
        ("documents", Some("bills"), "UPDATE erp.bills SET total = 99, raw = raw || '{\"tds_amount\": 2.00}'", "bills b1 (B1): tax deducted at source"),
        ("documents", Some("credit_notes"), "UPDATE erp.credit_note_lines SET rate = NULL, total = NULL WHERE document_zoho_id = 'n1';
           INSERT INTO erp.credit_note_lines (document_zoho_id, position, rate) VALUES ('n1', 2, 1)", "credit_notes n1 (N1): a line without an amount"),
        ("documents", Some("vendor_credits"), "DELETE FROM erp.vendor_credit_lines; UPDATE erp.vendor_credits SET raw = NULL", "vendor_credits w1 (W1): it has no lines"),
        ("balances", Some("bills"), "UPDATE erp.bills SET raw = raw - 'vendor_credits_applied'", "bills b1 (B1): the credits that were used are not known"),
        ("payments", Some("invoices"), "UPDATE erp.customer_payments SET currency_code = 'EUR'; UPDATE erp.invoices SET payment_made = 11 WHERE zoho_id = 'i5'",
         "invoices i5 (I5): payments add up to 10.00"),
        // Only the payments of this year are synced.
        ("payments", Some("invoices"), "UPDATE tds_sync_runs SET selection = '{}' WHERE entity_type = 'customer_payments';
           DELETE FROM erp.customer_payment_allocations WHERE document_zoho_id = 'i5'; UPDATE erp.customer_payments SET amount = 25 WHERE zoho_id = 'a1'",
         "invoices i5 (I5): payments add up to 0.00"),
    ];
    for (check, of, statements, example) in cases {
        books.with(statements).await;
        let rows = books.check().await;
        let row = row(&rows, check, Some("USD"), of);
        let told = row.examples.iter().any(|line| line.starts_with("unknown: ") && line.contains(example));
        assert!(row.holds && told, "{statements}\n{row:#?}");
    }
}
