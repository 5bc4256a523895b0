//! The meaning of Zoho's records: recorded answers, every spelling of a value, every entity type.

#[path = "entities/contacts.rs"]
mod contacts;
#[path = "entities/documents.rs"]
mod documents;
#[path = "support/local.rs"]
mod local;
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
#[path = "entities/writes_bodies.rs"]
mod writes_bodies;
#[path = "entities/writes_changes.rs"]
mod writes_changes;
#[path = "entities/writes_documented.rs"]
mod writes_documented;
#[path = "entities/writes_properties.rs"]
mod writes_properties;
#[path = "entities/writes_refused.rs"]
mod writes_refused;
