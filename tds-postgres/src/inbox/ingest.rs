//! Stores events and enqueues the work that follows from them, in one transaction.

use std::collections::{BTreeMap, HashMap, HashSet};

use sqlx::{PgExecutor, Row as _, postgres::PgRow};

use tds_core::{
    history::Happening,
    inbox::{Accepted, Disposition, InboxId, NewEvent, other_records},
    queue::{Lane, NewItem, Outcome, Waiter, Work, WorkKey},
    record::{Origin, RecordKey},
};

use crate::{
    Database,
    db::text::{Query, column, storable, storable_json},
    erasure::bodies::{self, Unread},
    queue::fold::{Batch, queue, stored_key},
};

// One statement, which is one transaction, stores events, their work and their waiters. Every record occurs once in
// it. The work of a delivery that is already known finds no event to join.
const STORE: &str = concat!(
    r#"
-- Sorted by the unique key: two committers with the same deliveries lock them in one order.
WITH e AS (
  INSERT INTO tds_inbox_events
    (event_id, source_type, entity_type, entity_id, event_type, raw_payload, headers, status, outcome, error_message,
     open_items, records, received_at, processed_at)
  SELECT n.event_id, n.source_type, n.entity_type, n.entity_id, n.event_type, n.raw_payload, n.headers::jsonb, n.status,
         n.outcome, n.error_message, n.open_items, string_to_array(n.records, E'\n'), t.at,
         CASE WHEN n.status <> 'pending' THEN t.at END
    FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bytea[], $7::text[], $8::text[],
                $9::text[], $10::text[], $11::int[], $12::text[])
      AS n(event_id, source_type, entity_type, entity_id, event_type, raw_payload, headers, status, outcome,
           error_message, open_items, records),
      -- Once, so that what ends at once does not end before it came.
      (SELECT clock_timestamp() AS at) AS t
   ORDER BY n.event_id COLLATE "C"
  ON CONFLICT (event_id) DO NOTHING
  RETURNING id, event_id),
w AS MATERIALIZED (
  SELECT n.*, e.id AS event
    FROM unnest($13::text[], $14::text[], $15::smallint[], $16::timestamptz[], $17::text[], $18::text[], $19::boolean[],
                $20::boolean[], $21::timestamptz[], $22::timestamptz[], $23::text[])
      AS n(entity_type, zoho_entity_id, priority, version, payload, shape, pushed, recheck, began, ended, event_id)
    JOIN e USING (event_id)),
f AS (
  INSERT INTO tds_queue_live AS q
    (entity_type, zoho_entity_id, priority, version, payload, shape, pushed, recheck, observed_began, observed_ended,
     inbox_event_id)
  SELECT entity_type, zoho_entity_id, priority, version, payload, shape, pushed, recheck, began, ended, event
    FROM w ORDER BY entity_type COLLATE "C", zoho_entity_id COLLATE "C""#,
    include_str!("../../sql/parts/fold_into.sql"),
    "),
a AS (
  INSERT INTO tds_queue_waiters (item_id, cause, cause_id, generation)
  SELECT f.id, 'event', w.event, f.generation FROM f JOIN w USING (entity_type, zoho_entity_id))
SELECT id, event_id FROM e"
);

const KNOWN: &str = "
SELECT id, event_id, COALESCE(again, id) AS place, (SELECT max(id) FROM tds_inbox_events) AS newest
  FROM tds_inbox_events WHERE event_id = ANY($1::text[])
";

/// A delivery that was stored before.
#[derive(sqlx::FromRow)]
struct Known {
    id: i64,
    event_id: String,
    /// The last position of the delivery among all deliveries.
    place: i64,
    /// The id of the newest delivery of all.
    newest: i64,
}

/// The number of newest deliveries that are searched for later deliveries of a record. For a delivery older than
/// that, the search is not worth its cost: its records are read.
const LOOK_BACK: i64 = 10_000;

