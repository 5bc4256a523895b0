//! Group commit: events that arrive during one commit are committed together in the next one.
//!
//! An idle store commits an event at once. A busy store commits the events that have gathered in the meantime. A few
//! large commits cost less than many small commits at the same time. So a second commit begins only if the first
//! one takes long, for example because it waits for a lock, or if a full batch of events has gathered.
//!
//! An event whose record another session has locked is set aside and retried separately, so that no other event waits
//! for that lock. The sender of every event gets an answer within ten seconds.

mod aside;

use std::{
    sync::{Arc, Mutex, OnceLock},
    time::Duration,
};

use tokio::{
    sync::{Mutex as AsyncMutex, OwnedSemaphorePermit, Semaphore, mpsc, oneshot},
    task::JoinHandle,
    time::{Instant, timeout},
};

use tds_core::{
    error::{Error, ErrorKind, Result, Retry},
    inbox::{Accepted, NewEvent},
    lock::lock,
};

use self::aside::Aside;
use super::ingest::store_events;
use crate::{
    Database,
    db::{
        error::{classify, is_crowded, is_data_error, is_locked, is_unanswered},
        parts::{Parts, SEARCH},
        retry::{IN_BATCH, repeat},
    },
    queue::notifier::Notifier,
};

const DOING: &str = "storing a pushed event";
/// How long a batch waits for the commit in progress before it begins its own commit.
const LONG: Duration = Duration::from_millis(20);
/// `TRIED`: how long the store tries to store an event. `ANSWERED`: the longest time that the sender of an event
/// waits for the answer.
const TRIED: Duration = Duration::from_secs(8);
const ANSWERED: Duration = Duration::from_millis(9_500);

/// Limits of the store.
#[derive(Clone, Debug)]
pub struct StoreSettings {
    /// The number of tasks that commit accepted events. Each task uses its own connection.
    pub committers: usize,
    /// The maximum number of events of one commit.
    pub batch_events: usize,
    /// The size limit of one commit, in bytes. A commit that has reached this size takes no further event, so its last
    /// event may exceed the limit. An event counts as twice the size of its payload plus 512 bytes.
    pub batch_bytes: usize,
    /// The maximum number of events that may wait for their commit. Beyond this number `accept` returns
    /// `Unavailable`.
    pub waiting_events: usize,
    /// The memory limit of the events that wait for their commit, in bytes, with the same estimate of an event's size.
    /// Beyond this size `accept` returns `Unavailable`.
    pub waiting_bytes: usize,
}

impl Default for StoreSettings {
    fn default() -> Self {
        Self {
            committers: 2,
            batch_events: 256,
            batch_bytes: 4 << 20,
            waiting_events: 4_096,
            waiting_bytes: 64 << 20,
        }
    }
}

/// A commit that stored events.
#[derive(Clone, Copy, Debug)]
pub struct EventCommit {
    /// The number of events that it stored. Duplicates count.
    pub events: usize,
    /// The time from the statement to the answer of the database, repeats included.
    pub elapsed: Duration,
}

/// A function that gets each commit of events when it ends. It must not block.
pub type CommitWatch = Arc<dyn Fn(EventCommit) + Send + Sync>;

/// The tasks that commit events, and the channel to these tasks.
pub(crate) struct Committers {
    shared: Arc<Shared>,
    state: Mutex<State>,
    bytes: Arc<Semaphore>,
}

enum State {
    Idle,
    Running(mpsc::Sender<Request>, Vec<JoinHandle<()>>),
    Ended,
}

struct Shared {
    database: Database,
    work: Arc<Notifier>,
    settings: StoreSettings,
    /// The permit that the commit in progress holds.
    turn: Arc<Semaphore>,
    /// The events that wait for the locks of other sessions.
    aside: Aside,
    watch: OnceLock<CommitWatch>,
}

struct Request {
    event: NewEvent,
    done: oneshot::Sender<Result<Accepted>>,
    /// The time after which the store no longer tries to store the event.
    until: Instant,
    _bytes: OwnedSemaphorePermit,
}

