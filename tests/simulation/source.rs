//! The simulated source as one process sees it.

use std::{
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use async_trait::async_trait;
use serde_json::{Map, Value};
use tds_core::{
    clock::Clock,
    error::{Error, ErrorKind, Result, Retry},
    limits::budget::{CallBudget, CallFault, Limits, OutageCause, Passage, PermitPool, Place},
    lock::lock,
    memory::MemoryStore,
    mirror::MirrorSchema,
    queue::Lane,
    record::{
        Content, ContentHash, Interval, Moves, Observed, Payload, Read, Record, RecordId, RecordKey, Shape,
        SourcePayload, list_hash,
    },
    source::{ListCall, ListPage, ListRequest, ListWalk, Listed, RowOrder, Source, SourceProfile},
};
use time::OffsetDateTime;
use tokio::time::Instant;

use crate::{
    book::{Book, Entry, body},
    bugs::Bug,
    kinds::{ACCOUNTS, KINDS, Kind},
    plan::Outage,
    process::Process,
    world::World,
};

/// The records, shared by all processes.
pub(crate) type Books = Arc<Mutex<Book>>;

pub(crate) fn open(books: &Books) -> MutexGuard<'_, Book> {
    lock(books)
}

/// The message of all errors of an outage.
pub(crate) const OUTAGE: &str = "down for everybody";
/// The time until the first probe of a refused account. The network path is probed twelve times as often.
const FIRST_PROBE: Duration = Duration::from_secs(6);

/// Returns the permit pool of one process. All processes share the state of the breakers through the store.
pub(crate) fn pool(world: &World, store: &MemoryStore) -> PermitPool {
    let limits =
        Limits { per_minute: None, concurrent: 5, per_day: None, call_time: Duration::from_secs(80) };
    PermitPool::new(
        CallBudget::new(Arc::new(store.clone()), Arc::new(store.clone())),
        format!("seed {}", world.plan.seed),
        limits,
        None,
    )
}

/// The source of one entity type.
pub(crate) struct SimSource {
    index: usize,
    kind: &'static Kind,
    profile: SourceProfile,
    world: Arc<World>,
    books: Books,
    process: Arc<Process>,
    pool: PermitPool,
}

impl SimSource {
    pub(crate) fn new(
        index: usize,
        world: Arc<World>,
        books: Books,
        process: Arc<Process>,
        pool: PermitPool,
    ) -> Self {
        let kind = &KINDS[index];
        let profile = SourceProfile {
            needs_detail: kind.needs_detail,
            detail_max_age: kind.detail_max_age,
            fetch_batch: kind.fetch_batch,
            records_per_call: kind.fetch_batch,
            records_per_page: world.plan.page_size,
            sibling: kind.sibling.map(|sibling| KINDS[sibling].schema.entity.clone()),
            documented: kind.documented,
            derives_late: (index == ACCOUNTS).then(|| Duration::from_secs(30)),
            ..SourceProfile::default()
        };
        Self { index, kind, profile, world, books, process, pool }
    }

    /// Makes one call: time passes, `truth` looks at the records, and time passes again.
    async fn call<T>(&self, what: &'static str, truth: impl FnOnce(&Book) -> T) -> Result<(T, Interval)> {
        self.process.gate().await;
        let (world, plan) = (&self.world, &self.world.plan);
        let place = self.place(what);
        // A seed without outages does not ask the breakers, which keeps it fast.
        if !plan.outages.is_empty() {
            self.pass(&place).await?;
        }
        let (began, issued) = (world.clock.now(), Instant::now());
        let slow = if world.strikes("slow answer", plan.source_slow) { 40_000 } else { plan.pace };
        tokio::time::sleep(world.dice.millis(slow)).await;
        if world.strikes("throttled", plan.source_throttled) {
            let retry_after = Duration::from_secs(1 + world.dice.below(20));
            return Err(Error::new(ErrorKind::RateLimited, Retry::Throttled { retry_after }, "slow down"));
        }
        if world.strikes("credentials refused", plan.source_auth) {
            let retry_after = Duration::from_secs(5 + world.dice.below(20));
            return Err(Error::new(
                ErrorKind::Unauthorized,
                Retry::AuthPaused { retry_after },
                "who are you",
            ));
        }
        if let Some(outage) = self.outage(what) {
            world.count("calls during an outage");
            return Err(self.fell(place, outage, issued.elapsed()).await);
        }
        let seen = truth(&open(&self.books));
        tokio::time::sleep(world.dice.millis(slow)).await;
        self.process.gate().await;
        if !plan.outages.is_empty() {
            self.pool.worked(&place, issued.elapsed()).await;
        }
        if world.strikes("source error", plan.source_error) {
            return Err(Error::unavailable("the answer did not arrive"));
        }
        if world.strikes("garbage", plan.source_garbage) {
            let retry = Retry::Transient { retry_after: None };
            return Err(Error::new(ErrorKind::Protocol, retry, "<html>"));
        }
        world.note(what, [self.index as u64, 0], || self.kind.schema.entity.to_string());
        Ok((seen, Interval { began, ended: world.clock.now() }))
    }