// Finds the records about which another delivery arrived after the delivery that came back. Only duplicates pay for
// this search. The statement reads the newest rows of the inbox once for a batch, and the few deliveries that came
// back themselves through their own index. An event that another committer has not committed yet has not been applied
// either. Its work reads the record or carries a newer version.
const LATER: &str = "
WITH k AS (SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::text[], $4::text[]) AS k(n, place, entity_type, record)),
later AS MATERIALIZED (
  SELECT e.place, e.entity_type, u.record
    FROM (SELECT id AS place, entity_type, entity_id, records FROM tds_inbox_events WHERE id > $5
           UNION ALL
          SELECT again, entity_type, entity_id, records FROM tds_inbox_events WHERE again > $6) AS e,
         unnest(COALESCE(e.records, ARRAY[e.entity_id])) AS u(record))
SELECT k.n FROM k
 WHERE k.place < $7
    OR EXISTS (SELECT FROM later l
                WHERE l.entity_type = k.entity_type AND l.record = k.record AND l.place > k.place)
";

// An earlier dead letter does not hold the event back.
const LEAVE_DEAD: &str = "
DELETE FROM tds_queue_waiters w USING tds_queue_live q
 WHERE q.dead_lettered_at IS NOT NULL AND w.item_id = q.id AND w.cause = 'event' AND w.cause_id = $1
";

const REPLAY: &str = "
UPDATE tds_inbox_events SET status = $2, outcome = $3, error_message = $4, open_items = open_items + $5,
  processed_at = CASE WHEN $2 <> 'pending' THEN clock_timestamp() END,
  again = CASE WHEN $6 THEN nextval(pg_get_serial_sequence('tds_inbox_events', 'id')) ELSE again END
 WHERE id = $1
";

// Deliveries that came again, and what operators had processed again, for the histories of their records.
const NOTE: &str = "
INSERT INTO tds_decisions (inbox_event_id, entity_type, zoho_id, kind, action)
SELECT DISTINCT n.event, n.entity_type, n.zoho_id, $4, $5
  FROM unnest($1::bigint[], $2::text[], $3::text[]) AS n(event, entity_type, zoho_id)
";

/// Returns how many items an event waits for. A record that is named twice counts once.
fn open_items(event: &NewEvent) -> i32 {
    let mut keys: Vec<_> = event.disposition.work().iter().map(|(key, _)| key).collect();
    keys.sort_unstable();
    keys.dedup();
    i32::try_from(keys.len()).unwrap_or(i32::MAX)
}

/// Stores events and enqueues their work. The results are in the order of the events.
pub(crate) async fn store_events(
    database: &Database,
    events: &[&NewEvent],
) -> Result<Vec<Accepted>, sqlx::Error> {
    // The same delivery may occur twice in a batch. The first one is stored.
    let mut first: BTreeMap<String, usize> = BTreeMap::new();
    for (index, event) in events.iter().enumerate() {
        first.entry(storable(&event.event_id).into_owned()).or_insert(index);
    }
    let chosen: Vec<&NewEvent> = first.values().filter_map(|index| events.get(*index).copied()).collect();
    let inserted = match work_once(&chosen) {
        Some(work) => insert(database, &chosen, &work).await?,
        None => store_in_steps(database, events, &first, &chosen).await?,
    };
    let at_once = chosen.iter().filter(|event| event.disposition.work().is_empty());
    let at_once = at_once.filter(|event| !event.raw_payload.is_empty());
    let at_once = at_once.filter_map(|event| inserted.get(storable(&event.event_id).as_ref()).copied());
    bodies::blank_unread(database, Unread::Events, at_once.collect()).await;
    let missing: Vec<&str> =
        first.keys().filter(|id| !inserted.contains_key(*id)).map(String::as_str).collect();
    let mut known: HashMap<String, Known> = HashMap::new();
    if !missing.is_empty() {
        let rows = sqlx::query_as::<_, Known>(KNOWN).bind(missing).fetch_all(database).await?;
        known = rows.into_iter().map(|row| (row.event_id.clone(), row)).collect();
        read_what_came_back(database, &chosen, &known).await?;
    }
    let accepted = |(index, event): (usize, &&NewEvent)| {
        let key = storable(&event.event_id);
        let fresh = first.get(key.as_ref()) == Some(&index);
        match (inserted.get(key.as_ref()), known.get(key.as_ref())) {
            (Some(id), _) => Ok(Accepted { id: InboxId(*id), duplicate: !fresh }),
            (None, Some(known)) => Ok(Accepted { id: InboxId(known.id), duplicate: true }),
            // The earlier row was pruned between the two statements. The sender tries again.
            (None, None) => Err(sqlx::Error::RowNotFound),
        }
    };
    let accepted: Vec<Accepted> = events.iter().enumerate().map(accepted).collect::<Result<_, _>>()?;
    let duplicates = accepted.iter().zip(events).filter(|(accepted, _)| accepted.duplicate);
    let duplicates = duplicates.map(|(accepted, event)| (accepted.id.0, &event.disposition));
    note(duplicates, Origin::Webhook, Happening::Duplicate, database).await?;
    Ok(accepted)
}

