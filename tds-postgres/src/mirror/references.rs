//! References: columns that name another record by its id at the source, and beside them by its local id.
//!
//! A record that was born in the ERP has no id at the source at first. Programs refer to it by its local id, and TDS
//! fills in the id at the source. Of a record that came from the source, TDS fills in the local id.

use tds_core::mirror::MirrorSchema;

use crate::{
    Database,
    db::{quote, session::Tx},
};

/// A reference of the rows of a table.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Reference {
    /// The table.
    pub(crate) table: &'static str,
    /// The beginning of both columns: `customer` of `customer_zoho_id` and `customer_id`.
    name: &'static str,
    /// The head table of the record that is named.
    pub(crate) head: &'static str,
}

const fn to(table: &'static str, name: &'static str, head: &'static str) -> Reference {
    Reference { table, name, head }
}

/// Every reference that the migrations made.
const REFERENCES: [Reference; 29] = [
    to("invoices", "customer", "customers"),
    to("credit_notes", "customer", "customers"),
    to("sales_orders", "customer", "customers"),
    to("customer_payments", "customer", "customers"),
    to("bills", "vendor", "vendors"),
    to("purchase_orders", "vendor", "vendors"),
    to("vendor_credits", "vendor", "vendors"),
    to("vendor_payments", "vendor", "vendors"),
    to("invoice_lines", "document", "invoices"),
    to("invoice_lines", "product", "products"),
    to("bill_lines", "document", "bills"),
    to("bill_lines", "product", "products"),
    to("credit_note_lines", "document", "credit_notes"),
    to("credit_note_lines", "product", "products"),
    to("sales_order_lines", "document", "sales_orders"),
    to("sales_order_lines", "product", "products"),
    to("purchase_order_lines", "document", "purchase_orders"),
    to("purchase_order_lines", "product", "products"),
    to("vendor_credit_lines", "document", "vendor_credits"),
    to("vendor_credit_lines", "product", "products"),
    to("customer_payment_allocations", "payment", "customer_payments"),
    to("customer_payment_allocations", "document", "invoices"),
    to("vendor_payment_allocations", "payment", "vendor_payments"),
    to("vendor_payment_allocations", "document", "bills"),
    to("price_list_items", "price_list", "price_lists"),
    to("price_list_items", "product", "products"),
    to("stock_levels", "product", "products"),
    to("stock_adjustment_lines", "document", "stock_adjustments"),
    to("stock_adjustment_lines", "product", "products"),
];

impl Reference {
    /// Returns the column with the id at the source.
    pub(crate) fn remote(&self) -> String {
        format!("{}_zoho_id", self.name)
    }

    /// Returns the column with the local id.
    pub(crate) fn local(&self) -> String {
        format!("{}_id", self.name)
    }

    /// Returns the SQL expression for the local id of the record that has the id of the expression at the source.
    pub(crate) fn local_of(&self, remote: &str) -> String {
        format!("(SELECT named.id FROM {} AS named WHERE named.zoho_id = {remote})", quote::table(self.head))
    }

    /// Returns the SQL expression for the id at the source of the record that has the local id of the expression.
    pub(crate) fn remote_of(&self, local: &str) -> String {
        format!("(SELECT named.zoho_id FROM {} AS named WHERE named.id = {local})", quote::table(self.head))
    }
}

/// Returns the references of the rows of a table.
pub(crate) fn of(table: &str) -> impl Iterator<Item = &'static Reference> {
    REFERENCES.iter().filter(move |reference| reference.table == table)
}

/// Returns the references to the rows of a head table.
pub(crate) fn to_rows_of(head: &str) -> impl Iterator<Item = &'static Reference> {
    REFERENCES.iter().filter(move |reference| reference.head == head)
}

/// Returns the reference of a table whose column with the id at the source is this one.
pub(crate) fn by_remote(table: &str, column: &str) -> Option<&'static Reference> {
    of(table).find(|reference| reference.remote() == column)
}

