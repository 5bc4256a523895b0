//! The names of the two schemas of one organization, and the SQL texts with these names.
//!
//! The texts of the program, of `sql/` and of `migrations/` are written for the mirror `erp` and name no schema of the
//! engine. [`Schemas::render`] puts the name of the mirror into a text when a connection sends it, so no statement can
//! leave without the right name. The engine's schema is the `search_path` of each session, and of each transaction. The
//! checksums of migrations are those of the texts as they are written, so they are the same for every organization.

use std::{borrow::Cow, fmt, str::FromStr, sync::Arc};

use sqlx::{
    Execute, Postgres, SqlSafeStr as _, SqlStr,
    postgres::{PgArguments, PgStatement},
};

use super::quote;

/// The name of the mirror, unless the configuration has another one, and the name in the texts.
const MIRROR: &str = "erp";

/// The longest name of a schema in PostgreSQL, in bytes. PostgreSQL would cut off a longer name.
const LONGEST: usize = 63;

/// A name of a schema that TDS accepts: letters, digits and underscores of ASCII, at most 63 bytes, not beginning with a
/// digit. PostgreSQL reserves `pg_…` and `information_schema`. Names are always quoted, so capital letters and words of
/// SQL are allowed. No accepted name ends a quotation, whatever text it is put into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchemaName(String);

/// A text that is no [`SchemaName`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidSchemaName;

impl fmt::Display for InvalidSchemaName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(
            "the name of a schema has 1 to 63 letters, digits or underscores, begins with no digit and with no pg_, and is \
             not information_schema",
        )
    }
}

impl std::error::Error for InvalidSchemaName {}

impl FromStr for SchemaName {
    type Err = InvalidSchemaName;

    fn from_str(text: &str) -> Result<Self, InvalidSchemaName> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        let folded = text.to_ascii_lowercase();
        let accepted = (1..=LONGEST).contains(&text.len())
            && text.bytes().all(plain)
            && !text.starts_with(|first: char| first.is_ascii_digit())
            && !folded.starts_with("pg_")
            && folded != "information_schema";
        if accepted { Ok(Self(text.to_owned())) } else { Err(InvalidSchemaName) }
    }
}

impl SchemaName {
    /// Returns the name, not quoted.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the name as an SQL identifier.
    pub(crate) fn quoted(&self) -> String {
        quote::identifier(&self.0)
    }
}

impl fmt::Display for SchemaName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// The schemas of one organization. Several organizations in one database have a pair of schemas each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schemas {
    /// The schema of the tables `tds_*`. `None`: the first schema of the connection's search path, usually `public`.
    pub engine: Option<SchemaName>,
    /// The schema of the mirror.
    pub mirror: SchemaName,
}

impl Default for Schemas {
    /// The schema of the connection, and `erp`.
    fn default() -> Self {
        Self { engine: None, mirror: SchemaName(MIRROR.to_owned()) }
    }
}

impl Schemas {
    /// Returns true if no text changes.
    fn is_default_mirror(&self) -> bool {
        self.mirror.as_str() == MIRROR
    }

    /// Returns the search path that makes the engine's schema the only one, apart from the catalogue. `None`: that of the
    /// connection stays.
    pub(crate) fn search_path(&self) -> Option<String> {
        self.engine.as_ref().map(SchemaName::quoted)
    }

    /// Returns the value of the setting `tds.origin` in transactions of the engine: the triggers of its own mirror let
    /// its writes pass, and those of other mirrors do not.
    pub(crate) fn origin(&self) -> String {
        format!("remote {}", self.mirror)
    }

