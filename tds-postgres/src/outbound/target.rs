//! The tables of the records that are pushed.

use tds_core::{
    error::{Error, Result},
    mirror::{Child, MirrorSchema},
    outbound::Settlement,
    record::EntityType,
};

use crate::{
    Database,
    db::quote,
    mirror::{
        catalog::{Catalog, Column, Columns, Tables, unknown},
        references::{self, Reference},
    },
};

/// The columns of a head table that are no columns of records.
const OWN: [&str; 5] = ["zoho_id", "raw", "synced_at", "deleted_at", "balance_seen_at"];

/// The local id of a row.
pub(super) const ID: &str = "id";

/// The tables of an entity type.
pub(super) struct Target {
    pub(super) head: &'static str,
    pub(super) children: &'static [Child],
    tables: Tables,
}

impl Target {
    /// Returns the tables of a schema or, if no record of the entity type was loaded yet, of the entity type's own head
    /// table.
    pub(super) async fn of(
        database: &Database,
        catalog: &Catalog,
        schema: Option<MirrorSchema>,
        entity: &EntityType,
    ) -> Result<Self> {
        let schema = match schema {
            Some(schema) => schema,
            None => MirrorSchema { entity: entity.clone(), head: head_of(entity), children: &[] },
        };
        let Some(head) = schema.head else {
            return Err(Error::internal(format!(
                "records of {entity} have no head row, so none can be pushed"
            )));
        };
        let tables = catalog.tables(database, &schema).await?;
        Ok(Self { head, children: schema.children, tables })
    }

    /// Returns the columns of the head table.
    pub(super) fn columns(&self) -> &[Column] {
        self.tables.get(self.head).map_or(&[], |columns| columns.as_slice())
    }

    /// Returns the columns of a child table.
    pub(super) fn columns_of(&self, table: &str) -> &[Column] {
        self.tables.get(table).map_or(&[], |columns| columns.as_slice())
    }

    /// Returns true if the head table has the column.
    pub(super) fn has(&self, column: &str) -> bool {
        self.columns().iter().any(|it| it.name == column)
    }

    /// Returns true if the column of the head table belongs to records.
    pub(super) fn is_of_records(&self, column: &str) -> bool {
        self.has(column) && !OWN.contains(&column)
            || references::of(self.head).any(|reference| reference.local() == column)
    }

    /// Returns the reference of a child table to the head row.
    pub(super) fn owner(child: &Child) -> Option<&'static Reference> {
        references::by_remote(child.table, child.owner)
    }

    /// Returns the condition of the rows `t` of a child table that belong to a record. `remote` and `local` are the
    /// expressions for its ids.
    pub(super) fn is_owned(child: &Child, remote: &str, local: &str) -> String {
        let owner = quote::identifier(child.owner);
        match Self::owner(child) {
            None => format!("t.{owner} = {remote}"),
            Some(reference) => format!(
                "(t.{owner} = {remote} OR t.{owner} IS NULL AND t.{} = {local})",
                quote::identifier(&reference.local())
            ),
        }
    }

    /// Refuses values for columns that the tables do not have.
    pub(super) fn refuse_unknown(&self, settlement: &Settlement) -> Result<()> {
        let check = |table: &str, columns: Option<&Columns>, names: &mut dyn Iterator<Item = &String>| {
            let Some(columns) = columns else {
                return Err(Error::internal(format!("{table} is no table of the pushed record")));
            };
            unknown(columns, names)
                .map_or(Ok(()), |name| Err(Error::internal(format!("table {table} has no column {name}"))))
        };
        check(self.head, self.tables.get(self.head), &mut settlement.take.keys())?;
        for (table, rows) in &settlement.take_rows {
            let locals: Vec<String> = references::of(table).map(Reference::local).collect();
            // Rows that were merged have the local ids of the rows that they replace.
            let is_column = |name: &&String| *name != ID && !locals.contains(name);
            let mut names = rows.iter().flat_map(|row| row.keys()).filter(is_column);
            check(table, self.tables.get(table.as_str()), &mut names)?;
        }
        Ok(())
    }
}

/// Returns the head table of an entity type of the migrations.
fn head_of(entity: &EntityType) -> Option<&'static str> {
    Some(match entity.as_str() {
        "prices" => "price_lists",
        "stock" => "stock_adjustments",
        "products" => "products",
        "customers" => "customers",
        "vendors" => "vendors",
        "invoices" => "invoices",
        "bills" => "bills",
        "credit_notes" => "credit_notes",
        "sales_orders" => "sales_orders",
        "purchase_orders" => "purchase_orders",
        "vendor_credits" => "vendor_credits",
        "customer_payments" => "customer_payments",
        "vendor_payments" => "vendor_payments",
        _ => return None,
    })
}
