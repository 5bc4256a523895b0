//! Derives an event from an authentic delivery. Nothing is refused here: a body that cannot be handled is kept and
//! reported.
//!
//! There is one pass: the bytes become an object ([`body`]), the object shows records ([`envelope`]), and each record
//! becomes work. The identity and the work come from the same reading of the body.

use serde_json::{Map, Value};
use tds_core::{
    inbox::{Disposition, event_id},
    queue::Work,
    record::{EntityType, Observed, Payload, RecordId, RecordKey, Shape, SourcePayload},
};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{
    address::{self, Named},
    body,
    envelope::{self, Found, Located},
    signature::Authentic,
};
use crate::{
    entities::{Catalogue, Descriptor},
    reading,
};

/// What is known about a delivery besides its bytes.
#[derive(Clone, Copy, Debug)]
pub struct Received<'a> {
    /// The entity type of the path at which it arrived.
    pub entity: &'a EntityType,
    /// The result of [`super::event_type`]. A deletion takes effect only after the record has been read.
    pub event_type: &'a str,
    /// The organization whose webhooks are handled.
    pub organization_id: &'a str,
    /// When it arrived.
    pub at: OffsetDateTime,
    /// Returns a text that no other receipt has. It is called if the body states no version.
    pub receipt: fn() -> String,
}

/// A delivery, understood as far as possible.
#[derive(Clone, Debug)]
pub struct Event {
    /// The identity of the delivery: a hash of path, event type and body. The same delivery again is a duplicate. A
    /// delivery whose body states no version is never a duplicate, because its hash also covers the receipt.
    pub identity: String,
    /// The Zoho id of the record in the body, if one was found.
    pub entity_id: Option<String>,
    /// The body states the time of the last change for each of its records.
    pub has_version: bool,
    /// What follows from the delivery, with the work for each of its records.
    pub disposition: Disposition,
}

/// Interprets a delivery. It never fails and never panics: a body without a record of this path is `Ignored`, and a
/// body without any record is `Unparsed` with the reason.
///
/// If the body is empty, the address may name the record by the exact id key of its module, as in
/// `?invoice_id=460000000567114`. The record is then read.
#[must_use]
pub fn parse(catalogue: &Catalogue, delivery: &Authentic<'_>, received: &Received<'_>) -> Event {
    let event = |entity_id, has_version: bool, disposition| {
        let receipt = (!has_version).then(|| {
            let at = received.at.format(&Rfc3339).unwrap_or_default();
            format!("{at} {}", (received.receipt)())
        });
        let identity = event_id(received.entity, received.event_type, delivery.body, receipt.as_deref());
        let disposition = of_synced(catalogue, received.entity, disposition);
        Event { identity, entity_id, has_version, disposition }
    };
    let without_record = |disposition| event(None, false, disposition);
    let Some(descriptor) = catalogue.find(received.entity) else {
        let reason = format!("nothing handles {}", received.entity);
        return without_record(Disposition::Ignored(reason));
    };
    let modules = catalogue.modules();
    if delivery.body.trim_ascii().is_empty() {
        match address::named(modules, descriptor, delivery.query) {
            Some(Named::Own(id)) => {
                let disposition = parse_id(catalogue, received.entity, id);
                return event(Some(id.to_owned()), false, disposition);
            }
            Some(Named::Foreign(module)) => {
                return without_record(not_handled(descriptor, module));
            }
            None => {}
        }
    }
    let body = match body::read(delivery.body) {
        Ok(body) => body,
        Err(reason) => return without_record(Disposition::Unparsed(reason)),
    };
    let stated = envelope::organization(&body.object);
    if let Some(stated) = stated.filter(|stated| stated != received.organization_id) {
        let reason = format!("the body belongs to organization {stated}");
        return without_record(Disposition::Ignored(reason));
    }
    match envelope::open(modules, descriptor, &body.object) {
        Found::Records(records) => {
            // The pairs of a form are only a choice of keys. The JSON in one of its fields is a record like any other.
            let is_choice = |record: &Map<String, Value>| body.is_pairs && std::ptr::eq(record, &body.object);
            let may_apply = received.event_type != "deleted" && !body.is_mended;
            let entity_id = records.first().map(|located| located.id.clone());
            let mut has_version = true;
            let work = records.into_iter().map(|located| {
                let version = reading::version(located.record).ok().flatten();
                has_version &= version.is_some();
                let observed = (may_apply && !is_choice(located.record)).then_some(received.at);
                work_of(catalogue, descriptor, located, version, observed)
            });
            let disposition = Disposition::Work(work.collect());
            event(entity_id, has_version, disposition)
        }
        Found::Items { id, holders, items } => {
            let disposition = if !items.is_empty() {
                let key = |item| RecordKey::new(received.entity.clone(), RecordId::new(item));
                Disposition::Work(items.into_iter().map(|item| (key(item), Work::fetch())).collect())
            } else if id.is_some() {
                Disposition::Ignored(
                    "the body names no items; the next stock sync finds what changed".to_owned(),
                )
            } else {
                Disposition::Unparsed("the body has no readable item_id".to_owned())
            };
            event(id, holders.into_iter().all(states_version), disposition)
        }
        Found::Foreign(foreign) => {
            let disposition = not_handled(descriptor, &foreign.module);
            event(foreign.id, states_version(foreign.record), disposition)
        }
        Found::Nothing(reason) => without_record(Disposition::Unparsed(reason)),
    }
}

