//! The sums that a list states itself, compared with the rows of the target.

use std::{collections::HashMap, sync::Arc};

use async_trait::async_trait;
use rust_decimal::Decimal;
use time::Date;

use super::{MoneyCheck, MoneyDifference, MonthSums};
use crate::{
    error::Result,
    queue::Lane,
    record::EntityType,
    source::{ListSums, Source},
};

/// The checks of a store, and for each source whose list states sums one check of each month.
///
/// A source gets one call for each of the last months with records, and one more for each month that differs: such a
/// month is looked at a second time before it is reported. The month that is not over is in flight where it differs. A
/// list states one sum for all currencies, so totals are compared only in months with one currency.
pub struct ListSumsCheck {
    store: Arc<dyn MoneyCheck>,
    sources: HashMap<EntityType, Arc<dyn Source>>,
    months: u16,
}

impl ListSumsCheck {
    /// Adds the checks of the lists to those of the store. `months` is the number of months of each entity type; 0 makes
    /// no call.
    #[must_use]
    pub fn new(store: Arc<dyn MoneyCheck>, sources: &[Arc<dyn Source>], months: u16) -> Self {
        let by_entity =
            sources.iter().map(|source| (source.schema().entity.clone(), Arc::clone(source))).collect();
        Self { store, sources: by_entity, months }
    }

    /// Returns the rows of one entity type. The error of a call ends the check of this entity type only.
    async fn lists(&self, entity: &EntityType, source: &dyn Source) -> Result<Vec<MoneyDifference>> {
        let mut rows = Vec::new();
        for month in self.store.month_sums(entity, self.months).await? {
            let stated = match source.sums(month.days, Lane::Verify).await {
                Ok(Some(stated)) => stated,
                Ok(None) => return Ok(rows),
                Err(error) => {
                    rows.push(unknown(entity, &month, &error.to_string()));
                    return Ok(rows);
                }
            };
            let mut compared = compare(entity, &month, &stated);
            if compared.iter().any(|row| !row.holds) {
                let again = self.store.month_sums(entity, self.months).await?;
                let same = again.into_iter().find(|other| other.days == month.days);
                if let (Some(same), Ok(Some(stated))) = (same, source.sums(month.days, Lane::Verify).await) {
                    compared = compare(entity, &same, &stated);
                }
            }
            rows.extend(compared);
        }
        Ok(rows)
    }
}

#[async_trait]
impl MoneyCheck for ListSumsCheck {
    async fn check_money(&self, entities: &[EntityType]) -> Result<Vec<MoneyDifference>> {
        let mut rows = self.store.check_money(entities).await?;
        for entity in entities.iter().filter(|_| self.months > 0) {
            if let Some(source) = self.sources.get(entity) {
                rows.extend(self.lists(entity, source.as_ref()).await?);
            }
        }
        Ok(rows)
    }

    async fn month_sums(&self, entity: &EntityType, months: u16) -> Result<Vec<MonthSums>> {
        self.store.month_sums(entity, months).await
    }
}

/// Compares the number of the records of a month and, if they have one currency, the sum of their totals.
fn compare(entity: &EntityType, month: &MonthSums, stated: &ListSums) -> Vec<MoneyDifference> {
    let records: u64 = month.currencies.iter().map(|(_, records, _)| records).sum();
    let mut rows = vec![match stated.records {
        Some(listed) => row(entity, month, None, ("list_counts", "records"), listed.into(), records.into()),
        None => unknown(entity, month, "the list states no number of records"),
    }];
    if let ([(currency, _, total)], Some(listed)) = (month.currencies.as_slice(), stated.total)
        && let Ok(total) = total.parse()
    {
        rows.push(row(entity, month, currency.clone(), ("list_sums", "in total"), listed, total));
    }
    rows
}

