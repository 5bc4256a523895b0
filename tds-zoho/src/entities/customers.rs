//! Customers: contacts of type customer.

use tds_core::mirror::MirrorSchema;

use super::{Descriptor, Detail, List, SORTED, contacts};
use crate::answer::Api;

pub(super) static CUSTOMERS: Descriptor = Descriptor {
    schema: MirrorSchema { entity: contacts::CUSTOMERS, head: Some("customers"), children: &[] },
    api: Api::Books,
    list: List {
        path: "/contacts",
        // Without the filter by status the list hides inactive contacts.
        query: &[("contact_type", "customer"), ("filter_by", "Status.All")],
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
    sibling: Some(contacts::VENDORS),
    whole: contacts::WHOLE,
    read: contacts::read,
};