    /// Returns an SQL text of TDS with the name of this mirror. In such a text, the name `erp` stands before a full stop,
    /// after the word SCHEMA, or alone in a text constant. Elsewhere the word has another meaning.
    pub(crate) fn render<'t>(&self, text: &'t str) -> Cow<'t, str> {
        if self.is_default_mirror() || !text.contains(MIRROR) {
            return Cow::Borrowed(text);
        }
        let (mut rendered, mut done) = (String::with_capacity(text.len() + 64), 0);
        for (at, _) in text.match_indices(MIRROR) {
            let (before, after) = (&text[..at], &text[at + MIRROR.len()..]);
            let Some((name, quotes)) = self.spelling(before, after) else { continue };
            rendered.push_str(&text[done..at - quotes]);
            rendered.push_str(&name);
            done = at + MIRROR.len() + quotes;
        }
        rendered.push_str(&text[done..]);
        Cow::Owned(rendered)
    }

    /// Returns how the name of the mirror is spelled between two texts, and how many of their characters on each side
    /// belong to the name. `None`: the word between the texts is no name of a schema.
    fn spelling(&self, before: &str, after: &str) -> Option<(String, usize)> {
        let continues = |next: char| next.is_ascii_alphanumeric() || matches!(next, '_' | '$');
        if before.ends_with(continues) || after.starts_with(continues) || before.ends_with('.') {
            return None;
        }
        if before.ends_with('"') {
            return after.starts_with("\".").then(|| (self.mirror.quoted(), 1));
        }
        let is_constant = before.ends_with('\'') && after.starts_with('\'');
        if is_constant {
            return Some((self.mirror.to_string(), 0));
        }
        let words = ["SCHEMA ", "schema ", "SCHEMA IF NOT EXISTS "];
        let is_name = after.starts_with('.') || words.iter().any(|word| before.ends_with(word));
        is_name.then(|| (self.mirror.quoted(), 0))
    }

    /// Returns a statement of TDS with the name of this mirror.
    pub(crate) fn render_statement(&self, statement: SqlStr) -> SqlStr {
        match self.render(statement.as_str()) {
            Cow::Borrowed(_) => statement,
            // A rendered text contains what the statement contained, and a quoted name.
            Cow::Owned(rendered) => quote::statement(rendered).into_sql_str(),
        }
    }
}

/// A query whose statement has the names of the organization's schemas.
pub(crate) struct Rendered<E> {
    pub(crate) query: E,
    pub(crate) schemas: Arc<Schemas>,
}

impl<'q, E: Execute<'q, Postgres>> Execute<'q, Postgres> for Rendered<E> {
    fn sql(self) -> SqlStr {
        self.schemas.render_statement(self.query.sql())
    }

    fn statement(&self) -> Option<&PgStatement> {
        self.query.statement()
    }

    fn take_arguments(&mut self) -> Result<Option<PgArguments>, sqlx::error::BoxDynError> {
        self.query.take_arguments()
    }

    fn persistent(&self) -> bool {
        self.query.persistent()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(mirror: &str) -> Schemas {
        Schemas { engine: None, mirror: mirror.parse().expect("a name") }
    }

    #[test]
    fn a_name_that_could_end_a_quotation_or_that_postgresql_reserves_is_no_name() {
        for name in ["erp_de", "Shop", "select", "_1", &"x".repeat(63)] {
            assert_eq!(name.parse::<SchemaName>().map(|name| name.to_string()), Ok(name.to_owned()));
        }
        for name in [
            "",
            "1st",
            "a b",
            "a.b",
            "a\"b",
            "a'b",
            "a;b",
            "a$$b",
            "a%Ib",
            "a\\b",
            "ö",
            "pg_x",
            "PG_x",
            "a\0",
            "information_schema",
            &"x".repeat(64),
        ] {
            assert_eq!(name.parse::<SchemaName>(), Err(InvalidSchemaName), "{name:?}");
        }
    }

    #[test]
    fn every_form_of_the_mirrors_name_is_rendered_and_no_other_word() {
        let text = "CREATE SCHEMA IF NOT EXISTS erp; SELECT h.erp, h.\"erp\", erp_x, xerp.y, '{\"erp\": 1}' AS erp \
                    FROM erp.a, \"erp\".\"b\" WHERE n = 'erp' AND format('erp.%I') <> 'erp.' || x; ON SCHEMA erp TO r";
        let expected = "CREATE SCHEMA IF NOT EXISTS \"Select\"; SELECT h.erp, h.\"erp\", erp_x, xerp.y, '{\"erp\": 1}' AS \
                        erp FROM \"Select\".a, \"Select\".\"b\" WHERE n = 'Select' AND format('\"Select\".%I') <> \
                        '\"Select\".' || x; ON SCHEMA \"Select\" TO r";
        assert_eq!(of("Select").render(text), expected);
        assert!(matches!(Schemas::default().render(text), Cow::Borrowed(_)));
    }

    #[test]
    fn a_mirror_whose_name_contains_erp_is_rendered_once() {
        assert_eq!(of("erp_erp").render("erp.a erp.b"), "\"erp_erp\".a \"erp_erp\".b");
    }
}
