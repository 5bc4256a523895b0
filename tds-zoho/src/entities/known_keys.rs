//! The keys of a record that are no news: those that a column takes, and those that TDS leaves in `raw` on purpose.
//!
//! TDS knows the keys that Zoho documents and those that were seen in its answers (`zoho-keys.json`). An operator wants
//! to know of other keys, because Zoho added them or no column takes them yet.

use std::{
    collections::{HashMap, HashSet},
    sync::LazyLock,
};

use serde::Deserialize;
use serde_json::{Map, Value};

use super::{Descriptor, Detail, descriptor::TIMES};
use crate::reading::Column;

type Names = HashSet<&'static str>;

/// Names of keys, by the kind of the record that has them and by the source of the knowledge.
type Kinds<'a> = HashMap<&'a str, HashMap<&'a str, Vec<&'a str>>>;

#[derive(Deserialize)]
struct Written<'a> {
    #[serde(borrow)]
    kinds: Kinds<'a>,
}

/// The keys that Zoho is known to write.
static WRITTEN: LazyLock<Kinds<'static>> = LazyLock::new(|| {
    let text = include_str!("../../tests/data/zoho-keys.json");
    // The tests read the file too, so it can be read.
    serde_json::from_str::<Written<'static>>(text).map(|written| written.kinds).unwrap_or_default()
});

/// Keys whose values the column `custom_fields` takes.
const CUSTOM: [&str; 2] = ["custom_fields", "custom_field_hash"];

/// The keys of the records of one entity type that are no news.
#[derive(Debug)]
pub(crate) struct KnownKeys {
    head: Names,
    /// The lists that fill child tables, and the keys of their objects.
    lists: Vec<(&'static str, Names)>,
}

impl KnownKeys {
    /// Returns the known keys of an entity type. An entity type without a head table has none: its records are those of
    /// another entity type.
    pub(crate) fn of(descriptor: &Descriptor) -> Option<Self> {
        let head = descriptor.schema.head?;
        let kind = kind_of(head);
        let mut keys = written(&kind);
        keys.extend(written(&format!("{kind}_row")));
        keys.extend(CUSTOM);
        keys.insert(descriptor.id_key);
        let columns = [descriptor.columns, descriptor.volatile, TIMES];
        keys.extend(columns.into_iter().flatten().flat_map(Column::keys));
        let lists = descriptor.rows.iter().map(|rows| {
            let mut keys = written(&kind_of(rows.table));
            keys.extend(rows.columns.iter().copied().flatten().flat_map(Column::keys));
            (rows.key, keys)
        });
        let lists: Vec<_> = lists.collect();
        keys.extend(lists.iter().map(|(key, _)| *key));
        // A part of the record that another call shows is stored under the key of that call.
        if let Detail::Listed { beside: Some(beside), .. } = &descriptor.detail {
            keys.extend(beside.keys);
        }
        Some(Self { head: keys, lists })
    }

    /// Returns the paths of the fields of a record that are unknown, each once. A key that Zoho writes in the details of
    /// a kind of record is known in its list rows as well.
    pub(crate) fn unknown(&self, record: &Map<String, Value>) -> Vec<String> {
        let mut paths = Vec::new();
        for (key, value) in record {
            if is_news(key, &self.head) {
                paths.push(key.clone());
            } else if let Value::Array(rows) = value
                && let Some((list, known)) = self.lists.iter().find(|(list, _)| list == key)
            {
                for key in rows.iter().filter_map(Value::as_object).flat_map(Map::keys) {
                    let path = is_news(key, known).then(|| format!("{list}[].{key}"));
                    paths.extend(path.filter(|path| !paths.contains(path)));
                }
            }
        }
        paths
    }
}

/// Returns true for a key that is neither known, nor a custom field, nor another spelling of a value for display.
fn is_news(key: &str, known: &Names) -> bool {
    !known.contains(key)
        && !key.starts_with("cf_")
        && !key.ends_with("_formatted")
        && !key.ends_with("_unformatted")
}

fn written(kind: &str) -> Names {
    WRITTEN.get(kind).into_iter().flat_map(HashMap::values).flatten().copied().collect()
}

/// Returns the kind of the objects that fill a table: the name of the table in the singular, except for contacts and
/// items.
pub(super) fn kind_of(table: &str) -> String {
    match table {
        "customers" | "vendors" => "contact".to_owned(),
        "products" => "item".to_owned(),
        "currencies" => "currency".to_owned(),
        "taxes" => "tax".to_owned(),
        _ => table.strip_suffix('s').unwrap_or(table).to_owned(),
    }
}

#[cfg(all(test, feature = "sim"))]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::entities::Catalogue;

    #[test]
    fn what_zoho_is_known_to_write_is_no_news_and_what_it_adds_is() {
        for descriptor in Catalogue::default().iter() {
            let Some((known, sample)) = KnownKeys::of(descriptor).zip(descriptor.sample) else { continue };
            let sample = sample(1);
            let mut record = sample.as_object().expect("an object").clone();
            assert_eq!(known.unknown(&record), Vec::<String>::new(), "{}", descriptor.name());
            record.insert("colour".to_owned(), json!("red"));
            record.insert("cf_shelf".to_owned(), json!("A1"));
            record.insert("total_formatted".to_owned(), json!("$1.00"));
            let mut expected = vec!["colour".to_owned()];
            for rows in descriptor.rows {
                record.insert(rows.key.to_owned(), json!([{"colour": 1}, {"colour": 2}]));
                expected.push(format!("{}[].colour", rows.key));
            }
            expected.sort_unstable();
            assert_eq!(known.unknown(&record), expected, "{}", descriptor.name());
        }
    }
}
