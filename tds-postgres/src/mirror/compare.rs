//! The comparison of reads with the rows of the tables.

use std::collections::{HashMap, HashSet};

use sqlx::types::Json;
use tds_core::{
    mirror::{Difference, FieldDifference, MirrorSchema, Presence, compare_rows},
    record::{Content, Read, Record, RecordId},
};

use super::{
    catalog::{Columns, Tables},
    children, head,
};
use crate::{
    Database,
    db::{quote, session::Tx},
};

/// Lets all statements of a comparison see the same state of the tables.
const BEGIN: &str = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY";

/// Returns the differences of the records that the tables do not show as they were read.
pub(super) async fn compare(
    database: &Database,
    schema: &MirrorSchema,
    tables: &Tables,
    reads: &[&Read],
) -> Result<HashMap<RecordId, Difference>, sqlx::Error> {
    let mut tx = database.begin_with(BEGIN).await?;
    let (mut present, mut absent): (Vec<(&Read, &Record)>, Vec<String>) = Default::default();
    for read in reads {
        match &read.content {
            Content::Present(record) => present.push((read, record)),
            Content::Absent => absent.push(read.key.id.as_str().to_owned()),
        }
    }
    let mut differences = HashMap::new();
    let head = schema.head.and_then(|head| tables.get_key_value(head));
    if let Some((table, columns)) = head {
        compare_heads(&mut tx, table, columns, &present, &mut differences).await?;
    }
    let is_live = |record: &Record| {
        let difference: Option<&Difference> = differences.get(&record.id);
        difference.is_none_or(|difference| difference.presence == Presence::Live)
    };
    let whole: Vec<&Record> =
        present.iter().map(|(_, record)| *record).filter(|record| is_live(record)).collect();
    for child in schema.children {
        let Some(columns) = tables.get(child.table) else { continue };
        let mut sets: children::Sets<'_> = whole
            .iter()
            .filter_map(|record| Some((record.id.as_str(), record.children.get(child.table)?.as_slice())))
            .collect();
        if sets.is_empty() {
            continue;
        }
        let changed: HashSet<String> =
            children::differing(&mut tx, child, columns, &sets).await?.into_iter().collect();
        if changed.is_empty() {
            continue;
        }
        sets.retain(|id, _| changed.contains(*id));
        for (owner, (new, rows)) in children::both(&mut tx, child, columns, &sets).await? {
            let fields = compare_rows(child.table, &new, &rows);
            differences.entry(RecordId::new(owner)).or_insert_with(live).fields.extend(fields);
        }
    }
    for id in still_live(&mut tx, schema, head, &absent).await? {
        differences.insert(RecordId::new(id), live());
    }
    Ok(differences)
}

/// Returns the difference of a read with a value that no column can hold.
pub(super) fn unfit(read: &Read) -> (RecordId, Difference) {
    (read.key.id.clone(), live())
}

fn live() -> Difference {
    Difference { presence: Presence::Live, fields: Vec::new() }
}

async fn compare_heads(
    tx: &mut Tx,
    table: &str,
    columns: &Columns,
    present: &[(&Read, &Record)],
    differences: &mut HashMap<RecordId, Difference>,
) -> Result<(), sqlx::Error> {
    let mut rows = head::Rows::new(table, columns);
    for (read, record) in present {
        rows.push(read, record, true, true, None);
    }
    for row in rows.differing(tx).await? {
        let presence = match (row.missing, row.deleted) {
            (true, _) => Presence::Missing,
            (_, true) => Presence::Deleted,
            _ => Presence::Live,
        };
        let Json(columns) = row.columns;
        let named =
            columns.into_iter().map(|(field, source, target)| FieldDifference { field, source, target });
        let fields = if presence == Presence::Live { named.collect() } else { Vec::new() };
        differences.insert(RecordId::new(row.zoho_id), Difference { presence, fields });
    }
    Ok(())
}

/// Returns those of the records that the source no longer has and that the tables still show.
async fn still_live(
    tx: &mut Tx,
    schema: &MirrorSchema,
    head: Option<(&&'static str, &Columns)>,
    absent: &[String],
) -> Result<HashSet<String>, sqlx::Error> {
    let mut live = HashSet::new();
    if absent.is_empty() {
        return Ok(live);
    }
    let statements: Vec<String> = match head {
        Some((table, columns)) => {
            let alive = columns.iter().any(|column| column.name == "deleted_at");
            let alive = if alive { " AND deleted_at IS NULL" } else { "" };
            vec![format!("SELECT zoho_id FROM {} WHERE zoho_id = ANY($1){alive}", quote::table(table))]
        }
        None => schema
            .children
            .iter()
            .map(|child| {
                let (table, owner) = (quote::table(child.table), quote::identifier(child.owner));
                format!("SELECT DISTINCT {owner} FROM {table} WHERE {owner} = ANY($1)")
            })
            .collect(),
    };
    for statement in statements {
        let ids = sqlx::query_scalar(quote::statement(statement)).bind(absent);
        live.extend(ids.fetch_all(&mut *tx).await?.into_iter().collect::<Vec<String>>());
    }
    Ok(live)
}
