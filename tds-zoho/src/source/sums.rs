//! The number and the sums that a list states about records without showing them.

use rust_decimal::Decimal;
use serde_json::{Map, Value};
use tds_core::{error::Result, queue::Lane, record::DateRange, source::ListSums};

use super::ZohoSource;

/// The value of `response_option` for the number and the sums without the records (`zoho-api.md` 2.3).
const COUNT_AND_SUMS: &str = "3";

/// The keys of the number of records. Zoho documents the parameter and not the answer, so several spellings are read,
/// and an answer without any of them states nothing.
const COUNTS: [&str; 3] = ["total", "total_count", "count"];
/// The keys of an object with the sums.
const SUMS: [&str; 3] = ["sum", "sums", "totals"];

impl ZohoSource {
    pub(super) async fn list_sums(&self, dates: DateRange, lane: Lane) -> Result<Option<ListSums>> {
        let list = &self.descriptor.list;
        if !list.states_sums || list.dates.is_none() {
            return Ok(None);
        }
        let mut query: Vec<(&'static str, String)> =
            list.query.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        query.push(("response_option", COUNT_AND_SUMS.to_owned()));
        query.extend(self.date_query(Some(dates))?);
        let answer = self.client.get(self.call(list.path.to_owned(), query, lane)).await?;
        Ok(Some(sums(&answer.body)))
    }
}

/// Returns what an answer states. The values are in `page_context`, or beside it.
fn sums(body: &Map<String, Value>) -> ListSums {
    let context = match body.get("page_context") {
        Some(Value::Array(contexts)) => contexts.first().and_then(Value::as_object),
        Some(Value::Object(context)) => Some(context),
        _ => None,
    };
    let places = [context, Some(body)];
    let places = || places.into_iter().flatten();
    let first = |keys: &[&str]| places().find_map(|place| keys.iter().find_map(|key| place.get(*key)));
    ListSums {
        records: first(&COUNTS).and_then(decimal).and_then(|count| count.to_string().parse().ok()),
        total: first(&SUMS).and_then(|sums| decimal(sums.get("total")?)),
    }
}

/// Returns a number from its digits.
fn decimal(value: &Value) -> Option<Decimal> {
    match value {
        Value::Number(number) => number.to_string().parse().ok(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(body: Value) -> ListSums {
        body.as_object().map(sums).unwrap_or_default()
    }

    #[test]
    fn what_an_answer_states_is_read_in_several_spellings_and_nothing_is_guessed() {
        let both = ListSums { records: Some(12), total: Some(Decimal::new(1_050, 2)) };
        assert_eq!(
            read(json!({"page_context": {"total": 12, "sum": {"total": "10.50", "balance": 1}}})),
            both
        );
        assert_eq!(read(json!({"page_context": [{"total_count": "12"}], "totals": {"total": 10.50}})), both);
        assert_eq!(
            read(json!({"page_context": {"page": 1, "has_more_page": true}, "invoices": []})),
            ListSums::default()
        );
        assert_eq!(read(json!({"page_context": {"total": "many", "sum": 7}})), ListSums::default());
    }
}