impl Committers {
    pub(crate) fn new(database: Database, work: Arc<Notifier>, settings: StoreSettings) -> Self {
        let bytes = settings.waiting_bytes.min(Semaphore::MAX_PERMITS);
        Self {
            shared: Arc::new(Shared {
                database,
                work,
                settings,
                turn: Arc::new(Semaphore::new(1)),
                aside: Aside::default(),
                watch: OnceLock::new(),
            }),
            state: Mutex::new(State::Idle),
            bytes: Arc::new(Semaphore::new(bytes)),
        }
    }

    /// Sets the function that gets each commit. Only the first function is kept.
    pub(crate) fn watch(&self, watch: CommitWatch) {
        if self.shared.watch.set(watch).is_err() {
            tracing::debug!("the commits of this store are already watched");
        }
    }

    /// Hands an event over and waits for its commit. The event is committed even if the caller stops waiting.
    pub(crate) async fn accept(&self, event: NewEvent) -> Result<Accepted> {
        let sender = self.sender()?;
        let size = u32::try_from(size_of(&event)).unwrap_or(u32::MAX);
        let bytes = Arc::clone(&self.bytes).try_acquire_many_owned(size).map_err(|_| full())?;
        let (done, committed) = oneshot::channel();
        let until = Instant::now() + TRIED;
        sender.try_send(Request { event, done, until, _bytes: bytes }).map_err(|_| full())?;
        drop(sender);
        match timeout(ANSWERED, committed).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(Error::unavailable(
                "the commit of the event was interrupted; the delivery can be repeated",
            )),
            Err(_elapsed) => Err(Error::unavailable(
                "the database did not store the event in time; the delivery can be repeated",
            )),
        }
    }

    /// Waits until the tasks have committed the waiting events, then ends the tasks.
    pub(crate) async fn shutdown(&self) {
        let state = {
            let mut state = lock(&self.state);
            std::mem::replace(&mut *state, State::Ended)
        };
        let State::Running(sender, tasks) = state else { return };
        drop(sender);
        let mut left = tasks.len();
        for task in tasks {
            if let Err(error) = task.await {
                tracing::error!(%error, "a committer ended unexpectedly");
            }
            left -= 1;
            if left == 1 {
                self.shared.aside.end();
            }
        }
    }

    fn sender(&self) -> Result<mpsc::Sender<Request>> {
        let mut state = lock(&self.state);
        if matches!(*state, State::Idle) {
            let (sender, receiver) = mpsc::channel(self.shared.settings.waiting_events.max(1));
            let receiver = Arc::new(AsyncMutex::new(receiver));
            let mut tasks: Vec<JoinHandle<()>> = (0..self.shared.settings.committers.max(1))
                .map(|_| tokio::spawn(run(Arc::clone(&self.shared), Arc::clone(&receiver))))
                .collect();
            // This task comes last, because the other tasks put aside the events that it retries.
            tasks.push(tokio::spawn(aside::run(Arc::clone(&self.shared))));
            *state = State::Running(sender, tasks);
        }
        match &*state {
            State::Running(sender, _) => Ok(sender.clone()),
            State::Idle | State::Ended => Err(full()),
        }
    }
}

/// Runs one committer. Each batch is its own task, so that a panic affects one batch only.
async fn run(shared: Arc<Shared>, receiver: Arc<AsyncMutex<mpsc::Receiver<Request>>>) {
    loop {
        let (batch, _turn) = gather(&receiver, &shared).await;
        if batch.is_empty() {
            return;
        }
        let (known, batch) = shared.aside.sort(batch);
        let committing = Arc::clone(&shared);
        match tokio::spawn(async move { commit(&committing, batch, SEARCH).await }).await {
            Ok(locked) => shared.aside.add(known.into_iter().chain(locked)),
            Err(error) => {
                tracing::error!(%error, "the commit of a batch of events was interrupted");
                shared.aside.add(known);
            }
        }
    }
}

