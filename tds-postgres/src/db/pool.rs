//! The connections of a process. Each is lent to one task at a time, and every wait for it is bounded: the way to a
//! server can vanish without a word, and then nothing ever answers. A connection that did not answer in time, was cut
//! off in the middle of a statement, or said that its server cannot be worked with, is never lent again.

use std::{
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::{StreamExt as _, future::BoxFuture, stream::BoxStream};
use sqlx::{
    Connection as _, Describe, Either, Execute, Executor as _, PgConnection, Postgres, SqlSafeStr, SqlStr,
    postgres::{PgQueryResult, PgRow, PgStatement, PgTypeInfo},
};
use tokio::{
    runtime::Handle,
    sync::{Notify, OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout},
};

use super::{connector::Connector, error};
use crate::lock::lock;

/// How long opening a connection may take.
const CONNECT: Duration = Duration::from_secs(5);
/// How long a server that refuses connections is tried again.
const UNREACHABLE: Duration = Duration::from_secs(5);
/// A connection that was used a moment ago is lent without a question; others have to answer first, within this time.
const MOMENT: Duration = Duration::from_millis(100);
const ANSWER: Duration = Duration::from_secs(2);
/// A connection is closed after so long without use: others may need its place at the server, above all where the server
/// said lately that it has no more. The last one is kept for longer, and none beyond its age.
const UNUSED: Duration = Duration::from_secs(10);
const UNUSED_WHERE_CROWDED: Duration = Duration::from_secs(1);
const UNUSED_LAST: Duration = Duration::from_secs(5 * 60);
const OLD: Duration = Duration::from_secs(30 * 60);
/// How often the unused ones are looked for.
const TIDY: Duration = Duration::from_secs(2);
/// For how long the server is taken for crowded after it refused a connection.
const LATELY: Duration = Duration::from_secs(60);
/// Where it is crowded, each connection but the last one is given up after so long, and its place stays empty for a
/// moment: others wait for one as well, perhaps those who keep connections for what is urgent.
const TURN: Duration = Duration::from_secs(2);
const BREAK: Duration = Duration::from_secs(1);
/// How long the place of a connection stays empty that the server refused because it has too many.
const CROWDED: Duration = Duration::from_secs(1);
/// An orderly close may take so long.
const CLOSE: Duration = Duration::from_secs(1);

/// What a statement answers, step by step.
pub(crate) type Step = Result<Either<PgQueryResult, PgRow>, sqlx::Error>;

/// How much a pool may have, and how long its users wait.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// The most connections.
    pub(crate) connections: u32,
    /// How long a task waits for a connection.
    pub(crate) patience: Duration,
    /// How long a connection may be silent while something is waited for.
    pub(crate) silence: Duration,
}

/// Connections for one purpose. Clones share them.
#[derive(Clone)]
pub(crate) struct Pool(Arc<Shared>);

struct Shared {
    connector: Arc<Connector>,
    bounds: Bounds,
    places: Arc<Semaphore>,
    idle: Mutex<Vec<Idle>>,
    /// Connections that are lent or idle.
    open: AtomicUsize,
    /// When the server last had no more connections for us.
    crowded: Mutex<Option<Instant>>,
    closed: AtomicBool,
    returned: Notify,
}

struct Idle {
    connection: PgConnection,
    born: Instant,
    since: Instant,
}

impl Pool {
    /// No connection is opened before the first one is needed.
    pub(crate) fn new(connector: Arc<Connector>, bounds: Bounds) -> Self {
        let places = usize::try_from(bounds.connections.max(1)).unwrap_or(1);
        Self(Arc::new(Shared {
            connector,
            bounds,
            places: Arc::new(Semaphore::new(places)),
            idle: Mutex::default(),
            open: AtomicUsize::new(0),
            crowded: Mutex::default(),
            closed: AtomicBool::new(false),
            returned: Notify::new(),
        }))
    }

