//! Events that wait for a lock of another session.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use tokio::{
    sync::Notify,
    time::{Instant, sleep},
};

use tds_core::{inbox::NewEvent, lock::lock, queue::WorkKey};

use super::{Request, Shared, commit, in_time};
use crate::queue::fold::stored_key;

/// The pause between two rounds.
const PAUSE: Duration = Duration::from_millis(200);
/// The length of a round. The next round begins with the groups that this round did not reach.
const ROUND: Duration = Duration::from_secs(1);

/// The records of an event, by their keys in the queue.
type Records = Vec<WorkKey>;

/// Events that were put aside, grouped by their records. One attempt shows the result for the whole group.
#[derive(Default)]
pub(super) struct Aside {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    groups: VecDeque<(Records, Vec<Request>)>,
    /// The records of the group that is being tried at the moment.
    at_work: Option<Records>,
    ended: bool,
}

impl Aside {
    /// Splits a batch into the events that would wait for a known lock and the other events.
    pub(super) fn sort(&self, batch: Vec<Request>) -> (Vec<Request>, Vec<Request>) {
        let state = self.state();
        if state.groups.is_empty() && state.at_work.is_none() {
            return (Vec::new(), batch);
        }
        batch.into_iter().partition(|request| state.knows(&records_of(&request.event)))
    }

    /// Puts events aside.
    pub(super) fn add(&self, requests: impl IntoIterator<Item = Request>) {
        let mut state = self.state();
        for request in requests {
            state.add(request);
        }
        self.changed.notify_one();
    }

    /// Reports that no more events are put aside.
    pub(super) fn end(&self) {
        self.state().ended = true;
        self.changed.notify_one();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    fn len(&self) -> usize {
        self.state().groups.len()
    }

    fn take(&self) -> Option<(Records, Vec<Request>)> {
        let mut state = self.state();
        let group = state.groups.pop_front();
        state.at_work = group.as_ref().map(|(records, _)| records.clone());
        group
    }

    fn put_back(&self, requests: Vec<Request>) {
        let mut state = self.state();
        state.at_work = None;
        for request in requests {
            state.add(request);
        }
    }
}

impl State {
    fn knows(&self, records: &Records) -> bool {
        let groups = self.groups.iter().map(|(known, _)| known);
        groups.chain(&self.at_work).any(|known| known.iter().any(|record| records.contains(record)))
    }

    fn add(&mut self, request: Request) {
        let records = records_of(&request.event);
        match self.groups.iter_mut().find(|(known, _)| *known == records) {
            Some((_, requests)) => {
                requests.push(request);
                // The requests stay in the order of their arrival, whatever was tried in the meantime.
                requests.sort_by_key(|request| request.until);
            }
            None => self.groups.push_back((records, vec![request])),
        }
    }
}

/// Retries the events that are put aside until the store shuts down.
pub(super) async fn run(shared: Arc<Shared>) {
    loop {
        if shared.aside.len() == 0 {
            if shared.aside.state().ended {
                return;
            }
            shared.aside.changed.notified().await;
            continue;
        }
        sleep(PAUSE).await;
        let began = Instant::now();
        for _ in 0..shared.aside.len() {
            let Some((_, group)) = shared.aside.take() else { break };
            let left = try_group(&shared, group).await;
            shared.aside.put_back(left);
            if began.elapsed() > ROUND {
                break;
            }
        }
    }
}

async fn try_group(shared: &Arc<Shared>, group: Vec<Request>) -> Vec<Request> {
    let group = in_time(group, "another session of the database has locked the work of the record");
    let committing = Arc::clone(shared);
    match tokio::spawn(async move { commit(&committing, group, Duration::ZERO).await }).await {
        Ok(locked) => locked,
        Err(error) => {
            tracing::error!(%error, "the commit of events that were put aside was interrupted");
            Vec::new()
        }
    }
}

fn records_of(event: &NewEvent) -> Records {
    let mut records: Records =
        event.disposition.work().iter().map(|(key, _)| stored_key(key.clone().into())).collect();
    records.sort_unstable();
    records.dedup();
    records
}
