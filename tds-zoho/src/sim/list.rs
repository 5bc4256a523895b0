//! Lists: filters, order and pages.

use std::{cmp::Ordering, collections::HashMap};

use serde_json::{Value, json};
use time::OffsetDateTime;

use super::{
    answer::{Answer, found, invalid_value, success},
    literal::{Object, decimal, field, money, parse_stamp, text},
    module::Module,
    projection::list_row,
    records::Records,
};
use crate::entities::Api;

/// How lists differ from the documentation.
#[derive(Clone, Copy, Debug, Default)]
pub struct ListHabit {
    /// The list ignores the filter by time of change although the filter is documented.
    pub ignores_filter: bool,
    /// The list ignores sorting by time of change, and the answer does not say so.
    pub ignores_sorting: bool,
    /// The filter reads its time as this much later.
    pub filter_shift: time::Duration,
    /// The filter excludes the boundary second.
    pub filter_is_exclusive: bool,
    /// The list ignores the filter by date where the filter is documented.
    pub ignores_dates: bool,
}

/// The parameters of a call.
pub(crate) type Query = HashMap<String, String>;

/// The largest page. Zoho returns no more rows, whatever the call requests.
const MAX_PER_PAGE: usize = 200;

/// Answers a list.
pub(crate) fn answer(records: &Records, module: Module, api: Api, query: &Query, habit: ListHabit) -> Answer {
    if !module.paged {
        let rows = records.records(module).map(|record| Value::Object(list_row(module, api, record)));
        return found(module.list_key, rows.collect());
    }
    let mut since = None;
    if let Some(asked) = query.get("last_modified_time").filter(|_| module.filtered_by_time == Some(api)) {
        let Some(asked) = parse_stamp(asked) else { return invalid_value("last_modified_time") };
        since = Some(asked + habit.filter_shift).filter(|_| !habit.ignores_filter);
    }
    let searched = searched(module, api, query);
    let accepts = filter(module, api, query, since, habit.filter_is_exclusive);
    let dates = module.filtered_by_date && api == Api::Books && !habit.ignores_dates;
    let is_of_dates = |record: &Object| !dates || is_within(text(record, "date"), query);
    let mut records: Vec<&Object> = records
        .records(module)
        .filter(|record| accepts(record) && is_of_dates(record) && searched(record))
        .collect();
    let (column, order) = sorting(module, api, query);
    let ignored = habit.ignores_sorting && column == "last_modified_time";
    if !column.is_empty() && !ignored {
        records.sort_by(|a, b| compare(a, b, column));
        if order == "D" {
            records.reverse();
        }
    }

    let page = number(query, "page").unwrap_or(1).max(1);
    let default_size = if api == Api::Books { module.page_in_books } else { MAX_PER_PAGE };
    let per_page = number(query, "per_page").unwrap_or(default_size).clamp(1, MAX_PER_PAGE);
    let start = per_page.saturating_mul(page - 1).min(records.len());
    let end = start.saturating_add(per_page).min(records.len());
    let rows: Vec<Value> =
        records[start..end].iter().map(|record| Value::Object(list_row(module, api, record))).collect();
    let mut context = json!({
        "page": page,
        "per_page": per_page,
        "has_more_page": end < records.len(),
        "report_name": format!("{}s", module.noun),
        "applied_filter": query.get("filter_by").map_or("Status.All", String::as_str),
        "sort_column": column,
        "sort_order": order,
        "custom_fields": [],
    });
    let mut data = Object::new();
    let option = number(query, "response_option").filter(|_| module.states_sums && api == Api::Books);
    if let Some(option @ 1..=4) = option {
        // The values: 1 rows, number and sums; 2 number; 3 number and sums; 4 rows and sums.
        if option < 4 {
            context["total"] = json!(records.len());
        }
        if option != 2 {
            let sum = |key: &str| money(records.iter().map(|record| decimal(field(record, key))).sum());
            context["sum"] = json!({"total": sum("total"), "balance": sum("balance")});
        }
    }
    if !matches!(option, Some(2 | 3)) {
        data.insert(module.list_key.to_owned(), Value::Array(rows));
    }
    data.insert("page_context".to_owned(), context);
    success(data)
}

