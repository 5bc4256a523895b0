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
    settings::{DATABASE, ENTITIES, ORGANIZATION, flags},
    store::Store,
};
use crate::http::dto;

/// Raw webhook events.
#[derive(Args)]
pub(crate) struct InboxArgs {
    #[command(subcommand)]
    action: InboxAction,
}

#[derive(Subcommand)]
enum InboxAction {
    /// Lists events, newest first
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
        /// Largest number of events to show
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=200))]
        limit: u16,
        /// Cursor of the page: the next_cursor of the page before
        #[arg(long)]
        cursor: Option<String>,
        /// Print JSON, as the API answers it
        #[arg(long)]
        json: bool,
    },
    /// Shows one event with its headers and its body
    #[command(args = flags(&[DATABASE]))]
    Show {
        /// Id of the event
        id: i64,
        /// Print JSON, as the API answers it
        #[arg(long)]
        json: bool,
    },
    /// Parses events again and queues their work; a running server does the work
    #[command(args = flags(&[ENTITIES, ORGANIZATION, DATABASE]), after_help = "Example:\n  tds-server inbox replay 1201 1202")]
    Replay {
        /// Ids of the events
        #[arg(required = true)]
        ids: Vec<i64>,
        /// Print JSON, as the API answers it, one document on each line
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
