//! The functions of the schema and their triggers. Each file of `sql/` contains one family. `migrate` applies a
//! family again when its text changed.
//!
//! The table `tds_sync_functions` records the applied revision and hash of each family. A family is *stale* if the
//! database does not have it, or has another text of the same or an older revision. [`Database::migrate`] applies
//! stale families. A program does not work on a schema that has a stale family.
//!
//! Several versions of the program may run at the same time. Two rules follow from this:
//! - **A function whose signature or meaning changes gets a new name.** A migration drops the old function once no
//!   supported program calls it any more. A program works with every later revision of the families that it knows.
//! - A developer who changes a file increases its revision below. An older program that finds a newer revision in the
//!   database neither overwrites the family nor refuses to work. Only builds between two releases can have different
//!   texts of one revision. In that case the build that migrated last wins, and the other build is no longer ready.
//!
//! A rule that several statements need is a *part*: a piece of SQL text in `sql/parts/`. A family inserts a part at
//! the comment `/* part: name */` in its text, and a statement of the program includes the file. So the rule has one
//! text, and no statement pays for a function call.
//!
//! `CREATE OR REPLACE` keeps the privileges of a function. [`Database::migrate`] closes a new function at its end, in
//! the same transaction.
//!
//! [`Database::migrate`]: crate::Database::migrate

use sqlx::PgExecutor;
use tds_core::record::ContentHash;

use super::{
    quote::{literal, statement},
    session::Tx,
};

/// Functions that belong together.
pub(crate) struct Family {
    pub(crate) name: &'static str,
    /// The revision increases with every change of the text.
    revision: i32,
    text: &'static str,
}

/// The families in the order of their application. A family may name functions of the families before it.
static FAMILIES: [Family; 17] = [
    Family { name: "fold", revision: 3, text: include_str!("../../sql/fold.sql") },
    Family { name: "end_runs", revision: 3, text: include_str!("../../sql/end_runs.sql") },
    Family { name: "claim", revision: 9, text: include_str!("../../sql/claim.sql") },
    Family { name: "complete", revision: 5, text: include_str!("../../sql/complete.sql") },
    Family { name: "tally", revision: 2, text: include_str!("../../sql/tally.sql") },
    Family { name: "operator", revision: 12, text: include_str!("../../sql/operator.sql") },
    Family { name: "views", revision: 1, text: include_str!("../../sql/views.sql") },
    Family { name: "money", revision: 1, text: include_str!("../../sql/money.sql") },
    Family { name: "money_payments", revision: 1, text: include_str!("../../sql/money_payments.sql") },
    Family { name: "money_sums", revision: 1, text: include_str!("../../sql/money_sums.sql") },
    Family { name: "custom_columns", revision: 1, text: include_str!("../../sql/custom_columns.sql") },
    Family { name: "capture", revision: 1, text: include_str!("../../sql/capture.sql") },
    Family { name: "capture_stock", revision: 1, text: include_str!("../../sql/capture_stock.sql") },
    Family { name: "capture_tables", revision: 1, text: include_str!("../../sql/capture_tables.sql") },
    Family { name: "local_ids", revision: 1, text: include_str!("../../sql/local_ids.sql") },
    Family { name: "restored", revision: 1, text: include_str!("../../sql/restored.sql") },
    Family { name: "close", revision: 5, text: include_str!("../../sql/close.sql") },
];

const RECORD: &str = "
INSERT INTO tds_sync_functions AS f (name, revision, hash) VALUES ($1, $2, $3)
ON CONFLICT (name) DO UPDATE SET
  revision = excluded.revision, hash = excluded.hash, applied_at = clock_timestamp()
";

/// The parts, by the names that the comments of the families use. A part may contain the parts after it.
static PARTS: [(&str, &str); 7] = [
    ("archive", include_str!("../../sql/parts/archive.sql")),
    ("due", include_str!("../../sql/parts/due.sql")),
    ("end_events", include_str!("../../sql/parts/end_events.sql")),
    ("fold_into", include_str!("../../sql/parts/fold_into.sql")),
    ("outcomes", include_str!("../../sql/parts/outcomes.sql")),
    ("take_lease", include_str!("../../sql/parts/take_lease.sql")),
    ("attempt", include_str!("../../sql/parts/attempt.sql")),
];

