//! How refreshes of the access token end.

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
