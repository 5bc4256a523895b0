//! Local changes that are on their way to the source, and what they keep the mirror from writing.

use std::collections::{BTreeSet, HashMap, HashSet};

use sqlx::types::Json;
use tds_core::{
    error::{Error, ErrorKind, Retry},
    mirror::MirrorSchema,
    outbound::{CREATE_SETTLES, Mode},
    record::{Content, EntityType, Observed, Origin, Read, RecordId},
};
use time::{Duration, OffsetDateTime};

use crate::db::{quote, session::Tx, text::seconds};

/// The entity type whose local changes are adjustments. Its records at the source are the levels of products.
const STOCK: EntityType = EntityType::from_static("stock");

/// A record that the source created longer than this before a create was sent was not made by that create. The clocks of
/// the source and of the database may differ by less than this time.
const BEFORE: Duration = Duration::seconds(60);
/// A body that was pushed longer than this before a create was sent does not show what the create made. The clocks of
/// this process and of the database may differ by less than this time.
const PUSHED_BEFORE: Duration = Duration::seconds(5);
/// How long an unknown record waits for the outcome of a create.
const WAIT: std::time::Duration = std::time::Duration::from_secs(1);

// A create that has no outcome after a minute is settled by a search. Until then, what it made may arrive as an unknown
// record.
const IN_DOUBT: &str = "
SELECT in_doubt_since FROM tds_links
 WHERE entity_type = $1 AND in_doubt_since > clock_timestamp() - make_interval(secs => $2)
";

const ADJUSTED: &str = "
SELECT l.product_zoho_id, NULL::text[] FROM tds_outbox AS o
  JOIN erp.stock_adjustment_lines AS l ON l.document_id = o.local_id
 WHERE o.entity_type = $1 AND o.status IN ('pending', 'conflict') AND l.product_zoho_id = ANY($2)
";

/// The columns and child tables of one record that keep their values.
#[derive(Debug, Default)]
pub(super) struct Pending {
    all: bool,
    fields: BTreeSet<String>,
}

impl Pending {
    /// Returns true if the column or child table keeps its value.
    pub(super) fn keeps(&self, name: &str) -> bool {
        self.all || self.fields.contains(name)
    }

    fn add(&mut self, fields: Option<Vec<String>>) {
        match fields {
            None => self.all = true,
            Some(fields) => self.fields.extend(fields),
        }
    }
}

/// What is written of a read.
#[derive(Clone, Copy)]
pub(super) enum Scope<'a> {
    /// Everything that the guard accepts.
    All,
    /// Everything but what the local changes keep. The head row is not created.
    Beside(&'a Pending),
    /// The volatile columns: the source follows the target.
    Volatile,
    /// Nothing: the source follows the target, which does not know the record.
    Nothing,
}

/// The local side of a batch, if its entity type is written on both sides.
#[derive(Default)]
pub(super) struct Local {
    follows_target: bool,
    /// The records that have a head row.
    heads: HashSet<String>,
    pending: HashMap<String, Pending>,
    late: HashSet<RecordId>,
}

impl Local {
    /// Locks the rows of known records and reads what is pending of them. In other modes there is nothing to read.
    ///
    /// A program that writes a row holds the lock of the row until its changes are in the outbox, so the changes are read
    /// after the locks.
    pub(super) async fn read(
        tx: &mut Tx,
        schema: &MirrorSchema,
        mode: Mode,
        reads: &[&Read],
        is_known: impl Fn(&RecordId) -> bool,
    ) -> Result<Self, sqlx::Error> {
        let mut local = Self { follows_target: mode == Mode::TargetPrimary, ..Self::default() };
        if !mode.pushes() {
            return Ok(local);
        }
        let ids: Vec<&str> = reads.iter().map(|read| read.key.id.as_str()).collect();
        let is_new = |read: &&&Read| read.content != Content::Absent && !is_known(&read.key.id);
        let unknown: Vec<&&Read> = reads.iter().filter(is_new).collect();
        // The outcome of a create and the id in the head row are committed together, so the head rows are read after
        // the creates.
        let in_doubt: Vec<OffsetDateTime> = if unknown.is_empty() {
            Vec::new()
        } else {
            let in_doubt = sqlx::query_scalar(IN_DOUBT).bind(schema.entity.as_str());
            in_doubt.bind(seconds(CREATE_SETTLES)).fetch_all(&mut *tx).await?
        };
        local.lock(tx, schema, &ids).await?;
        local.read_pending(tx, schema, &ids).await?;
        let is_late = |read: &&&&Read| {
            !local.heads.contains(read.key.id.as_str())
                && in_doubt.iter().any(|sent| may_be_made(read, *sent))
        };
        local.late = unknown.iter().filter(is_late).map(|read| read.key.id.clone()).collect();
        Ok(local)
    }

    async fn lock(&mut self, tx: &mut Tx, schema: &MirrorSchema, ids: &[&str]) -> Result<(), sqlx::Error> {
        if let Some(head) = schema.head {
            let sql = format!(
                "SELECT t.zoho_id FROM {} AS t WHERE t.zoho_id = ANY($1) ORDER BY t.zoho_id COLLATE \"C\" FOR UPDATE",
                quote::table(head)
            );
            let heads: Vec<String> =
                sqlx::query_scalar(quote::statement(sql)).bind(ids).fetch_all(&mut *tx).await?;
            self.heads.extend(heads);
        }
        for child in schema.children {
            let owner = quote::identifier(child.owner);
            let sql = format!(
                "SELECT FROM {} AS t WHERE t.{owner} = ANY($1) ORDER BY t.{owner} COLLATE \"C\" FOR UPDATE",
                quote::table(child.table)
            );
            sqlx::query(quote::statement(sql)).bind(ids).execute(&mut *tx).await?;
        }
        Ok(())
    }

