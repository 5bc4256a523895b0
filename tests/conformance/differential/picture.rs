//! The state of a store as operators see it.

use std::fmt::Write as _;

use tds_core::{
    inbox::{EventFilter, EventStatus},
    queue::{ItemFilter, ItemStatus},
    runs::RunFilter,
};

use super::{
    operation::ENTITIES,
    side::{ALL, Side},
};

impl Side {
    /// Returns everything that operators see in lists.
    pub(super) async fn picture(&self) -> String {
        let (items, events, runs) = (self.items().await, self.events().await, self.runs().await);
        let stats = self.stores.queue_operator.stats().await.expect("stats");
        let inbox = self.stores.inbox_operator.inbox_stats().await.expect("stats").by_status;
        let ended = inbox.get(&EventStatus::Completed);
        let mut cursors = Vec::new();
        for entity in &ENTITIES {
            cursors.push(self.stores.runs.history(entity).await.expect("a cursor").cursor);
        }
        format!("{items}{events}{runs}{:?} {:?} {ended:?} {cursors:?}", stats.queue, stats.by_entity)
    }

    async fn items(&self) -> String {
        let page = self.stores.queue_operator.list(&ItemFilter::default(), ALL, None).await.expect("a list");
        let mut lines: Vec<String> = page
            .items
            .iter()
            .map(|item| {
                let event = item
                    .inbox_event_id
                    .and_then(|event| self.events.iter().position(|known| known.id == event));
                format!(
                    "item {:?} {} {} {} {:?} p{} r{} {:?} of {event:?}\n",
                    item.direction,
                    item.entity_type,
                    item.record,
                    item.status.as_str(),
                    item.outcome,
                    item.priority,
                    item.retry_count,
                    item.error_message
                )
            })
            .collect();
        lines.sort();
        lines.concat()
    }

    async fn events(&self) -> String {
        let page =
            self.stores.inbox_operator.list_events(&EventFilter::default(), ALL, None).await.expect("a list");
        let mut text = String::new();
        for event in &page.items {
            let known = self.events.iter().find(|known| known.id == event.id);
            let line = match event.status {
                EventStatus::Completed => format!("completed {:?}", event.outcome),
                // No contract defines what an event of several records shows before it ends.
                _ if known.is_some_and(|known| known.items > 1) => "open".to_owned(),
                EventStatus::Pending | EventStatus::Processing => "open".to_owned(),
                EventStatus::Failed => format!("failed {:?}", event.error_message),
            };
            writeln!(text, "event {} {line}", event.event_id).expect("written");
        }
        text
    }

    async fn runs(&self) -> String {
        let mut text = String::new();
        for run in self.stores.runs.list_runs(&RunFilter::default(), ALL, None).await.expect("a list").items {
            writeln!(
                text,
                "run {} {} total {} ended {} failed {} unchanged {} pages {} listed {} held {} {:?}",
                run.entity_type,
                run.status.as_str(),
                run.total_items,
                run.processed_items,
                run.failed_items,
                run.unchanged_items,
                run.pages,
                run.listing_done,
                run.held_deletions,
                run.error_log
            )
            .expect("written");
        }
        text
    }

    /// Returns payloads and attempts, which are shown only for single items.
    pub(super) async fn details(&self) -> Vec<String> {
        let operator = &self.stores.queue_operator;
        let page = operator.list(&ItemFilter::default(), ALL, None).await.expect("a list");
        let mut lines = Vec::new();
        for item in page.items {
            let item = operator.get(item.id).await.expect("a look").expect("it is there");
            let attempts = item.attempts.unwrap_or_default();
            let attempts: Vec<_> = attempts
                .into_iter()
                .map(|attempt| (attempt.attempt, attempt.result, attempt.error))
                .collect();
            let live = item.status != ItemStatus::Completed;
            let payload = item.payload.filter(|_| live);
            lines.push(format!(
                "{:?} {} {} {payload:?} {attempts:?}",
                item.direction, item.entity_type, item.record
            ));
        }
        lines.sort();
        lines
    }
}
