//! The deliveries of the test: the forms of their bodies, and the answers to them.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard},
};

use serde_json::{Value, json};
use tds_core::lock::lock;
use tds_zoho::testkit::webhook::{Delivery, Form};

use crate::{
    dice::Dice,
    source::{Change, Source, Subject},
};

/// One delivery.
#[derive(Clone)]
pub(crate) struct Letter {
    pub(crate) delivery: Delivery,
    pub(crate) form: Form,
    /// The subject that the delivery is about, and the number of the change that it shows.
    pub(crate) announces: Option<(Subject, u64)>,
}

/// The content of a 2xx answer to a delivery.
#[derive(Clone, Debug)]
pub(crate) struct Accepted {
    pub(crate) status: String,
    pub(crate) inbox_event_id: i64,
}

/// The deliveries that wait to be sent, some that were sent, and all accepted ones.
#[derive(Default)]
pub(crate) struct Letters {
    boxes: Mutex<Boxes>,
}

#[derive(Default)]
struct Boxes {
    waiting: Vec<Letter>,
    /// Some of the deliveries that were sent, kept to be sent again.
    old: Vec<Letter>,
    accepted: BTreeMap<String, Accepted>,
}

impl Letters {
    fn boxes(&self) -> MutexGuard<'_, Boxes> {
        lock(&self.boxes)
    }

    pub(crate) fn post(&self, letter: Letter) {
        self.boxes().waiting.push(letter);
    }

    /// Takes a random waiting delivery, or repeats one that was sent before.
    pub(crate) fn take(&self, dice: &mut Dice) -> Option<Letter> {
        let mut boxes = self.boxes();
        if boxes.waiting.is_empty() || dice.percent(8) {
            return (!boxes.old.is_empty()).then(|| dice.pick(&boxes.old));
        }
        let index = dice.below(boxes.waiting.len());
        let letter = boxes.waiting.swap_remove(index);
        if boxes.old.len() < 200 {
            boxes.old.push(letter.clone());
        } else {
            let index = dice.below(200);
            boxes.old[index] = letter.clone();
        }
        Some(letter)
    }

    pub(crate) fn was_accepted(&self, event_id: &str, accepted: Accepted) {
        self.boxes().accepted.insert(event_id.to_owned(), accepted);
    }

    pub(crate) fn accepted(&self) -> BTreeMap<String, Accepted> {
        self.boxes().accepted.clone()
    }
}

/// Builds a delivery about a change, in one of the forms that Zoho's workflow rules and scripts produce.
pub(crate) fn about(source: &Source, change: &Change, dice: &mut Dice) -> Letter {
    let (whole, number) = source.body(change);
    let (path, id) = change.subject.clone();
    let module = change.module;
    let (body, form) = match dice.below(100) {
        0..62 => (whole, Form::Json),
        62..74 => (source.zoho.webhook_body_without_lines(module, &id), Form::Json),
        74..90 => (json!({module.detail_key: {module.id_key: id}}).to_string(), Form::Json),
        90..96 => (whole, Form::JsonString),
        _ => (whole, Form::Plain),
    };
    let event = if change.event == "updated" && dice.percent(10) { "" } else { change.event };
    Letter {
        delivery: Delivery { entity_path: path.to_owned(), event: event.to_owned(), body },
        form,
        announces: Some((change.subject.clone(), number)),
    }
}

/// Builds a delivery with the whole record in its present state, in the most usual form.
pub(crate) fn plain(source: &Source, change: &Change) -> Letter {
    let (body, number) = source.body(change);
    let delivery =
        Delivery { entity_path: change.subject.0.to_owned(), event: change.event.to_owned(), body };
    Letter { delivery, form: Form::Json, announces: Some((change.subject.clone(), number)) }
}

/// Builds a delivery of another kind: a test button, another organization, a body that is no record, or a record that
/// never existed.
pub(crate) fn odd(dice: &mut Dice) -> Letter {
    let n = dice.below(1_000);
    let body = match dice.below(4) {
        0 => format!("no JSON {n}"),
        1 => json!({"organization_id": "1", "item": {"item_id": n.to_string()}}).to_string(),
        2 => json!({ "test": n }).to_string(),
        _ => json!({"item": {"item_id": format!("47000000000{n:08}")}}).to_string(),
    };
    let delivery = Delivery { entity_path: "products".to_owned(), event: String::new(), body };
    Letter { delivery, form: Form::Json, announces: None }
}

/// Parses an answer of the receiver; returns the event id and the content.
pub(crate) fn read(body: &str) -> Option<(String, Accepted)> {
    let answer: Value = serde_json::from_str(body).ok()?;
    let accepted = Accepted {
        status: answer["status"].as_str()?.to_owned(),
        inbox_event_id: answer["inbox_event_id"].as_i64()?,
    };
    Some((answer["event_id"].as_str()?.to_owned(), accepted))
}