/// Fills in local ids that the transaction of a batch could not know: those of new head rows in rows that arrived before
/// them, and those in rows of the batch whose heads another transaction inserted at the same time. Of two such
/// transactions, the one that commits last finds the rows of both.
///
/// A failure is left to the next write of the records: the ids at the source say the same.
pub(super) async fn fill(database: &Database, schema: &MirrorSchema, new: &[&str], written: &[&str]) {
    let filling = async {
        let mut tx = database.begin_as_engine("").await?;
        if let Some(head) = schema.head {
            arrived(&mut tx, head, new).await?;
        }
        complete(&mut tx, schema, written).await?;
        tx.commit().await
    };
    let refers = || {
        let tables = schema.head.into_iter().chain(schema.children.iter().map(|child| child.table));
        tables.flat_map(of).next().is_some()
    };
    let is_named = || schema.head.is_some_and(|head| to_rows_of(head).next().is_some());
    let is_due = !new.is_empty() && is_named() || !written.is_empty() && refers();
    if is_due && let Err(error) = filling.await {
        tracing::debug!(%error, entity = %schema.entity, "some local ids are filled in later");
    }
}

/// Fills in the local ids that rows of these records lack although the named records are there.
async fn complete(tx: &mut Tx, schema: &MirrorSchema, ids: &[&str]) -> Result<(), sqlx::Error> {
    let head = schema.head.map(|head| (head, "zoho_id"));
    let tables = head.into_iter().chain(schema.children.iter().map(|child| (child.table, child.owner)));
    for (table, owner) in tables.filter(|_| !ids.is_empty()) {
        let (mut set, mut lacks) = (Vec::new(), Vec::new());
        for reference in of(table) {
            let local = quote::identifier(&reference.local());
            let found = reference.local_of(&format!("t.{}", quote::identifier(&reference.remote())));
            set.push(format!("{local} = COALESCE(t.{local}, {found})"));
            lacks.push(format!("t.{local} IS NULL AND {found} IS NOT NULL"));
        }
        if set.is_empty() {
            continue;
        }
        let sql = format!(
            "UPDATE {} AS t SET {} WHERE t.{} = ANY($1) AND ({})",
            quote::table(table),
            set.join(", "),
            quote::identifier(owner),
            lacks.join(" OR ")
        );
        sqlx::query(quote::statement(sql)).bind(ids).execute(&mut *tx).await?;
    }
    Ok(())
}

/// Fills in the local ids of new head rows where rows that arrived before them have only their ids at the source.
async fn arrived(tx: &mut Tx, head: &str, ids: &[&str]) -> Result<(), sqlx::Error> {
    let updates: Vec<String> = to_rows_of(head)
        .enumerate()
        .map(|(index, reference)| {
            // Each row is found by the index of its column, whatever the statistics of a growing table say.
            format!(
                "u{index} AS (UPDATE {table} AS t SET {local} = n.id
                   FROM (SELECT h.id, l.place FROM heads AS h CROSS JOIN LATERAL (
                           SELECT r.ctid AS place FROM {table} AS r WHERE r.{remote} = h.zoho_id AND r.{local} IS NULL
                           OFFSET 0) AS l) AS n
                  WHERE t.ctid = n.place AND t.{local} IS NULL)",
                table = quote::table(reference.table),
                local = quote::identifier(&reference.local()),
                remote = quote::identifier(&reference.remote()),
            )
        })
        .collect();
    if updates.is_empty() || ids.is_empty() {
        return Ok(());
    }
    let sql = format!(
        "WITH heads AS MATERIALIZED (SELECT id, zoho_id FROM {} WHERE zoho_id = ANY($1)), {} SELECT",
        quote::table(head),
        updates.join(", ")
    );
    sqlx::query(quote::statement(sql)).bind(ids).execute(tx).await.map(drop)
}
