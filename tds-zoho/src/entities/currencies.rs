//! Currencies with their dated exchange rates. No rule of Zoho watches them, and no list shows when they changed.
//!
//! The list shows the present rate of each currency, so a new rate changes the row, and the rates are read. A rate of an
//! earlier day does not show in the list, so the rates are read again by age.

use std::time::Duration;

use serde_json::{Map, Value};
use tds_core::{
    error::{Error, Result},
    mirror::{Child, MirrorSchema},
    record::{EntityType, Fields, Shape},
};

use super::{Beside, Descriptor, Detail, Draft, List, Module, Polling, Role, lines::object};
use crate::{
    answer::Api,
    reading::{self, Column, date, decimal, integer, row, text},
};

const RATES: &str = "exchange_rates";

pub(super) static CURRENCIES: Descriptor = Descriptor {
    schema: &MirrorSchema {
        entity: EntityType::from_static("currencies"),
        head: Some("currencies"),
        children: &[Child { table: RATES, owner: "currency_zoho_id", confirm_shrink: true }],
    },
    scope: "ZohoBooks.settings.READ",
    list: List { path: "/settings/currencies", keys: &["currencies"], paged: false, ..List::SETTINGS },
    // The call for one currency shows no rate.
    detail: Detail::Listed {
        single: Api::Books,
        beside: Some(Beside {
            api: Api::Books,
            path: "/exchangerates",
            keys: &["exchange_rates"],
            wanted: |row| !is_base(row),
        }),
    },
    id_key: "currency_id",
    role: Role::Reference,
    detail_max_age: Some(Duration::from_secs(24 * 60 * 60)),
    columns: COLUMNS,
    read,
    polling: Polling::Prices,
    simulated: Some(MODULE),
    ..Descriptor::DOCUMENT
};

pub(crate) const MODULE: Module = Module {
    path: "settings/currencies",
    list_key: "currencies",
    detail_key: "currency",
    id_key: "currency_id",
    noun: "Currency",
    filtered_by_time: None,
    default_sort: ("", "A"),
    paged: false,
    parts: &[("exchangerates", "exchange_rates")],
    detail_only: &["created_time", "last_modified_time"],
    list_only: &["created_time", "last_modified_time", "exchange_rate", "effective_date"],
    ..Module::DOCUMENT
};

const COLUMNS: &[Column] = &[
    text("code", &["currency_code"]),
    text("name", &["currency_name"]),
    text("symbol", &["currency_symbol"]),
    integer("price_precision", &["price_precision"]),
    text("format", &["currency_format"]),
    reading::bool("is_base_currency", &["is_base_currency"]),
    // A rate that Zoho does not state stays unknown. It is never 1 by default.
    decimal("exchange_rate", &["exchange_rate"]),
    date("effective_date", &["effective_date"]),
];

pub(super) const RATE: &[Column] = &[
    text("currency_code", &["currency_code"]),
    date("effective_date", &["effective_date"]),
    decimal("rate", &["rate"]),
];

/// Returns true for the currency that rates are stated in. It has no rates of its own.
fn is_base(row: &Map<String, Value>) -> bool {
    matches!(row.get("is_base_currency"), Some(Value::Bool(true)))
}

/// Reads the dated rates, in the order of their dates.
fn read(record: &Map<String, Value>, draft: &mut Draft) -> Result<()> {
    let rates = match record.get(RATES) {
        Some(Value::Array(rates)) => rates.as_slice(),
        Some(_) => return Err(Error::invalid("exchange_rates is not a list")),
        None if is_base(record) && draft.shape != Shape::List => &[],
        None => return Ok(()),
    };
    let mut rows = Vec::with_capacity(rates.len());
    for (index, rate) in rates.iter().enumerate() {
        let place = format!("exchange_rates[{index}]");
        let mut rate = row(RATE, object(rate, &place)?, &place)?;
        if rate.get("currency_code").is_none_or(Value::is_null)
            && let Some(code) = draft.fields.get("code")
        {
            rate.insert("currency_code".to_owned(), code.clone());
        }
        rows.push(rate);
    }
    // The rows are compared in their order, so they are sorted independently of the order in the answer.
    rows.sort_by(|one, other| key(one).cmp(&key(other)));
    draft.children.insert(RATES.to_owned(), rows);
    Ok(())
}

fn key(rate: &Fields) -> (&str, String) {
    let date = rate.get("effective_date").and_then(Value::as_str).unwrap_or_default();
    (date, rate.get("rate").map(Value::to_string).unwrap_or_default())
}
