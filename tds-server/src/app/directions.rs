//! Modes and conflict policies: their names, and the rules by which an operator sets them.
//!
//! The engine knows a source and a target. People know Zoho and the ERP, so the names that the API and the command line
//! use are given here.

mod switch;

use std::collections::BTreeMap;

use tds_core::{
    outbound::{ConflictPolicy, EntityMode, Mode, ModeChange, Side, Take, column_of},
    record::EntityType,
};
use tds_zoho::{
    entities::Catalogue,
    write::{Contract, contract_of},
};

pub(crate) use self::switch::Switch;
use super::{
    refusal::Refusal,
    services::{OutboundPorts, Ports},
};

/// Returns the name of a mode.
pub(crate) const fn mode_name(mode: Mode) -> &'static str {
    match mode {
        Mode::SourcePrimary => "zoho_primary",
        Mode::Shadow => "shadow",
        Mode::Bidirectional => "bidirectional",
        Mode::TargetPrimary => "erp_primary",
    }
}

/// Returns the name of a conflict policy.
pub(crate) const fn policy_name(policy: ConflictPolicy) -> &'static str {
    match policy {
        ConflictPolicy::SourceWins => "zoho_wins",
        ConflictPolicy::TargetWins => "erp_wins",
        ConflictPolicy::NewestWins => "newest_wins",
        ConflictPolicy::Manual => "manual",
    }
}

/// Returns the name of a side.
pub(crate) const fn side_name(side: Side) -> &'static str {
    match side {
        Side::Source => "zoho",
        Side::Target => "erp",
    }
}

/// Returns the name of a decision on a conflict.
pub(crate) const fn take_name(take: Take) -> &'static str {
    match take {
        Take::Source => "zoho",
        Take::Target => "erp",
        Take::Merge => "merge",
    }
}

/// The mode of an entity type, as operators see it.
#[derive(Clone, Debug)]
pub(crate) struct ModeView {
    pub(crate) mode: EntityMode,
    /// Whether TDS knows how to write records of the type to Zoho.
    pub(crate) is_writable: bool,
}

/// The operations of operators on modes.
#[derive(Clone)]
pub(crate) struct Directions {
    pub(crate) ports: Ports,
    pub(crate) catalogue: Catalogue,
}

impl Directions {
    /// Returns the modes of all entity types that are synced or can be written to Zoho.
    pub(crate) async fn modes(&self) -> Result<Vec<ModeView>, Refusal> {
        let stored = self.outbound()?.modes.modes().await?;
        let mut stored: BTreeMap<EntityType, EntityMode> =
            stored.into_iter().map(|mode| (mode.entity.clone(), mode)).collect();
        let shown = self.catalogue.iter().map(|descriptor| descriptor.entity()).filter(|entity| {
            self.catalogue.is_synced(entity) || contract_of(entity).is_some() || stored.contains_key(entity)
        });
        let shown: Vec<&EntityType> = shown.collect();
        let views = shown.into_iter().map(|entity| ModeView {
            mode: stored.remove(entity).unwrap_or_else(|| EntityMode::initial(entity.clone())),
            is_writable: contract_of(entity).is_some(),
        });
        Ok(views.collect())
    }

    /// Returns the mode of an entity type.
    pub(crate) async fn mode(&self, entity: &EntityType) -> Result<ModeView, Refusal> {
        let stored = self.outbound()?.modes.modes().await?;
        let mode = stored.into_iter().find(|mode| mode.entity == *entity);
        Ok(ModeView {
            mode: mode.unwrap_or_else(|| EntityMode::initial(entity.clone())),
            is_writable: contract_of(entity).is_some(),
        })
    }

    /// Changes a mode. Returns the mode, and the number of changes that are not at Zoho yet.
    ///
    /// # Errors
    /// The entity type cannot have the mode, a policy names an unknown field, or the mode has another epoch.
    pub(crate) async fn set(&self, change: &ModeChange) -> Result<(ModeView, u64), Refusal> {
        if change.mode.is_none() && change.policy.is_none() && change.fields.is_none() {
            return Err(Refusal::NoModeChange);
        }
        self.check(&change.entity, change.mode, change.fields.as_ref())?;
        let modes = &self.outbound()?.modes;
        let mode = modes.set_mode(change).await?;
        let pending = modes.pending(&change.entity).await?;
        Ok((ModeView { mode, is_writable: contract_of(&change.entity).is_some() }, pending))
    }