    fn place(&self, what: &str) -> Place {
        Place { service: "source".to_owned(), endpoint: format!("source {what} {}", self.kind.schema.entity) }
    }

    /// Returns an error if a breaker does not let the call pass.
    async fn pass(&self, place: &Place) -> Result<()> {
        match self.pool.pass(place).await? {
            Passage::Shut(shut) => {
                self.world.count("calls that a breaker spared");
                Err(waits(shut.cause, shut.wait))
            }
            Passage::Free | Passage::Probe => Ok(()),
        }
    }

    /// Returns the cause of the outage that affects this kind of call now.
    fn outage(&self, what: &str) -> Option<OutageCause> {
        let (now, plan) = (self.world.clock.elapsed(), &self.world.plan);
        let strikes = |outage: &&Outage| {
            (outage.from..outage.to).contains(&now) && (what == "fetch" || !outage.details_only)
        };
        plan.outages.iter().find(strikes).map(|outage| outage.cause).filter(|_| !self.world.is_calm())
    }

    /// Reports to all processes that a call fell into an outage, and returns an error that does not count against the
    /// record.
    async fn fell(&self, place: Place, cause: OutageCause, issued: Duration) -> Error {
        if self.world.plan.bug == Some(Bug::OutageBlamed) {
            return Error::unavailable(OUTAGE);
        }
        let fault = CallFault {
            place,
            cause,
            everywhere: false,
            call: self.world.dice.next() >> 1,
            issued,
            retry_after: None,
            first_probe: FIRST_PROBE,
            reason: OUTAGE.to_owned(),
        };
        let shut = self.pool.faulted(fault).await;
        waits(cause, shut.map_or(FIRST_PROBE / 12, |shut| shut.wait))
    }

    /// Returns the page of a call as the records are at this moment.
    fn page(&self, book: &Book, call: &ListCall) -> (Vec<(u64, Entry)>, bool) {
        let quirk = self.world.plan.quirks[self.index];
        let now = self.world.clock.elapsed();
        let odd = now >= quirk.from && !self.world.is_calm();
        let can_filter = self.kind.documented.filter.is_usable() && !(odd && quirk.ignores_filter);
        let can_sort = self.kind.documented.sort.is_usable() && !(odd && quirk.ignores_sort);
        let shift = if odd { quirk.shift * 3600 } else { 0 };
        // Sources ask for changes from one second earlier.
        let from = call.changed_since.filter(|_| can_filter).map(|since| since.unix_timestamp() - 1 + shift);
        let inside = |entry: &Entry| {
            from.is_none_or(|from| entry.version > from || entry.version == from && !quirk.exclusive)
        };
        let mut rows: Vec<(u64, Entry)> = book
            .entries
            .iter()
            .filter(|(_, entry)| entry.kind == self.index && inside(entry))
            .map(|(id, entry)| (*id, entry.clone()))
            .collect();
        rows.sort_by_key(|(_, entry)| entry.created);
        match call.order {
            RowOrder::OldestChange if can_sort => rows.sort_by_key(|(_, entry)| entry.version),
            RowOrder::NewestChange if can_sort => {
                rows.sort_by_key(|(_, entry)| std::cmp::Reverse(entry.version))
            }
            _ => {}
        }
        let size = self.world.plan.page_size;
        let skipped = size * usize::try_from(call.page - 1).expect("a page");
        let has_more = rows.len() > skipped + size;
        (rows.into_iter().skip(skipped).take(size).collect(), has_more)
    }

    fn listed(&self, id: u64, entry: &Entry, observed: Interval) -> Listed {
        let json = Payload::new(body(id, entry, true).to_string());
        let payload = SourcePayload { shape: Shape::List, observed: Observed::Call(observed), json };
        let decoded = self.decode(&payload);
        Listed {
            id: RecordId::new(id.to_string()),
            version: self.kind.versioned.then(|| at(entry.version)),
            hash: decoded.map_or_else(
                |_| ContentHash::of_bytes(payload.json.as_str().as_bytes()),
                |record| list_hash(&record),
            ),
            payload: Some(payload),
        }
    }

    /// Lists with a planted bug: offset paging through an order that edits change.
    async fn list_ascending(&self, request: &ListRequest) -> Result<ListPage> {
        let page = request.cursor.as_deref().map_or(1, |cursor| cursor.parse().expect("a page"));
        let call = ListCall { page, changed_since: request.since, order: RowOrder::OldestChange };
        let ((rows, more), observed) = self.call("list", |book| self.page(book, &call)).await?;
        let rows = rows.iter().map(|(id, entry)| self.listed(*id, entry, observed)).collect();
        let next = more.then(|| (page + 1).to_string());
        Ok(ListPage { rows, next, observed, server_time: None, learned: None })
    }
}

