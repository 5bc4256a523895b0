//! Drift: what others do to the rows of the mirror, and the difference between the mirror and the source.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use tds_core::{
    memory::Row,
    record::{Fields, RecordId, RecordKey},
    verify::DriftClass,
};
use time::OffsetDateTime;

use crate::{kinds::KINDS, rest::members, simulate::Simulation, watch::value};

/// The ids of the rows that others insert begin here.
const STRANGERS: u64 = 1_000_000;

/// Makes one change to the mirror that the engine does not know of.
pub(crate) fn plant(simulation: &Simulation) {
    let (world, dice) = (&simulation.world, &simulation.world.dice);
    let index = world.plan.kinds[dice.index(world.plan.kinds.len())];
    let (kind, store) = (&KINDS[index], &simulation.store);
    let entity = &kind.schema.entity;
    let rows: Vec<(RecordId, Row)> = store.rows(entity).into_iter().collect();
    let what = dice.below(8);
    let (id, name) = if what == 0 || rows.is_empty() {
        let id = RecordId::new((STRANGERS + dice.below(1_000)).to_string());
        store.plant(entity, &id, Fields::from_iter([("a".to_owned(), json!(1))]));
        (id, "rows inserted")
    } else {
        let (id, row) = rows[dice.index(rows.len())].clone();
        let is_live = row.deleted_at.is_none();
        let name = match what {
            _ if !is_live => {
                store.bury(entity, &id, false);
                "tombstones restored"
            }
            1 => {
                store.uproot(entity, &id);
                "rows deleted"
            }
            2 => {
                store.bury(entity, &id, true);
                "tombstones made by hand"
            }
            3 | 4 if !kind.schema.children.is_empty() => {
                change_children(simulation, index, &id);
                "child rows changed"
            }
            5 if kind.versioned => {
                store.edit(entity, &id, "a", json!(0));
                let version = value(&row, "version").cast_signed() - 100;
                store.set_back(entity, &id, OffsetDateTime::from_unix_timestamp(version).expect("a time"));
                "stale rows"
            }
            _ => {
                let volatile = if kind.volatile { "tide" } else { "b" };
                let column = if dice.permille(500) { "a" } else { volatile };
                store.edit(entity, &id, column, json!(0));
                "columns changed"
            }
        };
        (id, name)
    };
    world.count(name);
    world.note("planted", [index as u64, what], || format!("{entity} {id}: {name}"));
    simulation.watch.planted(RecordKey::new(entity.clone(), id));
}

fn change_children(simulation: &Simulation, index: usize, id: &RecordId) {
    let dice = &simulation.world.dice;
    let table = KINDS[index].schema.children[0].table;
    let mut rows = simulation.store.children(table, id);
    let stranger: Fields = Map::from_iter([("n".to_owned(), Value::from(1_u64))]);
    match dice.below(3) {
        0 if !rows.is_empty() => drop(rows.pop()),
        1 if !rows.is_empty() => rows[0] = stranger,
        _ => rows.push(stranger),
    }
    simulation.store.rewrite(table, id, rows);
}

/// Returns the records of an entity type that differ now, and how.
pub(crate) fn truth(simulation: &Simulation, index: usize) -> BTreeMap<u64, DriftClass> {
    let (kind, book) = (&KINDS[index], simulation.book());
    let rows = simulation.store.rows(&kind.schema.entity);
    let number = |id: &RecordId| id.as_str().parse::<u64>().unwrap_or_default();
    let live: BTreeMap<u64, &Row> =
        rows.iter().filter(|(_, row)| row.deleted_at.is_none()).map(|(id, row)| (number(id), row)).collect();
    let mut differing = BTreeMap::new();
    for (id, entry) in book.entries.iter().filter(|(_, entry)| entry.kind == index && !entry.poison) {
        let Some(row) = live.get(id) else {
            differing.insert(*id, DriftClass::MissingLocal);
            continue;
        };
        let shown = ["a", "b", "serial"].map(|column| value(row, column));
        let tide = kind.volatile && value(row, "tide") != entry.tide;
        let children: Vec<u64> =
            kind.schema.children.iter().flat_map(|child| members(simulation, child.table, *id)).collect();
        if shown != [entry.a, entry.b, entry.serial] || tide || children != entry.members {
            let key = RecordKey::new(kind.schema.entity.clone(), RecordId::new(id.to_string()));
            let known = simulation.store.sync_state(&key).and_then(|state| state.version);
            let is_stale = kind.versioned && known.is_none_or(|known| known.unix_timestamp() < entry.version);
            differing.insert(*id, if is_stale { DriftClass::Stale } else { DriftClass::FieldDiff });
        }
    }
    for id in live.keys().filter(|id| book.entries.get(id).is_none_or(|entry| entry.kind != index)) {
        differing.insert(*id, DriftClass::MissingRemote);
    }
    differing
}