/// Returns the disposition for the record with this id: the record is read, because only the fact that it changed is
/// known.
#[must_use]
pub fn parse_id(catalogue: &Catalogue, entity: &EntityType, id: &str) -> Disposition {
    let reader = catalogue.find(entity).and_then(|descriptor| catalogue.reader(descriptor));
    let key = RecordKey::new(reader.unwrap_or_else(|| entity.clone()), RecordId::new(id.to_owned()));
    of_synced(catalogue, entity, Disposition::Work(vec![(key, Work::fetch())]))
}

/// Leaves out the work for entity types that are not synced. A delivery without further work is ignored, and so is a
/// delivery to the path of an entity type that is known and not synced, whatever its body says.
fn of_synced(catalogue: &Catalogue, entity: &EntityType, disposition: Disposition) -> Disposition {
    let not_synced = |entity: &EntityType| Disposition::Ignored(format!("{entity} are not synced"));
    let is_served = catalogue.find(entity).is_none_or(|descriptor| catalogue.reader(descriptor).is_some());
    match disposition {
        Disposition::Ignored(reason) => Disposition::Ignored(reason),
        _ if !is_served => not_synced(entity),
        Disposition::Work(work) => {
            let (synced, others): (Vec<_>, Vec<_>) =
                work.into_iter().partition(|(key, _)| catalogue.is_synced(&key.entity));
            match others.first() {
                Some((key, _)) if synced.is_empty() => not_synced(&key.entity),
                _ => Disposition::Work(synced),
            }
        }
        unparsed @ Disposition::Unparsed(_) => unparsed,
    }
}

/// Returns the work for one record. `observed` is the time at which the body arrived, if the body may stand for the
/// record.
///
/// A body stands for its record if it shows the whole record and every part of it can be read. A part that cannot
/// be read here may be spelled better in the answer of the API, so the record is read instead. The handler decodes the
/// payload again, because work is stored as JSON. The body is decoded here as well, because the queue must know which
/// work needs a call: such work is claimed only by processes that can ask the source, and in batches that are small
/// enough for calls.
fn work_of(
    catalogue: &Catalogue,
    descriptor: &Descriptor,
    located: Located<'_>,
    version: Option<OffsetDateTime>,
    observed: Option<OffsetDateTime>,
) -> (RecordKey, Work) {
    let Located { id, record, is_certain } = located;
    let from_body = |received_at| {
        let is_whole = is_certain && version.is_some() && descriptor.is_complete(record);
        let is_readable = is_whole && descriptor.draft(&id, record, Shape::Webhook).is_ok();
        let hidden = catalogue.hidden_values().hidden(descriptor, record);
        let json = is_readable.then(|| Payload::of(hidden.as_ref().unwrap_or(record)).ok()).flatten()?;
        Some(SourcePayload { shape: Shape::Webhook, observed: Observed::Push(received_at), json })
    };
    let payload = observed.and_then(from_body);
    // A contact goes to the entity type that it states; without a stated type, the read of the contact decides.
    let stated = descriptor.sibling.and_then(|sibling| (sibling.stated)(record));
    let reader = || catalogue.reader(descriptor).unwrap_or_else(|| descriptor.entity().clone());
    let entity = stated.unwrap_or_else(reader);
    (RecordKey::new(entity, RecordId::new(id)), Work { version, payload, recheck: false })
}

fn states_version(record: &Map<String, Value>) -> bool {
    reading::version(record).ok().flatten().is_some()
}

fn not_handled(descriptor: &Descriptor, module: &str) -> Disposition {
    let shown: String = module.chars().take(60).collect();
    Disposition::Ignored(format!("the path of {} does not handle {shown:?}", descriptor.entity()))
}
