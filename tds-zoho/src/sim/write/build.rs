//! What a body makes of a record, before it is stored.

use super::{
    adjustment, contact, custom_fields, document, entry::Entry, item, kinds, payment, price_list,
    refusal::Refused,
};
use crate::sim::{literal::Object, module::Module, records::Records};

/// Returns true if the simulation writes records of the module.
pub(super) fn is_written(module: Module) -> bool {
    kinds::of(module).is_some()
        || [Module::ITEMS, Module::CONTACTS, Module::PRICE_LISTS, Module::ADJUSTMENTS].contains(&module)
        || payment::is_payment(module)
}

/// Returns true if Zoho documents the upsert by a unique custom field for the module.
pub(super) fn is_upserted(module: Module) -> bool {
    is_written(module) && module != Module::PRICE_LISTS && module != Module::ADJUSTMENTS
}

/// Returns the record that a body makes, without its id and its times.
pub(super) fn built(
    records: &Records,
    module: Module,
    unique: &[String],
    entry: &Entry<'_>,
) -> Result<Object, Refused> {
    let mut record = match module {
        Module::ITEMS => item::built(records, entry)?,
        Module::CONTACTS => contact::built(records, entry)?,
        Module::PRICE_LISTS => price_list::built(records, entry)?,
        Module::ADJUSTMENTS => adjustment::built(records, entry)?,
        _ => match kinds::of(module) {
            Some(kind) => document::built(records, kind, entry)?,
            None => payment::built(records, module, entry)?,
        },
    };
    custom_fields::merge(records, module, unique, entry, &mut record)?;
    Ok(record)
}
