//! The source and its writer as one process sees them.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use async_trait::async_trait;
use serde_json::{Value, json};
use tds_core::{
    clock::Clock,
    error::{Error, ErrorKind, Result, Retry},
    mirror::MirrorSchema,
    outbound::{Awaited, LocalRecord, RemoteWriter, Removed, Writable, WriteError, Written},
    queue::Lane,
    record::{Fields, Interval, Read, RecordId, RecordKey},
    source::{ListPage, ListRequest, Source},
};
use time::OffsetDateTime;

use super::{
    bugs::Bug,
    post::Post,
    shop::{COLUMNS, Entry, LINES, SCHEMAS, Shop, Shops, open},
};
use crate::{process::Process, world::World};

/// The source of one entity type, and its writer.
#[derive(Clone)]
pub(crate) struct Remote {
    pub(crate) kind: usize,
    pub(crate) world: Arc<World>,
    pub(crate) shops: Shops,
    pub(crate) process: Arc<Process>,
    pub(crate) post: Arc<Post>,
    pub(crate) bug: Option<Bug>,
}

/// Why a call has no answer.
enum Failure {
    /// The source did nothing.
    Refused(Error),
    /// The source may have done it.
    Lost(Error),
}

impl From<Failure> for WriteError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Refused(error) => Self::Refused(error),
            Failure::Lost(error) => Self::InDoubt(error),
        }
    }
}

impl Remote {
    /// Makes one call: time passes, the call has its effect, and time passes again. The process may die at any time.
    async fn call<T>(
        &self,
        what: &'static str,
        effect: impl FnOnce(&mut Shop) -> Result<T>,
    ) -> Result<(T, Interval), Failure> {
        let (world, plan) = (&self.world, &self.world.plan);
        self.process.gate().await;
        let began = world.clock.now();
        let slow = if world.strikes("slow answer", plan.source_slow) { 20_000 } else { plan.pace };
        tokio::time::sleep(world.dice.millis(slow)).await;
        self.process.gate().await;
        if world.strikes("throttled", plan.source_throttled) {
            let retry = Retry::Throttled { retry_after: Duration::from_secs(1 + world.dice.below(10)) };
            return Err(Failure::Refused(Error::new(ErrorKind::RateLimited, retry, "slow down")));
        }
        if world.strikes("call lost", plan.source_error) {
            return Err(Failure::Lost(Error::unavailable("the call did not arrive")));
        }
        if world.strikes("death in a call", plan.store_death) {
            self.process.die();
        }
        self.process.gate().await;
        let done = effect(&mut open(&self.shops)).map_err(Failure::Refused)?;
        world.note(what, [self.kind as u64, self.process.number], || SCHEMAS[self.kind].entity.to_string());
        if world.strikes("death in a call", plan.store_death) {
            self.process.die();
        }
        tokio::time::sleep(world.dice.millis(slow)).await;
        self.process.gate().await;
        if world.strikes("answer lost", plan.source_error) {
            return Err(Failure::Lost(Error::unavailable("the answer did not arrive")));
        }
        Ok((done, Interval { began, ended: world.clock.now() }))
    }

    fn read(&self, id: u64, entry: Option<&Entry>, seen: Interval) -> Read {
        let key = RecordKey::new(SCHEMAS[self.kind].entity.clone(), RecordId::new(id.to_string()));
        Read::whole(key, seen, entry.map(|entry| entry.record(id)))
    }

    /// Returns what a write answers. Some answers do not show the record.
    fn written(&self, (id, entry): (u64, Entry), seen: Interval) -> Written {
        let shows = !self.world.strikes("answer without the record", 200);
        let read = shows.then(|| self.read(id, Some(&entry), seen));
        Written { id: RecordId::new(id.to_string()), read }
    }

