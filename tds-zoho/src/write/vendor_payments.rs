//! Payments to vendors, with the bills that each payment pays.

use tds_core::record::EntityType;

use super::{
    answer::Answer,
    contract::{Contract, Field, Form, Lines, Removes},
    documents::{CUSTOM_FIELDS, DATE, EXCHANGE_RATE, LOCATION, REFERENCE, VENDOR},
    payments::{AMOUNT, APPLIED, DESCRIPTION, OF_DOCUMENT, WITHHELD, within_amount},
    reasons::{NUMBERED, OF_ACCOUNT, OF_VENDOR, because},
};

const ALLOCATIONS: &str = "vendor_payment_allocations";

pub(super) static VENDOR_PAYMENTS: Contract = Contract {
    entity: &EntityType::from_static("vendor_payments"),
    noun: "payment",
    path: "/vendorpayments",
    scope: "ZohoBooks.vendorpayments",
    // Zoho documents only the amount as required; a payment to nobody makes no sense.
    fields: &[
        VENDOR,
        AMOUNT,
        DATE.required(),
        Field::new("payment_mode", "payment_mode", Form::Text(0)),
        REFERENCE,
        DESCRIPTION,
        EXCHANGE_RATE,
        Field::new("account_zoho_id", "paid_through_account_id", Form::Id),
        LOCATION,
        CUSTOM_FIELDS,
    ],
    read_only: &[
        because("number", NUMBERED),
        because("vendor_name", OF_VENDOR),
        because("currency_code", "a payment has the currency of its vendor"),
        because("account_name", OF_ACCOUNT),
        because("balance", "it follows from the allocations: change them"),
    ],
    lists: &[Lines {
        table: ALLOCATIONS,
        key: "bills",
        noun: "allocation",
        fields: &[Field::new("document_zoho_id", "bill_id", BILL_ID).required(), APPLIED, WITHHELD],
        ignored: OF_DOCUMENT,
        ..Lines::ROWS
    }],
    removes: Removes::Delete { or: None },
    answer: Answer { keys: &["vendorpayment", "vendor_payment", "payment"], id_key: "payment_id" },
    finish: |payment, chosen, body, found| within_amount(payment, ALLOCATIONS, chosen, body, found),
    ..Contract::DOCUMENT
};

const BILL_ID: Form = Form::Reference { entity: "bills", local: "document_id" };
