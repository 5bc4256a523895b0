//! Documents that all processes share. A change reads a document, decides, and writes the document back unless
//! another process wrote it in the meantime.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use serde::{Serialize, de::DeserializeOwned};
use time::OffsetDateTime;
use tokio::time::{Instant, sleep};

use crate::{
    clock::Clock,
    error::{Error, Result},
    lock::lock,
};

/// The number of times that a change is attempted. An attempt fails only if another process changed the document
/// first, so that each failed attempt is progress of another process.
const ATTEMPTS: u32 = 100;

/// A document and its version, as one read returned them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// The number of times that the document was written. The version is 0 if the document does not exist.
    pub version: u64,
    /// The text of the document. It is `None` if the document does not exist.
    pub text: Option<String>,
    /// The time of the read, by the store's clock.
    pub now: OffsetDateTime,
}

/// Keeps named documents for all processes.
///
/// # Contract
/// - A document that was never written has version 0 and no text.
/// - Of several processes that swap the same version of a document, exactly one succeeds. The document then has the
///   text that this process gave, and another version.
/// - Documents of different names are independent of each other.
#[async_trait]
pub trait SharedState: Send + Sync {
    /// Reads a document and the store's clock.
    ///
    /// # Errors
    /// The store does not answer.
    async fn load(&self, name: &str) -> Result<Document>;

    /// Writes the document, unless its version is no longer `version`. Returns true if the document was written.
    ///
    /// # Errors
    /// The store does not answer, or it is not known whether the document was written.
    async fn swap(&self, name: &str, version: u64, text: &str) -> Result<bool>;
}

/// Reads a document. A document that does not exist is read as the default value.
pub(crate) async fn read<S: Default + DeserializeOwned>(
    shared: &dyn SharedState,
    name: &str,
) -> Result<(S, OffsetDateTime)> {
    let document = shared.load(name).await?;
    Ok((understood(name, document.text.as_deref())?, document.now))
}

/// Changes a document in one atomic step. `change` may be called several times; only its last call takes effect.
/// The time that `change` receives is the time of the read, which is never later than the time of the write, so
/// that decisions based on it are cautious.
pub(crate) async fn change<S, T>(
    shared: &dyn SharedState,
    name: &str,
    mut change: impl FnMut(&mut S, OffsetDateTime) -> T + Send,
) -> Result<T>
where
    S: Default + Serialize + DeserializeOwned + Send,
    T: Send,
{
    for attempt in 0..ATTEMPTS {
        let Document { version, text, now } = shared.load(name).await?;
        let mut state: S = understood(name, text.as_deref())?;
        let result = change(&mut state, now);
        let text = serde_json::to_string(&state).map_err(|error| {
            Error::internal(format!("the shared state {name} cannot be written")).with_source(error)
        })?;
        if shared.swap(name, version, &text).await? {
            return Ok(result);
        }
        // The growing delay separates processes that repeatedly change the document at the same time.
        sleep(Duration::from_millis(u64::from(attempt.min(10)))).await;
    }
    Err(Error::unavailable(format!(
        "the shared state {name} could not be changed, because other processes changed it first each time"
    )))
}

fn understood<S: Default + DeserializeOwned>(name: &str, text: Option<&str>) -> Result<S> {
    let Some(text) = text else { return Ok(S::default()) };
    serde_json::from_str(text).map_err(|error| {
        Error::internal(format!("the shared state {name} cannot be parsed")).with_source(error)
    })
}

/// The documents of a process that shares them with no other process. The time starts as the clock's time when the
/// value was created, and advances with tokio's clock, which never jumps.
pub struct LocalState {
    began: OffsetDateTime,
    since: Instant,
    documents: Mutex<HashMap<String, (u64, String)>>,
}

impl LocalState {
    /// Creates a state without documents.
    #[must_use]
    pub fn new(clock: &Arc<dyn Clock>) -> Self {
        Self { began: clock.now(), since: Instant::now(), documents: Mutex::default() }
    }
}

#[async_trait]
impl SharedState for LocalState {
    async fn load(&self, name: &str) -> Result<Document> {
        let documents = lock(&self.documents);
        Ok(document(&documents, name, self.began + self.since.elapsed()))
    }

    async fn swap(&self, name: &str, version: u64, text: &str) -> Result<bool> {
        Ok(replace(&mut lock(&self.documents), name, version, text))
    }
}

/// Returns a document of a map as [`SharedState::load`] does.
pub(crate) fn document(
    documents: &HashMap<String, (u64, String)>,
    name: &str,
    now: OffsetDateTime,
) -> Document {
    let (version, text) =
        documents.get(name).map_or((0, None), |(version, text)| (*version, Some(text.clone())));
    Document { version, text, now }
}

/// Replaces a document of a map, as [`SharedState::swap`] does.
pub(crate) fn replace(
    documents: &mut HashMap<String, (u64, String)>,
    name: &str,
    version: u64,
    text: &str,
) -> bool {
    let entry = documents.entry(name.to_owned()).or_insert_with(|| (0, String::new()));
    if entry.0 != version {
        return false;
    }
    *entry = (version + 1, text.to_owned());
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;

    fn local() -> LocalState {
        LocalState::new(&(Arc::new(SystemClock) as Arc<dyn Clock>))
    }

    #[tokio::test]
    async fn concurrent_changes_are_all_made() {
        let shared = local();
        let add = || change(&shared, "sum", |sum: &mut u32, _| *sum += 1);
        let (one, other) = tokio::join!(add(), add());
        one.and(other).expect("changed");
        assert_eq!(read::<u32>(&shared, "sum").await.expect("readable").0, 2);
    }

    #[tokio::test]
    async fn of_two_swaps_of_one_version_one_succeeds() {
        let shared = local();
        assert!(shared.swap("name", 0, "1").await.expect("swap"));
        assert!(!shared.swap("name", 0, "2").await.expect("swap"));
        assert_eq!(shared.load("name").await.expect("load").text.as_deref(), Some("1"));
        assert_eq!(shared.load("another").await.expect("load").version, 0);
    }
}
