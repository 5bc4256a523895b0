//! Locations, at which stock is kept and business is done.
//!
//! Books and Inventory list them. Only the call for one location, which only Inventory documents, shows whether the
//! location is active and whether it is the primary one.

use std::time::Duration;

use serde_json::{Map, Value};
use tds_core::{error::Result, mirror::MirrorSchema, record::EntityType};

use super::{Beside, Descriptor, Detail, Draft, List, Module, Polling, Role};
use crate::{
    answer::Api,
    reading::{self, Column, columns, id, json, text},
};

pub(super) static LOCATIONS: Descriptor = Descriptor {
    schema: &MirrorSchema {
        entity: EntityType::from_static("locations"),
        head: Some("locations"),
        children: &[],
    },
    scope: "ZohoBooks.settings.READ",
    list: List { path: "/locations", keys: &["locations"], paged: false, ..List::SETTINGS },
    detail: Detail::Listed {
        single: Api::Inventory,
        beside: Some(Beside { api: Api::Inventory, path: "", keys: &["location"], wanted: |_| true }),
    },
    id_key: "location_id",
    role: Role::Reference,
    detail_max_age: Some(Duration::from_secs(24 * 60 * 60)),
    columns: COLUMNS,
    read,
    polling: Polling::Prices,
    simulated: Some(MODULE),
    ..Descriptor::DOCUMENT
};

pub(crate) const MODULE: Module = Module {
    path: "locations",
    list_key: "locations",
    detail_key: "location",
    id_key: "location_id",
    noun: "Location",
    filtered_by_time: None,
    default_sort: ("", "A"),
    paged: false,
    detail_only: &["created_time", "last_modified_time", "is_location_active", "is_primary_location"],
    list_only: &["created_time", "last_modified_time"],
    ..Module::DOCUMENT
};

const COLUMNS: &[Column] = &[
    text("name", &["location_name"]),
    text("location_type", &["type"]),
    reading::bool("is_primary", &["is_primary_location"]),
    id("parent_zoho_id", &["parent_location_id"]),
    text("email", &["email"]),
    text("phone", &["phone"]),
    json("address", &["address"]),
];

/// The flag from which `status` is read.
pub(super) const ACTIVE: &[Column] = &[reading::bool("active", &["is_location_active"])];

/// Reads the status, which Zoho shows as a flag.
fn read(record: &Map<String, Value>, draft: &mut Draft) -> Result<()> {
    let status = match columns(ACTIVE, record)?.get("active") {
        Some(Value::Bool(true)) => "active".into(),
        Some(Value::Bool(false)) => "inactive".into(),
        Some(_) => Value::Null,
        None => return Ok(()),
    };
    draft.fields.insert("status".to_owned(), status);
    Ok(())
}
