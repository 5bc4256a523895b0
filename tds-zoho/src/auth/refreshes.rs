//! The refreshes of the access token that a process requested from Zoho, for monitors.

use super::MintFault;

tds_core::closed_set! {
    /// How a refresh of the access token ended that was requested from Zoho.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum TokenRefresh {
        /// Zoho answered with a token.
        Renewed = "ok",
        /// Zoho refuses the credentials: an operator must act.
        Refused = "refused",
        /// Zoho answered that too many tokens were requested.
        TooMany = "too_many",
        /// Zoho's token server could not be reached or understood.
        Failed = "failed",
    }
}

impl TokenRefresh {
    /// Returns the result of a refresh that had this fault.
    pub(super) fn of(fault: Option<&MintFault>) -> Self {
        match fault {
            None => Self::Renewed,
            Some(MintFault::Refused { .. }) => Self::Refused,
            Some(MintFault::TooMany(_)) => Self::TooMany,
            Some(MintFault::Passing(_)) => Self::Failed,
        }
    }
}

/// The number of refreshes, by result.
#[derive(Clone, Copy, Default)]
pub(super) struct RefreshCounts([u64; TokenRefresh::ALL.len()]);

impl RefreshCounts {
    /// Counts a refresh.
    pub(super) fn add(&mut self, result: TokenRefresh) {
        let counts = TokenRefresh::ALL.iter().zip(&mut self.0);
        counts.filter(|(each, _)| **each == result).for_each(|(_, count)| *count += 1);
    }

    /// Returns each result with its number.
    pub(super) fn each(&self) -> [(TokenRefresh, u64); TokenRefresh::ALL.len()] {
        let mut counts = TokenRefresh::ALL.map(|result| (result, 0));
        counts.iter_mut().zip(self.0).for_each(|(count, requested)| count.1 = requested);
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_fault_counts_under_its_result() {
        let mut counts = RefreshCounts::default();
        let refused = MintFault::Refused { error: "invalid_code".to_owned(), words: String::new() };
        for fault in [None, Some(&refused), Some(&MintFault::Passing(String::new())), None] {
            counts.add(TokenRefresh::of(fault));
        }
        let counts = counts.each().map(|(result, count)| (result.as_str(), count));
        assert_eq!(counts, [("ok", 2), ("refused", 1), ("too_many", 0), ("failed", 1)]);
    }
}
