//! The columns and lines that the contracts of several documents share.

use super::contract::{Field, Form, Part};

/// Rows of documents, with the columns that Zoho takes in lines of sales.
pub(super) const SALES_LINE: &[Field] =
    &[LINE_ID, POSITION, PRODUCT, NAME, DESCRIPTION, QUANTITY, RATE, UNIT, LINE_DISCOUNT, TAX];

/// Rows of documents of vendors, whose lines have no discount.
pub(super) const PURCHASE_LINE: &[Field] =
    &[LINE_ID, POSITION, PRODUCT, NAME, DESCRIPTION, QUANTITY, RATE, UNIT, TAX];

/// Columns of lines that Zoho computes or takes from the tax.
pub(super) const COMPUTED_IN_LINES: &[&str] = &["discount_amount", "tax_name", "tax_percentage", "total"];

const LINE_ID: Field = Field::new("line_zoho_id", "line_item_id", Form::Id).after_creation();
const POSITION: Field = Field::new("position", "item_order", Form::Integer);
const PRODUCT: Field = Field::new("product_zoho_id", "item_id", PRODUCT_ID).required();
const NAME: Field = Field::new("name", "name", Form::Text(0));
const DESCRIPTION: Field = Field::new("description", "description", Form::Text(0));
const QUANTITY: Field = Field::new("quantity", "quantity", Form::Decimal).required();
const RATE: Field = Field::new("rate", "rate", Form::Decimal).required();
const UNIT: Field = Field::new("unit", "unit", Form::Text(0));
const LINE_DISCOUNT: Field = Field::new("discount", "discount", Form::Discount);
const TAX: Field = Field::new("tax_zoho_id", "tax_id", Form::Id);

/// The id of a product that may have been born in the ERP.
pub(super) const PRODUCT_ID: Form = Form::Reference { entity: "products", local: "product_id" };
const CUSTOMER_ID: Form = Form::Reference { entity: "customers", local: "customer_id" };
const VENDOR_ID: Form = Form::Reference { entity: "vendors", local: "vendor_id" };
const CURRENCY_ID: Form = Form::Reference { entity: "currencies", local: "currency_code" };

pub(super) const CUSTOMER: Field = Field::new("customer_zoho_id", "customer_id", CUSTOMER_ID).always();
pub(super) const VENDOR: Field = Field::new("vendor_zoho_id", "vendor_id", VENDOR_ID).always();
pub(super) const CURRENCY: Field = Field::new("currency_zoho_id", "currency_id", CURRENCY_ID);
pub(super) const DATE: Field = Field::new("date", "date", Form::Date);
pub(super) const REFERENCE: Field = Field::new("reference_number", "reference_number", Form::Text(0));
pub(super) const EXCHANGE_RATE: Field = Field::new("exchange_rate", "exchange_rate", Form::Decimal);
pub(super) const DISCOUNT: Field = Field::new("discount", "discount", Form::Discount);
pub(super) const SHIPPING: Field = Field::new("shipping_charge", "shipping_charge", Form::Decimal);
pub(super) const ADJUSTMENT: Field = Field::new("adjustment", "adjustment", Form::Decimal);
pub(super) const SALESPERSON: Field = Field::new("salesperson_name", "salesperson_name", Form::Text(0));
pub(super) const LOCATION: Field = Field::new("location_zoho_id", "location_id", Form::Id);
pub(super) const NOTES: Field = Field::new("notes", "notes", Form::Text(0));
pub(super) const TERMS: Field = Field::new("terms", "terms", Form::Text(0));
pub(super) const CUSTOM_FIELDS: Field = Field::new("custom_fields", "custom_fields", Form::CustomFields);

/// The address of the customer or the vendor in a document, which has a call of its own.
pub(super) const BILLING: Part = Part { column: "billing_address", call: "address/billing", keys: ADDRESS };
/// The address to which a document of a customer is sent.
pub(super) const SHIPPING_TO: Part =
    Part { column: "shipping_address", call: "address/shipping", keys: ADDRESS };

/// The keys that Zoho documents for the addresses of every document.
const ADDRESS: &[&str] = &["address", "city", "state", "zip", "country", "fax"];
