//! The rows of documents that name the person.

use sqlx::Row as _;
use tds_core::{
    privacy::{PARTIES, Redaction},
    record::EntityType,
};

use super::concerned::Concerned;
use crate::{
    Tx,
    db::quote::{self, identifier},
};

/// A table of documents that name persons of one entity type.
pub(super) struct Documents {
    pub(super) entity: EntityType,
    table: &'static str,
    /// The column with the person's id at the source, and the one with the local id.
    party: &'static str,
    local: String,
    /// The columns that say who the person is.
    personal: Vec<&'static str>,
}

/// The number of documents of one statement.
const BATCH: i64 = 500;

/// Returns the tables of documents that name persons of this entity type.
pub(super) async fn of(
    tx: &mut Tx,
    persons: &dyn Redaction,
    entity: &EntityType,
) -> Result<Vec<Documents>, sqlx::Error> {
    let Some((party, _)) = PARTIES.iter().find(|(_, name)| *name == entity.as_str()) else {
        return Ok(Vec::new());
    };
    let local = party.replace("_zoho_id", "_id");
    let mut documents = Vec::new();
    for table in persons.tables().into_iter().filter(|table| table.is_head) {
        let columns = vec![(*party).to_owned(), local.clone()];
        let has = format!(
            "SELECT count(*) = 2 FROM pg_attribute WHERE attrelid = {} AND attname = ANY($1) AND NOT attisdropped",
            quote::regclass(table.table)
        );
        if sqlx::query_scalar(quote::statement(has)).bind(columns).fetch_one(&mut *tx).await? {
            documents.push(Documents {
                entity: table.entity,
                table: table.table,
                party,
                local: local.clone(),
                personal: table.columns.iter().map(|column| column.name).collect(),
            });
        }
    }
    Ok(documents)
}

/// Removes from documents what says who the person is, and adds the documents to the concerned records. Returns their
/// number.
pub(super) async fn erase(
    tx: &mut Tx,
    persons: &dyn Redaction,
    documents: &[Documents],
    (id, local_id): (&str, Option<i64>),
    concerned: &mut Concerned,
) -> Result<u64, sqlx::Error> {
    let mut count = 0;
    for document in documents {
        count += erase_in(tx, persons, document, (id, local_id), concerned).await?;
    }
    Ok(count)
}

async fn erase_in(
    tx: &mut Tx,
    persons: &dyn Redaction,
    document: &Documents,
    (id, local_id): (&str, Option<i64>),
    concerned: &mut Concerned,
) -> Result<u64, sqlx::Error> {
    let Documents { entity, table, party, local, personal } = document;
    let (table, party, local) = (quote::table(table), identifier(party), identifier(local));
    let names = format!("({party} = $1 OR {local} = $2)");
    let select = format!(
        "SELECT id, raw::text, zoho_id FROM {table} WHERE {names} AND id > $3 ORDER BY id LIMIT $4 FOR UPDATE"
    );
    let (mut count, mut after) = (0, i64::MIN);
    loop {
        let rows = sqlx::query(quote::statement(select.clone()));
        let rows = rows.bind(id).bind(local_id).bind(after).bind(BATCH).fetch_all(&mut *tx).await?;
        let (mut ids, mut raws): (Vec<i64>, Vec<Option<String>>) = Default::default();
        for row in &rows {
            let raw = row.try_get::<Option<&str>, _>(1)?;
            let document: i64 = row.try_get(0)?;
            concerned.add(entity.as_str(), row.try_get(2)?, Some(document));
            ids.push(document);
            raws.push(raw.map(|raw| persons.json(entity, raw).unwrap_or_else(|| raw.to_owned())));
        }
        let Some(last) = ids.last() else { return Ok(count) };
        after = *last;
        count += u64::try_from(ids.len()).unwrap_or(0);
        let mut sets = vec!["raw = n.raw::jsonb".to_owned()];
        sets.extend(personal.iter().map(|column| format!("{} = NULL", identifier(column))));
        let update = format!(
            "UPDATE {table} AS t SET {} FROM unnest($1::bigint[], $2::text[]) AS n (id, raw) WHERE t.id = n.id",
            sets.join(", ")
        );
        sqlx::query(quote::statement(update)).bind(ids).bind(raws).execute(&mut *tx).await?;
    }
}

/// Forgets what the documents that name the person contained, so that their next reads are applied: they were written
/// without the person, and the source has no newer versions.
pub(super) async fn forget(
    tx: &mut Tx,
    documents: &[Documents],
    (id, local_id): (&str, Option<i64>),
) -> Result<(), sqlx::Error> {
    for Documents { entity, table, party, local, .. } in documents {
        let (table, party, local) = (quote::table(table), identifier(party), identifier(local));
        let update = format!(
            "UPDATE tds_sync_records AS s SET list_hash = NULL, detail_hash = NULL FROM {table} AS t
              WHERE s.entity_type = $3 AND s.zoho_id = t.zoho_id COLLATE \"C\" AND (t.{party} = $1 OR t.{local} = $2)"
        );
        let update = sqlx::query(quote::statement(update)).bind(id).bind(local_id).bind(entity.as_str());
        update.execute(&mut *tx).await?;
    }
    Ok(())
}
