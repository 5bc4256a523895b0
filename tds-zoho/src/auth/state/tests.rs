use std::time::Duration;

use futures_util::FutureExt;
use tokio::time::Instant;

use super::{super::Domain, Arc, Flight, MintFault, Next, Renewed, State, Token};

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn token(number: u64, now: Instant, renew_in: u64, expires_in: u64) -> Renewed {
    let (refresh_at, expires_at) = (now + seconds(renew_in), now + seconds(expires_in));
    Ok(Arc::new(Token { number, value: "token".into(), refresh_at, expires_at, domain: Domain::default() }))
}

fn pending(_rejected: Option<u64>) -> Flight {
    futures_util::future::pending().boxed().shared()
}

/// Returns whether a refresh starts now, and the number of the rejected token that it receives.
fn starts(state: &mut State, now: Instant) -> Option<Option<u64>> {
    let mut started = None;
    let _next = state.next(now, |rejected| {
        started = Some(rejected);
        pending(rejected)
    });
    started
}

#[test]
fn a_token_that_is_due_is_used_while_its_successor_is_on_its_way() {
    let (mut state, now) = (State::default(), Instant::now());
    state.finish(token(1, now, 3_300, 3_600), now).expect("token");
    assert!(starts(&mut state, now + seconds(3_299)).is_none());
    assert!(starts(&mut state, now + seconds(3_300)).is_some());
    assert!(starts(&mut state, now + seconds(3_301)).is_none(), "one is on its way");
    assert!(matches!(state.next(now + seconds(3_302), pending), Ok(Next::Use(_))));
    assert!(matches!(state.next(now + seconds(3_600), pending), Ok(Next::Join(_))));
}

#[test]
fn a_rejected_token_is_replaced_once_for_all_who_held_it() {
    let (mut state, now) = (State::default(), Instant::now());
    state.finish(token(7, now, 10, 20), now).expect("token");
    state.forget(7);
    assert_eq!(starts(&mut state, now), Some(Some(7)));
    state.finish(token(8, now, 10, 20), now).expect("token");
    state.forget(7);
    assert!(starts(&mut state, now).is_none());
}

#[test]
fn wrong_credentials_are_tried_once_a_minute_and_stay_reported() {
    let (mut state, now) = (State::default(), Instant::now());
    let fault = MintFault::Refused { error: "invalid_code".to_owned(), words: String::new() };
    state.finish(Err((fault.clone(), seconds(60))), now).expect_err("fault");
    assert!(starts(&mut state, now + seconds(59)).is_none());
    assert!(starts(&mut state, now + seconds(60)).is_some());
    assert_eq!(state.trouble(now + seconds(90)), Some((fault, Duration::ZERO)));
    state.finish(token(1, now, 3_300, 3_600), now + seconds(91)).expect("token");
    assert_eq!(state.trouble(now + seconds(92)), None);
}

#[test]
fn a_token_that_still_works_is_used_while_its_renewal_is_blocked() {
    let (mut state, now) = (State::default(), Instant::now());
    state.finish(token(1, now, 3_300, 3_600), now).expect("token");
    let fault = MintFault::TooMany(String::new());
    state.finish(Err((fault, seconds(600))), now + seconds(3_300)).expect_err("fault");
    assert!(matches!(state.next(now + seconds(3_400), pending), Ok(Next::Use(_))));
    assert!(matches!(state.next(now + seconds(3_600), pending), Err((MintFault::TooMany(_), _))));
}

#[test]
fn a_token_is_missing_from_the_first_call_that_waits_until_there_is_one() {
    let (mut state, now) = (State::default(), Instant::now());
    assert!(!state.is_missing(now), "no call needs one yet");
    assert!(starts(&mut state, now).is_some());
    assert!(state.is_missing(now), "a call waits");
    let fault = MintFault::Passing("cannot be reached".to_owned());
    state.finish(Err((fault.clone(), seconds(1))), now).expect_err("fault");
    for later in [0, 1, 60] {
        assert!(state.is_missing(now + seconds(later)), "also when the pause is over: {later}");
    }
    state.finish(token(1, now, 3_300, 3_600), now + seconds(60)).expect("token");
    assert!(!state.is_missing(now + seconds(61)));
    state.finish(Err((fault, seconds(1))), now + seconds(3_300)).expect_err("fault");
    assert!(!state.is_missing(now + seconds(3_400)), "the old one still works");
    assert!(state.is_missing(now + seconds(3_600)));
    assert!(!state.is_missing(now + seconds(3_700)), "no call has asked again");
}