    async fn read_pending(
        &mut self,
        tx: &mut Tx,
        schema: &MirrorSchema,
        ids: &[&str],
    ) -> Result<(), sqlx::Error> {
        let sql = match schema.head {
            // A row that was deleted is known by the state of its record.
            Some(head) => quote::statement(format!(
                "SELECT k.zoho_id, o.fields FROM unnest($2::text[]) AS k(zoho_id)
                   CROSS JOIN LATERAL (SELECT coalesce(
                     (SELECT h.id FROM {} AS h WHERE h.zoho_id = k.zoho_id),
                     (SELECT s.local_id FROM tds_sync_records AS s WHERE s.entity_type = $1 AND s.zoho_id = k.zoho_id))
                     AS id) AS l
                   JOIN tds_outbox AS o
                     ON o.entity_type = $1 AND o.local_id = l.id AND o.status IN ('pending', 'conflict')",
                quote::table(head)
            )),
            None if schema.entity == STOCK => quote::statement(ADJUSTED.to_owned()),
            None => return Ok(()),
        };
        let rows = sqlx::query_as(sql).bind(schema.entity.as_str()).bind(ids);
        let rows: Vec<(String, Option<Vec<String>>)> = rows.fetch_all(tx).await?;
        for (id, fields) in rows {
            self.pending.entry(id).or_default().add(fields);
        }
        Ok(())
    }

    /// Returns what is written of a read.
    pub(super) fn scope(&self, read: &Read, is_known: bool) -> Scope<'_> {
        let id = read.key.id.as_str();
        if self.follows_target && read.origin() != Origin::Push {
            return if is_known || self.heads.contains(id) { Scope::Volatile } else { Scope::Nothing };
        }
        self.pending.get(id).map_or(Scope::All, Scope::Beside)
    }

    /// Returns true if the record has a head row. Known only where local changes count.
    pub(super) fn has_head(&self, id: &RecordId) -> bool {
        self.heads.contains(id.as_str())
    }

    /// Returns true if any record of the batch has a head row.
    pub(super) fn has_heads(&self) -> bool {
        !self.heads.is_empty()
    }

    /// Returns why the read of an unknown record has to wait: a create whose outcome is not known may have made the
    /// record, which would otherwise become a second local row.
    pub(super) fn wait(&self, read: &Read) -> Option<Error> {
        self.late.contains(&read.key.id).then(|| {
            let text = format!(
                "storing {}: a local record of this entity type is being created at the source, and its id is not \
                 known yet; the record waits for that answer",
                read.key
            );
            Error::new(ErrorKind::Locked, Retry::Throttled { retry_after: WAIT }, text)
        })
    }
}

/// Returns true if a create that was sent at this time may have made the record.
fn may_be_made(read: &Read, sent: OffsetDateTime) -> bool {
    let Content::Present(record) = &read.content else { return false };
    let created =
        record.fields.get("zoho_created_at").and_then(|value| value.as_str()).and_then(|text| {
            OffsetDateTime::parse(text, &time::format_description::well_known::Rfc3339).ok()
        });
    let arrived = if let Observed::Push(arrived) = read.observed { Some(arrived) } else { None };
    arrived.is_none_or(|arrived| arrived + PUSHED_BEFORE >= sent)
        && created.is_none_or(|created| created + BEFORE >= sent)
}

/// Keeps the last common states of records whose rows are about to be written beside these pending changes, unless a state
/// is kept already of all that the changes are about.
pub(super) async fn keep_earlier(
    tx: &mut Tx,
    entity: &EntityType,
    head: &str,
    records: &[(&str, &Pending)],
) -> Result<(), sqlx::Error> {
    if records.is_empty() {
        return Ok(());
    }
    let ids: Vec<&str> = records.iter().map(|(id, _)| *id).collect();
    let names = records.iter().map(|(_, pending)| Json((!pending.all).then_some(&pending.fields)));
    let sql = format!(
        "INSERT INTO tds_links AS l (entity_type, local_id, zoho_id, earlier)
         SELECT $1, h.id,
                CASE WHEN NOT EXISTS (SELECT FROM tds_links AS o WHERE o.entity_type = $1 AND o.zoho_id = h.zoho_id)
                     THEN h.zoho_id END,
                jsonb_build_array(jsonb_build_object('raw', h.raw::text, 'names', r.names,
                  'shape', CASE WHEN s.detail_hash IS NULL THEN 'list' ELSE 'detail' END))
           FROM unnest($2::text[], $3::jsonb[]) AS r(zoho_id, names)
           JOIN {} AS h ON h.zoho_id = r.zoho_id
           LEFT JOIN tds_sync_records AS s ON s.entity_type = $1 AND s.zoho_id = h.zoho_id
          WHERE h.raw IS NOT NULL ORDER BY h.id
         ON CONFLICT (entity_type, local_id) DO UPDATE SET earlier = l.earlier || excluded.earlier
          WHERE NOT l.earlier @> '[{{\"names\": null}}]'
            AND (excluded.earlier->0->'names' = 'null' OR EXISTS (
              SELECT FROM jsonb_array_elements_text(excluded.earlier->0->'names') AS n(name)
               WHERE NOT l.kept->'fields' ? n.name AND NOT l.kept->'children' ? n.name
                 AND NOT EXISTS (SELECT FROM jsonb_array_elements(l.earlier) AS e(state)
                                  WHERE e.state->'names' ? n.name)))",
        quote::table(head)
    );
    let keep = sqlx::query(quote::statement(sql)).bind(entity.as_str()).bind(ids);
    keep.bind(names.collect::<Vec<_>>()).execute(tx).await.map(drop)
}
