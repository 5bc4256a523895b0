//! Events that wait for a lock of somebody else.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use tokio::{
    sync::Notify,
    time::{Instant, sleep},
};

use tds_core::{error::Error, inbox::NewEvent};

use super::{Request, Shared, commit, in_time, refuse};
use crate::{inbox::ingest::Begin, lock::lock, queue::fold::stored_key};

/// Between two rounds.
const PAUSE: Duration = Duration::from_millis(200);
/// A round tries for so long; what it did not come to is first in the next one.
const ROUND: Duration = Duration::from_secs(1);

/// The records of an event, as they are called in the queue.
type Records = Vec<(String, String)>;

/// Events that were put aside, together with the others of the same records: one try tells for all of them.
#[derive(Default)]
pub(super) struct Aside {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    groups: VecDeque<(Records, Vec<Request>)>,
    /// The records that are being tried just now.
    at_work: Option<Records>,
    ended: bool,
}

impl Aside {
    /// Takes out of a batch what would wait for a lock that is known.
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

    /// Nothing is put aside any more.
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
                // In the order of their arrival, whatever was tried meanwhile.
                requests.sort_by_key(|request| request.until);
            }
            None => self.groups.push_back((records, vec![request])),
        }
    }
}

/// Tries again and again what is aside, until all is over.
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
    let (late, group): (Vec<Request>, Vec<Request>) =
        group.into_iter().partition(|request| request.until <= Instant::now());
    if !late.is_empty() {
        refuse(
            late,
            &Error::unavailable("another session of the database has locked the work of the record"),
        );
    }
    let group = in_time(group);
    let committing = Arc::clone(shared);
    match tokio::spawn(async move { commit(&committing, group, Duration::ZERO).await }).await {
        Ok(locked) => locked,
        Err(error) => {
            tracing::error!(%error, "events that were put aside were cut short");
            Vec::new()
        }
    }
}

fn records_of(event: &NewEvent) -> Records {
    let mut records: Records =
        Begin::of(&event.disposition).work.iter().map(|(key, _)| stored_key(key)).collect();
    records.sort_unstable();
    records.dedup();
    records
}
