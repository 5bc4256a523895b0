use super::*;

const CALL: i64 = 60_000;

fn place(endpoint: &str) -> Place {
    Place { service: "books".to_owned(), endpoint: format!("books {endpoint}") }
}

fn fault(endpoint: &str, call: u64, cause: OutageCause) -> CallFault {
    CallFault {
        place: place(endpoint),
        cause,
        everywhere: false,
        call,
        issued: Duration::ZERO,
        retry_after: None,
        first_probe: Duration::from_secs(60),
        reason: "HTTP 503".to_owned(),
    }
}

fn everywhere() -> CallFault {
    CallFault { everywhere: true, ..fault("/items", 1, OutageCause::Account) }
}

/// The seconds until a call to the place may be made. 0 means that the call may be made now.
fn wait(breakers: &Breakers, endpoint: &str, now: i64) -> u64 {
    match breakers.clone().pass(&place(endpoint), now, CALL) {
        Passage::Shut(shut) => shut.wait.as_secs(),
        _ => 0,
    }
}

/// Three different calls fail.
fn down(endpoint: &str) -> Breakers {
    let mut breakers = Breakers::default();
    for call in 1..=3 {
        breakers.fault(&fault(endpoint, call, OutageCause::Connection), 0);
    }
    breakers
}

#[test]
fn three_different_calls_in_a_row_open_a_breaker_and_a_success_between_does_not() {
    let mut breakers = Breakers::default();
    for call in 1..=8 {
        breakers.fault(&fault("/items", call, OutageCause::Connection), 0);
        if call % 2 == 0 {
            breakers.worked(&place("/items"), 0, 0);
        }
        assert_eq!(wait(&breakers, "/items", 0), 0, "{call}");
    }
    for call in 9..=11 {
        breakers.fault(&fault("/items", call, OutageCause::Connection), 0);
    }
    assert_eq!(wait(&breakers, "/items", 0), 5);
}

#[test]
fn repeated_failures_of_one_call_do_not_open_a_breaker() {
    let mut breakers = Breakers::default();
    for _ in 0..50 {
        breakers.fault(&fault("/items", 7, OutageCause::Connection), 0);
    }
    assert_eq!(breakers.pass(&place("/items"), 0, CALL), Passage::Free);
}

#[test]
fn failing_details_open_a_breaker_while_the_list_works() {
    let mut breakers = Breakers::default();
    for call in 1..=3 {
        breakers.fault(&fault("/invoices/{id}", call, OutageCause::Connection), 0);
        breakers.worked(&place("/invoices"), 0, 0);
    }
    assert_eq!(wait(&breakers, "/invoices", 0), 0);
    assert!(
        matches!(breakers.pass(&place("/invoices/{id}"), 1, CALL), Passage::Shut(shut) if shut.place == "books /invoices/{id}")
            || breakers.status(1).iter().any(BreakerStatus::is_open)
    );
}

#[test]
fn an_endpoint_that_has_not_failed_is_tried_while_others_are_shut() {
    let mut breakers = down("/invoices/{id}");
    assert_eq!(wait(&breakers, "/invoices/{id}", 0), 5);
    assert_eq!(breakers.pass(&place("/invoices"), 0, CALL), Passage::Free);
    breakers.fault(&fault("/invoices", 9, OutageCause::Connection), 1);
    assert!(wait(&breakers, "/invoices", 1) > 0, "it has failed, so that it waits like the others");
    breakers.worked(&place("/bills"), 2, 3);
    assert_eq!(wait(&breakers, "/invoices", 3), 0);
}

#[test]
fn a_fault_of_the_organization_shuts_its_whole_service_at_once_and_no_other() {
    let mut breakers = Breakers::default();
    breakers.fault(&everywhere(), 0);
    assert_eq!((wait(&breakers, "/items", 0), wait(&breakers, "/bills/{id}", 0)), (60, 60));
    let other = Place { service: "inventory".to_owned(), endpoint: "inventory /items".to_owned() };
    assert_eq!(breakers.pass(&other, 0, CALL), Passage::Free);
}

