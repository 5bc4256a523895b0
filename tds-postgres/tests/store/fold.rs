//! Tests of rules that exist both in the core and in SQL: `tds_fold` must agree with the function
//! `tds_core::queue::fold`, and `tds_better_outcome` with the order of `Outcome`.

use proptest::{
    prelude::*,
    strategy::ValueTree as _,
    test_runner::{Config, TestRunner},
};
use sqlx::Row as _;
use tds_core::{
    queue::{Outcome, Work, fold},
    record::{Interval, Observed, Payload, Shape, SourcePayload},
};
use tds_postgres::testkit::TestDatabase;
use time::{Duration, OffsetDateTime, macros::datetime};

const PAIRS: usize = 3_000;

const FOLD: &str = "
SELECT tds_fold(o.payload, o.version, o.shape, o.ended, n.payload, n.version, n.shape, n.pushed, n.began) AS choice
  FROM unnest($1::text[], $2::timestamptz[], $3::text[], $4::timestamptz[])
         WITH ORDINALITY AS o(payload, version, shape, ended, place)
  JOIN unnest($5::text[], $6::timestamptz[], $7::text[], $8::boolean[], $9::timestamptz[])
         WITH ORDINALITY AS n(payload, version, shape, pushed, began, place) USING (place)
 ORDER BY place
";

fn at(seconds: i64) -> OffsetDateTime {
    datetime!(2026-01-01 00:00 UTC) + Duration::seconds(seconds)
}

fn observed() -> impl Strategy<Value = Observed> {
    prop_oneof![
        (0..12i64).prop_map(|when| Observed::Push(at(when))),
        (0..12i64, 0..4i64).prop_map(|(began, length)| Observed::Call(Interval {
            began: at(began),
            ended: at(began + length)
        })),
    ]
}

fn payload() -> impl Strategy<Value = SourcePayload> {
    let shape = prop_oneof![Just(Shape::List), Just(Shape::Detail), Just(Shape::Webhook)];
    (shape, observed(), 0..2u8).prop_map(|(shape, observed, content)| SourcePayload {
        shape,
        observed,
        json: Payload::new(content.to_string()),
    })
}

fn any_work() -> impl Strategy<Value = Work> {
    let version = prop::option::weighted(0.9, (0..3i64).prop_map(at));
    (version, prop::option::weighted(0.9, payload())).prop_map(|(version, payload)| Work {
        version,
        payload,
        recheck: false,
    })
}

fn of<T>(works: &[&Work], part: impl Fn(&SourcePayload) -> T) -> Vec<Option<T>> {
    works.iter().map(|work| work.payload.as_ref().map(&part)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_database_folds_random_works_as_the_pure_function_does() {
    let database = TestDatabase::new().await;
    let mut runner = TestRunner::new(Config::default());
    let strategy = (any_work(), any_work());
    let pairs: Vec<(Work, Work)> =
        (0..PAIRS).map(|_| strategy.new_tree(&mut runner).expect("a pair").current()).collect();
    let (old, new): (Vec<&Work>, Vec<&Work>) = pairs.iter().map(|(old, new)| (old, new)).unzip();
    let rows = sqlx::query(FOLD)
        .bind(of(&old, |payload| payload.json.as_str().to_owned()))
        .bind(old.iter().map(|work| work.version).collect::<Vec<_>>())
        .bind(of(&old, |payload| payload.shape.as_str()))
        .bind(of(&old, |payload| payload.observed.interval().ended))
        .bind(of(&new, |payload| payload.json.as_str().to_owned()))
        .bind(new.iter().map(|work| work.version).collect::<Vec<_>>())
        .bind(of(&new, |payload| payload.shape.as_str()))
        .bind(of(&new, |payload| matches!(payload.observed, Observed::Push(_))))
        .bind(of(&new, |payload| payload.observed.interval().began))
        .fetch_all(database.database())
        .await
        .expect("folded");
    assert_eq!(rows.len(), PAIRS);
    let mut seen = [0; 3];
    for ((old, new), row) in pairs.iter().zip(rows) {
        let choice: i32 = row.get("choice");
        let payload = match choice {
            2 => new.payload.clone(),
            1 => old.payload.clone(),
            _ => None,
        };
        let stored = Work { version: old.version.max(new.version), payload, recheck: false };
        assert_eq!(stored, fold(old, new), "{old:?} and {new:?} became choice {choice}");
        seen[usize::try_from(choice).expect("0, 1 or 2")] += 1;
    }
    assert!(seen.iter().all(|count| *count > PAIRS / 20), "every choice is tried: {seen:?}");
}

#[tokio::test]
async fn the_better_of_two_outcomes_is_the_lesser_one_in_the_core() {
    let database = TestDatabase::new().await;
    for one in Outcome::ALL {
        for other in Outcome::ALL {
            let better: String = sqlx::query_scalar("SELECT tds_better_outcome($1, $2)")
                .bind(one.as_str())
                .bind(other.as_str())
                .fetch_one(database.database())
                .await
                .expect("answers");
            assert_eq!(better, one.min(other).as_str(), "{one:?} and {other:?}");
        }
    }
}
