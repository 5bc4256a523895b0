//! What follows from an authentic body. Nothing is refused here: what cannot be handled is kept and told.

use std::collections::BTreeSet;

use serde_json::{Map, Value};
use tds_core::{
    inbox::Disposition,
    queue::Work,
    record::{EntityType, Observed, Payload, RecordId, RecordKey, Shape, SourcePayload},
};
use time::OffsetDateTime;

use super::{
    body::{self, Body},
    envelope::{self, Foreign, Found},
};
use crate::{
    entities::{Descriptor, descriptor},
    reading,
};

/// A body, understood as far as it can be.
#[derive(Clone, Debug)]
pub struct Parsed {
    /// The id at Zoho of the record in the body, where one was found.
    pub entity_id: Option<String>,
    /// The body states when its record was last changed. A body that does not is never a duplicate.
    pub has_version: bool,
    /// What follows from it.
    pub disposition: Disposition,
}

/// Understands a body that came to the webhook path of `path_entity`. Never fails and never panics: what is
/// no record of this path is `Ignored`, what is no record at all is `Unparsed` with the reason.
///
/// `event_type` is what [`super::event_type`] says; a deletion is believed only after reading the record.
#[must_use]
pub fn parse(
    path_entity: &EntityType,
    event_type: &str,
    organization_id: &str,
    body: &[u8],
    received_at: OffsetDateTime,
) -> Parsed {
    let Some(descriptor) = descriptor(path_entity) else {
        return Parsed::without_record(Disposition::Ignored(format!("nothing handles {path_entity}")));
    };
    let body = match body::read(body) {
        Ok(body) => body,
        Err(reason) => return Parsed::without_record(Disposition::Unparsed(reason)),
    };
    if let Some(stated) = envelope::organization(&body.object).filter(|stated| stated != organization_id) {
        let reason = format!("the body is of organization {stated}");
        return Parsed::without_record(Disposition::Ignored(reason));
    }
    if descriptor.versioned {
        of_records(descriptor, event_type, &body, received_at)
    } else {
        of_items(descriptor, &body)
    }
}

/// The record that the address names where the body is empty, as in `?invoice_id=460000000567114`: it is read.
///
/// The pairs of an address are glued before they are signed, so that characters can be shifted between them: only the
/// exact id keys of modules are looked at, and all that follows is a read. A key of another module than the path's is
/// `Ignored`; `None` where no key is known.
#[must_use]
pub fn parse_query(path_entity: &EntityType, query_pairs: &[(String, String)]) -> Option<Parsed> {
    let descriptor = descriptor(path_entity)?;
    let ids = || query_pairs.iter().filter(|(_, id)| reading::is_record_id(id));
    if let Some((_, id)) = ids().find(|(key, _)| envelope::is_own_key(descriptor, key)) {
        return Some(parse_id(path_entity, id));
    }
    let module = ids().find_map(|(key, _)| envelope::module_of_key(key))?;
    let reason = format!("the path of {path_entity} does not handle {module:?}");
    Some(Parsed::without_record(Disposition::Ignored(reason)))
}

/// The record of this id, which is read: nothing is known of it but that it changed.
#[must_use]
pub fn parse_id(path_entity: &EntityType, id: &str) -> Parsed {
    let key = RecordKey::new(path_entity.clone(), RecordId::new(id.to_owned()));
    Parsed {
        entity_id: Some(id.to_owned()),
        has_version: false,
        disposition: Disposition::Work(vec![(key, Work::fetch())]),
    }
}

impl Parsed {
    fn without_record(disposition: Disposition) -> Self {
        Self { entity_id: None, has_version: false, disposition }
    }
}

