//! `inbox list | show | replay`.

use std::time::Duration;

use clap::{Args, Subcommand};
use tds_core::{
    inbox::{EventFilter, EventStatus, EventView},
    queue::Outcome,
};

use super::{
    exit::CommandResult,
    output::{self, Column},
    parse::{self, EventEntity},
    settings::{DATABASE, ENTITIES, ZOHO, flags},
    store::Store,
    would,
};
use crate::http::dto;

/// List, show and replay raw webhook events
#[derive(Args)]
pub(crate) struct InboxArgs {
    #[command(subcommand)]
    action: InboxAction,
}

#[derive(Subcommand)]
enum InboxAction {
    /// List events, newest first
    #[command(args = flags(&[DATABASE]), after_help = "Example:\n  tds-server inbox list --status failed --older-than 1h")]
    List {
        /// Show only events with this status
        #[arg(long, value_name = "STATUS",
              value_parser = parse::one_of(EventStatus::ALL, EventStatus::as_str))]
        status: Option<EventStatus>,
        /// Show only events of this entity type, such as products
        #[arg(long)]
        entity: Option<EventEntity>,
        /// Show only events with this text in the record id, the event id or the error
        #[arg(long, value_name = "TEXT")]
        search: Option<String>,
        /// Show only events that were received at least this long ago, such as 1h
        #[arg(long, value_name = "AGE", value_parser = parse::duration)]
        older_than: Option<Duration>,
        /// Maximum number of events to show
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=200))]
        limit: u16,
        /// Cursor of the page to show: the next_cursor of the previous page
        #[arg(long)]
        cursor: Option<String>,
        /// Print JSON in the format of the API
        #[arg(long)]
        json: bool,
    },
    /// Show one event with its headers and its body
    #[command(args = flags(&[DATABASE]))]
    Show {
        /// Id of the event
        id: i64,
        /// Print JSON in the format of the API
        #[arg(long)]
        json: bool,
    },
    /// Parse events again and enqueue their work, which a running server then processes
    #[command(args = flags(&[ENTITIES, ZOHO, DATABASE]), after_help = "Examples:\n  tds-server inbox replay 1201 1202\n  \
                            tds-server inbox replay 1201 --dry-run")]
    Replay {
        /// Ids of the events
        #[arg(required = true)]
        ids: Vec<i64>,
        /// Write nothing, and show what would change; records that the events only name are read from Zoho
        #[arg(long)]
        dry_run: bool,
        /// Print JSON in the format of the API, one document per line
        #[arg(long)]
        json: bool,
    },
}

impl InboxArgs {
    pub(crate) async fn run(self, store: &Store) -> CommandResult {
        let events = &store.events;
        match self.action {
            InboxAction::List { status, entity, search, older_than, limit, cursor, json, .. } => {
                let entity = entity.map(|EventEntity(entity)| entity);
                let filter = EventFilter { status, entity, search, older_than };
                let page = events.list(&filter, limit.into(), cursor.as_deref()).await?;
                output::page::<_, dto::EventPage>(page, json, COLUMNS, &store.place)
            }
            InboxAction::Show { id, json, .. } => {
                let event = dto::EventDetail::from(events.find(id).await?);
                if json { output::json(&event) } else { output::record(&event) }
            }
            InboxAction::Replay { ids, dry_run: true, json, .. } => {
                let dry_run = store.dry_run()?;
                let mut result = Ok(());
                for id in ids {
                    result =
                        async { would::print(&format!("event {id}"), dry_run.replay(id).await?, json) }.await;
                    if result.is_err() {
                        break;
                    }
                }
                dry_run.close().await;
                result
            }
            InboxAction::Replay { ids, json, .. } => {
                let organization = store.organization_id()?;
                for id in ids {
                    let reception = events.replay(organization, id).await?;
                    if json {
                        output::json_line(&dto::Replayed::from((id, reception)))?;
                    } else {
                        output::talk(&format!("event {id}: {}", reception.as_str()));
                    }
                }
                Ok(())
            }
        }
    }
}

const COLUMNS: &[Column<EventView>] = &[
    ("ID", |event| event.id.to_string()),
    ("ENTITY", |event| event.entity_type.to_string()),
    ("RECORD", |event| output::or_dash(event.entity_id.as_deref())),
    ("EVENT", |event| event.event_type.clone()),
    ("STATUS", |event| event.status.as_str().to_owned()),
    ("OUTCOME", |event| output::or_dash(event.outcome.map(Outcome::as_str))),
    ("RECEIVED", |event| output::time(Some(event.received_at))),
    ("ERROR", |event| output::short(event.error_message.as_deref())),
];
