//! Comparison of the mirror with a fresh mirror and with the source itself, field by field.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::Output,
};

use rust_decimal::Decimal;
use serde_json::{Map, Value};
use tds_zoho::testkit::Module;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use crate::{
    cluster::Cluster,
    journal::Fault,
    process::program,
    source::{Source, Subject},
    world::settings,
};

/// A table, the column with the id of its record, and the webhook path of its record.
struct Table {
    name: &'static str,
    key: &'static str,
    path: &'static str,
    /// The table whose tombstones also apply to this table.
    head: &'static str,
}

const fn head(name: &'static str, path: &'static str) -> Table {
    Table { name, key: "zoho_id", path, head: name }
}

const fn child(name: &'static str, key: &'static str, path: &'static str, head: &'static str) -> Table {
    Table { name, key, path, head }
}

const TABLES: [Table; 12] = [
    head("products", "products"),
    head("customers", "customers"),
    head("vendors", "customers"),
    head("invoices", "invoices"),
    head("bills", "bills"),
    head("credit_notes", "credit-notes"),
    head("price_lists", "prices"),
    child("invoice_lines", "document_zoho_id", "invoices", "invoices"),
    child("bill_lines", "document_zoho_id", "bills", "bills"),
    child("credit_note_lines", "document_zoho_id", "credit-notes", "credit_notes"),
    child("price_list_items", "price_list_zoho_id", "prices", "price_lists"),
    child("stock_levels", "product_zoho_id", "stock", "products"),
];

/// The columns that depend on the database: local ids, and what the mirror keeps beside a record.
const OWN: &str = "{id,raw,synced_at,customer_id,vendor_id,product_id,document_id,payment_id,price_list_id}";

/// The live rows of each record of each table, without the columns that depend on how a record arrived.
pub(crate) struct Mirror(BTreeMap<&'static str, BTreeMap<String, Vec<Value>>>);

impl Mirror {
    pub(crate) async fn of(cluster: &Cluster, database: &str) -> Self {
        let mut tables = BTreeMap::new();
        for Table { name, key, head, .. } in &TABLES {
            let sql = format!(
                "SELECT COALESCE(jsonb_object_agg(id, rows), '{{}}')::text FROM (
                   SELECT t.{key} AS id, jsonb_agg(r.row ORDER BY r.row::text) AS rows FROM erp.{name} t
                    CROSS JOIN LATERAL (SELECT to_jsonb(t) - '{OWN}'::text[] AS row) r
                    WHERE EXISTS (SELECT FROM erp.{head} h WHERE h.zoho_id = t.{key} AND h.deleted_at IS NULL)
                    GROUP BY t.{key}) g"
            );
            let text = cluster.text(database, &sql).await.expect("an object");
            let mut rows: BTreeMap<String, Vec<Value>> = serde_json::from_str(&text).expect("rows");
            for row in rows.values_mut().flatten().filter_map(Value::as_object_mut) {
                // Details of price lists carry no times.
                let timeless = *name == "price_lists";
                row.retain(|column, _| {
                    let of_the_source = column.starts_with("zoho_") && column.ends_with("_at");
                    !(column.ends_with("_seen_at") || timeless && of_the_source)
                });
            }
            tables.insert(*name, rows);
        }
        Self(tables)
    }

    /// Builds the mirror that one full sync makes from nothing: the program runs in the foreground with a database of
    /// its own.
    pub(crate) async fn fresh(cluster: &Cluster, source: &Source, ceiling: usize) -> Self {
        const NAME: &str = "fresh";
        cluster.run("postgres", &format!("DROP DATABASE IF EXISTS {NAME}")).await;
        cluster.run("postgres", &format!("CREATE DATABASE {NAME}")).await;
        let url = cluster.url(NAME);
        for arguments in [&["migrate"][..], &["bulk-sync", "--mode", "full"]] {
            let mut command = tokio::process::Command::new(program());
            command
                .args(arguments)
                .env_clear()
                .envs(settings(source, &url, ceiling))
                .current_dir(cluster.home());
            let Output { status, stdout, stderr } =
                command.kill_on_drop(true).output().await.expect("it runs");
            let text = [stdout, stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).join("\n");
            assert!(status.success(), "a fresh {arguments:?}: {text}");
        }
        Self::of(cluster, NAME).await
    }

    /// Returns the differences from the wanted mirror, for the subjects that `concerns` selects.
    pub(crate) fn differences(
        &self,
        wanted: &Self,
        rule: &'static str,
        concerns: impl Fn(&Subject) -> bool,
    ) -> Vec<Fault> {
        let mut faults = Vec::new();
        for table in &TABLES {
            let (found, wanted) = (&self.0[table.name], &wanted.0[table.name]);
            let ids: BTreeSet<&String> = found.keys().chain(wanted.keys()).collect();
            for id in ids.into_iter().filter(|id| concerns(&(table.path, (*id).clone()))) {
                let (found, wanted) = (found.get(id), wanted.get(id));
                if found != wanted {
                    faults.push(Fault::new(rule, format!("{} {id}: {}", table.name, differ(found, wanted))));
                }
            }
        }
        faults
    }

    fn row(&self, table: &str, id: &str) -> Option<&Value> {
        self.0[table].get(id)?.first()
    }
}

