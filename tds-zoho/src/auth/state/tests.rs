use std::time::Duration;

use futures_util::FutureExt;
use proptest::prelude::*;
use tokio::time::Instant;

use super::{Flight, MintFault, Minted, Next, State, backoff};

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn minted(expires_in: u64) -> Result<Minted, MintFault> {
    Ok(Minted { value: "token".to_owned().into(), expires_in: seconds(expires_in), api_url: None })
}

fn pending() -> Flight {
    futures_util::future::pending().boxed().shared()
}

fn starts(state: &mut State, now: Instant) -> bool {
    let mut started = false;
    let _next = state.next(now, || {
        started = true;
        pending()
    });
    started
}

#[test]
fn a_token_is_renewed_five_minutes_ahead_and_a_short_one_a_tenth_ahead() {
    for (life, ahead) in [(3600, 300), (60, 6)] {
        let (mut state, now) = (State::default(), Instant::now());
        state.finish(minted(life), now).expect("token");
        assert!(!starts(&mut state, now + seconds(life - ahead - 1)), "{life}");
        assert!(starts(&mut state, now + seconds(life - ahead)), "{life}");
    }
}

#[test]
fn while_one_mint_is_on_its_way_no_other_starts() {
    let (mut state, now) = (State::default(), Instant::now());
    assert!(starts(&mut state, now));
    assert!(!starts(&mut state, now));
    state.finish(minted(3600), now).expect("token");
    assert!(matches!(state.next(now, pending), Ok(Next::Use(_))));
}

#[test]
fn a_rejected_token_is_replaced_once_for_all_who_held_it() {
    let (mut state, now) = (State::default(), Instant::now());
    let old = state.finish(minted(3600), now).expect("token");
    state.forget(old.number);
    assert!(starts(&mut state, now));
    state.finish(minted(3600), now).expect("token");
    state.forget(old.number);
    assert!(!starts(&mut state, now));
}

#[test]
fn wrong_credentials_are_tried_once_a_minute_and_stay_in_sight() {
    let (mut state, now) = (State::default(), Instant::now());
    let fault = MintFault::Refused { error: "invalid_code".to_owned(), words: String::new() };
    state.finish(Err(fault.clone()), now).expect_err("fault");
    assert!(!starts(&mut state, now + seconds(59)));
    assert!(starts(&mut state, now + seconds(60)));
    assert_eq!(state.trouble(now + seconds(90)), Some((fault, Duration::ZERO)));
    state.finish(minted(3600), now + seconds(91)).expect("token");
    assert_eq!(state.trouble(now + seconds(92)), None);
}

#[test]
fn a_token_that_still_works_is_used_while_its_renewal_is_blocked() {
    let (mut state, now) = (State::default(), Instant::now());
    state.finish(minted(3600), now).expect("token");
    state.finish(Err(MintFault::TooMany(String::new())), now + seconds(3300)).expect_err("fault");
    assert!(matches!(state.next(now + seconds(3400), pending), Ok(Next::Use(_))));
    assert!(matches!(state.next(now + seconds(3600), pending), Err((MintFault::TooMany(_), _))));
}

#[test]
fn the_backoff_of_a_broken_token_server_ends_at_a_minute() {
    assert!(backoff(1, 0) >= Duration::from_millis(500));
    for failures in 1..100 {
        assert!(backoff(failures, u64::MAX) <= seconds(60));
    }
}

proptest! {
    #[test]
    fn never_more_than_ten_mints_in_ten_minutes(gaps in proptest::collection::vec(0_u64..200_000, 1..200), good: bool) {
        let (mut state, mut now) = (State::default(), Instant::now());
        let mut mints: Vec<Instant> = Vec::new();
        for gap in gaps {
            now += Duration::from_millis(gap);
            if starts(&mut state, now) {
                mints.push(now);
                let result = if good { minted(1) } else { Err(MintFault::Passing(String::new())) };
                let _result = state.finish(result, now);
            }
        }
        for (index, first) in mints.iter().enumerate() {
            let in_window = mints[index..].iter().take_while(|mint| **mint - *first <= seconds(600)).count();
            prop_assert!(in_window <= 10);
        }
    }
}