    /// Waits for a connection, in the order of asking.
    pub(crate) async fn lend(&self) -> Result<Lent, sqlx::Error> {
        let mut refused = None;
        match timeout(self.0.bounds.patience, self.0.find(&mut refused)).await {
            Ok(found) => found,
            Err(_elapsed) => Err(refused.unwrap_or(sqlx::Error::PoolTimedOut)),
        }
    }

    /// Lends no more, and returns when those that were lent are back, or after the time.
    pub(crate) async fn close(&self, patience: Duration) {
        self.0.closed.store(true, Ordering::SeqCst);
        self.0.places.close();
        for idle in self.0.take_idle() {
            self.0.leave(idle.connection).await;
        }
        let all_back = async {
            while self.0.open.load(Ordering::SeqCst) > 0 {
                self.0.returned.notified().await;
            }
        };
        // What is still out then is closed when it comes back.
        let _ = timeout(patience, all_back).await;
    }

    /// Closes what nobody has used for a while, for as long as the pool is there.
    pub(crate) fn keep_tidy(&self) {
        let pool = Arc::downgrade(&self.0);
        let Ok(runtime) = Handle::try_current() else { return };
        runtime.spawn(async move {
            loop {
                tokio::time::sleep(TIDY).await;
                let Some(pool) = pool.upgrade() else { return };
                for unused in pool.take_unused() {
                    pool.leave(unused.connection).await;
                }
            }
        });
    }
}

impl Shared {
    async fn find(self: &Arc<Self>, refused: &mut Option<sqlx::Error>) -> Result<Lent, sqlx::Error> {
        let (mut pause, mut unreachable_since) = (Duration::from_millis(50), None::<Instant>);
        loop {
            let place = Arc::clone(&self.places).acquire_owned().await;
            let place = place.map_err(|_closed| sqlx::Error::PoolClosed)?;
            while let Some(idle) = self.pop() {
                if let Some(idle) = self.tested(idle).await {
                    return Ok(Lent::new(self, idle.connection, idle.born, place));
                }
            }
            let fault = match self.connect().await {
                Ok(connection) => return Ok(Lent::new(self, connection, Instant::now(), place)),
                Err(fault) => fault,
            };
            if error::is_crowded(&fault) {
                *lock(&self.crowded) = Some(Instant::now());
            }
            if error::is_crowded(&fault) && self.open.load(Ordering::SeqCst) > 0 {
                // One of ours will come back sooner.
                self.set_aside(place, &fault);
            } else if error::is_crowded(&fault) {
                drop(place);
                tokio::time::sleep(pause).await;
            } else if error::is_passing(&fault)
                && unreachable_since.get_or_insert_with(Instant::now).elapsed() < UNREACHABLE
            {
                tokio::time::sleep(pause).await;
            } else {
                return Err(fault);
            }
            *refused = Some(fault);
            pause = (pause * 2).min(Duration::from_millis(250));
        }
    }

    async fn connect(&self) -> Result<PgConnection, sqlx::Error> {
        let connecting = timeout(CONNECT, self.connector.connect());
        let connection = connecting.await.unwrap_or_else(|_| Err(error::silent(CONNECT)))?;
        self.open.fetch_add(1, Ordering::SeqCst);
        Ok(connection)
    }

    /// The connection, where it answers.
    async fn tested(&self, mut idle: Idle) -> Option<Idle> {
        if idle.since.elapsed() < MOMENT {
            return Some(idle);
        }
        match timeout(ANSWER, idle.connection.ping()).await {
            Ok(Ok(())) => return Some(idle),
            Ok(Err(error)) => tracing::debug!(%error, "a connection was lost while nobody used it"),
            Err(_elapsed) => {
                tracing::info!("a connection to the database answers no more; others are opened");
                // The others were opened by the same way.
                self.discard_idle();
            }
        }
        self.forget(idle.connection);
        None
    }

