//! Payments of customers, and the invoices that each payment pays.

use tds_core::{
    mirror::{Child, MirrorSchema},
    record::EntityType,
    source::Capability,
};

use super::{CUSTOMER, Descriptor, Detail, List, Module, Moved, Polling, Rows, Webhooks, lines::filled};
use crate::reading::{Column, date, decimal, id, text};

const ALLOCATIONS: &str = "customer_payment_allocations";

pub(super) static CUSTOMER_PAYMENTS: Descriptor = Descriptor {
    schema: &MirrorSchema {
        entity: EntityType::from_static("customer_payments"),
        head: Some("customer_payments"),
        children: &[Child { table: ALLOCATIONS, owner: "payment_zoho_id", confirm_shrink: false }],
    },
    scope: "ZohoBooks.customerpayments.READ",
    list: List {
        path: "/customerpayments",
        query: &[("filter_by", "PaymentMode.All")],
        // The documentation of Books names the first key, that of Inventory the second.
        keys: &["customer_payments", "customerpayments"],
        // Neither a filter nor a sorting by the time of change is documented.
        changes: Capability::UNKNOWN,
        ..List::DOCUMENTS
    },
    detail: Detail::Single {
        path: "/customerpayments",
        keys: &["payment", "customer_payment", "customerpayment"],
    },
    id_key: "payment_id",
    envelopes: &[
        ("payment", "payment_id"),
        ("customer_payment", "payment_id"),
        ("customerpayment", "payment_id"),
    ],
    whole: &[
        &["payment_number"],
        &["payment_mode"],
        // Payments of vendors have neither this key nor a list of invoices.
        &["customer_id"],
        &["date"],
        &["currency_code"],
        &["amount"],
        &["unused_amount"],
        &["invoices"],
        &["last_modified_time", "updated_time"],
    ],
    columns: COLUMNS,
    volatile: UNUSED,
    rows: &[Rows { table: ALLOCATIONS, key: "invoices", columns: &[ALLOCATION] }],
    read: |record, draft| filled(record, "invoices", draft.shape),
    moves: &[CUSTOMER, Moved::of("invoices", &["invoices.invoice_id"])],
    webhooks: Some(Webhooks { path: "customer-payments", predecessor: Some("payments") }),
    polling: Polling::Full,
    simulated: Some(MODULE),
    sample: sample!(any_customer_payment),
    ..Descriptor::DOCUMENT
};

pub(crate) const MODULE: Module = Module {
    path: "customerpayments",
    list_key: "customer_payments",
    detail_key: "payment",
    id_key: "payment_id",
    noun: "Payment",
    filtered_by_time: None,
    sort_columns: [&["created_time"]; 2],
    detail_only: &[
        "amount_refunded",
        "bank_charges",
        "currency_code",
        "currency_id",
        "currency_symbol",
        "custom_fields",
        "email",
        "exchange_rate",
        "invoices",
        "last_four_digits",
        "status",
        "tax_account_id",
        "tax_account_name",
        "tax_amount_withheld",
    ],
    list_only: &["bcy_amount", "invoice_numbers"],
    ..Module::DOCUMENT
};

const COLUMNS: &[Column] = &[
    text("number", &["payment_number"]),
    text("reference_number", &["reference_number"]),
    text("payment_mode", &["payment_mode"]),
    text("description", &["description"]),
    id("customer_zoho_id", &["customer_id"]),
    text("customer_name", &["customer_name"]),
    date("date", &["date"]),
    text("currency_code", &["currency_code"]),
    decimal("exchange_rate", &["exchange_rate"]),
    decimal("amount", &["amount"]),
    decimal("bank_charges", &["bank_charges"]),
    id("account_zoho_id", &["account_id"]),
    text("account_name", &["account_name"]),
    id("location_zoho_id", &["location_id"]),
];

/// What applying the payment to an invoice changes.
const UNUSED: &[Column] =
    &[decimal("unused_amount", &["unused_amount"]), text("status", &["status", "payment_status"])];

/// The share of a payment that pays one invoice.
const ALLOCATION: &[Column] = &[
    id("document_zoho_id", &["invoice_id"]),
    text("document_number", &["invoice_number"]),
    decimal("document_total", &["invoice_amount"]),
    decimal("document_balance", &["balance_amount"]),
    decimal("amount_applied", &["amount_applied"]),
    decimal("tax_amount_withheld", &["tax_amount_withheld"]),
];
