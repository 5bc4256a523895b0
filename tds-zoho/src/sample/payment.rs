//! Payments, and the documents that they pay.

use rust_decimal::Decimal;
use serde_json::{Value, json};

use super::{
    PLACES, Template, currency_id, day,
    document::exchange_rate,
    id, kinds,
    literal::{decimal, money, number},
    order::symbol,
    text,
};

static CUSTOMER_PAYMENT: Template = Template::new(include_str!("customer_payment.json"));
static VENDOR_PAYMENT: Template = Template::new(include_str!("vendor_payment.json"));

/// A document as it is after it was paid, and the amount that the payment paid of it.
pub type Paid = (Value, Decimal);

/// Returns a payment of a customer. It pays an amount of each invoice, and this much more.
#[must_use]
pub fn customer_payment(n: u64, customer: &Value, paid: &[Paid], unused: Decimal) -> Value {
    let mut payment = payment(kinds::CUSTOMER_PAYMENT, n, customer, paid, unused, &CUSTOMER_PAYMENT);
    payment["payment_number"] = json!(n.to_string());
    payment["customer_id"] = text(customer, "contact_id");
    payment["customer_name"] = text(customer, "contact_name");
    payment["email"] = text(customer, "email");
    payment["invoice_numbers"] = numbers(paid, "invoice_number");
    payment["unused_amount"] = money(unused);
    let invoices = paid.iter().map(|(invoice, amount)| {
        json!({
            "invoice_id": text(invoice, "invoice_id"),
            "invoice_number": text(invoice, "invoice_number"),
            "date": text(invoice, "date"),
            "invoice_amount": invoice["total"],
            "amount_applied": money(*amount),
            "balance_amount": invoice["balance"],
            "tax_amount_withheld": number("0.00"),
        })
    });
    payment["invoices"] = invoices.collect();
    payment
}

/// Returns a payment to a vendor. It pays an amount of each bill, and this much more.
#[must_use]
pub fn vendor_payment(n: u64, vendor: &Value, paid: &[Paid], unused: Decimal) -> Value {
    let mut payment = payment(kinds::VENDOR_PAYMENT, n, vendor, paid, unused, &VENDOR_PAYMENT);
    // Zoho writes the numbers of these payments as numbers.
    payment["payment_number"] = json!(n);
    payment["vendor_id"] = text(vendor, "contact_id");
    payment["vendor_name"] = text(vendor, "contact_name");
    payment["bill_numbers"] = numbers(paid, "bill_number");
    payment["balance"] = money(unused);
    payment["bcy_balance"] = money(unused * decimal(&payment["exchange_rate"]));
    let bills = (1_u64..).zip(paid).map(|(position, (bill, amount))| {
        json!({
            "bill_payment_id": id(kinds::VENDOR_PAYMENT + 1, n * 100 + position),
            "bill_id": text(bill, "bill_id"),
            "bill_number": text(bill, "bill_number"),
            "date": text(bill, "date"),
            "due_date": text(bill, "due_date"),
            "total": bill["total"],
            "balance": bill["balance"],
            "amount_applied": money(*amount),
            "tax_amount_withheld": number("0.00"),
        })
    });
    payment["bills"] = bills.collect();
    payment
}

/// Returns the part that both kinds share.
fn payment(kind: u64, n: u64, party: &Value, paid: &[Paid], unused: Decimal, template: &Template) -> Value {
    let code = text(party, "currency_code").as_str().unwrap_or("USD").to_owned();
    let rate = exchange_rate(&code);
    let amount = paid.iter().map(|(_, amount)| *amount).sum::<Decimal>() + unused;
    let changes = json!({
        "payment_id": id(kind, n),
        "date": day(n),
        "amount": money(amount),
        "bcy_amount": money(amount * rate),
        "exchange_rate": number(&rate.to_string()),
        "currency_id": currency_id(&code),
        "currency_code": code,
        "currency_symbol": symbol(party),
        "location_id": PLACES[0].0,
        "location_name": PLACES[0].1,
    });
    Value::Object(template.with(changes))
}

fn numbers(paid: &[Paid], key: &str) -> Value {
    let numbers: Vec<&str> = paid.iter().filter_map(|(document, _)| document[key].as_str()).collect();
    json!(numbers.join(", "))
}
