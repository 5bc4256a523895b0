//! A mirror with documents, and the checks over it.

use tds_core::{
    record::EntityType,
    verify::{MoneyCheck as _, MoneyDifference, MonthSums},
};
use tds_postgres::{PgStore, StoreSettings, testkit::TestDatabase};

/// Rows in which every rule holds.
const CORRECT: &str = include_str!("correct.sql");

/// Empties the tables. They have few rows, so that this is faster than TRUNCATE, which creates new files.
const EMPTY: &str = "DO $$ DECLARE t regclass; BEGIN
  FOR t IN SELECT c.oid FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
            WHERE n.nspname = 'erp' AND c.relkind = 'r' OR c.relname IN ('tds_sync_runs', 'tds_sync_records') LOOP
    EXECUTE format('DELETE FROM %s', t);
  END LOOP; END $$";

/// The entity types that have a check of money.
pub(crate) const ALL: [EntityType; 11] = [
    EntityType::from_static("customers"),
    EntityType::from_static("vendors"),
    EntityType::from_static("invoices"),
    EntityType::from_static("credit_notes"),
    EntityType::from_static("sales_orders"),
    EntityType::from_static("purchase_orders"),
    EntityType::from_static("bills"),
    EntityType::from_static("vendor_credits"),
    EntityType::from_static("customer_payments"),
    EntityType::from_static("vendor_payments"),
    EntityType::from_static("stock"),
];

pub(crate) struct Books {
    pub(crate) test: TestDatabase,
    store: PgStore,
}

impl Books {
    pub(crate) async fn new() -> Self {
        let test = TestDatabase::new().await;
        let store = PgStore::new(test.database().clone(), StoreSettings::default());
        Self { test, store }
    }

    /// Puts the correct rows in the place of all others, and then executes the statements.
    pub(crate) async fn with(&self, statements: &str) {
        self.test.execute(format!("{EMPTY};\n{CORRECT};\n{statements}")).await;
    }

    pub(crate) async fn check(&self) -> Vec<MoneyDifference> {
        self.store.check_money(&ALL).await.expect("checks")
    }

    pub(crate) async fn months(&self, entity: &'static str, months: u16) -> Vec<MonthSums> {
        self.store.month_sums(&EntityType::from_static(entity), months).await.expect("sums")
    }

    /// Returns what does not hold: the check, the currency, the difference and the examples.
    pub(crate) async fn faults(&self) -> Vec<String> {
        let says = |row: &MoneyDifference| {
            let currency = row.currency.as_deref().unwrap_or("-");
            format!("{} {currency} {}: {}", row.check, row.difference, row.examples.join(" | "))
        };
        self.check().await.iter().filter(|row| !row.holds).map(says).collect()
    }
}

/// Returns the row of a check for a currency and a part.
pub(crate) fn row<'a>(
    rows: &'a [MoneyDifference],
    check: &str,
    currency: Option<&str>,
    of: Option<&str>,
) -> &'a MoneyDifference {
    let is = |row: &&MoneyDifference| {
        row.check == check && row.currency.as_deref() == currency && row.of.as_deref() == of
    };
    rows.iter().find(is).unwrap_or_else(|| panic!("no row {check} {currency:?} {of:?}: {rows:#?}"))
}
