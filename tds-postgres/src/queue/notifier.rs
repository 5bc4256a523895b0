//! Notifies workers that there may be work: the workers of this process at once, the workers of other processes by
//! NOTIFY.
//!
//! Notifications may be lost, and polling finds all work. NOTIFY serialises commits inside PostgreSQL. So a process
//! sends at most ten notifications per second, each in its own transaction after the work is committed. Behind a
//! pooler in transaction mode there are no notifications, because no session can listen. A process with fewer than
//! three connections has no connection for listening.

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

const CHANNEL: &str = "tds_work";
const NOTIFY: &str = "NOTIFY tds_work";
/// The pause between two notifications of a process.
const PAUSE: Duration = Duration::from_millis(100);
/// The delay before a lost listener connects again.
const RECONNECT: Duration = Duration::from_secs(5);
/// A listener that has received no notification for `SILENCE` checks its connection. The answer must arrive within
/// `ANSWER`.
const SILENCE: Duration = Duration::from_secs(20);
const ANSWER: Duration = Duration::from_secs(5);

/// The notifier of a store.
#[derive(Debug)]
pub(crate) struct Notifier {
    database: Database,
    work: Arc<Notify>,
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
            work: Arc::default(),
            pending: AtomicBool::new(false),
            notifying: AtomicBool::new(false),
            listener: OnceLock::new(),
        }
    }

    /// Reports that work that may be due was committed.
    pub(crate) fn announce(self: &Arc<Self>) {
        wake(&self.work);
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

    /// Returns at the next notification, or after the timeout.
    pub(crate) async fn wait(&self, limit: Duration) {
        if self.database.listens() {
            self.listener.get_or_init(|| {
                let listening = listen(self.database.clone(), Arc::downgrade(&self.work));
                tokio::spawn(listening).abort_handle()
            });
        }
        // A timeout is the normal case.
        let _ = tokio::time::timeout(limit, self.work.notified()).await;
    }

    async fn notify(self: Arc<Self>) {
        loop {
            while self.pending.swap(false, Ordering::SeqCst) {
                if let Err(error) = sqlx::raw_sql(NOTIFY).execute(&self.database).await {
                    tracing::debug!(
                        %error,
                        "other processes could not be notified of new work; they find it when they poll"
                    );
                }
                sleep(PAUSE).await;
            }
            self.notifying.store(false, Ordering::SeqCst);
            // An `announce` call during the last step saw the task still notifying, so it started no other task.
            if !self.pending.load(Ordering::SeqCst) || self.notifying.swap(true, Ordering::SeqCst) {
                return;
            }
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

fn wake(work: &Notify) {
    work.notify_waiters();
    // There may be no waiter at the moment. The next waiter then finds the permit.
    work.notify_one();
}

/// Passes on the notifications of other processes, as long as a worker may wait for them.
async fn listen(database: Database, work: Weak<Notify>) {
    loop {
        let error = match hear(&database, &work).await {
            Ok(()) => return,
            Err(error) => error,
        };
        tracing::debug!(
            %error,
            "notifications from other processes do not arrive; this process finds new work when it polls"
        );
        sleep(RECONNECT).await;
    }
}

async fn hear(database: &Database, work: &Weak<Notify>) -> Result<(), sqlx::Error> {
    // The listener uses its own connection. The division of the process's connections reserves it.
    let pool = PgPoolOptions::new().max_connections(1).idle_timeout(None).max_lifetime(None);
    let pool = pool.connect_lazy_with(database.options());
    let connecting = async {
        let mut listener = PgListener::connect_with(&pool).await?;
        listener.listen(CHANNEL).await?;
        Ok(listener)
    };
    let mut listener = answered(connecting).await?;
    loop {
        let received = timeout(SILENCE, listener.recv()).await;
        let Some(work) = work.upgrade() else { return Ok(()) };
        match received {
            Ok(notification) => {
                notification?;
                wake(&work);
            }
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
