//! Keeps the server of a cluster running until it is ordered to stop the server.

use std::time::Duration;

use tds_core::error::{Error, Result};
use tokio::{sync::oneshot, task::JoinHandle};

use super::server::Server;

/// The interval between two checks of the server.
const LOOK: Duration = Duration::from_secs(1);
/// The pause after a failed start.
const REST: Duration = Duration::from_secs(5);

/// A task that starts the server again after something killed it. Dropping the guardian does not stop the server.
#[derive(Debug)]
pub(super) struct Guardian {
    stop: oneshot::Sender<()>,
    task: JoinHandle<Result<()>>,
}

impl Guardian {
    pub(super) fn of(server: Server, password: String) -> Self {
        let (stop, stopped) = oneshot::channel();
        Self { stop, task: tokio::spawn(guard(server, password, stopped)) }
    }

    /// Stops the server.
    pub(super) async fn stop(self) -> Result<()> {
        // The message is lost only if the task has already ended. The task's result then says why.
        let _ = self.stop.send(());
        let lost = |error| Err(Error::internal("watching over the private PostgreSQL").with_source(error));
        self.task.await.unwrap_or_else(lost)
    }
}

async fn guard(mut server: Server, password: String, mut stopped: oneshot::Receiver<()>) -> Result<()> {
    loop {
        tokio::select! {
            order = &mut stopped => return if order.is_ok() { server.stop().await } else { Ok(()) },
            () = look(&mut server, &password) => {}
        }
    }
}

async fn look(server: &mut Server, password: &str) {
    tokio::time::sleep(LOOK).await;
    if server.is_alive().await {
        return;
    }
    tracing::warn!(log = server.end_of_log(), "the private PostgreSQL has ended; it is started again");
    match server.revive(password).await {
        Ok(()) => tracing::info!("the private PostgreSQL answers again"),
        Err(error) => {
            tracing::error!(error = %error.chain(), "the private PostgreSQL does not start");
            tokio::time::sleep(REST).await;
        }
    }
}
