//! Properties of merging work.

use proptest::prelude::*;
use tds_core::{
    queue::{Work, fold},
    record::{Interval, Observed, Payload, Shape, SourcePayload},
};
use time::{Duration, OffsetDateTime, macros::datetime};

fn at(seconds: i64) -> OffsetDateTime {
    datetime!(2026-01-01 00:00 UTC) + Duration::seconds(seconds)
}

fn observed() -> impl Strategy<Value = Observed> {
    prop_oneof![
        (0..20i64).prop_map(|when| Observed::Push(at(when))),
        (0..20i64, 0..5i64).prop_map(|(began, length)| Observed::Call(Interval {
            began: at(began),
            ended: at(began + length)
        })),
    ]
}

fn shown() -> impl Strategy<Value = Work> {
    (0..5i64, 0..3u8, observed(), any::<bool>()).prop_map(|(version, content, observed, recheck)| Work {
        version: Some(at(version)),
        payload: Some(SourcePayload {
            shape: Shape::Webhook,
            observed,
            json: Payload::new(format!(r#"{{"content":{content}}}"#)),
        }),
        recheck,
    })
}

fn any_work() -> impl Strategy<Value = Work> {
    prop_oneof![
        4 => shown(),
        1 => Just(Work::fetch()),
        1 => (0..5i64).prop_map(|version| Work { version: Some(at(version)), ..Work::fetch() }),
    ]
}

fn folded(works: &[Work]) -> Work {
    let (first, rest) = works.split_first().expect("not empty");
    rest.iter().fold(first.clone(), |waiting, incoming| fold(&waiting, incoming))
}

proptest! {
    #[test]
    fn folded_work_is_the_newest_payload_or_a_fetch(works in prop::collection::vec(any_work(), 1..8)) {
        let result = folded(&works);
        let newest = works.iter().map(|work| work.version).max().flatten();
        prop_assert_eq!(result.version, newest);
        if let Some(payload) = &result.payload {
            let newest_shown =
                works.iter().any(|work| work.version == newest && work.payload.as_ref() == Some(payload));
            prop_assert!(newest_shown, "an older payload was kept");
        }
    }

    #[test]
    fn a_payload_is_kept_only_where_no_other_of_its_version_differs(works in prop::collection::vec(any_work(), 1..8)) {
        let result = folded(&works);
        let Some(kept) = result.payload else { return Ok(()) };
        for work in &works {
            let payload = work.payload.as_ref().expect("a fetch is never forgotten");
            prop_assert!(work.version < result.version || payload.json == kept.json);
        }
    }

    #[test]
    fn the_order_of_merging_never_keeps_an_older_payload(
        one in any_work(), two in any_work(), three in any_work(),
    ) {
        let left = fold(&fold(&one, &two), &three);
        let right = fold(&one, &fold(&two, &three));
        prop_assert_eq!(left.version, right.version);
        if let (Some(left), Some(right)) = (left.payload, right.payload) {
            prop_assert_eq!(left.json, right.json);
        }
    }

    #[test]
    fn a_recheck_is_kept_if_any_of_the_folded_works_asks_for_it(
        works in prop::collection::vec(any_work(), 1..8),
    ) {
        prop_assert_eq!(folded(&works).recheck, works.iter().any(|work| work.recheck));
    }

    #[test]
    fn the_same_work_again_changes_nothing(work in any_work()) {
        prop_assert_eq!(fold(&work, &work), work);
    }
}