/// Returns a function that is true for the records that a list shows.
fn filter(
    module: Module,
    api: Api,
    query: &Query,
    since: Option<OffsetDateTime>,
    exclusive: bool,
) -> impl Fn(&Object) -> bool {
    let filters_type = module == Module::CONTACTS && api == Api::Books;
    let contact_type = query.get("contact_type").filter(|_| filters_type).cloned();
    let asked = query.get("filter_by").and_then(|filter| filter.strip_prefix("Status.")).map(snake_case);
    let status = match asked.as_deref() {
        Some("all") => None,
        Some(_) => asked,
        None if module.hides_inactive => Some("active".to_owned()),
        None => query.get("status").cloned(),
    };
    move |record| {
        let is = |key: &str, wanted: &Option<String>| {
            wanted.as_deref().is_none_or(|wanted| record.get(key).is_none_or(|found| found == wanted))
        };
        let modified = || parse_stamp(text(record, "last_modified_time"));
        // The boundary second is included, so each run lists one unchanged row again.
        let within = |since, at| at > since || at == since && !exclusive;
        let fresh = since.is_none_or(|since| modified().is_some_and(|at| within(since, at)));
        fresh && is("contact_type", &contact_type) && is("status", &status)
    }
}

/// The parameters by which Zoho documents records to be searched, besides `search_text`: the path of the module, and the
/// product where only one documents them.
const SEARCHED: [(&str, Option<Api>, &[&str]); 9] = [
    ("items", Some(Api::Inventory), &["name", "sku"]),
    ("contacts", Some(Api::Books), &["contact_name", "company_name", "email", "phone"]),
    ("invoices", Some(Api::Books), &["invoice_number", "reference_number", "customer_id"]),
    ("bills", Some(Api::Books), &["bill_number", "reference_number", "vendor_id"]),
    ("creditnotes", Some(Api::Books), &["creditnote_number", "reference_number", "customer_id"]),
    ("salesorders", Some(Api::Books), &["salesorder_number", "reference_number", "customer_id"]),
    ("purchaseorders", Some(Api::Books), &["purchaseorder_number", "reference_number", "vendor_id"]),
    ("customerpayments", Some(Api::Books), &["reference_number", "customer_id"]),
    ("vendorpayments", Some(Api::Books), &["reference_number", "payment_number", "vendor_id"]),
];

/// Returns a function that is true for the records that the call searches. The list ignores other parameters.
fn searched(module: Module, api: Api, query: &Query) -> impl Fn(&Object) -> bool {
    let known = SEARCHED.iter().find(|(path, of, _)| *path == module.path && of.is_none_or(|of| of == api));
    let keys = known.map_or(&[][..], |(.., keys)| keys);
    let wanted: Vec<(&str, String)> =
        keys.iter().filter_map(|key| Some((*key, query.get(*key)?.clone()))).collect();
    // Zoho searches names, whatever their case. Only price lists are searched by text here.
    let text_of_list = query.get("search_text").filter(|_| module == Module::PRICE_LISTS);
    let in_name = text_of_list.map(|text| text.to_lowercase());
    move |record| {
        let has = |name: &String| text(record, "name").to_lowercase().contains(name.as_str());
        wanted.iter().all(|(key, value)| text(record, key) == value) && in_name.iter().all(has)
    }
}

/// Returns true for a day within the range of the call. Both ends belong to the range.
fn is_within(day: &str, query: &Query) -> bool {
    // Days that are written as YYYY-MM-DD are ordered as texts are.
    query.get("date_start").is_none_or(|first| first.as_str() <= day)
        && query.get("date_end").is_none_or(|last| day <= last.as_str())
}

fn sorting(module: Module, api: Api, query: &Query) -> (&str, &str) {
    let asked = query.get("sort_column").map(String::as_str);
    let known = asked.filter(|column| module.sort_columns(api).contains(column));
    let (column, order) = known.map_or_else(|| module.default_sort, |column| (column, "A"));
    let order = match query.get("sort_order").map(String::as_str) {
        Some(order @ ("A" | "D")) if known.is_some() || asked.is_none() => order,
        _ => order,
    };
    (column, order)
}

fn compare(a: &Object, b: &Object, column: &str) -> Ordering {
    let (Some(a), Some(b)) = (a.get(column), b.get(column)) else {
        return a.contains_key(column).cmp(&b.contains_key(column));
    };
    if a.is_number() || b.is_number() {
        return decimal(a).cmp(&decimal(b));
    }
    a.as_str().cmp(&b.as_str())
}

fn number(query: &Query, key: &str) -> Option<usize> {
    query.get(key)?.parse().ok()
}

/// Converts `PartiallyPaid` to `partially_paid`.
fn snake_case(name: &str) -> String {
    let mut out = String::with_capacity(name.len() + 2);
    for letter in name.chars() {
        if letter.is_uppercase() && !out.is_empty() {
            out.push('_');
        }
        out.extend(letter.to_lowercase());
    }
    out
}