    /// Puts the values of a local record into an entry. `read`: when the process last looked at the record.
    fn put(
        &self,
        shop: &mut Shop,
        id: u64,
        record: &LocalRecord,
        changed: Option<&BTreeSet<String>>,
        read: Option<OffsetDateTime>,
    ) -> Result<Entry> {
        let now = self.world.clock.second();
        let mut entry = shop.entries.get(&id).cloned().ok_or_else(|| Error::not_found("no such record"))?;
        let all = changed.is_none() || self.bug == Some(Bug::WritesEverything);
        let is_written = |name: &str| all || changed.is_some_and(|changed| changed.contains(name));
        let columns = COLUMNS[self.kind].into_iter().chain((self.kind == 1).then_some("product_zoho_id"));
        for column in columns.filter(|column| is_written(column)) {
            let value = record.fields.get(column).cloned().unwrap_or_default();
            let old = entry.fields.insert(column.to_owned(), value.clone()).unwrap_or_default();
            // Only what has to be written may write over what came in the meantime.
            if column != "product_zoho_id" && changed.is_none_or(|changed| changed.contains(column)) {
                shop.journal.raced(&value, &old, read);
            }
        }
        if self.kind == 1 && is_written(LINES) {
            let rows = record.children.get(LINES).map(Vec::as_slice).unwrap_or_default();
            let mut lines = Vec::new();
            for row in rows {
                lines.push(self.line(shop, &entry, row, read)?);
            }
            for gone in
                entry.lines.iter().filter(|old| lines.iter().all(|line| line["quantity"] != old["quantity"]))
            {
                shop.journal.raced_line(gone["quantity"].as_u64().unwrap_or_default(), read);
            }
            entry.lines = lines;
        }
        entry.version = now;
        shop.entries.insert(id, entry.clone());
        self.post.send(self.kind, id, Some(&entry));
        Ok(entry)
    }

    /// Returns a line of a body as the source keeps it.
    fn line(
        &self,
        shop: &mut Shop,
        entry: &Entry,
        row: &Fields,
        read: Option<OffsetDateTime>,
    ) -> Result<Fields> {
        let id = row.get("line_zoho_id").filter(|id| !id.is_null() && self.bug != Some(Bug::LinesWithoutIds));
        let old = id.map(|id| entry.lines.iter().find(|line| line["line_zoho_id"] == *id));
        let value = |name: &str| row.get(name).cloned().unwrap_or_default();
        let id = match old {
            // Somebody removed the line after the record was read.
            Some(None) => return Err(Error::unavailable("there is no such line")),
            Some(Some(old)) => {
                shop.journal.raced(&value("rate"), &old["rate"], read);
                old["line_zoho_id"].clone()
            }
            None => {
                // A write that is repeated may add its lines anew.
                let same = entry.lines.iter().find(|line| line["quantity"] == value("quantity"));
                match same {
                    Some(same) => shop.journal.raced(&value("rate"), &same["rate"], read),
                    None => shop.journal.written_again(&value("quantity")),
                }
                json!(format!("L{}", shop.next_id()))
            }
        };
        Ok(Fields::from_iter([
            ("line_zoho_id".to_owned(), id),
            ("quantity".to_owned(), value("quantity")),
            ("rate".to_owned(), value("rate")),
        ]))
    }

    fn enter(&self, shop: &mut Shop, record: &LocalRecord, read: OffsetDateTime) -> Result<(u64, Entry)> {
        let id = shop.next_id();
        if shop.find(&record.key).is_some() {
            self.world.violated(format!("the record with the key {} was created twice", record.key));
        }
        let entry = Entry {
            kind: self.kind,
            key: Some(record.key.clone()),
            version: 0,
            fields: Fields::new(),
            lines: Vec::new(),
            stock: 0,
        };
        shop.entries.insert(id, entry);
        Ok((id, self.put(shop, id, record, None, Some(read))?))
    }

    fn number(id: Option<&RecordId>) -> u64 {
        id.and_then(|id| id.as_str().parse().ok()).unwrap_or_default()
    }
}

#[async_trait]
impl Source for Remote {
    fn schema(&self) -> &MirrorSchema {
        &SCHEMAS[self.kind]
    }

    async fn list(&self, _request: &ListRequest) -> Result<ListPage> {
        Err(Error::internal("no run lists these records"))
    }

