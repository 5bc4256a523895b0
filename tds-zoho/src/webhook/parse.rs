//! What follows from an authentic body. Nothing is refused here: what cannot be handled is kept and told.

use serde_json::{Map, Value};
use tds_core::{Disposition, EntityType, Observed, Payload, RecordId, RecordKey, Shape, SourcePayload, Work};
use time::OffsetDateTime;

use super::{
    body::{self, Body},
    envelope::{self, Found},
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
    let body = match body::read(body) {
        Ok(body) => body,
        Err(reason) => return Parsed::without_record(Disposition::Unparsed(reason)),
    };
    if let Some(stated) = envelope::organization(&body.object).filter(|stated| stated != organization_id) {
        let reason = format!("the body is of organization {stated}");
        return Parsed::without_record(Disposition::Ignored(reason));
    }
    match descriptor(path_entity) {
        None => Parsed::without_record(Disposition::Ignored(format!("nothing handles {path_entity}"))),
        Some(stock) if !stock.versioned => of_items(stock, &body),
        Some(descriptor) => of_record(descriptor, event_type, &body, received_at),
    }
}

impl Parsed {
    fn without_record(disposition: Disposition) -> Self {
        Self { entity_id: None, has_version: false, disposition }
    }
}

fn of_record(descriptor: &Descriptor, event_type: &str, body: &Body, received_at: OffsetDateTime) -> Parsed {
    let (id, record) = match envelope::find(descriptor, &body.object) {
        Found::Record { id, record } => (id, record),
        Found::Foreign { module, id, record } => return foreign(&module, id, record, descriptor),
        Found::Nothing(reason) => return Parsed::without_record(Disposition::Unparsed(reason)),
    };
    let version = reading::version(record).ok().flatten();
    let may_be_applied = event_type != "deleted" && body.is_whole;
    let (entity, work) = may_be_applied
        .then(|| from_body(descriptor, record, received_at))
        .flatten()
        .unwrap_or_else(|| (contact_entity(descriptor, record), Work { version, payload: None }));
    let key = RecordKey::new(entity, RecordId::new(id.clone()));
    Parsed {
        entity_id: Some(id),
        has_version: version.is_some(),
        disposition: Disposition::Work(vec![(key, work)]),
    }
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

/// Re-reads the stock of every item that the body names: an item, or the lines of anything that moves stock.
fn of_items(stock: &Descriptor, body: &Body) -> Parsed {
    let Some((id, record)) = envelope::find_with_items(&body.object) else {
        return match envelope::find(stock, &body.object) {
            Found::Foreign { module, id, record } => foreign(&module, id, record, stock),
            _ => Parsed::without_record(Disposition::Unparsed("the body names no items".to_owned())),
        };
    };
    let mut items: Vec<String> = Vec::new();
    let lines = record.get("line_items").and_then(Value::as_array).into_iter().flatten();
    for named in lines.filter_map(Value::as_object).chain([record]) {
        // A line without an item, such as a fee, names none.
        if let Ok(item) = reading::record_id(named, "item_id")
            && !items.contains(&item)
        {
            items.push(item);
        }
    }
    let has_version = reading::version(record).ok().flatten().is_some();
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
    Parsed { entity_id: id, has_version, disposition }
}

fn foreign(module: &str, id: Option<String>, record: &Map<String, Value>, of: &Descriptor) -> Parsed {
    let shown: String = module.chars().take(60).collect();
    let reason = format!("the path of {} does not handle {shown:?}", of.schema.entity);
    Parsed {
        entity_id: id,
        has_version: reading::version(record).ok().flatten().is_some(),
        disposition: Disposition::Ignored(reason),
    }
}
