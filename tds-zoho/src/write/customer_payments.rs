//! Payments of customers, with the invoices that each payment pays.

use tds_core::record::EntityType;

use super::{
    answer::Answer,
    contract::{Contract, Field, Form, Lines, Removes},
    documents::{CUSTOM_FIELDS, CUSTOMER, DATE, EXCHANGE_RATE, LOCATION, REFERENCE},
    payments::{AMOUNT, APPLIED, DESCRIPTION, OF_DOCUMENT, WITHHELD, within_amount},
    reasons::{NUMBERED, OF_ACCOUNT, OF_CUSTOMER, PAID, because},
};

const ALLOCATIONS: &str = "customer_payment_allocations";

pub(super) static CUSTOMER_PAYMENTS: Contract = Contract {
    entity: &EntityType::from_static("customer_payments"),
    noun: "payment",
    path: "/customerpayments",
    scope: "ZohoBooks.customerpayments",
    fields: &[
        CUSTOMER,
        Field::new("payment_mode", "payment_mode", Form::Text(0)).always(),
        AMOUNT,
        DATE.required(),
        REFERENCE,
        DESCRIPTION,
        EXCHANGE_RATE,
        Field::new("bank_charges", "bank_charges", Form::Decimal),
        Field::new("account_zoho_id", "account_id", Form::Id),
        LOCATION,
        CUSTOM_FIELDS,
    ],
    read_only: &[
        because("number", NUMBERED),
        because("customer_name", OF_CUSTOMER),
        because("currency_code", "a payment has the currency of its customer"),
        because("account_name", OF_ACCOUNT),
        because("unused_amount", "it follows from the allocations: change them"),
        because("status", PAID),
    ],
    // A payment on account pays no invoice yet, so the list may be empty.
    lists: &[Lines {
        table: ALLOCATIONS,
        key: "invoices",
        noun: "allocation",
        fields: &[Field::new("document_zoho_id", "invoice_id", INVOICE_ID).required(), APPLIED, WITHHELD],
        ignored: OF_DOCUMENT,
        always: true,
        ..Lines::ROWS
    }],
    removes: Removes::Delete { or: None },
    answer: Answer { keys: &["payment", "customer_payment", "customerpayment"], id_key: "payment_id" },
    finish: |payment, chosen, body, found| within_amount(payment, ALLOCATIONS, chosen, body, found),
    ..Contract::DOCUMENT
};

const INVOICE_ID: Form = Form::Reference { entity: "invoices", local: "document_id" };
