//! Custom fields that are columns of the mirror. The functions in `sql/custom_columns.sql` make the columns.

use std::{fmt, str::FromStr};

use tds_core::{
    error::{Error, Result},
    hint::Hint,
};

use super::{error::Doing as _, quote::literal, session::Tx, setting::Setting, text::column};

/// The longest name of a column in PostgreSQL, in bytes.
const LONGEST_NAME: usize = 63;

tds_core::closed_set! {
    /// The type of a column that shows a custom field. A value that the type cannot hold is NULL.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum CustomType {
        /// Any value, as text. A list is its JSON text.
        Text = "text",
        /// A number.
        Numeric = "numeric",
        /// A date. Of a time, the date as it is written.
        Date = "date",
        /// A time with an offset.
        Timestamptz = "timestamptz",
        /// True or false, also as `yes` and `no` or as 1 and 0.
        Boolean = "boolean",
        /// A whole number of 32 bits.
        Integer = "integer",
    }
}

/// A custom field of the records of a head table that is a generated column of this table. The column has the name of
/// the field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CustomColumn {
    /// The head table, such as `products`.
    pub table: String,
    /// The API name of the custom field, such as `cf_shelf`.
    pub field: String,
    /// The type of the column.
    pub column_type: CustomType,
}

/// A text that does not describe a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidCustomColumn;

impl fmt::Display for InvalidCustomColumn {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the text is not TABLE.FIELD:TYPE")
    }
}

impl std::error::Error for InvalidCustomColumn {}

/// Reads `products.cf_shelf:text`.
impl FromStr for CustomColumn {
    type Err = InvalidCustomColumn;

    fn from_str(text: &str) -> Result<Self, InvalidCustomColumn> {
        let (place, type_name) = text.split_once(':').ok_or(InvalidCustomColumn)?;
        let (table, field) = place.split_once('.').ok_or(InvalidCustomColumn)?;
        let column_type = CustomType::ALL.into_iter().find(|known| known.as_str() == type_name.trim());
        let column_type = column_type.ok_or(InvalidCustomColumn)?;
        let (table, field) = (table.trim(), field.trim());
        if !is_name(table) || !is_name(field) {
            return Err(InvalidCustomColumn);
        }
        Ok(Self { table: table.to_owned(), field: field.to_owned(), column_type })
    }
}

impl fmt::Display for CustomColumn {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}:{}", self.table, self.field, self.column_type)
    }
}

/// Returns true for a name that needs no quotation marks, apart from its capital letters.
fn is_name(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    !text.is_empty()
        && text.len() <= LONGEST_NAME
        && text.bytes().all(plain)
        && !text.starts_with(|first: char| first.is_ascii_digit())
}

/// Makes the columns that are missing. Returns one sentence for each column that is not wanted any more.
pub(crate) async fn put(tx: &mut Tx, columns: &[CustomColumn]) -> Result<Vec<String>> {
    let doing = "making the columns of custom fields";
    let (tables, fields) =
        (column(columns, |column| column.table.as_str()), column(columns, |column| column.field.as_str()));
    let impossible: Vec<String> = sqlx::query_scalar("SELECT tds_impossible_custom_columns('erp', $1, $2)")
        .bind(&tables)
        .bind(&fields)
        .fetch_all(&mut *tx)
        .await
        .doing(doing)?;
    if !impossible.is_empty() {
        let message = format!(
            "the columns of custom fields: found {}; accepted: a head table that has custom fields, and a name that none \
             of its columns has",
            impossible.join("; ")
        );
        return Err(
            Error::config(message).with_hint(Hint::Settings(const { &[Setting::CustomColumns.as_str()] }))
        );
    }
    sqlx::query_scalar("SELECT tds_put_custom_columns('erp', $1, $2, $3)")
        .bind(&tables)
        .bind(&fields)
        .bind(column(columns, |column| column.column_type.as_str()))
        .fetch_all(tx)
        .await
        .doing(doing)
}

/// Returns the statement that makes the columns on an empty database.
pub(crate) fn script(columns: &[CustomColumn]) -> String {
    let array = |of: &dyn Fn(&CustomColumn) -> &str| {
        let texts: Vec<String> = columns.iter().map(|column| literal(of(column))).collect();
        format!("ARRAY[{}]::text[]", texts.join(", "))
    };
    format!(
        "SELECT tds_put_custom_columns('erp', {}, {}, {});\n",
        array(&|column| &column.table),
        array(&|column| &column.field),
        array(&|column| column.column_type.as_str())
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_is_written_as_table_field_and_type() {
        let column: CustomColumn = "products.cf_shelf:text".parse().expect("a column");
        assert_eq!((column.table.as_str(), column.field.as_str()), ("products", "cf_shelf"));
        assert_eq!(column.to_string(), "products.cf_shelf:text");
        for text in [
            "products.cf_shelf",
            "cf_shelf:text",
            "products.cf_shelf:string",
            "products.:text",
            ".cf_shelf:text",
            "products.cf shelf:text",
            "products.1st:text",
            "products.cf_ö:text",
            "erp.products.cf_shelf:text",
        ] {
            assert_eq!(text.parse::<CustomColumn>(), Err(InvalidCustomColumn), "{text}");
        }
        let long = format!("products.{}:text", "f".repeat(64));
        assert_eq!(long.parse::<CustomColumn>(), Err(InvalidCustomColumn));
    }
}
