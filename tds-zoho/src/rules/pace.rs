//! The pace of calls to Zoho's settings.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use tokio::time::{Instant, sleep_until};

use crate::answer::Api;

/// The pause between two calls. Zoho throttles these addresses sooner than others (`zoho-api.md` section 4.1).
const PACE: Duration = Duration::from_millis(600);

/// Keeps calls to Zoho's settings apart, and remembers what earlier steps of the same command created.
pub struct Pace {
    every: Duration,
    next: Option<Instant>,
    /// The ids of created webhooks, by their names.
    pub(super) created: HashMap<String, String>,
    /// The groups of steps of which one failed.
    pub(super) failed: HashSet<(Api, String)>,
}

impl Default for Pace {
    fn default() -> Self {
        Self::new(PACE)
    }
}

impl Pace {
    /// Creates a pace with this pause between two calls.
    #[must_use]
    pub fn new(every: Duration) -> Self {
        Self { every, next: None, created: HashMap::new(), failed: HashSet::new() }
    }

    pub(super) async fn wait(&mut self) {
        if let Some(next) = self.next {
            sleep_until(next).await;
        }
        self.next = Some(Instant::now() + self.every);
    }
}
