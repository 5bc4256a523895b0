//! The checks of money: sums and rules over the rows of the mirror. The functions of `sql/money*.sql` make them.

use async_trait::async_trait;
use tds_core::{
    error::Result,
    record::{DateRange, EntityType},
    verify::{MoneyCheck, MoneyDifference, MonthSums},
};
use time::Date;

use crate::{
    PgStore,
    db::{
        error::Doing as _,
        quote::{literal, statement, table},
        retry,
    },
};

/// All checks see the same state of the tables. `jit` would compile statements for longer than they run.
const BEGIN: &str = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY; SET LOCAL jit = off";

/// How far a rate may be from the rate of its month: from a half of it to twice of it.
const RATE_FACTOR: u8 = 2;

/// A check, and the entity types that it concerns.
struct Check {
    concerns: &'static [&'static str],
    /// The call of the function.
    call: &'static str,
}

const fn check(concerns: &'static [&'static str], call: &'static str) -> Check {
    Check { concerns, call }
}

static CHECKS: [Check; 17] = [
    check(
        &["customers", "invoices", "credit_notes", "customer_payments"],
        "tds_money_accounts('receivables', 'customers', 'customer_zoho_id', 'invoices', 'credit_notes',
           'customer_payments', 'unused_amount')",
    ),
    check(
        &["vendors", "bills", "vendor_credits", "vendor_payments"],
        "tds_money_accounts('payables', 'vendors', 'vendor_zoho_id', 'bills', 'vendor_credits',
           'vendor_payments', 'balance')",
    ),
    check(&["invoices"], "tds_money_documents('invoices', 'invoice_lines')"),
    check(&["credit_notes"], "tds_money_documents('credit_notes', 'credit_note_lines')"),
    check(&["sales_orders"], "tds_money_documents('sales_orders', 'sales_order_lines')"),
    check(&["bills"], "tds_money_documents('bills', 'bill_lines')"),
    check(&["vendor_credits"], "tds_money_documents('vendor_credits', 'vendor_credit_lines')"),
    check(&["purchase_orders"], "tds_money_documents('purchase_orders', 'purchase_order_lines')"),
    check(&["invoices"], "tds_money_balances('invoices')"),
    check(&["credit_notes"], "tds_money_balances('credit_notes')"),
    check(&["bills"], "tds_money_balances('bills')"),
    check(&["vendor_credits"], "tds_money_balances('vendor_credits')"),
    check(
        &["invoices", "customer_payments"],
        "tds_money_paid('invoices', 'customer_payments', 'customer_payment_allocations')",
    ),
    check(
        &["bills", "vendor_payments"],
        "tds_money_paid('bills', 'vendor_payments', 'vendor_payment_allocations')",
    ),
    check(
        &["customer_payments"],
        "tds_money_allocations('customer_payments', 'customer_payment_allocations', 'unused_amount')",
    ),
    check(
        &["vendor_payments"],
        "tds_money_allocations('vendor_payments', 'vendor_payment_allocations', 'balance')",
    ),
    check(&["stock"], "tds_money_stock()"),
];

/// The entity types whose records have a currency and a rate.
const WITH_RATE: [&str; 8] = [
    "invoices",
    "credit_notes",
    "sales_orders",
    "customer_payments",
    "bills",
    "vendor_credits",
    "purchase_orders",
    "vendor_payments",
];

/// A row of a check: its name, the currency, what the amounts belong to, the amount of the source and of the target,
/// the difference, whether the check holds, the number of records in flight, and the examples.
type Row =
    (String, Option<String>, Option<String>, Option<String>, Option<String>, String, bool, i64, Vec<String>);

/// The sums of the last months with records. The tables have a column `date`, and a total or an amount.
const MONTHS: &str = "
WITH d AS (
  SELECT date_trunc('month', h.date::timestamp)::date AS month, h.currency_code, {total} AS total
    FROM {table} AS h WHERE h.deleted_at IS NULL AND h.zoho_id IS NOT NULL AND h.date IS NOT NULL),
last AS (SELECT DISTINCT d.month FROM d ORDER BY d.month DESC LIMIT $1)
SELECT d.month, (d.month + interval '1 month - 1 day')::date, d.month + interval '1 month' > current_date, d.currency_code,
       count(*), trim_scale(COALESCE(sum(d.total), 0))::text
  FROM d JOIN last USING (month) GROUP BY d.month, d.currency_code ORDER BY d.month DESC, d.currency_code
