//! `outbox list | show`.

use clap::{Args, Subcommand};
use tds_core::{
    outbound::{EntryStatus, OutboxEntry, OutboxFilter},
    record::{EntityType, RecordId},
};

use super::{
    exit::CommandResult,
    output::{self, Column},
    parse,
    settings::{DATABASE, flags},
    store::Store,
};
use crate::http::dto;

/// Show the changes that programs made in the ERP, with their pushes to Zoho
#[derive(Args)]
pub(crate) struct OutboxArgs {
    #[command(subcommand)]
    action: OutboxAction,
}

#[derive(Subcommand)]
enum OutboxAction {
    /// List local changes, newest first
    #[command(args = flags(&[DATABASE]), after_help = "Examples:\n  tds-server outbox list --status pending\n  \
                            tds-server outbox list --status shadow --entity invoices --json")]
    List {
        /// Show only changes with this status
        #[arg(long, value_name = "STATUS", value_parser = parse::one_of(EntryStatus::ALL, EntryStatus::as_str))]
        status: Option<EntryStatus>,
        /// Show only changes of this entity type, such as invoices
        #[arg(long)]
        entity: Option<EntityType>,
        /// Maximum number of changes to show
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=200))]
        limit: u16,
        /// Cursor of the page to show: the next_cursor of the previous page
        #[arg(long)]
        cursor: Option<String>,
        /// Print JSON in the format of the API
        #[arg(long)]
        json: bool,
    },
    /// Show one local change with its push
    #[command(args = flags(&[DATABASE]))]
    Show {
        /// Id of the change
        id: i64,
        /// Print JSON in the format of the API
        #[arg(long)]
        json: bool,
    },
}

impl OutboxArgs {
    pub(crate) async fn run(self, store: &Store) -> CommandResult {
        let changes = store.local_changes();
        match self.action {
            OutboxAction::List { status, entity, limit, cursor, json, .. } => {
                let filter = OutboxFilter { status, entity };
                let page = changes.list(&filter, limit.into(), cursor.as_deref()).await?;
                output::page::<_, dto::LocalChangePage>(page, json, COLUMNS, &store.place)
            }
            OutboxAction::Show { id, json, .. } => {
                let change = dto::LocalChange::from(changes.find(id).await?);
                if json { output::json(&change) } else { output::record(&change) }
            }
        }
    }
}

const COLUMNS: &[Column<OutboxEntry>] = &[
    ("ID", |entry| entry.id.to_string()),
    ("ENTITY", |entry| entry.entity.to_string()),
    ("LOCAL ID", |entry| entry.local_id.to_string()),
    ("ZOHO ID", |entry| output::or_dash(entry.remote_id.as_ref().map(RecordId::as_str))),
    ("OPERATION", |entry| entry.operation.to_string()),
    ("FIELDS", fields),
    ("STATUS", status),
    ("CAPTURED", |entry| output::time(Some(entry.captured_at))),
    ("RETRIES", |entry| entry.attempts.to_string()),
    ("ERROR OR NOTE", |entry| output::short(entry.error.as_deref().or(entry.note.as_deref()))),
];

fn fields(entry: &OutboxEntry) -> String {
    let Some(fields) = &entry.fields else { return "any".to_owned() };
    let fields: Vec<&str> = fields.iter().map(String::as_str).collect();
    output::short(Some(&fields.join(", ")))
}

/// Returns the status and, while the change is on its way, what delays it.
fn status(entry: &OutboxEntry) -> String {
    let is_dead = entry.item_status.as_deref() == Some("dead_letter");
    match entry.status {
        EntryStatus::Pending if is_dead => "pending (dead letter)".to_owned(),
        EntryStatus::Pending if entry.in_doubt => "pending (in doubt)".to_owned(),
        status => status.to_string(),
    }
}