    /// Refuses a mode that the entity type cannot have, and a policy of a field that TDS never writes.
    pub(crate) fn check(
        &self,
        entity: &EntityType,
        mode: Option<Mode>,
        fields: Option<&BTreeMap<String, ConflictPolicy>>,
    ) -> Result<(), Refusal> {
        let contract = contract_of(entity);
        if let Some(mode) = mode.filter(|mode| *mode != Mode::SourcePrimary) {
            if contract.is_none() {
                return Err(Refusal::NotWritable { entity: entity.clone(), mode: mode_name(mode) });
            }
            if !self.catalogue.is_synced(entity) {
                return Err(Refusal::NotSynced(entity.clone()));
            }
        }
        let known = contract.map(written).unwrap_or_default();
        let fields = fields.into_iter().flatten().map(|(field, _)| field);
        let unknown = fields.into_iter().find(|field| !known.contains(&column_of(field)));
        match unknown {
            None => Ok(()),
            Some(field) => Err(Refusal::UnknownField { entity: entity.clone(), field: field.clone(), known }),
        }
    }

    fn outbound(&self) -> Result<&OutboundPorts, Refusal> {
        Ok(self.ports.outbound()?)
    }
}

/// Returns the columns and the child tables that a contract writes.
fn written(contract: &Contract) -> Vec<&'static str> {
    let columns = contract.fields.iter().map(|field| field.column);
    let mut names: Vec<&str> = columns
        .chain(contract.folded.iter().copied())
        .chain(contract.number.iter().map(|number| number.column))
        .chain(contract.status.iter().map(|status| status.column))
        .chain(contract.parts.iter().map(|part| part.column))
        .chain(contract.lists.iter().map(|list| list.table))
        .collect();
    names.sort_unstable();
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    use tds_core::{clock::SystemClock, memory::MemoryStore};

    use super::*;

    fn directions() -> Directions {
        let store = MemoryStore::new(std::sync::Arc::new(SystemClock));
        Directions { ports: Ports::new(&store), catalogue: Catalogue::default() }
    }

    fn refused(entity: &'static str, mode: Mode) -> Option<Refusal> {
        directions().check(&EntityType::from_static(entity), Some(mode), None).err()
    }

    #[test]
    fn a_type_that_tds_cannot_write_stays_with_zoho() {
        for mode in [Mode::Shadow, Mode::Bidirectional, Mode::TargetPrimary] {
            assert!(matches!(refused("taxes", mode), Some(Refusal::NotWritable { .. })), "{mode}");
            assert!(refused("invoices", mode).is_none(), "{mode}");
        }
        assert!(refused("taxes", Mode::SourcePrimary).is_none());
    }

    #[test]
    fn a_type_that_is_not_synced_cannot_be_written() {
        let entities = [EntityType::from_static("customers")];
        let some = Directions { catalogue: Catalogue::default().syncing(entities), ..directions() };
        let check = |mode| some.check(&EntityType::from_static("products"), Some(mode), None);
        assert!(matches!(check(Mode::Bidirectional), Err(Refusal::NotSynced(_))));
        assert!(check(Mode::SourcePrimary).is_ok());
    }

    #[test]
    fn policies_name_columns_and_child_tables_that_are_written() {
        let check = |field: &str| {
            let fields = BTreeMap::from([(field.to_owned(), ConflictPolicy::Manual)]);
            directions().check(&EntityType::from_static("invoices"), None, Some(&fields))
        };
        for field in ["reference_number", "invoice_lines", "invoice_lines[46].rate"] {
            assert!(check(field).is_ok(), "{field}");
        }
        for field in ["balance", "referencenumber", "bill_lines[46].rate", ""] {
            assert!(matches!(check(field), Err(Refusal::UnknownField { .. })), "{field}");
        }
    }
}