    async fn fetch(&self, ids: &[RecordId], lane: Lane) -> Vec<Result<Read>> {
        let mut reads = Vec::new();
        for id in ids {
            let id = Self::number(Some(id));
            let (number, clock) = (self.process.number, self.world.clock);
            let look = |shop: &mut Shop| {
                if lane == Lane::Outbound {
                    shop.read.insert((number, id), clock.now());
                }
                Ok(shop.entries.get(&id).filter(|entry| entry.kind == self.kind).cloned())
            };
            reads.push(match self.call("fetch", look).await {
                Ok((entry, seen)) => Ok(self.read(id, entry.as_ref(), seen)),
                Err(Failure::Refused(error) | Failure::Lost(error)) => Err(error),
            });
        }
        reads
    }
}

#[async_trait]
impl RemoteWriter for Remote {
    fn schema(&self) -> &MirrorSchema {
        &SCHEMAS[self.kind]
    }

    fn writable(&self, column: &str, _exists: bool) -> Writable {
        let of_orders = ["product_zoho_id", LINES, "order_lines.quantity", "order_lines.rate"];
        if COLUMNS[self.kind].contains(&column) || self.kind == 1 && of_orders.contains(&column) {
            return Writable::Yes;
        }
        Writable::No("the source derives it".to_owned())
    }

    fn check(&self, record: &LocalRecord, _changed: Option<&BTreeSet<String>>) -> Result<(), WriteError> {
        let product = record.value("product_id").and_then(Value::as_i64);
        match product.filter(|_| record.value("product_zoho_id").is_none()) {
            Some(product) => Err(WriteError::WaitsFor(vec![Awaited {
                entity: super::shop::PRODUCTS,
                local_id: product.to_string(),
            }])),
            None => Ok(()),
        }
    }

    async fn create(&self, record: &LocalRecord) -> Result<Written, WriteError> {
        self.check(record, None)?;
        // Another process may create the record at the same moment, and its users may change it.
        let searched = open(&self.shops).searched.remove(&(self.process.number, record.key.clone()));
        let read = searched.unwrap_or_else(|| self.world.clock.now());
        // Products are created with a unique key, so that nothing is doubled when two processes create the same one.
        let is_upsert = (self.kind == 0 || self.bug == Some(Bug::UpsertsBlindly))
            && self.bug != Some(Bug::CreatesBlindly);
        let create = |shop: &mut Shop| match shop.find(&record.key).filter(|_| is_upsert) {
            Some(id) => Ok((id, self.put(shop, id, record, None, Some(read))?)),
            None => self.enter(shop, record, read),
        };
        let (entry, seen) = self.call("create", create).await?;
        Ok(self.written(entry, seen))
    }

    async fn update(&self, record: &LocalRecord, changed: &BTreeSet<String>) -> Result<Written, WriteError> {
        self.check(record, Some(changed))?;
        let id = Self::number(record.remote_id.as_ref());
        let update = |shop: &mut Shop| {
            let read = shop.read.get(&(self.process.number, id)).copied();
            Ok((id, self.put(shop, id, record, Some(changed), read)?))
        };
        let (entry, seen) = self.call("update", update).await?;
        Ok(self.written(entry, seen))
    }

    async fn remove(&self, record: &LocalRecord) -> Result<Removed, WriteError> {
        let id = Self::number(record.remote_id.as_ref());
        let remove = |shop: &mut Shop| {
            shop.entries.remove(&id);
            self.post.send(self.kind, id, None);
            Ok(())
        };
        self.call("remove", remove).await?;
        Ok(Removed::Gone)
    }

    async fn find(&self, versions: &[LocalRecord]) -> Result<Option<RecordId>, WriteError> {
        if matches!(self.bug, Some(Bug::CreatesBlindly | Bug::UpsertsBlindly)) {
            return Ok(None);
        }
        let key = &versions[0].key;
        let search = |shop: &mut Shop| {
            let now = self.world.clock.now();
            shop.searched.insert((self.process.number, key.clone()), now);
            let found = shop.find(key);
            // A search by the unique key counts as a change, although it changes nothing.
            if let Some((id, entry)) =
                found.filter(|_| self.kind == 0).and_then(|id| Some((id, shop.entries.get_mut(&id)?)))
            {
                entry.version = self.world.clock.second();
                self.post.send(self.kind, id, Some(entry));
            }
            Ok(found)
        };
        let (found, _) = self.call("search", search).await?;
        Ok(found.map(|id| RecordId::new(id.to_string())))
    }
}
