//! The figures of the checklist of readiness.

use std::time::Duration;

use serde_json::Value;
use sqlx::{Row as _, postgres::PgRow, types::Json};
use tds_core::{
    measures::{
        AnswerTimes, DeadLetterFigures, DelayFigures, DeliveryFigures, MoneyPoint, MoneyRow, WeekFigures,
    },
    queue::Lane,
    runs::RunId,
};
use time::OffsetDateTime;

use super::{answers::times_of, number, outbox};
use crate::{Database, db::text::seconds};

// What an operator discarded says nothing about how long work takes.
const DELAYS: &str = "
SELECT now() AS now, (SELECT min(processing_completed_at) FROM tds_queue_done) AS since, count(*) AS completed,
       avg(delay)::double precision AS mean,
       percentile_disc(0.99) WITHIN GROUP (ORDER BY delay)::double precision AS p99,
       (avg(delay) FILTER (WHERE priority = $2))::double precision AS webhook_mean
  FROM (SELECT priority, extract(epoch FROM processing_completed_at - queued_at) AS delay FROM tds_queue_done
         WHERE processing_completed_at > now() - make_interval(secs => $1) AND outcome <> 'discarded') AS d
";

// All events are looked at, because an event without an end state counts, whatever its age is.
const DELIVERIES: &str = "
SELECT min(received_at) AS since, count(*) FILTER (WHERE young) AS received,
       count(*) FILTER (WHERE young AND status = 'completed') AS completed,
       count(*) FILTER (WHERE young AND status = 'failed') AS failed,
       count(*) FILTER (WHERE open AND received_at <= now() - make_interval(secs => $2)) AS late,
       extract(epoch FROM now() - min(received_at) FILTER (WHERE open))::double precision AS oldest_open,
       (max(extract(epoch FROM processed_at - received_at)) FILTER (WHERE young))::double precision AS slowest
  FROM (SELECT received_at, processed_at, status, status IN ('pending', 'processing') AS open,
               received_at > now() - make_interval(secs => $1) AS young FROM tds_inbox_events) AS e
";

const DEAD: &str = "
SELECT (SELECT count(*) FROM tds_queue_live WHERE dead_lettered_at IS NOT NULL) AS dead, count(*) AS made,
       max(ended_at) AS last_at
  FROM tds_queue_attempts WHERE result = 'dead_letter' AND ended_at > now() - make_interval(secs => $1)
";

const ANSWERS: &str = "
SELECT hour, answers, faults, seconds, classes FROM tds_answer_times
 WHERE hour > now() - make_interval(secs => $1) - interval '1 hour'
";

const ANSWERS_SINCE: &str = "SELECT min(hour) FROM tds_answer_times";

const MONEY: &str = "
SELECT id, completed_at, money FROM tds_verifications
 WHERE completed_at > now() - make_interval(secs => $1) ORDER BY completed_at, id
";

/// Returns the figures of the time before now.
pub(super) async fn week(
    database: &Database,
    within: Duration,
    patience: Duration,
) -> Result<WeekFigures, sqlx::Error> {
    let within = seconds(within);
    let delays = sqlx::query(DELAYS).bind(within).bind(Lane::Webhook.priority()).fetch_one(database).await?;
    let deliveries = sqlx::query(DELIVERIES).bind(within).bind(seconds(patience)).fetch_one(database).await?;
    let dead = sqlx::query(DEAD).bind(within).fetch_one(database).await?;
    let mut answers = AnswerTimes::default();
    for row in sqlx::query(ANSWERS).bind(within).fetch_all(database).await? {
        answers.merge(&times_of(&row)?);
    }
    let answers_since: Option<OffsetDateTime> = sqlx::query_scalar(ANSWERS_SINCE).fetch_one(database).await?;
    let money = sqlx::query(MONEY).bind(within).try_map(|row: PgRow| point_of(&row));
    Ok(WeekFigures {
        now: delays.try_get("now")?,
        delays: delays_of(&delays)?,
        deliveries: deliveries_of(&deliveries)?,
        dead_letters: DeadLetterFigures {
            now: number(&dead, "dead")?,
            made: number(&dead, "made")?,
            last_at: dead.try_get("last_at")?,
        },
        answers,
        answers_since,
        money: money.fetch_all(database).await?,
        shadow: outbox::shadow(database, within).await?,
    })
}

fn delays_of(row: &PgRow) -> Result<DelayFigures, sqlx::Error> {
    Ok(DelayFigures {
        since: row.try_get("since")?,
        completed: number(row, "completed")?,
        mean: row.try_get("mean")?,
        p99: row.try_get("p99")?,
        webhook_mean: row.try_get("webhook_mean")?,
    })
}

fn deliveries_of(row: &PgRow) -> Result<DeliveryFigures, sqlx::Error> {
    Ok(DeliveryFigures {
        since: row.try_get("since")?,
        received: number(row, "received")?,
        completed: number(row, "completed")?,
        failed: number(row, "failed")?,
        late: number(row, "late")?,
        oldest_open: row.try_get("oldest_open")?,
        slowest: row.try_get("slowest")?,
    })
}

fn point_of(row: &PgRow) -> Result<MoneyPoint, sqlx::Error> {
    let Json(money): Json<Value> = row.try_get("money")?;
    let rows = money.as_array().into_iter().flatten().map(money_of).collect();
    Ok(MoneyPoint { verification: RunId(row.try_get("id")?), at: row.try_get("completed_at")?, rows })
}

/// Reads the stored result of a check. A result that does not say whether the check holds is judged by its difference.
fn money_of(row: &Value) -> MoneyRow {
    let text = |keys: &[&str]| {
        keys.iter().find_map(|key| match row.get(*key)? {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        })
    };
    let difference = text(&["difference"]).unwrap_or_else(|| "0.00".to_owned());
    let is_zero = !difference.contains(|digit: char| ('1'..='9').contains(&digit));
    let examples = row.get("examples").and_then(Value::as_array).into_iter().flatten();
    MoneyRow {
        check: text(&["check"]).unwrap_or_default(),
        currency: text(&["currency"]),
        source: text(&["zoho", "source"]),
        target: text(&["erp", "target"]),
        holds: row.get("holds").and_then(Value::as_bool).unwrap_or(is_zero),
        difference,
        examples: examples.filter_map(Value::as_str).map(str::to_owned).collect(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::money_of;

    #[test]
    fn a_stored_check_is_read_whatever_it_calls_its_sides() {
        let row =
            money_of(&json!({"check": "receivables", "currency": "IQD", "zoho": "10.00", "erp": "9.50",
            "difference": "0.50", "holds": false, "examples": ["invoices 7"]}));
        assert_eq!((row.holds, row.source.as_deref(), row.examples.len()), (false, Some("10.00"), 1));
        let judged = |difference: &str| money_of(&json!({"check": "rates", "difference": difference})).holds;
        assert_eq!([judged("0.00"), judged("-0"), judged("-0.01")], [true, true, false]);
    }
}
