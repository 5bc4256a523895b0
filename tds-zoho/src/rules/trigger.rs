//! What makes a rule send its webhook.

tds_core::closed_set! {
    /// What makes a rule send its webhook.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
    pub enum Trigger {
        /// A record was created or changed.
        Updated = "updated",
        /// A record was deleted.
        Deleted = "deleted",
    }
}
