//! SQL that is assembled at run time. This module is the only place that vouches for such SQL.

use sqlx::AssertSqlSafe;

/// Returns a quoted identifier.
pub(crate) fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Returns a text constant.
pub(crate) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// Returns the quoted name of a mirror table as statements of TDS contain it: the schema is `erp`, in whose place
/// [`Schemas::render`](super::schemas::Schemas::render) puts the configured mirror. A name with a schema (`schema.table`)
/// stays as it is.
pub(crate) fn table(name: &str) -> String {
    let (schema, table) = name.split_once('.').unwrap_or(("erp", name));
    format!("{}.{}", identifier(schema), identifier(table))
}

/// Returns a constant of the type `regclass`, for a question about a mirror table. In a parameter, nothing would put the
/// configured mirror in the place of `erp`.
pub(crate) fn regclass(name: &str) -> String {
    format!("{}::regclass", literal(&table(name)))
}

/// Returns quoted identifiers with a prefix, separated by commas.
pub(crate) fn list(prefix: &str, names: impl IntoIterator<Item = impl AsRef<str>>) -> String {
    let quoted = names.into_iter().map(|name| format!("{prefix}{}", identifier(name.as_ref())));
    quoted.collect::<Vec<_>>().join(", ")
}

/// Declares a statement safe. All its variable parts went through this module, and its values are parameters.
pub(crate) fn statement(text: String) -> AssertSqlSafe<String> {
    AssertSqlSafe(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quote_in_a_name_cannot_end_the_name() {
        assert_eq!(identifier("a\"; DROP TABLE x; --"), "\"a\"\"; DROP TABLE x; --\"");
        assert_eq!(literal("a'; DROP TABLE x; --"), "'a''; DROP TABLE x; --'");
        assert_eq!(table("products"), "\"erp\".\"products\"");
        assert_eq!(table("shop.items"), "\"shop\".\"items\"");
        assert_eq!(regclass("products"), "'\"erp\".\"products\"'::regclass");
    }
}
