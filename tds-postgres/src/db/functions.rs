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
    schemas::Schemas,
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
static FAMILIES: [Family; 19] = [
    Family { name: "organization", revision: 1, text: include_str!("../../sql/organization.sql") },
    Family { name: "fold", revision: 3, text: include_str!("../../sql/fold.sql") },
    Family { name: "end_runs", revision: 3, text: include_str!("../../sql/end_runs.sql") },
    Family { name: "claim", revision: 9, text: include_str!("../../sql/claim.sql") },
    Family { name: "complete", revision: 5, text: include_str!("../../sql/complete.sql") },
    Family { name: "tally", revision: 2, text: include_str!("../../sql/tally.sql") },
    Family { name: "operator", revision: 13, text: include_str!("../../sql/operator.sql") },
    Family { name: "views", revision: 1, text: include_str!("../../sql/views.sql") },
    Family { name: "money", revision: 1, text: include_str!("../../sql/money.sql") },
    Family { name: "money_payments", revision: 1, text: include_str!("../../sql/money_payments.sql") },
    Family { name: "money_sums", revision: 1, text: include_str!("../../sql/money_sums.sql") },
    Family { name: "custom_columns", revision: 1, text: include_str!("../../sql/custom_columns.sql") },
    Family { name: "capture", revision: 2, text: include_str!("../../sql/capture.sql") },
    Family { name: "capture_stock", revision: 2, text: include_str!("../../sql/capture_stock.sql") },
    Family { name: "capture_tables", revision: 3, text: include_str!("../../sql/capture_tables.sql") },
    Family { name: "guard", revision: 1, text: include_str!("../../sql/guard.sql") },
    Family { name: "local_ids", revision: 1, text: include_str!("../../sql/local_ids.sql") },
    Family { name: "restored", revision: 2, text: include_str!("../../sql/restored.sql") },
    Family { name: "close", revision: 7, text: include_str!("../../sql/close.sql") },
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

    /// Returns the hash of the text with the names of these schemas: where the mirror was renamed, the functions are made
    /// again.
    fn hash(&self, schemas: &Schemas) -> String {
        ContentHash::of_bytes(schemas.render(&self.text()).as_bytes()).as_str().to_owned()
    }

    /// Returns true if a family that was applied with this revision and hash must be applied again.
    fn is_stale_against(&self, revision: i32, hash: &str, schemas: &Schemas) -> bool {
        revision <= self.revision && hash != self.hash(schemas)
    }

    /// Creates or replaces the functions.
    pub(crate) async fn apply(&self, tx: &mut Tx, schemas: &Schemas) -> Result<(), sqlx::Error> {
        sqlx::raw_sql(statement(self.text())).execute(&mut *tx).await?;
        let record = sqlx::query(RECORD).bind(self.name).bind(self.revision).bind(self.hash(schemas));
        record.execute(tx).await.map(drop)
    }
}

/// Returns the families that the database lacks or has in another form, unless a newer program applied them. The
/// migrations must have been applied already.
pub(crate) async fn stale<'c>(
    database: impl PgExecutor<'c>,
    schemas: &Schemas,
) -> Result<Vec<&'static Family>, sqlx::Error> {
    let applied: Vec<(String, i32, String)> =
        sqlx::query_as("SELECT name, revision, hash FROM tds_sync_functions").fetch_all(database).await?;
    let is_stale = |family: &&Family| match applied.iter().find(|(name, ..)| name == family.name) {
        Some((_, revision, hash)) => family.is_stale_against(*revision, hash, schemas),
        None => true,
    };
    Ok(FAMILIES.iter().filter(is_stale).collect())
}

/// Returns a script that applies all families to a database without functions.
pub(crate) fn script(schemas: &Schemas) -> String {
    let applied = |family: &Family| {
        let (name, revision, hash) = (literal(family.name), family.revision, literal(&family.hash(schemas)));
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
    const REVISIONS: [(&str, i32, &str); 19] = [
        ("organization", 1, "124504585baa"),
        ("fold", 3, "7572fd1a21cc"),
        ("end_runs", 3, "77710212a969"),
        ("claim", 9, "d41952b7122f"),
        ("complete", 5, "c8b13534b7c9"),
        ("tally", 2, "fbbc9b1a0710"),
        ("operator", 13, "171357136084"),
        ("views", 1, "273a9a615658"),
        ("money", 1, "bc03e3914378"),
        ("money_payments", 1, "07d0e8ed72fb"),
        ("money_sums", 1, "cffee5131fa5"),
        ("custom_columns", 1, "87b6cac339ad"),
        ("capture", 2, "a4617a463179"),
        ("capture_stock", 2, "15fddc9066de"),
        ("capture_tables", 3, "8d0ace4b7f95"),
        ("guard", 1, "d3e9f1ad2ec0"),
        ("local_ids", 1, "89dc63b6f871"),
        ("restored", 2, "9947ffe3133c"),
        ("close", 7, "694b2f0f5335"),
    ];

    #[test]
    fn a_text_that_changes_gets_a_new_revision() {
        let texts: Vec<(&str, i32, String)> = FAMILIES
            .iter()
            .map(|family| (family.name, family.revision, family.hash(&Schemas::default())[..12].to_owned()))
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
        let family = Family { name: "f", revision: 3, text: "FROM erp.now" };
        let schemas = Schemas::default();
        let hash = family.hash(&schemas);
        assert!(!family.is_stale_against(3, &hash, &schemas));
        assert!(!family.is_stale_against(2, &hash, &schemas), "nothing was changed");
        assert!(family.is_stale_against(2, "before", &schemas));
        assert!(family.is_stale_against(3, "another build", &schemas));
        assert!(!family.is_stale_against(4, "later", &schemas));
    }

    #[test]
    fn no_text_names_the_mirror_in_a_form_that_is_not_rendered() {
        let schemas = Schemas { engine: None, mirror: "shop".parse().expect("a name") };
        // Columns of results and keys of JSON, the form of a report, and the pattern that recognises the default.
        let other = ["erp text,", "\"erp\":", "'^erp$'"];
        let families = FAMILIES.iter().map(|family| (family.name.to_owned(), family.text()));
        let migrations = super::super::migrations::texts();
        for (name, text) in families.chain(migrations) {
            let mut rendered = schemas.render(&text).into_owned();
            for word in other {
                rendered = rendered.replace(word, "");
            }
            let is_word = |part: &str| {
                part.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).any(|w| w == "erp")
            };
            let left: Vec<&str> = rendered
                .lines()
                .map(|line| line.split("--").next().unwrap_or(""))
                .filter(|line| is_word(line))
                .collect();
            assert_eq!(left, Vec::<&str>::new(), "{name}");
        }
    }
}
