//! Payments to vendors, and the bills that each payment pays.

use tds_core::{
    mirror::{Child, MirrorSchema},
    record::EntityType,
};

use super::{BY_DATE, Descriptor, Detail, List, Module, Moved, Rows, VENDOR, Webhooks, lines::filled};
use crate::reading::{Column, date, decimal, id, text};

const ALLOCATIONS: &str = "vendor_payment_allocations";

pub(super) static VENDOR_PAYMENTS: Descriptor = Descriptor {
    schema: &MirrorSchema {
        entity: EntityType::from_static("vendor_payments"),
        head: Some("vendor_payments"),
        children: &[Child { table: ALLOCATIONS, owner: "payment_zoho_id", confirm_shrink: false }],
    },
    scope: "ZohoBooks.vendorpayments.READ",
    list: List {
        path: "/vendorpayments",
        query: &[("filter_by", "PaymentMode.All")],
        keys: &["vendorpayments", "vendor_payments"],
        by_creation: false,
        dates: BY_DATE,
        ..List::DOCUMENTS
    },
    detail: Detail::Single { path: "/vendorpayments", keys: &["vendorpayment", "vendor_payment", "payment"] },
    id_key: "payment_id",
    envelopes: &[
        ("vendorpayment", "payment_id"),
        ("vendor_payment", "payment_id"),
        ("payment", "payment_id"),
    ],
    whole: &[
        &["payment_number"],
        &["payment_mode"],
        // Payments of customers have neither this key nor a list of bills.
        &["vendor_id"],
        &["date"],
        &["amount"],
        &["balance"],
        &["bills"],
        &["last_modified_time", "updated_time"],
    ],
    columns: COLUMNS,
    volatile: UNUSED,
    rows: &[Rows { table: ALLOCATIONS, key: "bills", columns: &[ALLOCATION] }],
    read: |record, draft| filled(record, "bills", draft.shape),
    moves: &[VENDOR, Moved::of("bills", &["bills.bill_id"])],
    webhooks: Some(Webhooks { path: "vendor-payments", predecessor: None }),
    simulated: Some(MODULE),
    sample: sample!(any_vendor_payment),
    ..Descriptor::DOCUMENT
};

pub(crate) const MODULE: Module = Module {
    path: "vendorpayments",
    list_key: "vendorpayments",
    detail_key: "vendorpayment",
    id_key: "payment_id",
    noun: "Vendor Payment",
    filtered_by_date: true,
    sort_columns: [&["vendor_name", "date", "reference_number", "amount", "balance"], &[]],
    default_sort: ("date", "D"),
    detail_only: &[
        "bills",
        "currency_id",
        "currency_symbol",
        "custom_fields",
        "location_id",
        "location_name",
        "paid_through_account_type",
        "tax_amount_withheld",
    ],
    list_only: &["bcy_amount", "bcy_balance", "bill_numbers", "has_attachment"],
    ..Module::DOCUMENT
};

const COLUMNS: &[Column] = &[
    text("number", &["payment_number"]),
    text("reference_number", &["reference_number"]),
    text("payment_mode", &["payment_mode"]),
    text("description", &["description"]),
    id("vendor_zoho_id", &["vendor_id"]),
    text("vendor_name", &["vendor_name"]),
    date("date", &["date"]),
    text("currency_code", &["currency_code"]),
    decimal("exchange_rate", &["exchange_rate"]),
    decimal("amount", &["amount"]),
    id("account_zoho_id", &["paid_through_account_id"]),
    text("account_name", &["paid_through_account_name"]),
    id("location_zoho_id", &["location_id"]),
];

/// What applying the payment to a bill changes.
const UNUSED: &[Column] = &[decimal("balance", &["balance"])];

/// The share of a payment that pays one bill.
const ALLOCATION: &[Column] = &[
    id("document_zoho_id", &["bill_id"]),
    text("document_number", &["bill_number"]),
    decimal("document_total", &["total"]),
    decimal("document_balance", &["balance"]),
    decimal("amount_applied", &["amount_applied"]),
    decimal("tax_amount_withheld", &["tax_amount_withheld"]),
];
