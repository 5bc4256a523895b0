//! Group commit: events that arrive while one commit is under way go into the next, together.
//!
//! An idle store commits an event at once; a busy one commits what has gathered meanwhile. Few large commits cost less
//! than many small ones side by side: a second one begins only where the first takes long, as when it waits for a lock,
//! or where enough for a whole batch has gathered.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{Mutex as AsyncMutex, OwnedSemaphorePermit, Semaphore, mpsc, oneshot},
    task::JoinHandle,
};

use tds_core::{Accepted, Error, ErrorKind, NewEvent, Result, Retry};

use crate::{
    Database, StoreSettings,
    error::{classify, is_data_error},
    hints::Hints,
    inbox::store_events,
    store::repeat,
};

const DOING: &str = "storing a pushed event";
/// A commit that takes longer than this is not waited for.
const LONG: Duration = Duration::from_millis(20);

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
    work: Arc<Hints>,
    settings: StoreSettings,
    /// Held by the commit under way.
    turn: Arc<Semaphore>,
}

struct Request {
    event: NewEvent,
    done: oneshot::Sender<Result<Accepted>>,
    _bytes: OwnedSemaphorePermit,
}

impl Committers {
    pub(crate) fn new(database: Database, work: Arc<Hints>, settings: StoreSettings) -> Self {
        let bytes = settings.waiting_bytes.min(Semaphore::MAX_PERMITS);
        Self {
            shared: Arc::new(Shared { database, work, settings, turn: Arc::new(Semaphore::new(1)) }),
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
        sender.try_send(Request { event, done, _bytes: bytes }).map_err(|_| full())?;
        drop(sender);
        match committed.await {
            Ok(result) => result,
            Err(_) => {
                Err(Error::unavailable("the event's commit was cut short; the delivery can be repeated"))
            }
        }
    }

    /// Lets the tasks commit what waits, then end.
    pub(crate) async fn shutdown(&self) {
        let state = {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *state, State::Ended)
        };
        let State::Running(sender, tasks) = state else { return };
        drop(sender);
        for task in tasks {
            if let Err(error) = task.await {
                tracing::error!(%error, "a committer ended badly");
            }
        }
    }

    fn sender(&self) -> Result<mpsc::Sender<Request>> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(*state, State::Idle) {
            let (sender, receiver) = mpsc::channel(self.shared.settings.waiting_events.max(1));
            let receiver = Arc::new(AsyncMutex::new(receiver));
            let tasks = (0..self.shared.settings.committers.max(1))
                .map(|_| tokio::spawn(run(Arc::clone(&self.shared), Arc::clone(&receiver))))
                .collect();
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
        if let Err(error) = tokio::spawn(commit(Arc::clone(&shared), batch)).await {
            tracing::error!(%error, "a batch of events was cut short");
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
        let turn = tokio::time::timeout(LONG, Arc::clone(&shared.turn).acquire_owned()).await;
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

async fn commit(shared: Arc<Shared>, batch: Vec<Request>) {
    // Where the data of an event is at fault, halves are tried until it stands alone.
    let mut waiting = vec![batch];
    while let Some(mut batch) = waiting.pop() {
        let events: Vec<&NewEvent> = batch.iter().map(|request| &request.event).collect();
        let (database, events) = (&shared.database, events.as_slice());
        match repeat(|| store_events(database, events)).await {
            Ok(accepted) => {
                shared.work.announce();
                for (request, accepted) in batch.into_iter().zip(accepted) {
                    answer(request, Ok(accepted));
                }
            }
            Err(error) if is_data_error(&error) && batch.len() > 1 => {
                let second = batch.split_off(batch.len() / 2);
                waiting.extend([second, batch]);
            }
            Err(error) if is_data_error(&error) => {
                if let Some(request) = batch.pop() {
                    answer(request, Err(classify(error, DOING)));
                }
            }
            Err(error) => {
                let cause = classify(error, DOING);
                tracing::warn!(error = %cause.chain(), events = batch.len(), "events were not committed");
                for request in batch {
                    answer(request, Err(Error::unavailable(cause.chain())));
                }
            }
        }
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
