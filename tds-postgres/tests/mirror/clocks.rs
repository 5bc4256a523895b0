//! Tests that a clock that was ahead and then set back does not stop updates.

use serde_json::json;
use tds_core::{
    guard::RereadReason,
    mirror::Applied,
    queue::Outcome,
    record::{Interval, Observed, Shape},
};
use time::{Duration, OffsetDateTime};

use crate::support::{Case, absent, detail, invoices};

const HEAD: &str = "SELECT concat_ws('|', number, balance, deleted_at IS NOT NULL) FROM erp.invoices";

const SEEN_AHEAD: &str = "
UPDATE tds_sync_records SET observed_began = observed_began + interval '3 hours',
  observed_ended = observed_ended + interval '3 hours', detail_seen = detail_seen + interval '3 hours',
  volatile_seen = volatile_seen + interval '3 hours'";

/// Returns a call that ended this many seconds ago by the clock of the database.
async fn ago(case: &Case, seconds: i64) -> Observed {
    let now: OffsetDateTime =
        sqlx::query_scalar("SELECT clock_timestamp()").fetch_one(case.test.database()).await.expect("a time");
    let ended = now - Duration::seconds(seconds);
    Observed::Call(Interval { began: ended - Duration::milliseconds(100), ended })
}

/// Returns a case with an invoice that was seen by a clock that was three hours ahead.
async fn seen_ahead() -> Case {
    let case = Case::new().await;
    let seen = ago(&case, 60).await;
    let read =
        detail(&invoices(), "1", 1, json!({"number": "A-1"})).volatile(json!({"balance": "100"})).seen(seen);
    case.apply(&invoices(), read).await.expect("stored");
    case.execute(SEEN_AHEAD).await;
    case
}

#[tokio::test]
async fn volatile_values_are_written_at_once() {
    let case = seen_ahead().await;
    let paid = detail(&invoices(), "1", 1, json!({"number": "A-1"})).volatile(json!({"balance": "0"}));
    let paid = paid.seen(ago(&case, 1).await);
    assert_eq!(case.apply(&invoices(), paid).await.expect("fine"), Applied::Done(Outcome::Applied));
    assert_eq!(case.text(HEAD).await, "A-1|0|f");
}

#[tokio::test]
async fn other_content_of_the_same_version_is_read_once_more_and_then_written() {
    let case = seen_ahead().await;
    let other = detail(&invoices(), "1", 1, json!({"number": "A-2"})).volatile(json!({"balance": "100"}));
    let first = other.clone().seen(ago(&case, 1).await);
    assert_eq!(case.apply(&invoices(), first).await.expect("fine"), Applied::Reread(RereadReason::Tie));
    // The tie reset the state's time to the present, so a call that begins afterwards is later.
    let again = other.seen(ago(&case, -1).await);
    assert_eq!(case.apply(&invoices(), again).await.expect("fine"), Applied::Done(Outcome::Applied));
    assert_eq!(case.text(HEAD).await, "A-2|100|f");
}

#[tokio::test]
async fn a_deletion_is_read_once_more_and_then_written() {
    let case = seen_ahead().await;
    let mut gone = absent(&invoices(), "1", 1);
    gone.observed = ago(&case, 1).await;
    assert_eq!(
        case.apply(&invoices(), gone.clone()).await.expect("fine"),
        Applied::Reread(RereadReason::Tie)
    );
    gone.observed = ago(&case, -1).await;
    assert_eq!(case.apply(&invoices(), gone).await.expect("fine"), Applied::Done(Outcome::Deleted));
}

#[tokio::test]
async fn no_observation_is_stored_with_a_time_ahead_of_the_clock_of_the_database() {
    let case = Case::new().await;
    let ahead = ago(&case, -3 * 3_600).await;
    let read =
        detail(&invoices(), "1", 1, json!({"number": "A-1"})).volatile(json!({"balance": "1"})).seen(ahead);
    case.apply(&invoices(), read).await.expect("stored");
    let noted =
        "SELECT (greatest(observed_ended, detail_seen, volatile_seen) < now() + interval '1 minute')::text
                   FROM tds_sync_records";
    assert_eq!(case.text(noted).await, "true");
}

#[tokio::test]
async fn columns_that_were_never_read_stay_unknown() {
    let case = Case::new().await;
    let seen = ago(&case, 1).await;
    let row = detail(&invoices(), "1", 1, json!({"number": "A-1"})).shape(Shape::List).seen(seen);
    case.apply(&invoices(), row).await.expect("stored");
    let unknown = "SELECT (detail_seen IS NULL AND volatile_seen IS NULL)::text FROM tds_sync_records";
    assert_eq!(case.text(unknown).await, "true");
}
