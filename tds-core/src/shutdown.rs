//! The shutdown signal: one signal tells every part of the engine to stop.

use tokio::sync::watch;

/// The sender of the shutdown signal. Dropping the trigger also raises the signal.
#[derive(Debug)]
pub struct ShutdownTrigger(watch::Sender<bool>);

/// A listener for the shutdown signal. Clones listen for the same signal.
#[derive(Clone, Debug)]
pub struct Shutdown(watch::Receiver<bool>);

impl ShutdownTrigger {
    /// Creates a trigger and its listener.
    #[must_use]
    pub fn new() -> (Self, Shutdown) {
        let (sender, receiver) = watch::channel(false);
        (Self(sender), Shutdown(receiver))
    }

    /// Raises the signal: every listener is told to stop.
    pub fn shutdown(&self) {
        self.0.send_replace(true);
    }
}

impl Shutdown {
    /// Returns true once the signal was raised.
    #[must_use]
    pub fn is_set(&self) -> bool {
        *self.0.borrow() || self.0.has_changed().is_err()
    }

    /// Waits until the signal is raised.
    pub async fn wait(&self) {
        let mut receiver = self.0.clone();
        // `wait_for` fails if the trigger was dropped. A dropped trigger counts as the signal.
        let _ = receiver.wait_for(|stop| *stop).await;
    }

    /// Sleeps for the duration, or until the signal is raised. Returns true if the signal was raised.
    pub async fn sleep(&self, duration: std::time::Duration) -> bool {
        tokio::select! {
            biased;
            () = self.wait() => true,
            () = tokio::time::sleep(duration) => false,
        }
    }
}