    /// The server has no more connections for us: others wait for those that we have.
    fn set_aside(&self, place: OwnedSemaphorePermit, fault: &sqlx::Error) {
        let left = self.open.load(Ordering::SeqCst);
        tracing::warn!(error = %fault, connections = left, "the database takes no more connections; work waits for those that are open");
        leave_empty(place, CROWDED);
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Idle>> {
        lock(&self.idle)
    }

    /// The one that was used last.
    fn pop(&self) -> Option<Idle> {
        self.lock().pop()
    }

    fn take_idle(&self) -> Vec<Idle> {
        std::mem::take(&mut *self.lock())
    }

    fn take_unused(&self) -> Vec<Idle> {
        let is_crowded = self.is_crowded();
        let few = self.open.load(Ordering::SeqCst) <= 1;
        let limit = match (is_crowded, few) {
            (true, _) => UNUSED_WHERE_CROWDED,
            (false, true) => UNUSED_LAST,
            (false, false) => UNUSED,
        };
        let is_unused = |idle: &Idle| idle.since.elapsed() > limit || idle.born.elapsed() > OLD;
        let mut idle = self.lock();
        let (unused, kept) = std::mem::take(&mut *idle).into_iter().partition(is_unused);
        *idle = kept;
        unused
    }

    fn is_crowded(&self) -> bool {
        let crowded = *lock(&self.crowded);
        crowded.is_some_and(|since| since.elapsed() < LATELY)
    }

    /// Drops all that are idle, without a word to the server.
    fn discard_idle(&self) {
        for idle in self.take_idle() {
            self.forget(idle.connection);
        }
    }

    fn forget(&self, connection: PgConnection) {
        drop(connection);
        self.gone();
    }

    async fn leave(&self, connection: PgConnection) {
        // A server that does not listen finds out by itself.
        let _ = timeout(CLOSE, connection.close()).await;
        self.gone();
    }

    fn gone(&self) {
        self.open.fetch_sub(1, Ordering::SeqCst);
        self.returned.notify_one();
    }

    fn take_back(&self, connection: PgConnection, born: Instant, place: OwnedSemaphorePermit) {
        if self.closed.load(Ordering::SeqCst) || born.elapsed() > OLD {
            return self.forget(connection);
        }
        if born.elapsed() > TURN && self.open.load(Ordering::SeqCst) > 1 && self.is_crowded() {
            self.forget(connection);
            return leave_empty(place, BREAK);
        }
        self.lock().push(Idle { connection, born, since: Instant::now() });
        if self.closed.load(Ordering::SeqCst) {
            self.discard_idle();
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.discard_idle();
    }
}

/// A connection in use. It goes back with the value, unless it is spoilt or in the middle of something.
pub(crate) struct Lent {
    connection: Option<PgConnection>,
    pool: Arc<Shared>,
    place: Option<OwnedSemaphorePermit>,
    born: Instant,
    silence: Duration,
    health: Health,
}

#[derive(Default)]
struct Health {
    busy: bool,
    spoilt: bool,
}

impl Health {
    /// Waits for an answer; remembers what it means for the connection.
    async fn answered<T>(
        &mut self,
        connector: &Connector,
        limit: Duration,
        asking: impl Future<Output = Result<T, sqlx::Error>>,
    ) -> Result<T, sqlx::Error> {
        self.busy = true;
        match timeout(limit, asking).await {
            Err(_elapsed) => {
                self.spoilt = true;
                Err(error::silent(limit))
            }
            Ok(Ok(answer)) => {
                self.busy = false;
                Ok(answer)
            }
            Ok(Err(fault)) => {
                self.note(connector, &fault);
                Err(fault)
            }
        }
    }

    fn note(&mut self, connector: &Connector, fault: &sqlx::Error) {
        // The server said what is wrong and waits for the next statement, where the connection is worth anything.
        self.busy = false;
        self.spoilt |= error::is_spoilt(fault);
        if error::is_of_a_pooler(fault) {
            self.spoilt = true;
            connector.found_pooler();
        }
    }
}

impl Lent {
    fn new(pool: &Arc<Shared>, connection: PgConnection, born: Instant, place: OwnedSemaphorePermit) -> Self {
        Self {
            connection: Some(connection),
            pool: Arc::clone(pool),
            place: Some(place),
            born,
            silence: pool.bounds.silence,
            health: Health::default(),
        }
    }

    /// Lets statements take longer than usual.
    pub(crate) fn set_silence(&mut self, silence: Duration) {
        self.silence = silence;
    }

    /// The connection is not to be lent again.
    pub(crate) fn spoil(&mut self) {
        self.health.spoilt = true;
    }

    /// True where nothing can be said to the server any more.
    pub(crate) fn is_spoilt(&self) -> bool {
        self.health.spoilt || self.health.busy
    }

    /// Executes statements without parameters.
    pub(crate) async fn run(&mut self, statement: impl SqlSafeStr) -> Result<(), sqlx::Error> {
        let mut steps = self.fetch_many(sqlx::raw_sql(statement));
        while let Some(step) = steps.next().await {
            step?;
        }
        Ok(())
    }

    pub(crate) fn fetch_many<'e, 'q: 'e, E>(&'e mut self, query: E) -> BoxStream<'e, Step>
    where
        E: 'q + Execute<'q, Postgres>,
    {
        let (silence, health, connector) = (self.silence, &mut self.health, &*self.pool.connector);
        let Some(connection) = &mut self.connection else {
            return futures_util::stream::once(async { Err(sqlx::Error::PoolClosed) }).boxed();
        };
        health.busy = true;
        let steps = connection.fetch_many(query);
        futures_util::stream::unfold(Some((steps, health)), move |state| async move {
            let (mut steps, health) = state?;
            match timeout(silence, steps.next()).await {
                Err(_elapsed) => {
                    health.spoilt = true;
                    Some((Err(error::silent(silence)), None))
                }
                Ok(None) => {
                    health.busy = false;
                    None
                }
                Ok(Some(Err(fault))) => {
                    health.note(connector, &fault);
                    Some((Err(fault), None))
                }
                Ok(Some(Ok(step))) => Some((Ok(step), Some((steps, health)))),
            }
        })
        .boxed()
    }

    pub(crate) fn fetch_optional<'e, 'q: 'e, E>(
        &'e mut self,
        query: E,
    ) -> BoxFuture<'e, Result<Option<PgRow>, sqlx::Error>>
    where
        E: 'q + Execute<'q, Postgres>,
    {
        Box::pin(async move {
            let Some(connection) = &mut self.connection else { return Err(sqlx::Error::PoolClosed) };
            let asking = connection.fetch_optional(query);
            self.health.answered(&self.pool.connector, self.silence, asking).await
        })
    }

