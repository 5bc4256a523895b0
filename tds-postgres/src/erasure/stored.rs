//! The JSON of the engine's tables about documents that name the person: links, local changes, conflicts and findings.

use tds_core::privacy::{Redaction, names};

use super::concerned::{CONCERNED, Concerned};
use crate::{
    Tx,
    db::{quote::statement, text::entity_of},
    redaction::{STORED, Stored},
};

/// Removes what says who the person is. `documents`: the entity types of documents. Returns how many values of links, changes and conflicts changed, and how many of
/// findings.
///
/// Payloads of items are none of these: they are removed as a whole, and the records are read again.
pub(super) async fn redact(
    tx: &mut Tx,
    persons: &dyn Redaction,
    documents: &[&str],
    concerned: &Concerned,
    id: &str,
) -> Result<(u64, u64), sqlx::Error> {
    let tables = persons.tables();
    let (mut changes, mut findings) = (0, 0);
    for stored in STORED.iter().filter(|stored| !stored.is_payload()) {
        let mut count = 0;
        for (key, entity, value) in rows(tx, stored, documents, concerned, id).await? {
            let entity = entity_of(&entity)?;
            let Some(new) = stored.redact(persons, &entity, &tables, &value) else { continue };
            let update = sqlx::query(statement(stored.update())).bind(key).bind(new);
            count += update.execute(&mut *tx).await?.rows_affected();
        }
        *if stored.table == "tds_verify_findings" { &mut findings } else { &mut changes } += count;
    }
    Ok((changes, findings))
}

/// Returns the rows about documents that name the person: their keys, entity types and values. A document whose row is
/// gone is found by the id of the person in the value.
async fn rows(
    tx: &mut Tx,
    stored: &Stored,
    documents: &[&str],
    concerned: &Concerned,
    id: &str,
) -> Result<Vec<(String, String, String)>, sqlx::Error> {
    let Stored { table, key: (key, _), value, entity, id: id_column, local_id, .. } = stored;
    let by_local_id = local_id.map_or_else(String::new, |column| {
        format!(" OR ({entity}, {column}) IN (SELECT c.entity_type, c.local_id FROM c)")
    });
    let select = format!(
        "{CONCERNED} SELECT t.{key}, {entity}, {value}::text, f.is_concerned FROM {table} AS t CROSS JOIN LATERAL (SELECT
           ({entity}, {id_column}) IN (SELECT c.entity_type, c.zoho_id FROM c){by_local_id} AS is_concerned) AS f
          WHERE {value} IS NOT NULL AND {entity} = ANY($4) AND (f.is_concerned OR strpos({value}::text, $5) > 0)
            FOR UPDATE OF t"
    );
    let rows: Vec<(String, String, String, Option<bool>)> = sqlx::query_as(statement(select))
        .bind(&concerned.entities)
        .bind(&concerned.ids)
        .bind(&concerned.local_ids)
        .bind(documents)
        .bind(id)
        .fetch_all(tx)
        .await?;
    let is_named =
        |value: &str, is_concerned: Option<bool>| is_concerned == Some(true) || names(value.as_bytes(), id);
    let rows = rows.into_iter().filter(|(_, _, value, is_concerned)| is_named(value, *is_concerned));
    Ok(rows.map(|(key, entity, value, _)| (key, entity, value)).collect())
}
