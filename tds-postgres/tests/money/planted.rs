//! Rows in which every rule holds, and the same rows with one error: each error is found and named.

use crate::support::{Books, row};

/// An error, and the beginning of each line that reports it: nothing else is reported.
const PLANTED: &[(&str, &[&str])] = &[
    (
        "UPDATE erp.invoices SET exchange_rate = exchange_rate * 1500 WHERE zoho_id = 'd1'",
        &["rates IQD 27341.76: invoices d1 (D1) of 2026-11-05: rate 1.14, expected about 0.00076"],
    ),
    (
        "UPDATE erp.invoices SET exchange_rate = 1 WHERE zoho_id = 'd2'",
        &["rates IQD 1998.48: invoices d2 (D2)"],
    ),
    (
        "UPDATE erp.invoices SET exchange_rate = NULL WHERE zoho_id = 'k1'",
        &["rates KWD 32.910: invoices k1 (K1) of 2026-11-05: rate is missing, expected about 3.25"],
    ),
    (
        "UPDATE erp.customer_payments SET exchange_rate = 2 WHERE zoho_id = 'a1'",
        &["rates USD 35.00: customer_payments a1 (1)"],
    ),
    // Most documents of the month are wrong: the rates of the currency tell.
    (
        "UPDATE erp.invoices SET exchange_rate = 1.14 WHERE currency_code = 'IQD';
         UPDATE erp.credit_notes SET exchange_rate = 1.14 WHERE currency_code = 'IQD'",
        &["rates IQD 30189.77: invoices d1 (D1) of 2026-11-05: rate 1.14, expected about 0.000763358 | invoices d2"],
    ),
    (
        "DELETE FROM erp.customer_payment_allocations WHERE document_zoho_id = 'i5'",
        &[
            "payments USD 10.00: invoices i5 (I5): payments add up to 0.00, payment_made is 10.00",
            "allocations USD 10.00: customer_payments a1 (1): 1 documents take 20.00, 5.00 is unused, amount is 35.00",
        ],
    ),
    (
        "UPDATE erp.vendor_payment_allocations SET amount_applied = 200",
        &[
            "payments USD 180.00: bills b1 (B1): payments add up to 200.00, payment_made is 20.00: vendor_payments e1 200.00",
            "allocations USD 180.00: vendor_payments e1 (1): 1 documents take 200.00, 10.00 is unused, amount is 32.00",
        ],
    ),
    // Two payments of one invoice, which was paid once.
    (
        "UPDATE erp.customer_payment_allocations SET document_zoho_id = 'i5', amount_applied = 30 WHERE document_zoho_id = 'i1';
         UPDATE erp.customer_payments SET amount = 45 WHERE zoho_id = 'a1';
         UPDATE erp.invoices SET payment_made = 40, raw = raw || '{\"payment_made\": 40}' WHERE zoho_id = 'i5';
         UPDATE erp.invoices SET payment_made = 0, balance = 41, raw = raw || '{\"payment_made\": 0, \"balance\": 41}' WHERE zoho_id = 'i1';
         UPDATE erp.customers SET outstanding_amount = outstanding_amount + 20 WHERE zoho_id = 'c1'",
        &[
            "balances USD 30.00: invoices i5 (I5): total 10.00 less payments 40.00, credits 0.00 and other amounts 0.00 is -30.00, balance is 0.00",
            "payments USD 0.00: invoices i5 (I5): payments add up to 40.00, total is 10.00: customer_payments a1 10.00, customer_payments a1 30.00",
        ],
    ),
    (
        "UPDATE erp.invoice_lines SET total = 31 WHERE document_zoho_id = 'i1' AND position = 1",
        &["documents USD 1.00: invoices i1 (I1): line 1 is 31, and not 3 x 10; 2 lines add up to 34.00, tax 3.30, shipping 5.00, adjustment -0.30, total is 41.00"],
    ),
    (
        "UPDATE erp.invoice_lines SET quantity = 4 WHERE document_zoho_id = 'k1'",
        &["documents KWD 0.001: invoices k1 (K1): line 1 is 10.125, and not 4 x 3.375"],
    ),
    (
        "DELETE FROM erp.invoice_lines WHERE document_zoho_id = 'i1' AND position = 2",
        &["documents USD 3.00: invoices i1 (I1): 1 lines add up to 30.00, tax 3.30"],
    ),
    (
        "DELETE FROM erp.purchase_order_lines",
        &["documents USD 200.00: purchase_orders q1 (Q1): 0 lines add up to 0.00, discount 10.00, total is 190.00"],
    ),
    // One cent is more than half a unit, and a fifth of a dinar is less than half of one.
    ("UPDATE erp.sales_orders SET total = 20.01", &["documents USD 0.01: sales_orders s1 (S1)"]),
    ("UPDATE erp.invoice_lines SET total = 23999.8, quantity = 1.00000 WHERE document_zoho_id = 'd1'", &[]),
    (
        "UPDATE erp.invoices SET tax_total = 1.16 WHERE zoho_id = 'i4'",
        &["documents USD 0.01: invoices i4 (I4): 1 lines add up to 8.85, tax 1.16, total is 10.00"],
    ),
    // Errors of opposite signs do not cancel each other.
    (
        "UPDATE erp.invoices SET total = total + CASE zoho_id WHEN 'i7' THEN 1 ELSE -1 END,
           balance = balance + CASE zoho_id WHEN 'i7' THEN 1 ELSE -1 END,
           raw = raw || jsonb_build_object('balance', balance + CASE zoho_id WHEN 'i7' THEN 1 ELSE -1 END)
          WHERE zoho_id IN ('i7', 'i6')",
        &["documents USD 2.00: invoices i6 (I6): 1 lines add up to 12.85, total is 12.00 | invoices i7 (I7)"],
    ),
    (
        "UPDATE erp.vendor_credits SET total = 31; UPDATE erp.vendor_credit_lines SET quantity = 3.1, total = 31",
        &["balances USD 1.00: vendor_credits w1 (W1): total 31.00 less payments 0.00, credits 10.00 and other amounts 5.00 is 16.00, balance is 15.00"],
    ),
    (
        "UPDATE erp.stock_levels SET available_stock = 30 WHERE location_zoho_id = 'l1' AND product_zoho_id = 'p1'",
        &["stock_locations - 1.00: stock p1 (Cable): locations add up to 41, available_stock of the item is 40"],
    ),
    (
        "DELETE FROM erp.stock_levels WHERE location_zoho_id = 'l2'",
        &[
            "stock_locations - 10.00: stock p1",
            "stock_locations - 11.00: stock p1",
            "stock_locations - 1.00: stock p1",
            "stock_locations - 12.00: stock p1",
        ],
    ),
    (
        "UPDATE erp.customers SET outstanding_amount = 218 WHERE zoho_id = 'c1'",
        &["receivables USD 0.05: customers c1 (Dijla): the contact says 205.50 (outstanding 218.00, unused credits 12.50), 9 documents add up to 205.45: \
           invoices i2 (I2) 104.60, invoices i3 (I3) 45.00, invoices i7 (I7) 22.35, invoices i1 (I1) 21.00"],
    ),
    (
        "UPDATE erp.vendors SET unused_credits = 0",
        &["payables USD 25.00: vendors v1 (Acme): the contact says 70.00 (outstanding 70.00, unused credits 0.00), 3 documents add up to 45.00: \
           bills b1 (B1) 70.00, vendor_credits w1 (W1) -15.00, vendor_payments e1 (1) -10.00"],
    ),
    (
        "INSERT INTO erp.invoices (zoho_id, number, status, customer_zoho_id, currency_code, exchange_rate, total, balance)
           VALUES ('twice', 'TWICE', 'sent', 'c4', 'USD', 1, 0, 7)",
        &["receivables USD 7.00: customers c4 (Quiet): the contact says 0.00 (outstanding 0.00, unused credits 0.00), 1 documents add up to 7.00: invoices twice (TWICE) 7.00"],
    ),
];

