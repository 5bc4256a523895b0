//! What a test reads of an organization besides its records: the numbers of calls, tokens and refusals so far.

use super::faults::matches;
use crate::sim::{Module, SharedOrganization};

impl SharedOrganization {
    /// Returns the number of a module's records.
    #[must_use]
    pub fn count(&self, module: Module) -> usize {
        self.lock().records.count(module)
    }

    /// Returns the number of calls of both products so far, including refused calls.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.lock().traffic.total
    }

    /// Returns the number of calls that write so far, all but `GET`, including refused calls.
    #[must_use]
    pub fn writes(&self) -> u64 {
        self.lock().traffic.writes
    }

    /// Returns the number of calls whose path begins with the prefix, with or without the product's base: `/items`,
    /// `/books/v3/contacts/`.
    #[must_use]
    pub fn calls_to(&self, path_prefix: &str) -> u64 {
        let organization = self.lock();
        let paths = organization.traffic.by_path.iter().filter(|(path, _)| matches(path, path_prefix));
        paths.map(|(_, count)| count).sum()
    }

    /// Returns the largest number of calls in any window of 60 seconds so far.
    #[must_use]
    pub fn max_in_any_minute(&self) -> usize {
        self.lock().traffic.max_in_window
    }

    /// Returns the largest number of calls in flight at the same time so far. Calls overlap only while answers take
    /// time.
    #[must_use]
    pub fn max_concurrent(&self) -> usize {
        self.lock().traffic.max_in_flight
    }

    /// Returns the number of calls that were refused so far because they exceeded a limit.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.lock().traffic.refused
    }

    /// Returns the number of access tokens minted so far.
    #[must_use]
    pub fn mints(&self) -> u64 {
        self.lock().tokens.minted
    }

    /// Returns the number of requests to the token endpoint so far, including refused and faulty ones.
    #[must_use]
    pub fn token_requests(&self) -> u64 {
        self.lock().tokens.requests
    }
}
