//! Disturbances of the source: outages, limits, refusals, and answers that are late, cut off, empty or invalid.

use std::sync::Arc;

use serde_json::{Value, json};
use tds_zoho::testkit::{Fault, Module};

use crate::{dice::Dice, world::World};

/// The number of disturbances after which tokens are minted anew. TDS mints at most ten tokens in ten minutes.
const MINTS: usize = 5;
/// Calls of one kind: details or lists. A `*` stands for one part of a path. A plain prefix would also match longer
/// paths.
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

/// Causes one outage after the other; each kind has its turn.
pub(crate) async fn disturb(world: Arc<World>, mut dice: Dice) {
    let mut mints = 0;
    // A short test makes shorter pauses, so that it leaves few kinds out.
    let pause = if world.seconds > 120 { 2_500 } else { 900 };
    while !world.is_over() {
        for deed in dice.shuffled(&DEEDS) {
            world.rest(dice.millis(300, pause)).await;
            if world.is_over() {
                return;
            }
            if matches!(deed, Deed::TokensExpire | Deed::Unauthorized) {
                mints += 1;
                // Sixty mints are allowed in an hour, and each of these disturbances costs up to two.
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
    // The first rule that strikes decides, so a poisoned record stays poisoned.
    world.source.zoho.faults().percent(path, share, fault);
    world.source.zoho.set_latency(dice.millis(0, 80));
    let lasts = dice.millis(300, 3_000);
    world.rest(lasts).await;
    format!("{share} % of the calls to '{path}' for {lasts:?}")
}

/// A rate limit that only the message states; the header, if there is one, states the same time.
fn throttled(dice: &mut Dice) -> Fault {
    let message = "Cannot execute more than 100 requests per API in 2 minutes. Try again after 2 seconds";
    let header = dice.pick(&[None, Some(2)]);
    Fault::Text(400, json!({"message": message}).to_string(), header)
}

/// Lets lists work and details fail, or the reverse, for longer than the other disturbances.
async fn one_kind(world: &World, dice: &mut Dice) -> String {
    let pattern = dice.pick(&KINDS);
    let fault = dice.pick(&[Fault::Html(503), Fault::user_left(), Fault::EmptyBody, Fault::Html(403)]);
    let about = format!("{fault:?} of all calls to {pattern}");
    world.source.zoho.faults().matching(pattern, fault);
    let lasts = dice.millis(2_000, 5_000);
    world.rest(lasts).await;
    format!("{about} for {lasts:?}")
}

/// A row of a list page ends in an invalid character: half of a surrogate pair, or bytes that are not UTF-8. The spoilt
/// value of the page may reach the mirror, because the source sent it.
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
