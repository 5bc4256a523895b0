//! `inbox list | show | replay`.

use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::json;
use tds_core::inbox::{EventFilter, EventStatus, EventView, InboxId, InboxOperator};

use super::{
    exit::{CommandResult, Failure},
    output::{self, Table},
    parse::{self, EventEntity},
    settings::{DatabaseSettings, Flags, Given, OrganizationSettings},
    store::Store,
};
use crate::http::routes::{
    inbox::EventDetail,
    webhooks::{status_of, understand_again},
};

/// Raw webhook events.
#[derive(Args)]
pub(crate) struct InboxArgs {
    #[command(subcommand)]
    action: InboxAction,
}

#[derive(Subcommand)]
enum InboxAction {
    /// Lists events, newest first
    #[command(after_help = "Example:\n  tds-server inbox list --status failed --older-than 1h")]
    List {
        /// One status
        #[arg(long, value_name = "STATUS",
              value_parser = parse::one_of::<EventStatus>(EventStatus::ALL.map(EventStatus::as_str)))]
        status: Option<EventStatus>,
        /// One entity type, such as products
        #[arg(long)]
        entity: Option<EventEntity>,
        /// Text in the record's id, the event's id or the error
        #[arg(long, value_name = "TEXT")]
        search: Option<String>,
        /// Received at least this long ago, such as 1h
        #[arg(long, value_name = "AGE", value_parser = parse::duration)]
        older_than: Option<Duration>,
        /// Events to show at most
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
    /// Shows one event with its headers and its body
    Show {
        /// The event's id
        id: i64,
        /// Print the document of the API
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        database: DatabaseSettings,
    },
    /// Understands events once more and queues what follows; a running server does the work
    #[command(after_help = "Example:\n  tds-server inbox replay 1201 1202")]
    Replay {
        /// The events' ids
        #[arg(required = true)]
        ids: Vec<i64>,
        /// Print the documents of the API, one a line
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        organization: OrganizationSettings,
        #[command(flatten)]
        database: DatabaseSettings,
    },
}

impl Flags for InboxArgs {
    fn collect(&self, given: &mut Given) {
        match &self.action {
            InboxAction::List { database, .. } | InboxAction::Show { database, .. } => {
                database.collect(given)
            }
            InboxAction::Replay { organization, database, .. } => {
                organization.collect(given);
                database.collect(given);
            }
        }
    }
}

impl InboxArgs {
    pub(crate) async fn run(self, store: &Store) -> CommandResult {
        let inbox = store.inbox();
        match self.action {
            InboxAction::List { status, entity, search, older_than, limit, cursor, json, .. } => {
                let entity = entity.map(|EventEntity(entity)| entity);
                let filter = EventFilter { status, entity, search, older_than };
                let page = inbox.list_events(&filter, limit.into(), cursor.as_deref()).await?;
                if json {
                    output::json(&page)
                } else {
                    list(&page.items, page.next_cursor.as_deref(), store.place())
                }
            }
            InboxAction::Show { id, json, .. } => {
                let event = EventDetail::from(find(inbox, id).await?);
                if json { output::json(&event) } else { output::record(&event) }
            }
            InboxAction::Replay { ids, json, .. } => {
                let organization = store.organization_id()?;
                for id in ids {
                    let event = find(inbox, id).await?;
                    let disposition = understand_again(store.catalogue(), organization, &event);
                    let status = status_of(&disposition);
                    inbox.replay(InboxId(id), disposition).await?;
                    if json {
                        output::data(
                            &json!({"affected": 1, "inbox_event_id": id, "status": status}).to_string(),
                        )?;
                    } else {
                        output::talk(&format!("event {id}: {status}"));
                    }
                }
                Ok(())
            }
        }
    }
}

async fn find(inbox: &dyn InboxOperator, id: i64) -> CommandResult<EventView> {
    inbox
        .get_event(InboxId(id))
        .await?
        .ok_or_else(|| Failure::failed(format!("there is no inbox event {id}")))
}

fn list(events: &[EventView], next: Option<&str>, place: &str) -> CommandResult {
    let mut table =
        Table::new(&["ID", "ENTITY", "RECORD", "EVENT", "STATUS", "OUTCOME", "RECEIVED", "ERROR"]);
    for event in events {
        table.row(vec![
            event.id.to_string(),
            event.entity_type.to_string(),
            output::or_dash(event.entity_id.as_deref()),
            event.event_type.clone(),
            event.status.as_str().to_owned(),
            output::or_dash(event.outcome.as_deref()),
            output::time(Some(event.received_at)),
            output::short(event.error_message.as_deref()),
        ]);
    }
    output::page(&table, events.len(), next, place)
}