    pub(crate) async fn prepare(
        &mut self,
        sql: SqlStr,
        parameters: &[PgTypeInfo],
    ) -> Result<PgStatement, sqlx::Error> {
        let Some(connection) = &mut self.connection else { return Err(sqlx::Error::PoolClosed) };
        let asking = connection.prepare_with(sql, parameters);
        self.health.answered(&self.pool.connector, self.silence, asking).await
    }

    pub(crate) async fn describe(&mut self, sql: SqlStr) -> Result<Describe<Postgres>, sqlx::Error> {
        let Some(connection) = &mut self.connection else { return Err(sqlx::Error::PoolClosed) };
        let asking = connection.describe(sql);
        self.health.answered(&self.pool.connector, self.silence, asking).await
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let Some(connection) = self.connection.take() else { return };
        if self.health.spoilt {
            // The others were opened by the same way, to the same server.
            self.pool.discard_idle();
        }
        match self.place.take() {
            Some(place) if !self.is_spoilt() => self.pool.take_back(connection, self.born, place),
            // The place is free when the connection is closed.
            place => {
                self.pool.forget(connection);
                drop(place);
            }
        }
    }
}

/// Lets nobody have a place for a while.
fn leave_empty(place: OwnedSemaphorePermit, time: Duration) {
    if let Ok(runtime) = Handle::try_current() {
        runtime.spawn(async move {
            tokio::time::sleep(time).await;
            drop(place);
        });
    }
}
