//! Who executes the runs of a bulk sync in the foreground: a server if one works on the database, otherwise this
//! process.

use std::time::Duration;

use tds_core::{error::Result, runs::RunId};
use tokio::time::Instant;

use crate::{
    engine::{Engine, RunningTasks},
    supervise::Supervisor,
};

/// The time between two checks for a server that works on the database.
const LOOK_FOR_SERVERS: Duration = Duration::from_secs(2);

/// The executor of some runs.
pub(crate) struct Execution<'a> {
    engine: &'a Engine,
    runs: Vec<RunId>,
    tasks: Option<RunningTasks>,
    looked: Option<Instant>,
}

impl<'a> Execution<'a> {
    /// Creates the executor of these runs. Nothing is executed before [`Execution::look`].
    pub(crate) fn new(engine: &'a Engine, runs: Vec<RunId>) -> Self {
        Self { engine, runs, tasks: None, looked: None }
    }

    /// Checks from time to time whether a server works on the database, and starts the tasks of this process if there
    /// is none. A server that starts later shares the work: each run and each item belongs to one process at a time.
    /// Returns `true` if a server executes the runs.
    pub(crate) async fn look(&mut self) -> bool {
        if self.tasks.is_some() || self.looked.is_some_and(|at| at.elapsed() < LOOK_FOR_SERVERS) {
            return false;
        }
        self.looked = Some(Instant::now());
        match self.server_works().await {
            Ok(true) => return true,
            Ok(false) => {
                self.tasks = Some(self.engine.start(Some(self.runs.clone()), &Supervisor::default()));
            }
            Err(error) => tracing::warn!(
                error = %error.chain(),
                "it cannot be determined whether a server works on this database"
            ),
        }
        false
    }

    async fn server_works(&self) -> Result<bool> {
        Ok(self.engine.storage.store.live_servers().await?.iter().any(|server| server.works))
    }

    /// Stops the tasks of this process.
    pub(crate) async fn stop(self) {
        if let Some(tasks) = self.tasks {
            tasks.stop().await;
        }
    }
}
