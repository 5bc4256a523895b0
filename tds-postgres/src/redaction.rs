//! Redacts what was stored before a column was hidden.

mod again;
mod stored;

use sqlx::Row as _;
use tds_core::{
    error::Result,
    privacy::{RedactedTable, Redaction},
    record::EntityType,
};
use time::OffsetDateTime;

pub(crate) use self::stored::{STORED, Stored};

use crate::{
    Database,
    db::{
        error::Doing as _,
        quote,
        retry::{FOR_OPERATOR, repeat},
        text::entity_of,
    },
};

/// The number of rows of one transaction.
const BATCH: i64 = 500;
/// The examples of the checks of money say the names of records. The next verification makes new ones.
const EXAMPLES: &str = "
UPDATE tds_verifications AS v SET money = (
  SELECT jsonb_agg(jsonb_set(m.checked, '{examples}', '[]', false) ORDER BY m.n)
    FROM jsonb_array_elements(v.money) WITH ORDINALITY AS m (checked, n))
 WHERE jsonb_path_exists(v.money, '$[*].examples[*]')
";

impl Database {
    /// Redacts the stored data, if it was last redacted by other rules, or if a process with an older configuration stored
    /// hidden values since then. Returns the number of changed rows. Nothing is done while nothing is hidden: values that
    /// were removed come back only with a sync.
    ///
    /// The rows are changed in batches, beside a running server. If a process is stopped in between, the next one begins
    /// again. Several processes may redact at the same time.
    ///
    /// # Errors
    /// The database cannot be reached, or a row stays locked.
    pub async fn redact(&self, redaction: &dyn Redaction) -> Result<u64> {
        let doing = "redacting stored data";
        let rules = redaction.rules();
        let known = "SELECT COALESCE(r.rules, ''), COALESCE(r.changed_at, 'epoch'), clock_timestamp()
          FROM (SELECT) AS one LEFT JOIN tds_redaction AS r ON true";
        let (known, since, now): (String, OffsetDateTime, OffsetDateTime) =
            sqlx::query_as(known).fetch_one(self).await.doing(doing)?;
        if known == rules {
            if rules.is_empty() {
                return Ok(0);
            }
            if !self.is_stored_again(redaction, since).await.doing(doing)? {
                self.keep_rules(&rules, now).await.doing(doing)?;
                return Ok(0);
            }
            tracing::warn!(
                rules,
                "values of hidden columns are stored again: a process ran with an older configuration; they are removed"
            );
        } else if !known.is_empty() {
            // A process with another configuration by mistake would store what the others hide.
            tracing::warn!(
                before = known,
                now = rules,
                "this process hides other columns than the one that started before it"
            );
        }
        let mut changed = 0;
        if !rules.is_empty() {
            for table in redaction.tables() {
                changed += self.redact_table(redaction, &table).await.doing(doing)?;
            }
            for stored in &STORED {
                changed += self.redact_stored(redaction, stored).await.doing(doing)?;
            }
            changed += self.redact_bodies(redaction).await.doing(doing)?;
            changed += sqlx::query(EXAMPLES).execute(self).await.doing(doing)?.rows_affected();
        }
        self.keep_rules(&rules, now).await.doing(doing)?;
        Ok(changed)
    }

    /// Stores by which rules the stored data is redacted, and since when nobody looked for what was stored otherwise.
    async fn keep_rules(&self, rules: &str, at: OffsetDateTime) -> Result<(), sqlx::Error> {
        let store = "INSERT INTO tds_redaction (rules, changed_at) VALUES ($1, $2)
          ON CONFLICT (id) DO UPDATE SET rules = excluded.rules, changed_at = excluded.changed_at";
        sqlx::query(store).bind(rules).bind(at).execute(self).await.map(drop)
    }

    /// Redacts the rows of a table of the mirror.
    async fn redact_table(
        &self,
        redaction: &dyn Redaction,
        table: &RedactedTable,
    ) -> Result<u64, sqlx::Error> {
        let name = quote::table(table.table);
        let mut changed = 0;
        // Columns are emptied, or hashed row by row.
        let dropped: Vec<&str> =
            table.columns.iter().filter(|column| !column.hashed).map(|column| column.name).collect();
        let mut values: Vec<(String, bool)> = table
            .columns
            .iter()
            .filter(|column| column.hashed)
            .map(|column| (column.name.to_owned(), true))
            .collect();
        if table.is_head {
            let json = format!(
                "SELECT attname::text FROM pg_attribute WHERE attrelid = {} AND attnum > 0
                    AND NOT attisdropped AND attgenerated = '' AND atttypid = 'jsonb'::regtype ORDER BY attnum",
                quote::regclass(table.table)
            );
            let json: Vec<String> = sqlx::query_scalar(quote::statement(json)).fetch_all(self).await?;
            let composite = json.into_iter().filter(|column| !dropped.contains(&column.as_str()));
            values.extend(composite.map(|column| (column, false)));
        }
        let mut after = i64::MIN;
        loop {
            let (rows, newest) = repeat(FOR_OPERATOR, || {
                self.redact_rows(redaction, &table.entity, &name, &dropped, &values, after)
            })
            .await?;
            changed += rows;
            match newest {
                Some(newest) => after = newest,
                None => return Ok(changed),
            }
        }
    }

