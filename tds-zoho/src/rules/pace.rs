//! The pace of calls to Zoho's settings.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use tokio::time::{Instant, sleep_until};

use super::plan::Step;
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
    /// A creation was not answered.
    pub(super) in_doubt: bool,
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
        Self { every, next: None, created: HashMap::new(), failed: HashSet::new(), in_doubt: false }
    }

    /// Returns true if a creation was not answered: it may still take effect after another one was made in its place.
    #[must_use]
    pub fn is_in_doubt(&self) -> bool {
        self.in_doubt
    }

    /// Returns true if an earlier step of the same group failed.
    #[must_use]
    pub fn has_failed(&self, api: Api, step: &Step) -> bool {
        self.failed.contains(&(api, step.group.clone()))
    }

    pub(super) async fn wait(&mut self) {
        if let Some(next) = self.next {
            sleep_until(next).await;
        }
        self.next = Some(Instant::now() + self.every);
    }
}