impl Family {
    /// Returns the text with its parts.
    fn text(&self) -> String {
        PARTS.iter().fold(self.text.to_owned(), |text, (name, part)| {
            text.replace(&format!("/* part: {name} */"), part.trim())
        })
    }

    fn hash(&self) -> String {
        ContentHash::of_bytes(self.text().as_bytes()).as_str().to_owned()
    }

    /// Returns true if a family that was applied with this revision and hash must be applied again.
    fn is_stale_against(&self, revision: i32, hash: &str) -> bool {
        revision <= self.revision && hash != self.hash()
    }

    /// Creates or replaces the functions.
    pub(crate) async fn apply(&self, tx: &mut Tx) -> Result<(), sqlx::Error> {
        sqlx::raw_sql(statement(self.text())).execute(&mut *tx).await?;
        let record = sqlx::query(RECORD).bind(self.name).bind(self.revision).bind(self.hash());
        record.execute(tx).await.map(drop)
    }
}

/// Returns the families that the database lacks or has in another form, unless a newer program applied them. The
/// migrations must have been applied already.
pub(crate) async fn stale<'c>(database: impl PgExecutor<'c>) -> Result<Vec<&'static Family>, sqlx::Error> {
    let applied: Vec<(String, i32, String)> =
        sqlx::query_as("SELECT name, revision, hash FROM tds_sync_functions").fetch_all(database).await?;
    let is_stale = |family: &&Family| match applied.iter().find(|(name, ..)| name == family.name) {
        Some((_, revision, hash)) => family.is_stale_against(*revision, hash),
        None => true,
    };
    Ok(FAMILIES.iter().filter(is_stale).collect())
}

/// Returns a script that applies all families to a database without functions.
pub(crate) fn script() -> String {
    let applied = |family: &Family| {
        let (name, revision, hash) = (literal(family.name), family.revision, literal(&family.hash()));
        let record = format!(
            "INSERT INTO tds_sync_functions (name, revision, hash) VALUES ({name}, {revision}, {hash});"
        );
        format!("\n-- Functions: {}\n\n{}\n\n{record}\n", family.name, family.text().trim())
    };
    FAMILIES.iter().map(applied).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The text of each revision, identified by the beginning of its hash.
    const REVISIONS: [(&str, i32, &str); 17] = [
        ("fold", 3, "7572fd1a21cc"),
        ("end_runs", 3, "77710212a969"),
        ("claim", 9, "d41952b7122f"),
        ("complete", 5, "c8b13534b7c9"),
        ("tally", 2, "fbbc9b1a0710"),
        ("operator", 12, "087265b4c386"),
        ("views", 1, "273a9a615658"),
        ("money", 1, "bc03e3914378"),
        ("money_payments", 1, "07d0e8ed72fb"),
        ("money_sums", 1, "cffee5131fa5"),
        ("custom_columns", 1, "87b6cac339ad"),
        ("capture", 1, "1dcc4c086e7e"),
        ("capture_stock", 1, "7dec2f4d30be"),
        ("capture_tables", 1, "0161be4e74b5"),
        ("local_ids", 1, "89dc63b6f871"),
        ("restored", 1, "51377334b9d0"),
        ("close", 5, "a6fc1eec70ab"),
    ];

    #[test]
    fn a_text_that_changes_gets_a_new_revision() {
        let texts: Vec<(&str, i32, String)> = FAMILIES
            .iter()
            .map(|family| (family.name, family.revision, family.hash()[..12].to_owned()))
            .collect();
        let known = REVISIONS.map(|(name, revision, hash)| (name, revision, hash.to_owned()));
        assert_eq!(texts, known, "increase the revision of what was changed, and note its hash here");
    }

    #[test]
    fn every_part_that_a_family_names_is_known() {
        for family in &FAMILIES {
            assert!(!family.text().contains("part:"), "{}", family.name);
        }
    }

    #[test]
    fn a_family_is_stale_where_the_text_differs_and_no_newer_program_applied_it() {
        let family = Family { name: "f", revision: 3, text: "now" };
        assert!(!family.is_stale_against(3, &family.hash()));
        assert!(!family.is_stale_against(2, &family.hash()), "nothing was changed");
        assert!(family.is_stale_against(2, "before"));
        assert!(family.is_stale_against(3, "another build"));
        assert!(!family.is_stale_against(4, "later"));
    }
}
