//! Claims due items, and keeps the cursors from which claims start.
//!
//! Claimed items leave dead entries at the beginning of the ready index, and an open snapshot of any session keeps
//! the entries there. While there is a backlog, a claim therefore begins where the previous claim ended. The claim
//! cursor is only a hint: every two seconds, and as soon as a claim finds fewer items than it asked for, the next
//! claim starts from the beginning.

use std::sync::Mutex;

use sqlx::{Row as _, postgres::PgRow};
use time::OffsetDateTime;
use tokio::time::{Duration, Instant};

use tds_core::{
    error::Result,
    inbox::InboxId,
    lock::lock,
    queue::{ClaimRequest, Claimed, ItemId, Lane, LeaseToken, Work},
    record::{Interval, Observed, Payload, Shape, SourcePayload},
};

use super::fold::key_of;
use crate::{
    Database,
    db::{
        error::Doing as _,
        retry::{IN_BATCH, repeat},
        text::{seconds, storable, unknown},
    },
};

// The statement itself is in sql/claim.sql, which also explains why it is a function.
pub(crate) const CLAIM: &str = "
SELECT id, lease_token, generation, direction, entity_type, zoho_entity_id, entity_id, priority, version, payload, shape,
       pushed, recheck, observed_began, observed_ended, inbox_event_id, retry_count, lost_leases, queued_at, run_at
  FROM tds_claim($1, $2, $3, $4, $5, $6, $7)
";

// A scoped claim has no cursors: it looks at every due item and skips most of them.
const CLAIM_SCOPED: &str = "
SELECT id, lease_token, generation, direction, entity_type, zoho_entity_id, entity_id, priority, version, payload, shape,
       pushed, recheck, observed_began, observed_ended, inbox_event_id, retry_count, lost_leases, queued_at, run_at
  FROM tds_claim_scoped($1, $2, $3, $4, $5, $6)
";

/// The beginning of the error message of a claim.
const DOING: &str = "taking work from the queue";

/// The longest time that an item behind a cursor waits. Such items come from late commits, retries and lost leases.
const LOOK_BACK: Duration = Duration::from_secs(2);

/// The position of an item in the ready index: priority, due time and id.
pub(crate) type ClaimCursor = (i16, OffsetDateTime, i64);

/// The claim cursors of a process, one for each lane.
#[derive(Debug, Default)]
pub(crate) struct ClaimCursors(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    lanes: [Option<ClaimCursor>; Lane::ALL.len()],
    looked_back: Option<Instant>,
}

/// The lanes of a claim as columns: the cursor from which each lane starts, and the priority below which it ends.
pub(crate) struct Range {
    pub(crate) priorities: Vec<i16>,
    pub(crate) ats: Vec<Option<OffsetDateTime>>,
    pub(crate) ids: Vec<i64>,
    pub(crate) below: Vec<i16>,
}

impl ClaimCursors {
    /// Returns the lanes up to `up_to`, the most urgent lane first.
    pub(crate) fn range(&self, up_to: Lane) -> Range {
        let mut state = lock(&self.0);
        if state.looked_back.is_none_or(|at| at.elapsed() >= LOOK_BACK) {
            *state = State { lanes: Default::default(), looked_back: Some(Instant::now()) };
        }
        let mut range = Range { priorities: Vec::new(), ats: Vec::new(), ids: Vec::new(), below: Vec::new() };
        for (index, lane) in Lane::ALL.into_iter().enumerate().filter(|(_, lane)| *lane <= up_to) {
            let cursor = state.lanes[index];
            range.priorities.push(cursor.map_or(lane.priority(), |cursor| cursor.0));
            range.ats.push(cursor.map(|cursor| cursor.1));
            range.ids.push(cursor.map_or(i64::MIN, |cursor| cursor.2));
            range.below.push(Lane::ALL.get(index + 1).map_or(i16::MAX, |next| next.priority()));
        }
        range
    }

    /// Records the end of a claim. `last` is the last item of a claim that found as many items as it asked for.
    /// `None` means that the claim found every due item.
    pub(crate) fn note(&self, last: Option<ClaimCursor>) {
        let mut state = lock(&self.0);
        let Some(last) = last else {
            state.lanes = Default::default();
            return;
        };
        let lane = Lane::from_priority(last.0);
        for (floor, other) in state.lanes.iter_mut().zip(Lane::ALL) {
            if other == lane {
                *floor = Some(last);
            } else if other < lane {
                *floor = None;
            }
        }
    }
}

/// Claims due items of every scope from the cursors on, and moves the cursors.
pub(crate) async fn claim(
    database: &Database,
    cursors: &ClaimCursors,
    request: &ClaimRequest,
) -> Result<Vec<Claimed>> {
    let (limit, range) = (limit_of(request), &cursors.range(request.up_to));
    let claim = || {
        sqlx::query(CLAIM)
            .bind(limit)
            .bind(&range.priorities)
            .bind(&range.ats)
            .bind(&range.ids)
            .bind(&range.below)
            .bind(storable(&request.worker.0))
            .bind(seconds(request.lease))
            .try_map(|row: PgRow| claimed_of(&row))
            .fetch_all(database)
    };
    let claimed = repeat(IN_BATCH, claim).await.doing(DOING)?;
    let full = claimed.len() >= request.limit;
    cursors.note(claimed.iter().filter(|_| full).map(|(spot, _)| *spot).max());
    Ok(in_order(claimed))
}

