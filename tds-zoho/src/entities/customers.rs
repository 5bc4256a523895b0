//! Customers: contacts of type customer.

use tds_core::mirror::MirrorSchema;

use super::{Descriptor, Detail, List, Polling, Role, SORTED, Sibling, Webhooks, contacts};
use crate::answer::Api;

pub(super) static CUSTOMERS: Descriptor = Descriptor {
    schema: MirrorSchema { entity: contacts::CUSTOMERS, head: Some("customers"), children: &[] },
    api: Api::Books,
    scope: "ZohoBooks.contacts.READ",
    list: List {
        path: "/contacts",
        // Without the filter by status, the list hides inactive contacts.
        query: &[("contact_type", "customer"), ("filter_by", "Status.All")],
        keys: &["contacts"],
        by_creation: true,
        changes: SORTED,
        ids_only: |_| false,
    },
    detail: Detail::Single { path: "/contacts", keys: &["contact", "customer", "vendor"] },
    id_key: "contact_id",
    envelopes: contacts::ENVELOPES,
    role: Role::Master,
    versioned: true,
    needs_detail: true,
    detail_max_age: None,
    sibling: Some(Sibling { entity: contacts::VENDORS, stated: contacts::stated }),
    whole: contacts::WHOLE,
    columns: contacts::TABLES,
    read: contacts::read,
    webhooks: Webhooks { path: "customers", predecessor: Some("customers") },
    polling: Polling::Changes,
    matters_most: true,
    simulated: Some(contacts::MODULE),
    sample: sample!(customer),
};