/// Enqueues work of an existing event, which becomes pending again. Returns false if the event does not exist.
pub(crate) async fn begin_again(
    database: &Database,
    id: InboxId,
    disposition: &Disposition,
    lane: Lane,
) -> Result<bool, sqlx::Error> {
    let mut tx = database.begin().await?;
    let items = items_of(disposition, lane, id);
    let new = queue(&mut tx, &items.iter().collect::<Vec<_>>(), &HashSet::new()).await?.len();
    let new = i64::try_from(new).unwrap_or(i64::MAX);
    let left = sqlx::query(LEAVE_DEAD).bind(id.0).execute(&mut tx).await?.rows_affected();
    let replayed = sqlx::query(REPLAY)
        .bind(id.0)
        .bind(disposition.status().as_str())
        .bind(disposition.outcome().map(Outcome::as_str))
        .bind(disposition.reason().map(storable))
        .bind(new.saturating_sub(i64::try_from(left).unwrap_or(0)))
        .bind(lane == Lane::Webhook)
        .execute(&mut tx)
        .await?;
    if replayed.rows_affected() == 0 {
        return Ok(false);
    }
    if lane == Lane::Operator {
        note([(id.0, disposition)], Origin::Operator, Happening::Replay, &mut tx).await?;
    }
    tx.commit().await?;
    Ok(true)
}

/// Keeps what happened to events in the histories of their records.
async fn note<'a>(
    events: impl IntoIterator<Item = (i64, &'a Disposition)>,
    origin: Origin,
    happening: Happening,
    database: impl PgExecutor<'_>,
) -> Result<(), sqlx::Error> {
    let named: Vec<(i64, &RecordKey)> = events
        .into_iter()
        .flat_map(|(event, disposition)| disposition.work().iter().map(move |(key, _)| (event, key)))
        .collect();
    if named.is_empty() {
        return Ok(());
    }
    let query = sqlx::query(NOTE)
        .bind(column(&named, |(event, _)| *event))
        .bind(column(&named, |(_, key)| key.entity.as_str()))
        .bind(column(&named, |(_, key)| storable(key.id.as_str())))
        .bind(origin.as_str())
        .bind(happening.as_str());
    query.execute(database).await.map(drop)
}

/// Returns the work of an event as items for which the event waits.
fn items_of(disposition: &Disposition, lane: Lane, id: InboxId) -> Vec<NewItem> {
    let item = |(key, work): &(RecordKey, Work)| NewItem {
        waiter: Waiter::Event(id),
        ..NewItem::new(key.clone(), lane, work.clone())
    };
    disposition.work().iter().map(item).collect()
}

/// Enqueues reads for known deliveries that came back: reads of those records about which other deliveries arrived in
/// between. The row of the first delivery waits for the reads.
async fn read_what_came_back(
    database: &Database,
    events: &[&NewEvent],
    known: &HashMap<String, Known>,
) -> Result<(), sqlx::Error> {
    let mut named: Vec<(&Known, &NewEvent, &RecordKey, &Work)> = Vec::new();
    for event in events {
        let Some(known) = known.get(storable(&event.event_id).as_ref()) else { continue };
        named.extend(event.disposition.work().iter().map(|(key, work)| (known, *event, key, work)));
    }
    let Some(first) = named.iter().map(|(known, ..)| known.place).min() else { return Ok(()) };
    let numbers: Vec<i64> = (0..).take(named.len()).collect();
    // The bounds are parameters, so that the planner knows how few rows they leave.
    let far = known.values().map(|known| known.newest).max().unwrap_or(first) - LOOK_BACK;
    let later: Vec<i64> = sqlx::query_scalar(LATER)
        .bind(numbers)
        .bind(column(&named, |(known, ..)| known.place))
        .bind(column(&named, |(_, event, ..)| event.entity_type.as_str()))
        .bind(column(&named, |(_, _, key, _)| storable(key.id.as_str())))
        .bind(first.max(far))
        .bind(first)
        .bind(far)
        .fetch_all(database)
        .await?;
    let mut again: BTreeMap<i64, Vec<(RecordKey, Work)>> = BTreeMap::new();
    for number in later {
        let named = usize::try_from(number).ok().and_then(|number| named.get(number));
        if let Some((known, _, key, work)) = named {
            let read = Work { version: work.version, ..Work::fetch() };
            again.entry(known.id).or_default().push(((*key).clone(), read));
        }
    }
    for (id, work) in again {
        begin_again(database, InboxId(id), &Disposition::Work(work), Lane::Webhook).await?;
    }
    Ok(())
}

