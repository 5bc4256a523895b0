//! The source: outages, limits, refusals, answers that are late, cut, empty or spoilt.

use std::sync::Arc;

use serde_json::{Value, json};
use tds_zoho::testkit::{Fault, Module};

use crate::{dice::Dice, world::World};

/// Tokens are minted anew after these; the organization gives out no more than ten in ten minutes.
const MINTS: usize = 5;
/// Calls of one kind: details, or lists. A `*` is one part of a path, and without one what follows would be meant too.
const KINDS: [&str; 7] = [
    "/books/v3/invoices/*",
    "/books/v3/contacts/*",
    "/books/v3/bills/*",
    "/inventory/v1/items/*",
    "/books/*/invoices",
    "/books/*/contacts",
    "/inventory/*/items",
];

#[derive(Clone, Copy, Debug)]
enum Deed {
    Unavailable,
    Gateway,
    TooFast,
    Busy,
    Throttled,
    Slow,
    Truncated,
    BrokenOff,
    Empty,
    EmptyError,
    Firewall,
    UserLeft,
    NotOfThisPlan,
    Unauthorized,
    OneKind,
    HalfACharacter,
    TokensExpire,
}

const DEEDS: [Deed; 17] = [
    Deed::Unavailable,
    Deed::Gateway,
    Deed::TooFast,
    Deed::Busy,
    Deed::Throttled,
    Deed::Slow,
    Deed::Truncated,
    Deed::BrokenOff,
    Deed::Empty,
    Deed::EmptyError,
    Deed::Firewall,
    Deed::UserLeft,
    Deed::NotOfThisPlan,
    Deed::Unauthorized,
    Deed::OneKind,
    Deed::HalfACharacter,
    Deed::TokensExpire,
];

/// One outage after the other, each kind in turn.
pub(crate) async fn disturb(world: Arc<World>, mut dice: Dice) {
    let mut mints = 0;
    // A short course hurries, so that it leaves few of them out.
    let pause = if world.seconds > 120 { 2_500 } else { 900 };
    while !world.is_over() {
        for deed in dice.shuffled(&DEEDS) {
            world.rest(dice.millis(300, pause)).await;
            if world.is_over() {
                return;
            }
            if matches!(deed, Deed::TokensExpire | Deed::Unauthorized) {
                mints += 1;
                // An hour allows sixty mints; each of these takes up to two.
                if mints > MINTS + usize::try_from(world.journal.now() / 300_000).unwrap_or_default() {
                    continue;
                }
            }
            let about = once(&world, &mut dice, deed).await;
            world.journal.did(&format!("source {deed:?}").to_lowercase(), about);
            world.source.calm();
        }
    }
}

async fn once(world: &World, dice: &mut Dice, deed: Deed) -> String {
    let path = dice.pick(&["", "", "/items", "/invoices", "/contacts", "/bills", "/inventory", "/books"]);
    let share = dice.pick(&[30, 60, 100]);
    let fault = match deed {
        Deed::Unavailable => Fault::Status(503, 0, "Service unavailable".to_owned()),
        Deed::Gateway => Fault::Html(dice.pick(&[502, 504, 500])),
        Deed::TooFast => Fault::RetryAfter429 { retry_after: "2".to_owned(), code: 43 },
        Deed::Busy => Fault::RetryAfter429 { retry_after: "1".to_owned(), code: 1070 },
        Deed::Throttled => throttled(dice),
        Deed::Slow => Fault::Delay(dice.millis(300, 2_500)),
        Deed::Truncated => Fault::TruncatedJson,
        Deed::BrokenOff => Fault::BrokenOff,
        Deed::Empty => Fault::EmptyBody,
        Deed::EmptyError => Fault::Empty(dice.pick(&[403, 500, 502])),
        Deed::Firewall => Fault::Html(403),
        Deed::UserLeft => Fault::user_left(),
        Deed::NotOfThisPlan => Fault::not_of_this_plan(),
        Deed::Unauthorized => Fault::not_authorized(dice.pick(&[Some(57), Some(14), None])),
        Deed::OneKind => return one_kind(world, dice).await,
        Deed::HalfACharacter => return half_a_character(world, dice).await,
        Deed::TokensExpire => {
            world.source.zoho.expire_tokens();
            return "all access tokens".to_owned();
        }
    };
    // The first rule that strikes decides: poison stays poison.
    world.source.zoho.faults().percent(path, share, fault);
    world.source.zoho.set_latency(dice.millis(0, 80));
    let lasts = dice.millis(300, 3_000);
    world.rest(lasts).await;
    format!("{share} % of the calls to '{path}' for {lasts:?}")
}

/// A limit that only its words tell; where there is a header, it says the same.
fn throttled(dice: &mut Dice) -> Fault {
    let message = "Cannot execute more than 100 requests per API in 2 minutes. Try again after 2 seconds";
    let header = dice.pick(&[None, Some(2)]);
    Fault::Text(400, json!({"message": message}).to_string(), header)
}

/// Lists work and details do not, or the other way round, for longer than the rest.
async fn one_kind(world: &World, dice: &mut Dice) -> String {
    let pattern = dice.pick(&KINDS);
    let fault = dice.pick(&[Fault::Html(503), Fault::user_left(), Fault::EmptyBody, Fault::Html(403)]);
    let about = format!("{fault:?} of all calls to {pattern}");
    world.source.zoho.faults().matching(pattern, fault);
    let lasts = dice.millis(2_000, 5_000);
    world.rest(lasts).await;
    format!("{about} for {lasts:?}")
}

/// A row of a page ends in something that is no character: half of one, or bytes that are none. What the page shows of it
/// may come into the mirror, as the source showed it.
async fn half_a_character(world: &World, dice: &mut Dice) -> String {
    let Some(id) = world.source.pick(dice, Module::CONTACTS) else { return "of nobody".to_owned() };
    let Some(contact) = world.source.zoho.get(Module::CONTACTS, &id) else { return "of nobody".to_owned() };
    let name = contact.get("contact_name").and_then(Value::as_str).unwrap_or_default();
    let whole = format!("\"contact_name\":{}", json!(name));
    let half = dice.pick(&[&b"\\ud83d\""[..], b"\\udc00\"", b"\xf0\x9f\x98\"", b"\xff\""]);
    let spoilt = [&whole.as_bytes()[..whole.len() - 1], half].concat();
    world.source.zoho.faults().matching("/books/*/contacts", Fault::Rewritten(whole, spoilt));
    let lasts = dice.millis(1_000, 4_000);
    world.rest(lasts).await;
    world.source.was_edited(("customers", id.clone()));
    format!("in the list's row of contact {id} for {lasts:?}")
}
