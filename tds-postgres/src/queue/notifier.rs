//! Notifies workers that there may be items or runs: the workers of this process at once, the workers of other
//! processes by NOTIFY.
//!
//! Notifications may be lost, and polling finds all work. NOTIFY serialises commits inside PostgreSQL. So a process
//! sends at most ten notifications per second, each in its own transaction after the work is committed. Behind a
//! pooler in transaction mode no session can listen, and a process with fewer than three connections has no connection
//! for listening.

use std::{
    sync::{
        Arc, OnceLock, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use sqlx::postgres::{PgListener, PgPoolOptions};
use tokio::{
    runtime::Handle,
    sync::Notify,
    task::AbortHandle,
    time::{sleep, timeout},
};

use crate::{Database, db::error::silent};

/// Each organization of a database has a channel of its own.
const CHANNEL: &str = "SELECT tds_own('tds_work')";
const NOTIFY: &str = "SELECT pg_notify(tds_own('tds_work'), '')";
/// The payload of a notification about runs. Versions of the program that do not know it look for items instead.
const RUNS: &str = "runs";
const NOTIFY_RUNS: &str = "SELECT pg_notify(tds_own('tds_work'), 'runs')";
/// The pause between two notifications of a process.
const PAUSE: Duration = Duration::from_millis(100);
/// The delay before a lost listener connects again.
const RECONNECT: Duration = Duration::from_secs(5);
/// A listener that has received no notification for `SILENCE` checks its connection. The answer must arrive within
/// `ANSWER`.
const SILENCE: Duration = Duration::from_secs(20);
const ANSWER: Duration = Duration::from_secs(5);

/// The longest wait for a run if this process does not hear of the runs that other processes create.
const UNHEARD: Duration = Duration::from_secs(5);

/// The signals that the workers of this process wait for.
#[derive(Debug, Default)]
struct Signals {
    items: Notify,
    /// Wakes one worker: one look finds a run.
    runs: Notify,
    /// True while the notifications of other processes arrive.
    hears: AtomicBool,
}

/// The notifier of a store.
#[derive(Debug)]
pub(crate) struct Notifier {
    database: Database,
    signals: Arc<Signals>,
    /// `pending`: there is work of which the other processes were not notified yet. `notifying`: a task is about to
    /// notify them.
    pending: AtomicBool,
    notifying: AtomicBool,
    listener: OnceLock<AbortHandle>,
}

impl Notifier {
    pub(crate) fn new(database: Database) -> Self {
        Self {
            database,
            signals: Arc::default(),
            pending: AtomicBool::new(false),
            notifying: AtomicBool::new(false),
            listener: OnceLock::new(),
        }
    }

    /// Reports that items that may be due were committed.
    pub(crate) fn announce(self: &Arc<Self>) {
        wake(&self.signals.items);
        if self.database.is_pooled() {
            return;
        }
        self.pending.store(true, Ordering::SeqCst);
        if !self.notifying.swap(true, Ordering::SeqCst)
            && let Ok(runtime) = Handle::try_current()
        {
            runtime.spawn(Arc::clone(self).notify());
        }
    }

    /// Reports that a run that may be claimed was committed. Such reports are rare, so each of them is sent to the other
    /// processes, before the method returns: a command ends soon after it.
    pub(crate) async fn announce_run(&self) {
        self.signals.runs.notify_one();
        self.send(NOTIFY_RUNS).await;
    }

    /// Wakes the workers of this process, after a look that found a free run or local changes.
    pub(crate) fn wake_for(&self, run_is_free: bool, changes_wait: bool) {
        if run_is_free {
            self.signals.runs.notify_one();
        }
        // The relay of local changes waits for the same signal as the workers for items.
        if changes_wait {
            wake(&self.signals.items);
        }
    }

    /// Returns at the next notification about items, or after the timeout.
    pub(crate) async fn wait(&self, limit: Duration) {
        self.start_listening();
        // A timeout is the normal case.
        let _ = timeout(limit, self.signals.items.notified()).await;
    }

    /// Returns at the next notification about runs, or after the timeout. If this process hears no
    /// notifications, the method returns after `UNHEARD` at the latest.
    pub(crate) async fn wait_for_run(&self, limit: Duration) {
        self.start_listening();
        let hears = self.signals.hears.load(Ordering::SeqCst);
        let limit = if hears { limit } else { limit.min(UNHEARD) };
        // A timeout is the normal case.
        let _ = timeout(limit, self.signals.runs.notified()).await;
    }

    fn start_listening(&self) {
        if self.database.listens() {
            self.listener.get_or_init(|| {
                let listening = listen(self.database.clone(), Arc::downgrade(&self.signals));
                tokio::spawn(listening).abort_handle()
            });
        }
    }

    async fn notify(self: Arc<Self>) {
        loop {
            while self.pending.swap(false, Ordering::SeqCst) {
                self.send(NOTIFY).await;
                sleep(PAUSE).await;
            }
            self.notifying.store(false, Ordering::SeqCst);
            // An `announce` call during the last step saw the task still notifying, so it started no other task.
            if !self.pending.load(Ordering::SeqCst) || self.notifying.swap(true, Ordering::SeqCst) {
                return;
            }
        }
    }

    async fn send(&self, notification: &'static str) {
        if let Err(error) = sqlx::raw_sql(notification).execute(&self.database).await {
            tracing::debug!(
                %error,
                "other processes could not be notified of new work; they find it when they poll"
            );
        }
    }

    /// Stops listening.
    pub(crate) fn shutdown(&self) {
        if let Some(listener) = self.listener.get() {
            listener.abort();
        }
    }
}

impl Drop for Notifier {
    fn drop(&mut self) {
        self.shutdown();
    }
}

fn wake(signal: &Notify) {
    signal.notify_waiters();
    // There may be no waiter at the moment. The next waiter then finds the permit.
    signal.notify_one();
}

/// Passes on the notifications of other processes, as long as a worker may wait for them.
async fn listen(database: Database, signals: Weak<Signals>) {
    loop {
        let error = match hear(&database, &signals).await {
            Ok(()) => return,
            Err(error) => error,
        };
        let Some(signals) = signals.upgrade() else { return };
        signals.hears.store(false, Ordering::SeqCst);
        drop(signals);
        tracing::debug!(
            %error,
            "notifications from other processes do not arrive; this process finds new work when it polls"
        );
        sleep(RECONNECT).await;
    }
}

async fn hear(database: &Database, signals: &Weak<Signals>) -> Result<(), sqlx::Error> {
    // The listener uses its own connection. The division of the process's connections reserves it.
    let pool = PgPoolOptions::new().max_connections(1).idle_timeout(None).max_lifetime(None);
    let pool = pool.connect_lazy_with(database.options());
    let connecting = async {
        let mut listener = PgListener::connect_with(&pool).await?;
        let channel: String = sqlx::query_scalar(CHANNEL).fetch_one(&mut listener).await?;
        listener.listen(&channel).await?;
        Ok(listener)
    };
    let mut listener = answered(connecting).await?;
    let Some(listening) = signals.upgrade() else { return Ok(()) };
    listening.hears.store(true, Ordering::SeqCst);
    // Nobody heard what was sent before.
    wake(&listening.items);
    listening.runs.notify_one();
    drop(listening);
    loop {
        let received = timeout(SILENCE, listener.recv()).await;
        let Some(signals) = signals.upgrade() else { return Ok(()) };
        match received {
            Ok(notification) => match notification?.payload() {
                RUNS => signals.runs.notify_one(),
                _ => wake(&signals.items),
            },
            // Either no notification was sent, or the connection is lost.
            Err(_elapsed) => {
                answered(sqlx::raw_sql("SELECT 1").execute(&mut listener)).await?;
            }
        }
    }
}

async fn answered<T>(asking: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, sqlx::Error> {
    timeout(ANSWER, asking).await.unwrap_or_else(|_| Err(silent(ANSWER)))
}
