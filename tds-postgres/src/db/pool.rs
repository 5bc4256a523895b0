//! The connections of a process. The pool lends each connection to one task at a time. Every wait for a connection
//! has a time limit, because the network path to a server can disappear without notice, and then no answer ever
//! arrives. A connection is never lent again if it did not answer in time, was interrupted in the middle of a
//! statement, or reported that its server cannot be used.

mod figures;

use std::{
    sync::{
        Arc, Mutex, MutexGuard, Weak,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::{StreamExt as _, future::BoxFuture, stream::BoxStream};
use sqlx::{
    Connection as _, Describe, Either, Execute, Executor as _, PgConnection, Postgres, SqlSafeStr, SqlStr,
    postgres::{PgQueryResult, PgRow, PgStatement, PgTypeInfo},
};
use tds_core::lock::lock;
use tokio::{
    runtime::Handle,
    sync::{Notify, OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout},
};

use self::figures::Counts;
pub use self::figures::PoolFigures;
use super::{connector::Connector, error, schemas::Rendered};

/// The time limit for opening a connection.
const CONNECT: Duration = Duration::from_secs(5);
/// How long the pool keeps trying a server that refuses connections.
const UNREACHABLE: Duration = Duration::from_secs(5);
/// A connection that was used less than `MOMENT` ago is lent without a check. Other connections must first answer a
/// ping within `ANSWER`.
const MOMENT: Duration = Duration::from_millis(100);
const ANSWER: Duration = Duration::from_secs(2);
/// An unused connection is closed after `UNUSED`, because other clients may need its place at the server. The time is
/// shorter if the server recently had no more connections. The last connection is kept for longer. No connection is
/// kept beyond `OLD`.
const UNUSED: Duration = Duration::from_secs(10);
const UNUSED_WHERE_CROWDED: Duration = Duration::from_secs(1);
const UNUSED_LAST: Duration = Duration::from_secs(5 * 60);
const OLD: Duration = Duration::from_secs(30 * 60);
/// How often the pool looks for unused connections.
const TIDY: Duration = Duration::from_secs(2);
/// How long the server counts as crowded after it refused a connection.
const LATELY: Duration = Duration::from_secs(60);
/// While the server is crowded, the pool gives up each connection except the last one after `TURN`. The place of the
/// connection then stays empty for `BREAK`. Other clients also wait for connections, possibly those that reserve
/// connections for urgent work.
const TURN: Duration = Duration::from_secs(2);
const BREAK: Duration = Duration::from_secs(1);
/// How long the place of a connection stays empty after the server refused it for having too many connections.
const CROWDED: Duration = Duration::from_secs(1);
/// The time limit of an orderly close.
const CLOSE: Duration = Duration::from_secs(1);

/// One step of the answer to a statement.
pub(crate) type Step = Result<Either<PgQueryResult, PgRow>, sqlx::Error>;

/// The size of a pool, and the time limits for its users.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// The maximum number of connections.
    pub(crate) connections: u32,
    /// How long a task waits for a connection.
    pub(crate) patience: Duration,
    /// How long a connection may be silent while a task waits for its answer.
    pub(crate) silence: Duration,
}

/// The connections for one purpose. All clones share the connections.
#[derive(Clone)]
pub(crate) struct Pool(Arc<Shared>);

struct Shared {
    connector: Arc<Connector>,
    bounds: Bounds,
    places: Arc<Semaphore>,
    idle: Mutex<Vec<Idle>>,
    /// The number of connections that are lent or idle.
    open: AtomicUsize,
    /// The last time when the server had no more connections for this process.
    crowded: Mutex<Option<Instant>>,
    /// Why the last attempt to open a connection failed; `None` after a success.
    fault: Mutex<Option<String>>,
    closed: AtomicBool,
    returned: Notify,
    counts: Counts,
}

struct Idle {
    connection: PgConnection,
    born: Instant,
    since: Instant,
}

impl Pool {
    /// Creates a pool. The pool opens a connection only when a task needs it, and closes connections that no task has
    /// used for a while.
    pub(crate) fn new(connector: Arc<Connector>, bounds: Bounds) -> Self {
        let places = usize::try_from(bounds.connections.max(1)).unwrap_or(1);
        let shared = Arc::new(Shared {
            connector,
            bounds,
            places: Arc::new(Semaphore::new(places)),
            idle: Mutex::default(),
            open: AtomicUsize::new(0),
            crowded: Mutex::default(),
            fault: Mutex::default(),
            closed: AtomicBool::new(false),
            returned: Notify::new(),
            counts: Counts::default(),
        });
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(keep_tidy(Arc::downgrade(&shared)));
        }
        Self(shared)
    }

    /// Waits for a connection. Waiting tasks are served in the order of their requests.
    pub(crate) async fn lend(&self) -> Result<Lent, sqlx::Error> {
        self.lend_within(self.0.bounds.patience).await
    }

    /// Like [`Pool::lend`], with another time limit.
    async fn lend_within(&self, patience: Duration) -> Result<Lent, sqlx::Error> {
        let mut refused = None;
        let _waiting = self.0.counts.ask(self.0.places.available_permits() == 0);
        match timeout(patience, self.0.find(&mut refused)).await {
            Ok(found) => found,
            Err(_elapsed) => {
                self.0.counts.give_up();
                Err(refused.unwrap_or(sqlx::Error::PoolTimedOut))
            }
        }
    }

    /// Like [`Pool::lend`], but asks whether the server answers: the error of a wait that was too long says why no
    /// connection could be opened, unless all of them are in use.
    pub(crate) async fn lend_to_ask(&self, patience: Duration) -> Result<Lent, sqlx::Error> {
        match self.lend_within(patience).await {
            Err(sqlx::Error::PoolTimedOut) if self.figures().has_free_place() => {
                let fault = lock(&self.0.fault).clone();
                Err(fault.map_or_else(|| error::silent(patience), |cause| error::unreachable(&cause)))
            }
            lent => lent,
        }
    }

    /// Returns true if both values are clones of one pool.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Returns the figures of this moment.
    pub(crate) fn figures(&self) -> PoolFigures {
        let (open, idle) = (self.0.open.load(Ordering::SeqCst), self.0.lock().len());
        self.0.counts.figures(self.0.bounds.connections.max(1), open, idle)
    }

    /// Stops lending. Returns when all lent connections are back, or after `patience`.
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
        // Connections that are still lent are closed when they come back.
        let _ = timeout(patience, all_back).await;
    }
}