#[async_trait]
impl Source for SimSource {
    fn schema(&self) -> &MirrorSchema {
        &self.kind.schema
    }

    fn profile(&self) -> &SourceProfile {
        &self.profile
    }

    async fn list(&self, request: &ListRequest) -> Result<ListPage> {
        if self.world.plan.bug == Some(Bug::AscendingOffset) && self.kind.documented.sort.is_usable() {
            return self.list_ascending(request).await;
        }
        let walk = ListWalk::new(request)?;
        let call = walk.call();
        let ((rows, more), observed) = self.call("list", |book| self.page(book, &call)).await?;
        let rows: Vec<Listed> = rows.iter().map(|(id, entry)| self.listed(*id, entry, observed)).collect();
        let advance = walk.after(&rows, more, false)?;
        Ok(ListPage { rows, next: advance.next, observed, server_time: None, learned: advance.learned })
    }

    async fn fetch(&self, ids: &[RecordId], _lane: Lane) -> Vec<Result<Read>> {
        let mut reads = Vec::with_capacity(ids.len());
        for chunk in ids.chunks(self.kind.fetch_batch) {
            let look = |book: &Book| -> Vec<Option<(u64, Entry)>> {
                let own = |kind: usize| kind == self.index || Some(kind) == self.kind.sibling;
                let find = |id: &RecordId| {
                    let number: u64 = id.as_str().parse().ok()?;
                    Some((number, book.entries.get(&number).filter(|entry| own(entry.kind))?.clone()))
                };
                chunk.iter().map(find).collect()
            };
            match self.call("fetch", look).await {
                Err(error) => reads.extend(chunk.iter().map(|_| Err(error.clone()))),
                Ok((found, observed)) => {
                    reads.extend(chunk.iter().zip(found).map(|(id, found)| self.read(id, found, observed)));
                }
            }
        }
        reads
    }

    fn decode(&self, payload: &SourcePayload) -> Result<Record> {
        let body: Map<String, Value> = serde_json::from_str(payload.json.as_str())
            .map_err(|error| Error::invalid("no record").with_source(error))?;
        if body.get("poison") == Some(&Value::Bool(true)) {
            return Err(Error::invalid("poison"));
        }
        let number = |key: &str| body.get(key).and_then(Value::as_u64);
        let kind = &KINDS[usize::try_from(number("kind").unwrap_or_default()).expect("small")];
        let columns = |names: &[&str]| -> Map<String, Value> {
            let shown = names.iter().filter_map(|name| Some(((*name).to_owned(), body.get(*name)?.clone())));
            shown.collect()
        };
        let children = body.get("members").and_then(Value::as_array).map(|members| {
            let row = |member: &Value| Map::from_iter([("n".to_owned(), member.clone())]);
            (kind.schema.children[0].table.to_owned(), members.iter().map(row).collect())
        });
        let moves = kind.moves.filter(|_| payload.shape != Shape::List).map(|accounts| {
            let mut moves = Moves::default();
            let named = body.get("members").and_then(Value::as_array).into_iter().flatten();
            let entity = &KINDS[accounts].schema.entity;
            named.for_each(|id| moves.add(entity.clone(), RecordId::new(id.to_string())));
            moves
        });
        let version = body.get("version").and_then(Value::as_i64).map(at);
        Ok(Record {
            entity: kind.schema.entity.clone(),
            id: RecordId::new(number("id").unwrap_or_default().to_string()),
            version,
            fields: columns(&["a", "b", "serial", "version"]),
            volatile: columns(&["tide"]),
            children: children.into_iter().collect(),
            moves,
            cut: std::collections::BTreeSet::new(),
            raw: payload.json.clone(),
        })
    }
}

impl SimSource {
    fn read(&self, id: &RecordId, found: Option<(u64, Entry)>, observed: Interval) -> Result<Read> {
        let observed = Observed::Call(observed);
        let content = match found {
            None => Content::Absent,
            Some((number, entry)) => {
                let json = Payload::new(body(number, &entry, false).to_string());
                Content::Present(Box::new(self.decode(&SourcePayload {
                    shape: Shape::Detail,
                    observed,
                    json,
                })?))
            }
        };
        let key = RecordKey::new(self.kind.schema.entity.clone(), id.clone());
        Ok(Read { key, shape: Shape::Detail, observed, content, listed: None, follow: None, cause: None })
    }
}

/// Returns the error of a call that does not count against its record.
fn waits(cause: OutageCause, retry_after: Duration) -> Error {
    match cause {
        OutageCause::Account => {
            Error::new(ErrorKind::Unauthorized, Retry::AuthPaused { retry_after }, OUTAGE)
        }
        OutageCause::Connection => {
            Error::new(ErrorKind::Unavailable, Retry::Throttled { retry_after }, OUTAGE)
        }
    }
}

fn at(second: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(second).expect("a time")
}
