//! Group commit: events that arrive while one commit is under way go into the next, together.
//!
//! An idle store commits an event at once; a busy one commits what has gathered meanwhile. Few large commits cost less
//! than many small ones side by side: a second one begins only where the first takes long, as when it waits for a lock,
//! or where enough for a whole batch has gathered.
//!
//! An event whose record somebody else has locked is put aside and tried again by itself, so that no other event waits
//! for that lock. Every event gets an answer within ten seconds.

mod aside;

use std::{
    sync::{Arc, Mutex},
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
};

use self::aside::Aside;
use super::ingest::store_events;
use crate::{
    Database,
    db::{
        error::{classify, is_crowded, is_data_error, is_locked, is_unanswered},
        retry::{Parts, SEARCH, repeat_batch},
    },
    lock::lock,
    queue::notifier::Notifier,
};

const DOING: &str = "storing a pushed event";
/// A commit that takes longer than this is not waited for.
const LONG: Duration = Duration::from_millis(20);
/// How long an event is tried to be stored, and how long its sender waits for the answer at most.
const TRIED: Duration = Duration::from_secs(8);
const ANSWERED: Duration = Duration::from_millis(9_500);

/// Bounds of the store.
#[derive(Clone, Debug)]
pub struct StoreSettings {
    /// Tasks that commit accepted events, each on a connection of its own.
    pub committers: usize,
    /// Events of one commit at most.
    pub batch_events: usize,
    /// Bytes of one commit at most, but for a single event that is larger.
    pub batch_bytes: usize,
    /// Events that may wait for their commit; beyond that `accept` answers `Unavailable`.
    pub waiting_events: usize,
    /// Bytes that may wait for their commit.
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

/// The tasks that commit, and the way to them.
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
    /// Held by the commit under way.
    turn: Arc<Semaphore>,
    /// What waits for other people's locks.
    aside: Aside,
}

struct Request {
    event: NewEvent,
    done: oneshot::Sender<Result<Accepted>>,
    /// It is not tried any more after this.
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
            }),
            state: Mutex::new(State::Idle),
            bytes: Arc::new(Semaphore::new(bytes)),
        }
    }

    /// Hands an event over and waits for its commit. The event is committed also where nobody waits any more.
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
            Ok(Err(_)) => {
                Err(Error::unavailable("the event's commit was cut short; the delivery can be repeated"))
            }
            Err(_elapsed) => Err(Error::unavailable(
                "the database did not store the event in time; the delivery can be repeated",
            )),
        }
    }

    /// Lets the tasks commit what waits, then end.
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
                tracing::error!(%error, "a committer ended badly");
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
            // The last one, because the others put aside what it waits for.
            tasks.push(tokio::spawn(aside::run(Arc::clone(&self.shared))));
            *state = State::Running(sender, tasks);
        }
        match &*state {
            State::Running(sender, _) => Ok(sender.clone()),
            State::Idle | State::Ended => Err(full()),
        }
    }
}

/// One committer. Each batch is a task of its own, so that a panic costs one batch only.
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
                tracing::error!(%error, "a batch of events was cut short");
                shared.aside.add(known);
            }
        }
    }
}

/// What has gathered when no other commit is under way, at least one; empty when the store shuts down.
async fn gather(
    receiver: &AsyncMutex<mpsc::Receiver<Request>>,
    shared: &Shared,
) -> (Vec<Request>, Option<OwnedSemaphorePermit>) {
    let settings = &shared.settings;
    let mut receiver = receiver.lock().await;
    let Some(first) = receiver.recv().await else { return (Vec::new(), None) };
    let turn = if receiver.len() + 1 < settings.batch_events {
        let turn = timeout(LONG, Arc::clone(&shared.turn).acquire_owned()).await;
        // The semaphore is never closed; who waited in vain begins beside the other.
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

/// Commits events and answers their senders. Returns the events that need what somebody else has locked; a batch is
/// searched for them for so long, and what was not done by then is among them.
async fn commit(shared: &Shared, batch: Vec<Request>, search: Duration) -> Vec<Request> {
    let mut parts = Parts::of(batch, search);
    let (mut locked, mut was_repeated) = (Vec::new(), false);
    while let Some(batch) = parts.take() {
        let batch = in_time(batch);
        if batch.is_empty() {
            continue;
        }
        let hurries = parts.hurries() || search.is_zero();
        let database = if hurries { shared.database.hurried() } else { shared.database.clone() };
        let events: Vec<&NewEvent> = batch.iter().map(|request| &request.event).collect();
        let stored = repeat_batch(|| store_events(&database, &events)).await;
        drop(events);
        match stored {
            Ok(accepted) => {
                shared.work.announce();
                for (request, accepted) in batch.into_iter().zip(accepted) {
                    answer(request, Ok(accepted));
                }
            }
            Err(error) if is_data_error(&error) => {
                if let Some(request) = parts.halve(batch).and_then(|mut single| single.pop()) {
                    answer(request, Err(classify(error, DOING)));
                }
            }
            Err(error) if is_locked(&error) => locked.extend(parts.halve_locked(batch).into_iter().flatten()),
            // Nobody knows whether they are stored. Another connection may answer; what is stored is found then.
            Err(error) if is_unanswered(&error) && !was_repeated => {
                tracing::warn!(%error, events = batch.len(), "storing events was not answered; trying again");
                was_repeated = true;
                parts.again(batch);
            }
            // There is no connection for us just now.
            Err(error) if is_crowded(&error) || matches!(error, sqlx::Error::PoolTimedOut) => {
                parts.again(batch);
            }
            Err(error) => refuse(batch, &classify(error, DOING)),
        }
    }
    locked
}

/// Those that are still to be tried; the others are told that it is over.
fn in_time(batch: Vec<Request>) -> Vec<Request> {
    let now = Instant::now();
    let (open, late): (Vec<Request>, Vec<Request>) = batch.into_iter().partition(|it| it.until > now);
    if !late.is_empty() {
        refuse(late, &Error::unavailable(format!("{DOING}: the database did not take it in time")));
    }
    open
}

fn refuse(batch: Vec<Request>, cause: &Error) {
    tracing::warn!(error = %cause.chain(), events = batch.len(), "events were not committed");
    for request in batch {
        answer(request, Err(Error::unavailable(cause.chain())));
    }
}

fn answer(request: Request, result: Result<Accepted>) {
    // The client may have gone; what it sent is stored nevertheless.
    let _ = request.done.send(result);
}

/// About what the event takes in memory.
fn size_of(event: &NewEvent) -> usize {
    // The payload is held twice: as bytes, and as the work that follows from it.
    event.raw_payload.len() * 2 + 512
}

fn full() -> Error {
    let retry = Retry::Transient { retry_after: Some(Duration::from_secs(1)) };
    Error::new(ErrorKind::Unavailable, retry, "too many events wait for their commit; try again in a second")
}
