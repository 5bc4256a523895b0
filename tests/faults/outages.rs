//! The source: outages, limits, refusals, slow answers.

use std::{sync::Arc, time::Duration};

use tds_zoho::testkit::Fault;

use crate::{dice::Dice, world::World};

/// Tokens are minted anew after these; the organization gives out no more than ten in ten minutes.
const MINTS: usize = 5;

#[derive(Clone, Copy, Debug)]
enum Deed {
    Unavailable,
    Gateway,
    TooFast,
    Busy,
    Slow,
    Truncated,
    Empty,
    Refused,
    TokensExpire,
    Unauthorized,
}

/// One outage after the other, each kind in turn.
pub(crate) async fn disturb(world: Arc<World>, mut dice: Dice) {
    use Deed::{
        Busy, Empty, Gateway, Refused, Slow, TokensExpire, TooFast, Truncated, Unauthorized, Unavailable,
    };
    let mut mints = 0;
    let mut deeds = vec![Unavailable, Gateway, TooFast, Busy, Slow, Truncated, Empty, TokensExpire];
    if world.seconds > 120 {
        // After these everything waits for a probe, which comes after a minute.
        deeds.extend([Refused, Unauthorized]);
    }
    while !world.is_over() {
        for deed in dice.shuffled(&deeds) {
            world.rest(dice.millis(500, 2_500)).await;
            if world.is_over() {
                return;
            }
            if matches!(deed, TokensExpire | Unauthorized) {
                mints += 1;
                // An hour allows sixty mints; each of these takes up to two.
                if mints > MINTS + usize::try_from(world.journal.now() / 300_000).unwrap_or_default() {
                    continue;
                }
            }
            once(&world, &mut dice, deed).await;
            world.source.calm();
        }
    }
}

async fn once(world: &World, dice: &mut Dice, deed: Deed) {
    let faults = world.source.zoho.faults();
    let path = dice.pick(&["", "", "/items", "/invoices", "/contacts", "/bills"]);
    let share = dice.pick(&[30, 60, 100]);
    // The first rule that strikes decides: poison stays poison.
    let fault = match deed {
        Deed::Unavailable => Fault::Status(503, 0, "Service unavailable".to_owned()),
        Deed::Gateway => Fault::Html(dice.pick(&[502, 504, 500])),
        Deed::TooFast => Fault::RetryAfter429 { retry_after: "2".to_owned(), code: 43 },
        Deed::Busy => Fault::RetryAfter429 { retry_after: "1".to_owned(), code: 1070 },
        Deed::Slow => Fault::Delay(dice.millis(300, 2_500)),
        Deed::Truncated => Fault::TruncatedJson,
        Deed::Empty => Fault::EmptyBody,
        Deed::Refused => {
            Fault::Status(400, 6041, "This user is not associated with the CompanyID".to_owned())
        }
        Deed::Unauthorized => {
            Fault::Status(401, 57, "You are not authorized to perform this operation".to_owned())
        }
        Deed::TokensExpire => {
            world.source.zoho.expire_tokens();
            world.journal.did("source tokensexpire", "all access tokens");
            return;
        }
    };
    let lasts = dice.millis(300, 3_000);
    faults.percent(path, share, fault);
    world.source.zoho.set_latency(dice.millis(0, 80));
    world.rest(lasts).await;
    let about = format!("{share} % of the calls to '{path}' for {lasts:?}");
    world.journal.did(&format!("source {deed:?}").to_lowercase(), about);
    world.rest(Duration::from_millis(50)).await;
}
