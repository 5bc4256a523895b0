//! `queue list | show | retry | discard`.

use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::json;
use tds_core::{
    queue::{ItemFilter, ItemId, ItemStatus, ItemView, QueueOperator},
    record::EntityType,
};

use super::{
    exit::{CommandResult, Failure},
    output::{self, Table},
    parse,
    settings::{DatabaseSettings, Flags, Given},
    store::Store,
};

/// Queue items.
#[derive(Args)]
pub(crate) struct QueueArgs {
    #[command(subcommand)]
    action: QueueAction,
}

#[derive(Subcommand)]
enum QueueAction {
    /// Lists items, newest first
    #[command(after_help = "Examples:\n  tds-server queue list --status dead_letter\n  \
                            tds-server queue list --entity invoices --search 'no such customer' --json")]
    List {
        #[command(flatten)]
        filter: Filter,
        /// Items to show at most
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=200))]
        limit: u16,
        /// Where the page before ended (its next_cursor)
        #[arg(long)]
        cursor: Option<String>,
        /// Print the document of the API
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        database: DatabaseSettings,
    },
    /// Shows one item with its payload and its attempts
    Show {
        /// The item's id
        id: i64,
        /// Print the document of the API
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        database: DatabaseSettings,
    },
    /// Makes dead letters and waiting retries due now, with their attempts counted anew
    #[command(after_help = "Examples:\n  tds-server queue retry 17 18\n  \
                            tds-server queue retry --status dead_letter --entity products --yes")]
    Retry(Change),
    /// Gives items up for good; their errors stay readable
    #[command(after_help = "Example:\n  tds-server queue discard --status dead_letter --older-than 30d")]
    Discard(Change),
}

/// Which items are to be changed.
#[derive(Args)]
struct Change {
    /// The items' ids; or use the filters
    ids: Vec<i64>,
    #[command(flatten)]
    filter: Filter,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    /// Print the document of the API
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    database: DatabaseSettings,
}

#[derive(Args)]
struct Filter {
    /// One status
    #[arg(long, value_name = "STATUS",
          value_parser = parse::one_of::<ItemStatus>(ItemStatus::ALL.map(ItemStatus::as_str)))]
    status: Option<ItemStatus>,
    /// One entity type, such as products
    #[arg(long)]
    entity: Option<EntityType>,
    /// Text in the record's id or in the error
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,
    /// Queued at least this long ago, such as 1h
    #[arg(long, value_name = "AGE", value_parser = parse::duration)]
    older_than: Option<Duration>,
}

impl Filter {
    fn is_empty(&self) -> bool {
        self.status.is_none() && self.entity.is_none() && self.search.is_none() && self.older_than.is_none()
    }

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

impl Flags for QueueArgs {
    fn collect(&self, given: &mut Given) {
        match &self.action {
            QueueAction::List { database, .. } | QueueAction::Show { database, .. } => {
                database.collect(given)
            }
            QueueAction::Retry(change) | QueueAction::Discard(change) => change.database.collect(given),
        }
    }
}

impl QueueArgs {
    pub(crate) async fn run(self, store: &Store) -> CommandResult {
        let queue = store.queue();
        match self.action {
            QueueAction::List { filter, limit, cursor, json, .. } => {
                let page = queue.list(&filter.items(Vec::new()), limit.into(), cursor.as_deref()).await?;
                if json {
                    output::json(&page)
                } else {
                    list(&page.items, page.next_cursor.as_deref(), store.place())
                }
            }
            QueueAction::Show { id, json, .. } => {
                let item = queue.get(ItemId(id)).await?;
                let item = item.ok_or_else(|| Failure::failed(format!("there is no queue item {id}")))?;
                if json { output::json(&item) } else { output::record(&item) }
            }
            QueueAction::Retry(change) => change.run(queue, Verb::Retry).await,
            QueueAction::Discard(change) => change.run(queue, Verb::Discard).await,
        }
    }
}

fn list(items: &[ItemView], next: Option<&str>, place: &str) -> CommandResult {
    let mut table =
        Table::new(&["ID", "ENTITY", "ZOHO ID", "STATUS", "PRIORITY", "RETRIES", "QUEUED", "ERROR"]);
    for item in items {
        table.row(vec![
            item.id.to_string(),
            item.entity_type.to_string(),
            item.zoho_entity_id.clone(),
            item.status.as_str().to_owned(),
            item.priority.to_string(),
            item.retry_count.to_string(),
            output::time(Some(item.queued_at)),
            output::short(item.error_message.as_deref()),
        ]);
    }
    output::page(&table, items.len(), next, place)
}

/// What becomes of the items.
#[derive(Clone, Copy)]
enum Verb {
    Retry,
    Discard,
}

impl Verb {
    fn name(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::Discard => "discard",
        }
    }

    /// The statuses that it changes.
    fn statuses(self) -> &'static [ItemStatus] {
        match self {
            Self::Retry => &[ItemStatus::Failed, ItemStatus::DeadLetter],
            Self::Discard => &[ItemStatus::Pending, ItemStatus::Failed, ItemStatus::DeadLetter],
        }
    }
}

impl Change {
    async fn run(self, queue: &dyn QueueOperator, verb: Verb) -> CommandResult {
        let verb_name = verb.name();
        if self.ids.is_empty() && self.filter.is_empty() {
            let hint = "give ids, or a filter such as --status dead_letter";
            return Err(Failure::usage(format!("queue {verb_name}: {hint}")));
        }
        let filter = self.filter.items(self.ids);
        if !self.yes {
            let count = count(queue, &filter, verb).await?;
            if count == 0 {
                return Err(Failure::failed(format!("there is nothing to {verb_name}")));
            }
            output::confirm(&format!("{count} items will be {verb_name}{}.", past(verb)), false)?;
        }
        let affected = match verb {
            Verb::Retry => queue.retry(&filter).await?,
            Verb::Discard => queue.discard(&filter).await?,
        };
        if self.json {
            return output::json(&json!({ "affected": affected }));
        }
        output::talk(&format!("{verb_name}: {affected} items"));
        Ok(())
    }
}

fn past(verb: Verb) -> &'static str {
    match verb {
        Verb::Retry => " (made due now)",
        Verb::Discard => "ed for good",
    }
}

/// How many items the change would touch.
async fn count(queue: &dyn QueueOperator, filter: &ItemFilter, verb: Verb) -> CommandResult<usize> {
    const PAGE: usize = 200;
    let mut count = 0;
    for &status in verb.statuses() {
        if filter.status.is_some_and(|wanted| wanted != status) {
            continue;
        }
        let filter = ItemFilter { status: Some(status), ..filter.clone() };
        let mut cursor = None;
        loop {
            let page = queue.list(&filter, PAGE, cursor.as_deref()).await?;
            count += page.items.len();
            cursor = page.next_cursor;
            if cursor.is_none() {
                break;
            }
        }
    }
    Ok(count)
}