";

/// A month of one currency: the first and the last day, whether it is not over, the currency, the number of records,
/// and the sum of their totals.
type Month = (Date, Date, bool, Option<String>, i64, String);

/// Returns the calls of the checks that concern these entity types.
fn calls(entities: &[EntityType]) -> Vec<String> {
    let asked = |name: &&str| entities.iter().any(|entity| entity.as_str() == *name);
    let concerned = CHECKS.iter().filter(|check| check.concerns.iter().any(asked));
    let mut calls: Vec<String> = concerned.map(|check| check.call.to_owned()).collect();
    let with_rate: Vec<String> =
        WITH_RATE.iter().filter(|name| asked(name)).map(|name| literal(name)).collect();
    if !with_rate.is_empty() {
        calls.push(format!("tds_money_rates(ARRAY[{}], {RATE_FACTOR})", with_rate.join(", ")));
    }
    calls
}

fn difference(row: Row) -> MoneyDifference {
    let (check, currency, of, source, target, difference, holds, in_flight, examples) = row;
    // Rates are not added up.
    let sums = check != "rates";
    MoneyDifference {
        check,
        currency,
        of,
        source: source.filter(|_| sums),
        target: target.filter(|_| sums),
        difference,
        holds,
        in_flight: u64::try_from(in_flight).unwrap_or_default(),
        examples,
    }
}

impl PgStore {
    async fn money_rows(&self, calls: &[String]) -> std::result::Result<Vec<Row>, sqlx::Error> {
        let mut tx = self.database.begin_with(BEGIN).await?;
        let mut rows = Vec::new();
        for call in calls {
            rows.extend(sqlx::query_as(statement(format!("SELECT * FROM {call}"))).fetch_all(&mut tx).await?);
        }
        tx.commit().await?;
        Ok(rows)
    }
}

#[async_trait]
impl MoneyCheck for PgStore {
    async fn check_money(&self, entities: &[EntityType]) -> Result<Vec<MoneyDifference>> {
        let calls = calls(entities);
        let rows =
            retry::repeat(retry::ALONE, || self.money_rows(&calls)).await.doing("checking the money")?;
        Ok(rows.into_iter().map(difference).collect())
    }

    async fn month_sums(&self, entity: &EntityType, months: u16) -> Result<Vec<MonthSums>> {
        let Some(name) = WITH_RATE.iter().find(|name| **name == entity.as_str()) else {
            return Ok(Vec::new());
        };
        let total = if name.ends_with("payments") { "h.amount" } else { "h.total" };
        let sql = MONTHS.replace("{total}", total).replace("{table}", &table(name));
        let read =
            || sqlx::query_as(statement(sql.clone())).bind(i64::from(months)).fetch_all(&self.database);
        let rows: Vec<Month> = retry::repeat(retry::ALONE, read).await.doing("adding up the documents")?;
        let mut sums: Vec<MonthSums> = Vec::new();
        for (first, last, is_current, currency, records, total) in rows {
            let days = DateRange::new(Some(first), Some(last))?;
            let of_currency = (currency, u64::try_from(records).unwrap_or_default(), total);
            match sums.last_mut().filter(|month| month.days == days) {
                Some(month) => month.currencies.push(of_currency),
                None => sums.push(MonthSums { days, is_current, currencies: vec![of_currency] }),
            }
        }
        Ok(sums)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_is_made_if_it_concerns_one_of_the_entity_types() {
        let of = |names: &[&'static str]| {
            calls(&names.iter().map(|name| EntityType::from_static(name)).collect::<Vec<_>>()).join("; ")
        };
        assert_eq!(of(&["products", "taxes"]), "");
        let payments = of(&["customer_payments"]);
        for part in
            ["'receivables'", "tds_money_paid('invoices'", "tds_money_allocations('customer_payments'"]
        {
            assert!(payments.contains(part), "{payments}");
        }
        assert!(payments.ends_with("tds_money_rates(ARRAY['customer_payments'], 2)"), "{payments}");
        assert!(!payments.contains("'payables'") && !payments.contains("documents("), "{payments}");
        assert!(of(&["stock"]).ends_with("tds_money_stock()"));
    }
}