fn row(
    entity: &EntityType,
    month: &MonthSums,
    currency: Option<String>,
    (check, unit): (&str, &str),
    source: Decimal,
    target: Decimal,
) -> MoneyDifference {
    let is_equal = source == target;
    let of = name(entity, month);
    let in_flight = !is_equal && month.is_current;
    let difference = if in_flight { Decimal::ZERO } else { (source - target).abs() };
    let example = format!("{of}: the list states {source} {unit}, the rows have {target}");
    MoneyDifference {
        check: check.to_owned(),
        currency,
        of: Some(of),
        source: Some(source.to_string()),
        target: Some(target.to_string()),
        difference: format!("{:.*}", usize::try_from(difference.scale().max(2)).unwrap_or(2), difference),
        holds: is_equal || in_flight,
        in_flight: u64::from(in_flight),
        examples: if is_equal { Vec::new() } else { vec![example] },
    }
}

fn unknown(entity: &EntityType, month: &MonthSums, why: &str) -> MoneyDifference {
    let of = name(entity, month);
    MoneyDifference {
        check: "list_counts".to_owned(),
        currency: None,
        examples: vec![format!("unknown: {of}: {why}")],
        of: Some(of),
        source: None,
        target: None,
        difference: "0.00".to_owned(),
        holds: true,
        in_flight: 0,
    }
}

/// Returns a name such as `invoices 2026-10`.
fn name(entity: &EntityType, month: &MonthSums) -> String {
    let day: Option<Date> = month.days.from();
    day.map_or_else(
        || entity.to_string(),
        |day| format!("{entity} {}-{:02}", day.year(), u8::from(day.month())),
    )
}

#[cfg(test)]
mod tests {
    use time::macros::date;

    use super::*;
    use crate::record::DateRange;

    fn month(is_current: bool, currencies: &[(&str, u64, i64)]) -> MonthSums {
        let days = DateRange::new(Some(date!(2026 - 10 - 01)), Some(date!(2026 - 10 - 31))).expect("a range");
        let sums = currencies.iter().map(|(currency, records, total)| {
            (Some((*currency).to_owned()), *records, Decimal::new(*total, 2).to_string())
        });
        MonthSums { days, is_current, currencies: sums.collect() }
    }

    fn compared(month: &MonthSums, records: Option<u64>, total: Option<i64>) -> Vec<(String, bool, String)> {
        let stated = ListSums { records, total: total.map(|total| Decimal::new(total, 2)) };
        let rows = compare(&EntityType::from_static("invoices"), month, &stated);
        rows.into_iter().map(|row| (row.check, row.holds, row.difference)).collect()
    }

    fn told(check: &str, holds: bool, difference: &str) -> (String, bool, String) {
        (check.to_owned(), holds, difference.to_owned())
    }

    #[test]
    fn counts_and_totals_are_compared_where_both_sides_know_them() {
        let one = month(false, &[("USD", 3, 1_050)]);
        let equal = [told("list_counts", true, "0.00"), told("list_sums", true, "0.00")];
        assert_eq!(compared(&one, Some(3), Some(1_050)), equal);
        let differ = [told("list_counts", false, "1.00"), told("list_sums", false, "0.05")];
        assert_eq!(compared(&one, Some(4), Some(1_045)), differ);
        assert_eq!(compared(&one, None, None), [told("list_counts", true, "0.00")]);
        let two = month(false, &[("USD", 3, 1_050), ("IQD", 1, 100)]);
        assert_eq!(compared(&two, Some(4), Some(1)), [told("list_counts", true, "0.00")]);
        let current = month(true, &[("USD", 3, 1_050)]);
        let moving = [told("list_counts", true, "0.00"), told("list_sums", true, "0.00")];
        assert_eq!(compared(&current, Some(4), Some(2_000)), moving);
    }

    #[test]
    fn a_difference_names_its_month() {
        let stated = ListSums { records: Some(4), total: None };
        let rows = compare(&EntityType::from_static("invoices"), &month(false, &[("USD", 3, 1)]), &stated);
        assert_eq!(rows[0].of.as_deref(), Some("invoices 2026-10"));
        assert_eq!(rows[0].examples, ["invoices 2026-10: the list states 4 records, the rows have 3"]);
    }
}