/// Gathers the waiting events, at least one, when no other commit is in progress or the wait for its end took too
/// long. The result is empty when the store shuts down.
async fn gather(
    receiver: &AsyncMutex<mpsc::Receiver<Request>>,
    shared: &Shared,
) -> (Vec<Request>, Option<OwnedSemaphorePermit>) {
    let settings = &shared.settings;
    let mut receiver = receiver.lock().await;
    let Some(first) = receiver.recv().await else { return (Vec::new(), None) };
    let turn = if receiver.len() + 1 < settings.batch_events {
        let turn = timeout(LONG, Arc::clone(&shared.turn).acquire_owned()).await;
        // The semaphore is never closed. A batch whose wait timed out is committed at the same time as the other
        // batch.
        turn.ok().and_then(std::result::Result::ok)
    } else {
        None
    };
    let mut bytes = size_of(&first.event);
    let mut batch = vec![first];
    while batch.len() < settings.batch_events && bytes < settings.batch_bytes {
        let Ok(next) = receiver.try_recv() else { break };
        bytes += size_of(&next.event);
        batch.push(next);
    }
    (batch, turn)
}

/// Commits events and answers their senders. Returns the events that need a row that another session has locked. The
/// search for these events takes at most `search`, and the result includes the events that were not committed by
/// then.
async fn commit(shared: &Shared, batch: Vec<Request>, search: Duration) -> Vec<Request> {
    let mut parts = Parts::of(batch, search);
    let (mut locked, mut was_repeated) = (Vec::new(), false);
    while let Some(batch) = parts.take() {
        let batch = in_time(batch, "storing a pushed event: the database did not store it in time");
        if batch.is_empty() {
            continue;
        }
        let hurries = parts.hurries() || search.is_zero();
        let database = if hurries { shared.database.hurried() } else { shared.database.clone() };
        let events: Vec<&NewEvent> = batch.iter().map(|request| &request.event).collect();
        let began = Instant::now();
        let stored = repeat(IN_BATCH, || store_events(&database, &events)).await;
        drop(events);
        match stored {
            Ok(accepted) => {
                shared.work.announce();
                if let Some(watch) = shared.watch.get() {
                    watch(EventCommit { events: accepted.len(), elapsed: began.elapsed() });
                }
                for (request, accepted) in batch.into_iter().zip(accepted) {
                    answer(request, Ok(accepted));
                }
            }
            Err(error) if is_data_error(&error) => {
                if let Some(request) = parts.halve(batch).pop() {
                    answer(request, Err(classify(error, DOING)));
                }
            }
            Err(error) if is_locked(&error) => locked.extend(parts.halve_locked(batch)),
            // It is unknown whether the events are stored. Another connection may answer, and stored events are then
            // found as duplicates.
            Err(error) if is_unanswered(&error) && !was_repeated => {
                tracing::warn!(
                    %error, events = batch.len(),
                    "the database did not answer a commit of events; trying again"
                );
                was_repeated = true;
                parts.again(batch);
            }
            // The database has no free connection for this process at the moment.
            Err(error) if is_crowded(&error) || matches!(error, sqlx::Error::PoolTimedOut) => {
                parts.again(batch);
            }
            Err(error) => refuse(batch, &classify(error, DOING)),
        }
    }
    locked
}

/// Returns the events whose time is not over. The senders of the other events get an error with this text.
fn in_time(batch: Vec<Request>, text: &str) -> Vec<Request> {
    let now = Instant::now();
    let (open, late): (Vec<Request>, Vec<Request>) = batch.into_iter().partition(|it| it.until > now);
    if !late.is_empty() {
        refuse(late, &Error::unavailable(text));
    }
    open
}

fn refuse(batch: Vec<Request>, cause: &Error) {
    tracing::warn!(error = %cause.chain(), events = batch.len(), "events were not committed");
    for request in batch {
        answer(request, Err(Error::unavailable("the event was not committed").with_source(cause.clone())));
    }
}

fn answer(request: Request, result: Result<Accepted>) {
    // The client may have disconnected. Its event is stored nevertheless.
    let _ = request.done.send(result);
}

/// Returns the approximate memory size of an event.
fn size_of(event: &NewEvent) -> usize {
    // The payload is in memory twice: as bytes, and as the work that follows from the event.
    event.raw_payload.len() * 2 + 512
}

fn full() -> Error {
    let retry = Retry::Transient { retry_after: Some(Duration::from_secs(1)) };
    Error::new(ErrorKind::Unavailable, retry, "too many events wait for their commit; try again in a second")
}
