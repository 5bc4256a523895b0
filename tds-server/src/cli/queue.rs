//! `queue list | show | retry | discard`.

use std::time::Duration;

use clap::{Args, Subcommand};
use tds_core::{
    queue::{ItemFilter, ItemId, ItemStatus, ItemView},
    record::EntityType,
};

use super::{
    exit::{CommandResult, Failure},
    output::{self, Column},
    parse,
    settings::{DATABASE, ENTITIES, ZOHO, flags},
    store::Store,
    would,
};
use crate::{
    app::items::{Change, Items},
    http::dto,
};

/// List, show, retry and discard queue items
#[derive(Args)]
pub(crate) struct QueueArgs {
    #[command(subcommand)]
    action: QueueAction,
}

#[derive(Subcommand)]
enum QueueAction {
    /// List items, newest first
    #[command(args = flags(&[DATABASE]), after_help = "Examples:\n  tds-server queue list --status dead_letter\n  \
                            tds-server queue list --entity invoices --search 'no such customer' --json")]
    List {
        #[command(flatten)]
        filter: Filter,
        /// Maximum number of items to show
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=200))]
        limit: u16,
        /// Cursor of the page to show: the next_cursor of the previous page
        #[arg(long)]
        cursor: Option<String>,
        /// Print JSON in the format of the API
        #[arg(long)]
        json: bool,
    },
    /// Show one item with its payload and its attempts
    #[command(args = flags(&[DATABASE]))]
    Show {
        /// Id of the item
        id: i64,
        /// Print JSON in the format of the API
        #[arg(long)]
        json: bool,
    },
    /// Make dead letters and waiting retries due now, and reset their attempts
    #[command(
        after_help = "Examples:\n  tds-server queue retry 17 18\n  tds-server queue retry 17 --dry-run\n  \
                            tds-server queue retry --status dead_letter --entity products --yes"
    )]
    Retry(RetryArgs),
    /// Discard items for good; their errors remain readable
    #[command(after_help = "Example:\n  tds-server queue discard --status dead_letter --older-than 30d")]
    Discard(ChangeArgs),
}

/// The items that a command changes.
#[derive(Args)]
#[command(args = flags(&[DATABASE]))]
struct ChangeArgs {
    /// Ids of the items, instead of filters
    ids: Vec<i64>,
    #[command(flatten)]
    filter: Filter,
    /// Do not ask for confirmation
    #[arg(long)]
    yes: bool,
    /// Print JSON in the format of the API
    #[arg(long)]
    json: bool,
}

/// The items that are retried, or of which it is shown what a retry would do.
#[derive(Args)]
#[command(args = flags(&[ENTITIES, ZOHO]))]
struct RetryArgs {
    #[command(flatten)]
    change: ChangeArgs,
    /// Write nothing, and show what would change; records whose items have no payload are read from Zoho
    #[arg(long, requires = "ids", conflicts_with_all = ["status", "entity", "search", "older_than", "yes"])]
    dry_run: bool,
}

#[derive(Args)]
struct Filter {
    /// Select only items with this status
    #[arg(long, value_name = "STATUS",
          value_parser = parse::one_of(ItemStatus::ALL, ItemStatus::as_str))]
    status: Option<ItemStatus>,
    /// Select only items of this entity type, such as products
    #[arg(long)]
    entity: Option<EntityType>,
    /// Select only items with this text in the record id or in the error
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,
    /// Select only items that were enqueued at least this long ago, such as 1h
    #[arg(long, value_name = "AGE", value_parser = parse::duration)]
    older_than: Option<Duration>,
}

impl Filter {
    fn items(self, ids: Vec<i64>) -> ItemFilter {
        ItemFilter {
            ids: (!ids.is_empty()).then(|| ids.into_iter().map(ItemId).collect()),
            status: self.status,
            entity: self.entity,
            search: self.search,
            older_than: self.older_than,
        }
    }
}

impl QueueArgs {
    pub(crate) async fn run(self, store: &Store) -> CommandResult {
        let items = &store.items;
        match self.action {
            QueueAction::List { filter, limit, cursor, json, .. } => {
                let page = items.list(&filter.items(Vec::new()), limit.into(), cursor.as_deref()).await;
                let page = page.map_err(Failure::of_list)?;
                output::page::<_, dto::ItemPage>(page, json, COLUMNS, &store.place)
            }
            QueueAction::Show { id, json, .. } => {
                let item = dto::QueueItem::from(items.find(id).await?);
                if json { output::json(&item) } else { output::record(&item) }
            }
            QueueAction::Retry(args) if args.dry_run => args.would(store).await,
            QueueAction::Retry(args) => args.change.run(items, Change::Retry).await,
            QueueAction::Discard(args) => args.run(items, Change::Discard).await,
        }
    }
}

const COLUMNS: &[Column<ItemView>] = &[
    ("ID", |item| item.id.to_string()),
    ("ENTITY", |item| item.entity_type.to_string()),
    ("RECORD", |item| item.record.to_string()),
    ("STATUS", |item| item.status.as_str().to_owned()),
    ("PRIORITY", |item| item.priority.to_string()),
    ("RETRIES", |item| item.retry_count.to_string()),
    ("QUEUED", |item| output::time(Some(item.queued_at))),
    ("ERROR", |item| output::short(item.error_message.as_deref())),
];

impl RetryArgs {
    async fn would(self, store: &Store) -> CommandResult {
        let dry_run = store.dry_run()?;
        let mut result = Ok(());
        for id in self.change.ids {
            result =
                async { would::print(&format!("item {id}"), dry_run.retry(id).await?, self.change.json) }
                    .await;
            if result.is_err() {
                break;
            }
        }
        dry_run.close().await;
        result
    }
}

impl ChangeArgs {
    async fn run(self, items: &Items, change: Change) -> CommandResult {
        let verb = change.as_str();
        let becomes = match change {
            Change::Retry => "retry (made due now)",
            Change::Discard => "discarded for good",
        };
        for &id in &self.ids {
            items.find(id).await?;
        }
        let filter = self.filter.items(self.ids);
        if !self.yes {
            let count = items.count(change, &filter).await?;
            if count == 0 {
                return Err(Failure::failed(format!("there is nothing to {verb}")));
            }
            output::confirm(&format!("{count} items will be {becomes}."), false)?;
        }
        let affected = items.change(change, &filter).await?;
        if self.json {
            return output::json(&dto::Affected::from(affected));
        }
        output::talk(&format!("{verb}: {affected} items"));
        Ok(())
    }
}
