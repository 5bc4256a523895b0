//! Taxes and groups of taxes. No rule of Zoho watches them, and no list shows when they changed.

use tds_core::{mirror::MirrorSchema, record::EntityType};

use super::{Descriptor, Detail, List, Module, Polling, Role};
use crate::{
    answer::Api,
    reading::{Column, decimal, text},
};

pub(super) static TAXES: Descriptor = Descriptor {
    schema: &MirrorSchema { entity: EntityType::from_static("taxes"), head: Some("taxes"), children: &[] },
    scope: "ZohoBooks.settings.READ",
    list: List { path: "/settings/taxes", keys: &["taxes"], ..List::SETTINGS },
    // The list shows groups of taxes as well, and the call for one tax does not know them.
    detail: Detail::Listed { single: Api::Books, beside: None },
    id_key: "tax_id",
    role: Role::Reference,
    needs_detail: false,
    columns: COLUMNS,
    polling: Polling::Prices,
    simulated: Some(MODULE),
    ..Descriptor::DOCUMENT
};

pub(crate) const MODULE: Module = Module {
    path: "settings/taxes",
    list_key: "taxes",
    detail_key: "tax",
    id_key: "tax_id",
    noun: "Tax",
    filtered_by_time: None,
    default_sort: ("", "A"),
    detail_only: &["country", "country_code", "created_time", "last_modified_time"],
    list_only: &["created_time", "last_modified_time", "is_default_tax", "is_editable"],
    ..Module::DOCUMENT
};

const COLUMNS: &[Column] = &[
    text("name", &["tax_name"]),
    decimal("percentage", &["tax_percentage"]),
    // `tax`, `compound_tax`, or `tax_group` for a group of taxes.
    text("tax_type", &["tax_type"]),
    text("status", &["status"]),
];