    /// Redacts the rows after an id. Returns the number of changed rows, and the last id; `None` if there was no row.
    async fn redact_rows(
        &self,
        redaction: &dyn Redaction,
        entity: &EntityType,
        table: &str,
        dropped: &[&str],
        values: &[(String, bool)],
        after: i64,
    ) -> Result<(u64, Option<i64>), sqlx::Error> {
        let mut tx = self.begin_as_engine("SET LOCAL jit = off").await?;
        let texts: Vec<String> =
            values.iter().map(|(column, _)| format!("{}::text", quote::identifier(column))).collect();
        let columns = texts.iter().map(|text| format!(", {text}")).collect::<String>();
        let select = format!("SELECT id{columns} FROM {table} WHERE id > $1 ORDER BY id LIMIT $2 FOR UPDATE");
        let rows = sqlx::query(quote::statement(select)).bind(after).bind(BATCH).fetch_all(&mut tx).await?;
        let mut newest = None;
        let mut changed = 0;
        for (place, (column, hashed)) in values.iter().enumerate() {
            let (mut ids, mut new): (Vec<i64>, Vec<String>) = Default::default();
            for row in &rows {
                let Some(old) = row.try_get::<Option<&str>, _>(place + 1)? else { continue };
                let redacted = if *hashed {
                    redaction.hash(old).filter(|hash| hash != old)
                } else {
                    redaction.json(entity, old)
                };
                if let Some(redacted) = redacted {
                    ids.push(row.try_get(0)?);
                    new.push(redacted);
                }
            }
            if ids.is_empty() {
                continue;
            }
            let cast = if *hashed { "" } else { "::jsonb" };
            let column = quote::identifier(column);
            let update = format!(
                "UPDATE {table} AS t SET {column} = n.value{cast} FROM unnest($1::bigint[], $2::text[]) AS n (id, value)
                  WHERE t.id = n.id"
            );
            let update = sqlx::query(quote::statement(update)).bind(ids).bind(new);
            changed += update.execute(&mut tx).await?.rows_affected();
        }
        let ids: Vec<i64> = rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?;
        if let Some(last) = ids.last() {
            newest = Some(*last);
        }
        if !dropped.is_empty() && !ids.is_empty() {
            let columns: Vec<String> = dropped.iter().map(|column| quote::identifier(column)).collect();
            let empty = columns.iter().map(|it| format!("{it} = NULL")).collect::<Vec<_>>().join(", ");
            let filled =
                columns.iter().map(|it| format!("{it} IS NOT NULL")).collect::<Vec<_>>().join(" OR ");
            let update = format!("UPDATE {table} SET {empty} WHERE id = ANY($1) AND ({filled})");
            let update = sqlx::query(quote::statement(update)).bind(ids);
            changed += update.execute(&mut tx).await?.rows_affected();
        }
        tx.commit().await?;
        Ok((changed, newest))
    }

    /// Redacts JSON of the engine's tables. These tables are small, or their rows are short-lived.
    async fn redact_stored(&self, redaction: &dyn Redaction, stored: &Stored) -> Result<u64, sqlx::Error> {
        let Stored { table, key: (key, _), value, entity, .. } = *stored;
        let mut changed = 0;
        let tables = redaction.tables();
        for of in tables.iter().filter(|it| it.is_head).map(|it| &it.entity) {
            let select = format!(
                "SELECT {key}, {value}::text AS value FROM {table} WHERE {entity} = $1 AND {value} IS NOT NULL"
            );
            let redact = || async {
                let mut tx = self.begin_as_engine("SET LOCAL jit = off").await?;
                let rows: Vec<(String, String)> =
                    sqlx::query_as(quote::statement(format!("{select} FOR UPDATE")))
                        .bind(of.as_str())
                        .fetch_all(&mut tx)
                        .await?;
                let mut count = 0;
                for (key_value, old) in rows {
                    let Some(new) = stored.redact(redaction, of, &tables, &old) else { continue };
                    let update = sqlx::query(quote::statement(stored.update())).bind(key_value).bind(new);
                    count += update.execute(&mut tx).await?.rows_affected();
                }
                tx.commit().await?;
                Ok(count)
            };
            changed += repeat(FOR_OPERATOR, redact).await?;
        }
        Ok(changed)
    }

    /// Redacts the bodies of the inbox.
    async fn redact_bodies(&self, redaction: &dyn Redaction) -> Result<u64, sqlx::Error> {
        let (mut changed, mut after) = (0, i64::MIN);
        loop {
            let redact = || async {
                let mut tx = self.begin_as_engine("SET LOCAL jit = off").await?;
                let rows = sqlx::query(
                    "SELECT id, entity_type, raw_payload FROM tds_inbox_events
                      WHERE id > $1 AND raw_payload <> '' ORDER BY id LIMIT $2 FOR UPDATE",
                );
                let rows = rows.bind(after).bind(BATCH).fetch_all(&mut tx).await?;
                let (mut ids, mut bodies): (Vec<i64>, Vec<Vec<u8>>) = Default::default();
                let mut newest = None;
                for row in &rows {
                    let id: i64 = row.try_get("id")?;
                    newest = Some(id);
                    let entity = entity_of(row.try_get("entity_type")?)?;
                    if let Some(body) = redaction.body(&entity, row.try_get("raw_payload")?) {
                        ids.push(id);
                        bodies.push(body);
                    }
                }
                let update = sqlx::query(
                    "UPDATE tds_inbox_events e SET raw_payload = n.body
                       FROM unnest($1::bigint[], $2::bytea[]) AS n (id, body) WHERE e.id = n.id",
                );
                let count = update.bind(ids).bind(bodies).execute(&mut tx).await?.rows_affected();
                tx.commit().await?;
                Ok((count, newest))
            };
            let (count, newest) = repeat(FOR_OPERATOR, redact).await?;
            changed += count;
            match newest {
                Some(newest) => after = newest,
                None => return Ok(changed),
            }
        }
    }
}
