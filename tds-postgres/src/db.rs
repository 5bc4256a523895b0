//! The database: connections, transactions, the meaning of its errors, and the schema.

pub(crate) mod capture;
pub(crate) mod config;
pub(crate) mod connector;
pub(crate) mod custom_columns;
pub(crate) mod database;
pub(crate) mod error;
pub(crate) mod exposures;
pub(crate) mod facts;
pub(crate) mod functions;
pub(crate) mod further;
pub(crate) mod migrate;
pub(crate) mod page;
pub(crate) mod pairing;
pub(crate) mod parts;
pub(crate) mod pool;
pub(crate) mod privileges;
pub(crate) mod quote;
pub(crate) mod retry;
pub(crate) mod schemas;
pub(crate) mod session;
pub(crate) mod setting;
pub(crate) mod text;