/// Returns the work of events and the event of each work. `None` if a record occurs twice.
fn work_once<'a>(events: &[&'a NewEvent]) -> Option<(Batch, Vec<&'a str>)> {
    let mut batch = Batch::default();
    let mut causes = BTreeMap::new();
    for event in events {
        for (key, work) in event.disposition.work() {
            let key = WorkKey::from(key.clone());
            if batch.has(key.clone()) {
                return None;
            }
            batch.add(key.clone(), Lane::Webhook, work, None);
            causes.insert(stored_key(key), event.event_id.as_str());
        }
    }
    Some((batch, causes.into_values().collect()))
}

/// Stores the new events and their work in one statement. Returns the ids of the new events by their delivery.
async fn insert<'c>(
    database: impl PgExecutor<'c>,
    events: &[&NewEvent],
    (batch, causes): &(Batch, Vec<&str>),
) -> Result<HashMap<String, i64>, sqlx::Error> {
    let causes: Vec<_> = causes.iter().map(|event_id| storable(event_id)).collect();
    let query = batch.bind(bind_events(sqlx::query(STORE), events)).bind(causes);
    let id = |row: &PgRow| Ok((row.try_get("event_id")?, row.try_get("id")?));
    query.fetch_all(database).await?.iter().map(id).collect()
}

/// Stores events in steps. Events of one record in a batch are folded in the order of their arrival, so it must first
/// be known which events are new.
async fn store_in_steps(
    database: &Database,
    events: &[&NewEvent],
    first: &BTreeMap<String, usize>,
    chosen: &[&NewEvent],
) -> Result<HashMap<String, i64>, sqlx::Error> {
    let mut tx = database.begin().await?;
    let inserted = insert(&mut tx, chosen, &(Batch::default(), Vec::new())).await?;
    let mut fresh: Vec<(usize, i64)> =
        first.iter().filter_map(|(event_id, index)| inserted.get(event_id).map(|id| (*index, *id))).collect();
    fresh.sort_unstable();
    let mut items = Vec::new();
    for (index, id) in fresh {
        if let Some(event) = events.get(index) {
            items.extend(items_of(&event.disposition, Lane::Webhook, InboxId(id)));
        }
    }
    queue(&mut tx, &items.iter().collect::<Vec<_>>(), &HashSet::new()).await?;
    tx.commit().await?;
    Ok(inserted)
}

fn bind_events<'q>(query: Query<'q>, events: &[&NewEvent]) -> Query<'q> {
    query
        .bind(column(events, |event| storable(&event.event_id)))
        .bind(column(events, |event| storable(&event.source_type)))
        .bind(column(events, |event| storable(event.entity_type.as_str())))
        .bind(column(events, |event| event.entity_id.as_deref().map(storable)))
        .bind(column(events, |event| storable(&event.event_type)))
        .bind(column(events, |event| event.raw_payload.as_slice()))
        .bind(column(events, |event| storable_json(&event.headers).to_string()))
        .bind(column(events, |event| event.disposition.status().as_str()))
        .bind(column(events, |event| event.disposition.outcome().map(Outcome::as_str)))
        .bind(column(events, |event| event.disposition.reason().map(storable)))
        .bind(column(events, |event| open_items(event)))
        .bind(column(events, |event| records_of(event)))
}

/// Returns the records of an event beyond its own entity id, one per line.
fn records_of(event: &NewEvent) -> Option<String> {
    let records = other_records(event);
    let lines: Vec<_> = records.iter().map(|record| storable(record.as_str())).collect();
    (!lines.is_empty()).then(|| lines.join("\n"))
}
