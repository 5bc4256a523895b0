//! Zoho's names of its modules, and the keys under which their records carry ids. Both help to identify the bodies of
//! webhooks.

use super::{Descriptor, Role};

/// Modules of Zoho that are not entity types of TDS, each with the key of the ids of its records. TDS ignores a record
/// of such a module, while a body that it does not understand waits for an operator. If an entity type has the name
/// of a module, only the entity type counts.
const OTHERS: &[(&str, &str)] = &[
    ("composite_item", "composite_item_id"),
    ("estimate", "estimate_id"),
    ("retainerinvoice", "retainerinvoice_id"),
    ("recurring_invoice", "recurring_invoice_id"),
    ("package", "package_id"),
    ("shipmentorder", "shipment_id"),
    ("salesreturn", "salesreturn_id"),
    ("salesreturnreceive", "receive_id"),
    ("purchasereceive", "receive_id"),
    ("inventory_adjustment", "inventory_adjustment_id"),
    ("inventoryadjustment", "inventory_adjustment_id"),
    ("transfer_order", "transfer_order_id"),
    ("expense", "expense_id"),
    ("journal", "journal_id"),
    ("project", "project_id"),
    ("task", "task_id"),
    ("time_entry", "time_entry_id"),
    ("banktransaction", "transaction_id"),
    ("bank_transaction", "transaction_id"),
    ("sales_receipt", "sales_receipt_id"),
    ("debit_note", "debit_note_id"),
    ("recurring_bill", "recurring_bill_id"),
    ("recurring_expense", "recurring_expense_id"),
    ("delivery_challan", "deliverychallan_id"),
    ("picklist", "picklist_id"),
    ("item_group", "group_id"),
];

/// Keys of records of other modules that a record that is not a document may carry in addition to its own id.
const OTHER_REFERENCES: [&str; 3] = ["group_id", "project_id", "composite_item_id"];

/// Every known module of Zoho.
#[derive(Clone, Debug)]
pub(crate) struct Modules {
    /// The name of each module and the key of the ids of its records. If a record carries several keys, the first
    /// key in this order decides its module. The references come last, because nearly every record may carry them.
    names: Vec<(&'static str, &'static str)>,
    parties: Vec<&'static str>,
    references: Vec<&'static str>,
}

impl Modules {
    /// Returns the modules of these entity types, and the other known modules.
    pub(crate) fn of(descriptors: &[&'static Descriptor]) -> Self {
        let envelopes = |is_reference: bool| {
            let chosen = descriptors.iter().filter(move |one| (one.role == Role::Reference) == is_reference);
            chosen.flat_map(|descriptor| descriptor.envelopes)
        };
        let is_other = |other: &&(&str, &str)| {
            !descriptors.iter().flat_map(|one| one.envelopes).any(|(name, _)| *name == other.0)
        };
        let mut names: Vec<(&'static str, &'static str)> = Vec::new();
        for module in envelopes(false).chain(OTHERS.iter().filter(is_other)).chain(envelopes(true)) {
            if !names.iter().any(|(known, _)| *known == module.0) {
                names.push(*module);
            }
        }
        let of_role = |role| move |one: &&&'static Descriptor| one.role == role;
        let references = descriptors.iter().filter(of_role(Role::Reference)).map(|one| one.id_key);
        Self {
            names,
            parties: descriptors.iter().flat_map(|descriptor| descriptor.party_keys()).collect(),
            references: references.chain(OTHER_REFERENCES).collect(),
        }
    }

    /// Iterates over the names of the modules, each with the key of the ids of its records.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&'static str, &'static str)> + '_ {
        self.names.iter().copied()
    }

    /// Returns the key of the ids of a module's records.
    pub(crate) fn id_key(&self, name: &str) -> Option<&'static str> {
        self.iter().find(|(module, _)| *module == name).map(|(_, key)| key)
    }

    /// Returns true for the name of a module.
    pub(crate) fn is_module(&self, name: &str) -> bool {
        self.id_key(name).is_some()
    }

    /// Returns the module whose records have their id under this key.
    pub(crate) fn of_key(&self, key: &str) -> Option<&'static str> {
        self.iter().find(|(_, id_key)| *id_key == key).map(|(module, _)| module)
    }

    /// Returns true for a key under which documents name their party.
    pub(crate) fn is_party(&self, key: &str) -> bool {
        self.parties.contains(&key)
    }

    /// Returns true for a key that a record that is not a document may carry in addition to its own id.
    pub(crate) fn is_reference(&self, key: &str) -> bool {
        self.references.contains(&key)
    }
}