/// Closes connections that no task has used for a while, as long as the pool exists.
async fn keep_tidy(pool: Weak<Shared>) {
    loop {
        tokio::time::sleep(TIDY).await;
        let Some(pool) = pool.upgrade() else { return };
        for unused in pool.take_unused() {
            pool.leave(unused.connection).await;
        }
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
                // A connection of this pool becomes free sooner, so the waiting tasks wait for it.
                tracing::warn!(
                    error = %fault, connections = self.open.load(Ordering::SeqCst),
                    "the database accepts no more connections; work waits for the connections that are open"
                );
                leave_empty(place, CROWDED);
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
        let connected = connecting.await.unwrap_or_else(|_| Err(error::silent(CONNECT)));
        *lock(&self.fault) = connected.as_ref().err().map(error::cause);
        let connection = connected?;
        self.open.fetch_add(1, Ordering::SeqCst);
        Ok(connection)
    }

    /// Returns the connection if it answers.
    async fn tested(&self, mut idle: Idle) -> Option<Idle> {
        if idle.since.elapsed() < MOMENT {
            return Some(idle);
        }
        match timeout(ANSWER, idle.connection.ping()).await {
            Ok(Ok(())) => return Some(idle),
            Ok(Err(error)) => tracing::debug!(%error, "an idle connection was lost"),
            Err(_elapsed) => {
                tracing::info!(
                    "a connection to the database does not answer any more; another one is opened"
                );
                // The other idle connections use the same network path.
                self.discard_idle();
            }
        }
        self.forget(idle.connection);
        None
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Idle>> {
        lock(&self.idle)
    }

    /// Returns the connection that was used last.
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

    /// Drops all idle connections without a message to the server.
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
        // A server that does not receive the message detects the end by itself.
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

/// A connection in use. The connection returns to the pool when the value is dropped, unless the connection is spoilt
/// or in the middle of a statement.
pub(crate) struct Lent {
    connection: Option<PgConnection>,
    pool: Arc<Shared>,
    place: Option<OwnedSemaphorePermit>,
    born: Instant,
    /// How long the connection may be silent during a statement.
    pub(super) silence: Duration,
    health: Health,
}

#[derive(Default)]
struct Health {
    busy: bool,
    spoilt: bool,
}

impl Health {
    /// Waits for an answer, and records what the answer means for the connection.
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
        // The server reported the error and waits for the next statement, unless the connection is spoilt.
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

    /// Marks the connection so that it is not lent again.
    pub(crate) fn spoil(&mut self) {
        self.health.spoilt = true;
    }

    /// Returns true if no further statement can be sent over the connection.
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
        let steps = connection.fetch_many(Rendered { query, schemas: Arc::clone(&connector.schemas) });
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
            let query = Rendered { query, schemas: Arc::clone(&self.pool.connector.schemas) };
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
        let asking = connection.prepare_with(self.pool.connector.schemas.render_statement(sql), parameters);
        self.health.answered(&self.pool.connector, self.silence, asking).await
    }

    pub(crate) async fn describe(&mut self, sql: SqlStr) -> Result<Describe<Postgres>, sqlx::Error> {
        let Some(connection) = &mut self.connection else { return Err(sqlx::Error::PoolClosed) };
        let asking = connection.describe(self.pool.connector.schemas.render_statement(sql));
        self.health.answered(&self.pool.connector, self.silence, asking).await
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let Some(connection) = self.connection.take() else { return };
        if self.health.spoilt {
            // The idle connections use the same network path to the same server.
            self.pool.discard_idle();
        }
        match self.place.take() {
            Some(place) if !self.is_spoilt() => self.pool.take_back(connection, self.born, place),
            // The place becomes free when the connection is closed.
            place => {
                self.pool.forget(connection);
                drop(place);
            }
        }
    }
}

/// Keeps a place empty for a while.
fn leave_empty(place: OwnedSemaphorePermit, time: Duration) {
    if let Ok(runtime) = Handle::try_current() {
        runtime.spawn(async move {
            tokio::time::sleep(time).await;
            drop(place);
        });
    }
}
