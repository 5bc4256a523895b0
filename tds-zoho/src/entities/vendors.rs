//! Vendors: contacts of type vendor.

use tds_core::mirror::MirrorSchema;

use super::{Descriptor, Detail, List, SORTED, contacts};
use crate::answer::Api;

pub(super) static VENDORS: Descriptor = Descriptor {
    schema: MirrorSchema { entity: contacts::VENDORS, head: Some("vendors"), children: &[] },
    api: Api::Books,
    list: List {
        path: "/contacts",
        // Without the filter by status the list hides inactive contacts.
        query: &[("contact_type", "vendor"), ("filter_by", "Status.All")],
        keys: &["contacts"],
        by_creation: true,
        changes: SORTED,
        ids_only: |_| false,
    },
    detail: Detail::Single { path: "/contacts", keys: &["contact", "customer", "vendor"] },
    id_key: "contact_id",
    envelopes: &["contact", "customer", "vendor"],
    versioned: true,
    needs_detail: true,
    detail_max_age: None,
    sibling: Some(contacts::CUSTOMERS),
    whole: contacts::WHOLE,
    read: contacts::read,
};