/// Describes the first difference between the rows of a record.
fn differ(found: Option<&Vec<Value>>, wanted: Option<&Vec<Value>>) -> String {
    let (Some(found), Some(wanted)) = (found, wanted) else {
        return if found.is_some() { "is there, and should not be" } else { "is missing" }.to_owned();
    };
    if found.len() != wanted.len() {
        return format!("{} rows, not {}", found.len(), wanted.len());
    }
    for (found, wanted) in found.iter().zip(wanted) {
        let (Some(found), Some(wanted)) = (found.as_object(), wanted.as_object()) else { continue };
        let columns = wanted.iter().filter(|(column, value)| found.get(*column) != Some(value));
        let columns: Vec<String> =
            columns.map(|(column, value)| format!("{column} is {}, not {value}", found[column])).collect();
        if !columns.is_empty() {
            return columns.join("; ");
        }
    }
    "columns differ".to_owned()
}

/// Columns of the head tables, each with the key of the source that it shows.
type Columns = &'static [(&'static str, &'static str)];

const HEADS: [(Module, &str, Columns); 7] = [
    (
        Module::ITEMS,
        "products",
        &[
            ("name", "name"),
            ("sku", "sku"),
            ("description", "description"),
            ("rate", "rate"),
            ("status", "status"),
        ],
    ),
    (
        Module::CONTACTS,
        "customers",
        &[
            ("name", "contact_name"),
            ("mobile", "mobile"),
            ("notes", "notes"),
            ("outstanding_amount", "outstanding_receivable_amount"),
        ],
    ),
    (
        Module::CONTACTS,
        "vendors",
        &[
            ("name", "contact_name"),
            ("mobile", "mobile"),
            ("notes", "notes"),
            ("outstanding_amount", "outstanding_payable_amount"),
        ],
    ),
    (
        Module::INVOICES,
        "invoices",
        &[
            ("number", "invoice_number"),
            ("status", "status"),
            ("total", "total"),
            ("balance", "balance"),
            ("notes", "notes"),
            ("customer_zoho_id", "customer_id"),
        ],
    ),
    (
        Module::BILLS,
        "bills",
        &[
            ("number", "bill_number"),
            ("status", "status"),
            ("total", "total"),
            ("balance", "balance"),
            ("notes", "notes"),
            ("vendor_zoho_id", "vendor_id"),
        ],
    ),
    (
        Module::CREDIT_NOTES,
        "credit_notes",
        &[
            ("number", "creditnote_number"),
            ("status", "status"),
            ("total", "total"),
            ("balance", "balance"),
            ("notes", "notes"),
        ],
    ),
    (Module::PRICE_LISTS, "price_lists", &[("name", "name")]),
];

