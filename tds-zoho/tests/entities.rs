//! The meaning of Zoho's records: recorded answers, every spelling of a value, every entity type.

#[path = "entities/contacts.rs"]
mod contacts;
#[path = "entities/documents.rs"]
mod documents;
#[path = "entities/orders_and_payments.rs"]
mod orders_and_payments;
#[path = "entities/prices.rs"]
mod prices;
#[path = "entities/products.rs"]
mod products;
#[path = "entities/properties.rs"]
mod properties;
#[path = "entities/spellings.rs"]
mod spellings;
#[path = "entities/stock.rs"]
mod stock;
mod support;
