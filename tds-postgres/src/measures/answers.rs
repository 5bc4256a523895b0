//! How long the program's own answers took.

use sqlx::{Row as _, postgres::PgRow};
use tds_core::measures::{AnswerCount, AnswerTimes};

use super::{number, signed, unsigned};
use crate::{
    Database,
    db::{
        retry::{ALONE, repeat},
        text::column,
    },
};

// The rows are written in the order of the primary key, so that two processes cannot deadlock. The classes of all rows
// come as one array, and each row takes its part of it.
const COUNT: &str = "
INSERT INTO tds_answer_times AS t (hour, kind, answers, faults, seconds, classes)
SELECT n.hour, n.kind, n.answers, n.faults, n.seconds, ($6::bigint[])[n.at * $7 - $7 + 1 : n.at * $7]
  FROM unnest($1::timestamptz[], $2::text[], $3::bigint[], $4::bigint[], $5::double precision[])
       WITH ORDINALITY AS n(hour, kind, answers, faults, seconds, at)
 ORDER BY n.hour, n.kind COLLATE \"C\"
ON CONFLICT (hour, kind) DO UPDATE SET answers = t.answers + excluded.answers, faults = t.faults + excluded.faults,
  seconds = t.seconds + excluded.seconds,
  classes = ARRAY(SELECT a + b FROM unnest(t.classes, excluded.classes) WITH ORDINALITY AS c(a, b, n) ORDER BY n)
";

/// Adds the times of answers. Each hour and kind comes once.
pub(super) async fn count(database: &Database, counts: &[AnswerCount]) -> Result<(), sqlx::Error> {
    let classes: Vec<i64> = counts.iter().flat_map(|count| count.times.classes.map(signed)).collect();
    let write = || {
        sqlx::query(COUNT)
            .bind(column(counts, |count| count.hour))
            .bind(column(counts, |count| count.kind.as_str()))
            .bind(column(counts, |count| signed(count.times.answers)))
            .bind(column(counts, |count| signed(count.times.faults)))
            .bind(column(counts, |count| count.times.seconds))
            .bind(classes.clone())
            .bind(signed(AnswerTimes::CLASSES as u64))
            .execute(database)
    };
    repeat(ALONE, write).await.map(drop)
}

/// Reads the times of a row with the columns of the table.
pub(super) fn times_of(row: &PgRow) -> Result<AnswerTimes, sqlx::Error> {
    let classes: Vec<i64> = row.try_get("classes")?;
    let mut times = AnswerTimes {
        answers: number(row, "answers")?,
        faults: number(row, "faults")?,
        seconds: row.try_get("seconds")?,
        ..AnswerTimes::default()
    };
    for (class, answers) in times.classes.iter_mut().zip(classes) {
        *class = unsigned(Some(answers));
    }
    Ok(times)
}