/// Returns the differences from the source. The fresh mirror is made by the program under test; this comparison uses
/// none of its code.
pub(crate) fn against_source(mirror: &Mirror, source: &Source) -> Vec<Fault> {
    const RULE: &str = "the mirror differs from the source";
    let mut faults = Vec::new();
    let mut wrong =
        |table: &str, id: &str, text: String| faults.push(Fault::new(RULE, format!("{table} {id}: {text}")));
    for (module, table, columns) in HEADS {
        for id in source.zoho.ids(module).iter().filter(|id| !source.is_poison(id)) {
            let Some(record) = source.zoho.get(module, id) else { continue };
            if module == Module::CONTACTS && (record["contact_type"] == "vendor") != (table == "vendors") {
                continue;
            }
            let Some(row) = mirror.row(table, id) else {
                wrong(table, id, "is missing".to_owned());
                continue;
            };
            for (column, key) in columns {
                if !same(&row[column], record.get(*key)) {
                    wrong(table, id, format!("{column} is {}, not {:?}", row[column], record.get(*key)));
                }
            }
            if module != Module::PRICE_LISTS
                && moment(&row["zoho_modified_at"]) != moment(&record["last_modified_time"])
            {
                let (found, wanted) = (&row["zoho_modified_at"], &record["last_modified_time"]);
                wrong(table, id, format!("zoho_modified_at is {found}, not {wanted}"));
            }
            if let Some(lines) = lines_of(table) {
                let (found, wanted) = (quantities(mirror, lines, id), wanted_quantities(&record));
                if found != wanted {
                    wrong(lines, id, format!("quantities are {found:?}, not {wanted:?}"));
                }
            }
            if module == Module::ITEMS {
                let found = stock(mirror, id);
                let wanted = wanted_stock(&record);
                if found != wanted {
                    wrong("stock_levels", id, format!("stock is {found:?}, not {wanted:?}"));
                }
            }
        }
        for id in mirror.0[table].keys().filter(|id| !source.is_poison(id)) {
            if source.zoho.get(module, id).is_none() {
                wrong(table, id, "is no tombstone".to_owned());
            }
        }
    }
    faults
}

fn lines_of(table: &str) -> Option<&'static str> {
    match table {
        "invoices" => Some("invoice_lines"),
        "bills" => Some("bill_lines"),
        "credit_notes" => Some("credit_note_lines"),
        _ => None,
    }
}

/// Compares as numbers if both are numbers, else as values; absent, null and "" are equal.
fn same(found: &Value, wanted: Option<&Value>) -> bool {
    let wanted = wanted.filter(|wanted| **wanted != "").unwrap_or(&Value::Null);
    match (number(found), number(wanted)) {
        (Some(found), Some(wanted)) => found == wanted,
        _ => found == wanted,
    }
}

fn number(value: &Value) -> Option<Decimal> {
    value.as_number()?.to_string().parse().ok()
}

fn moment(value: &Value) -> Option<OffsetDateTime> {
    let text = value.as_str()?;
    // Zoho writes UTC offsets without a colon.
    let (rest, minutes) = text.split_at(text.len().checked_sub(2)?);
    let text = if rest.ends_with(':') { text.to_owned() } else { format!("{rest}:{minutes}") };
    OffsetDateTime::parse(&text, &Rfc3339).ok()
}

fn quantities(mirror: &Mirror, table: &str, id: &str) -> BTreeMap<i64, Option<Decimal>> {
    let rows = mirror.0[table].get(id).into_iter().flatten();
    rows.map(|row| (row["position"].as_i64().unwrap_or_default(), number(&row["quantity"]))).collect()
}

fn wanted_quantities(record: &Map<String, Value>) -> BTreeMap<i64, Option<Decimal>> {
    let lines = record.get("line_items").and_then(Value::as_array).into_iter().flatten();
    (1..).zip(lines.map(|line| number(&line["quantity"]))).collect()
}

fn stock(mirror: &Mirror, id: &str) -> BTreeMap<String, Option<Decimal>> {
    let rows = mirror.0["stock_levels"].get(id).into_iter().flatten();
    let place = |row: &Value| row["location_zoho_id"].as_str().unwrap_or_default().to_owned();
    rows.map(|row| (place(row), number(&row["stock_on_hand"]))).collect()
}

fn wanted_stock(record: &Map<String, Value>) -> BTreeMap<String, Option<Decimal>> {
    let Some(total) = record.get("stock_on_hand") else { return BTreeMap::new() };
    let places = record.get("locations").and_then(Value::as_array).into_iter().flatten();
    let place = |place: &Value| place["location_id"].as_str().unwrap_or_default().to_owned();
    places
        .map(|here| (place(here), number(&here["location_stock_on_hand"])))
        .chain([(String::new(), number(total))])
        .collect()
}