#[tokio::test]
async fn correct_rows_hold_and_each_planted_error_is_found_and_named_and_nothing_else() {
    let books = Books::new().await;
    books.with("").await;
    let rows = books.check().await;
    assert!(rows.iter().all(|row| row.holds && row.in_flight == 0), "{rows:#?}");
    assert!(rows.iter().all(|row| row.source == row.target), "{rows:#?}");
    assert!(rows.iter().all(|row| matches!(row.difference.as_str(), "0.00" | "0.000")), "{rows:#?}");
    let receivable = row(&rows, "receivables", Some("KWD"), None);
    assert_eq!(receivable.source.as_deref(), Some("10.125"));
    let invoices = row(&rows, "documents", Some("USD"), Some("invoices"));
    let unknown = "unknown: 1 of 10 records, such as invoices u1 (U1): reverse charge";
    assert_eq!(invoices.examples, [unknown]);
    assert_eq!(row(&rows, "rates", Some("IQD"), None).source, None);

    let mut mistakes = Vec::new();
    for (error, expected) in PLANTED {
        books.with(error).await;
        let faults = books.faults().await;
        let found = faults.len() == expected.len()
            && faults.iter().zip(*expected).all(|(fault, expected)| fault.starts_with(expected));
        if !found {
            mistakes.push(format!("{error}\nexpected {expected:#?}\nfound {faults:#?}"));
        }
    }
    assert!(mistakes.is_empty(), "{}", mistakes.join("\n\n"));
}