fn of_records(descriptor: &Descriptor, event_type: &str, body: &Body, received_at: OffsetDateTime) -> Parsed {
    let records = match envelope::find(descriptor, &body.object) {
        Found::Records(records) => records,
        Found::Foreign(record) => return foreign(record, descriptor),
        Found::Nothing(reason) => return Parsed::without_record(Disposition::Unparsed(reason)),
    };
    let entity_id = records.first().map(|(id, _)| id.clone());
    let has_version = records.iter().all(|(_, record)| states_version(record));
    let work = records.into_iter().map(|(id, record)| {
        // A form's own pairs are a choice; what one of its fields holds as JSON is a record as any.
        let is_choice = body.is_pairs && std::ptr::eq(record, &body.object);
        let is_whole = !is_choice && !body.is_mended;
        let may_be_applied =
            event_type != "deleted" && is_whole && !envelope::looks_foreign(descriptor, record);
        let version = reading::version(record).ok().flatten();
        let (entity, work) = may_be_applied
            .then(|| from_body(descriptor, record, received_at))
            .flatten()
            .unwrap_or_else(|| (contact_entity(descriptor, record), Work { version, payload: None }));
        (RecordKey::new(entity, RecordId::new(id)), work)
    });
    Parsed { entity_id, has_version, disposition: Disposition::Work(work.collect()) }
}

fn states_version(record: &Map<String, Value>) -> bool {
    reading::version(record).ok().flatten().is_some()
}

/// The body itself as work, where it shows the whole record and every part of it can be read. What cannot be
/// read here may be spelled better in the API's answer, so that it is asked for instead.
fn from_body(
    descriptor: &Descriptor,
    record: &Map<String, Value>,
    received_at: OffsetDateTime,
) -> Option<(EntityType, Work)> {
    if !descriptor.is_complete(record) {
        return None;
    }
    let json = Payload::of(record).ok()?;
    let decoded = descriptor.decode_object(record, Shape::Webhook, json.clone()).ok()?;
    let version = Some(decoded.version?);
    let payload = SourcePayload { shape: Shape::Webhook, observed: Observed::Push(received_at), json };
    Some((decoded.entity, Work { version, payload: Some(payload) }))
}

/// A contact goes where its type says; without one the read of it will tell.
fn contact_entity(descriptor: &Descriptor, record: &Map<String, Value>) -> EntityType {
    let stated = match record.get("contact_type").and_then(Value::as_str) {
        Some("customer") => "customers",
        Some("vendor") => "vendors",
        _ => return descriptor.schema.entity.clone(),
    };
    let stated = EntityType::from_static(stated);
    let is_contact = descriptor.sibling.as_ref() == Some(&stated);
    if is_contact { stated } else { descriptor.schema.entity.clone() }
}

/// Re-reads the stock of every item that the body names: items, or the lines of anything that moves stock.
fn of_items(stock: &Descriptor, body: &Body) -> Parsed {
    let records = envelope::find_with_items(&body.object);
    let Some((id, _)) = records.first() else {
        return match envelope::find(stock, &body.object) {
            Found::Foreign(record) => foreign(record, stock),
            Found::Nothing(reason) => Parsed::without_record(Disposition::Unparsed(reason)),
            Found::Records(_) => {
                Parsed::without_record(Disposition::Unparsed("the body names no items".to_owned()))
            }
        };
    };
    let mut items = Vec::new();
    let mut named = BTreeSet::new();
    for (_, record) in &records {
        let lines = record.get("line_items").and_then(Value::as_array).into_iter().flatten();
        for line in lines.filter_map(Value::as_object).chain([*record]) {
            // A line without an item, such as a fee, names none.
            if let Ok(item) = reading::record_id(line, "item_id")
                && named.insert(item.clone())
            {
                items.push(item);
            }
        }
    }
    let has_version = records.iter().all(|(_, record)| states_version(record));
    let entity = &stock.schema.entity;
    let work = items
        .into_iter()
        .map(|item| (RecordKey::new(entity.clone(), RecordId::new(item)), Work::fetch()))
        .collect::<Vec<_>>();
    let disposition = match (work.is_empty(), &id) {
        (false, _) => Disposition::Work(work),
        (true, Some(_)) => {
            Disposition::Ignored("the body names no items; the stock sweep finds what it did".to_owned())
        }
        (true, None) => Disposition::Unparsed("the body has no readable item_id".to_owned()),
    };
    Parsed { entity_id: id.clone(), has_version, disposition }
}

fn foreign(record: Foreign<'_>, of: &Descriptor) -> Parsed {
    let shown: String = record.module.chars().take(60).collect();
    let reason = format!("the path of {} does not handle {shown:?}", of.schema.entity);
    Parsed {
        entity_id: record.id,
        has_version: states_version(record.record),
        disposition: Disposition::Ignored(reason),
    }
}