#[test]
fn the_wait_between_probes_grows_to_a_minute_for_a_connection_and_a_quarter_of_an_hour_for_an_account() {
    for (first, expected) in [
        (fault("/items", 1, OutageCause::Connection), [5, 10, 20, 40, 60, 60]),
        (everywhere(), [60, 120, 240, 480, 900, 900]),
    ] {
        let mut breakers = if first.everywhere { Breakers::default() } else { down("/items") };
        let mut now = 0;
        if first.everywhere {
            breakers.fault(&first, now);
        }
        let mut waits = Vec::new();
        for _ in 0..6 {
            let left = wait(&breakers, "/items", now);
            waits.push(left);
            now += i64::try_from(left).expect("small") * 1_000;
            assert_eq!(breakers.pass(&place("/items"), now, CALL), Passage::Probe);
            assert!(
                matches!(breakers.pass(&place("/items"), now, CALL), Passage::Shut(_)),
                "one probe at a time"
            );
            breakers.fault(&CallFault { call: 99, ..first.clone() }, now + 1);
            now += 1;
        }
        assert_eq!(waits, expected);
    }
}

#[test]
fn a_successful_probe_closes_the_breaker_and_an_earlier_call_does_not() {
    let mut breakers = down("/items");
    breakers.worked(&place("/items"), -1_000, 1_000);
    assert!(wait(&breakers, "/items", 1_000) > 0, "it was let go before the breaker opened");
    assert_eq!(breakers.pass(&place("/items"), 5_000, CALL), Passage::Probe);
    breakers.worked(&place("/items"), 5_000, 5_200);
    assert!(breakers.status(5_200).is_empty());
}

#[test]
fn after_a_success_the_other_endpoints_of_the_service_are_probed_at_once() {
    let mut breakers = down("/items");
    breakers.fault(&fault("/bills", 4, OutageCause::Connection), 0);
    assert_eq!(breakers.pass(&place("/bills"), 5_000, CALL), Passage::Probe);
    breakers.worked(&place("/bills"), 5_000, 5_100);
    assert_eq!(breakers.pass(&place("/items"), 5_100, CALL), Passage::Probe);
}

#[test]
fn a_prober_that_died_is_waited_for_no_longer_than_its_call_may_take() {
    let mut breakers = down("/items");
    assert_eq!(breakers.pass(&place("/items"), 5_000, CALL), Passage::Probe);
    assert_eq!(breakers.pass(&place("/items"), 5_000 + CALL + MARGIN, CALL), Passage::Probe);
}

#[test]
fn the_wait_that_the_source_requests_is_honoured_up_to_a_quarter_of_an_hour() {
    for (advised, expected) in [(120, 120), (1, 5), (86_400, 900)] {
        let mut breakers = Breakers::default();
        for call in 1..=3 {
            let advised = Some(Duration::from_secs(advised));
            breakers.fault(
                &CallFault { retry_after: advised, ..fault("/items", call, OutageCause::Connection) },
                0,
            );
        }
        assert_eq!(wait(&breakers, "/items", 0), expected);
    }
}

proptest::proptest! {
    /// Whatever happens in whatever order, a breaker never blocks calls for longer than its longest interval and
    /// the time of one call.
    #[test]
    fn no_breaker_stays_shut_for_ever(
        steps in proptest::collection::vec((0u8..5, 0u64..4, 1i64..30_000), 1..200),
    ) {
        let (mut breakers, mut now) = (Breakers::default(), 0);
        for (what, call, passed) in steps {
            now += passed;
            let endpoint = if call % 2 == 0 { "/items" } else { "/bills" };
            match what {
                0 => breakers.fault(&fault(endpoint, call, OutageCause::Connection), now),
                1 => breakers.fault(&everywhere(), now),
                2 => breakers.worked(&place(endpoint), now - passed, now),
                3 => drop(breakers.pass(&place(endpoint), now, CALL)),
                _ => breakers.advance(now, CALL),
            }
        }
        now += 900_000 + CALL + MARGIN;
        proptest::prop_assert!(!matches!(breakers.pass(&place("/items"), now, CALL), Passage::Shut(_)));
    }
}