/// Claims the due items of the request's scope, without cursors, because such a claim skips most of the due items.
pub(crate) async fn claim_scoped(database: &Database, request: &ClaimRequest) -> Result<Vec<Claimed>> {
    let scope = &request.scope;
    let less_urgent = Lane::ALL.into_iter().find(|lane| *lane > request.up_to);
    let below = less_urgent.map_or(i16::MAX, Lane::priority);
    let runs: &Option<Vec<i64>> = &scope.runs.as_ref().map(|runs| runs.iter().map(|run| run.0).collect());
    let claim = || {
        sqlx::query(CLAIM_SCOPED)
            .bind(limit_of(request))
            .bind(below)
            .bind(runs)
            .bind(scope.carried)
            .bind(storable(&request.worker.0))
            .bind(seconds(request.lease))
            .try_map(|row: PgRow| claimed_of(&row))
            .fetch_all(database)
    };
    repeat(IN_BATCH, claim).await.map(in_order).doing(DOING)
}

fn limit_of(request: &ClaimRequest) -> i64 {
    i64::try_from(request.limit).unwrap_or(i64::MAX)
}

/// Returns the claimed items, the most urgent item first. The rows of RETURNING have no order.
fn in_order(mut claimed: Vec<(ClaimCursor, Claimed)>) -> Vec<Claimed> {
    claimed.sort_by_key(|((_, due, _), item)| (item.lane, *due, item.id));
    claimed.into_iter().map(|(_, item)| item).collect()
}

fn claimed_of(row: &PgRow) -> Result<(ClaimCursor, Claimed), sqlx::Error> {
    let spot: ClaimCursor = (row.try_get("priority")?, row.try_get("run_at")?, row.try_get("id")?);
    let (retries, lost): (i32, i32) = (row.try_get("retry_count")?, row.try_get("lost_leases")?);
    let claimed = Claimed {
        id: ItemId(spot.2),
        token: LeaseToken(row.try_get("lease_token")?),
        generation: row.try_get("generation")?,
        key: key_of(row)?,
        lane: Lane::from_priority(spot.0),
        work: work_of(row)?,
        source_event: row.try_get::<Option<i64>, _>("inbox_event_id")?.map(InboxId),
        retry_count: u32::try_from(retries).unwrap_or(0),
        lost_leases: u32::try_from(lost).unwrap_or(0),
        queued_at: row.try_get("queued_at")?,
    };
    Ok((spot, claimed))
}

/// Reads the work of an item.
pub(super) fn work_of(row: &PgRow) -> Result<Work, sqlx::Error> {
    let (version, recheck) = (row.try_get("version")?, row.try_get("recheck")?);
    let Some(json) = row.try_get::<Option<&str>, _>("payload")? else {
        return Ok(Work { version, payload: None, recheck });
    };
    let shape = match row.try_get::<Option<&str>, _>("shape")? {
        Some("list") => Shape::List,
        Some("webhook") => Shape::Webhook,
        Some("detail") | None => Shape::Detail,
        Some(other) => return Err(unknown("shape", other)),
    };
    let (began, ended) = (row.try_get("observed_began")?, row.try_get("observed_ended")?);
    let is_pushed = row.try_get::<Option<bool>, _>("pushed")? == Some(true);
    let observed = if is_pushed { Observed::Push(began) } else { Observed::Call(Interval { began, ended }) };
    let payload = SourcePayload { shape, observed, json: Payload::new(json) };
    Ok(Work { version, payload: Some(payload), recheck })
}

#[cfg(test)]
mod tests {
    use tds_core::queue::Lane;
    use time::macros::datetime;

    use super::{ClaimCursor, ClaimCursors};

    const SPOT: ClaimCursor = (40, datetime!(2026-11-24 12:00 UTC), 7);

    #[tokio::test(start_paused = true)]
    async fn a_cursor_holds_for_two_seconds_and_in_its_lane_only() {
        let cursors = ClaimCursors::default();
        cursors.range(Lane::Verify);
        cursors.note(Some(SPOT));
        let range = cursors.range(Lane::Verify);
        assert_eq!(range.priorities, [0, 10, 20, 25, 30, 40, 50]);
        assert_eq!(range.ids, [i64::MIN, i64::MIN, i64::MIN, i64::MIN, i64::MIN, 7, i64::MIN]);
        assert_eq!(range.ats[5], Some(SPOT.1));
        tokio::time::advance(super::LOOK_BACK).await;
        assert_eq!(cursors.range(Lane::Verify).ats, [None; Lane::ALL.len()]);
    }

    #[tokio::test]
    async fn a_claim_that_found_everything_resets_the_cursors() {
        let cursors = ClaimCursors::default();
        cursors.range(Lane::Verify);
        cursors.note(Some(SPOT));
        cursors.note(None);
        assert_eq!(cursors.range(Lane::Verify).ats, [None; Lane::ALL.len()]);
    }

    #[tokio::test]
    async fn lanes_cover_every_priority_once() {
        let range = ClaimCursors::default().range(Lane::Webhook);
        assert_eq!((range.priorities, range.below), (vec![0, 10, 20], vec![10, 20, 25]));
    }
}
