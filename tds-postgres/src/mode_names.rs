//! The names under which modes, policies and sides are stored and shown. The core has names that fit every source.

use tds_core::outbound::{ConflictPolicy, Mode, Side};

use crate::db::text::one_of;

/// Returns the stored name of a mode.
pub(crate) fn of_mode(mode: Mode) -> &'static str {
    match mode {
        Mode::SourcePrimary => "zoho_primary",
        Mode::Shadow => "shadow",
        Mode::Bidirectional => "bidirectional",
        Mode::TargetPrimary => "erp_primary",
    }
}

/// Returns the stored name of a policy.
pub(crate) fn of_policy(policy: ConflictPolicy) -> &'static str {
    match policy {
        ConflictPolicy::SourceWins => "zoho_wins",
        ConflictPolicy::TargetWins => "erp_wins",
        ConflictPolicy::NewestWins => "newest_wins",
        ConflictPolicy::Manual => "manual",
    }
}

/// Returns the stored name of a side.
pub(crate) fn of_side(side: Side) -> &'static str {
    match side {
        Side::Source => "zoho",
        Side::Target => "erp",
    }
}

/// Reads a mode.
pub(crate) fn mode(text: &str) -> Result<Mode, sqlx::Error> {
    one_of(Mode::ALL, of_mode, "mode", text)
}

/// Reads a policy.
pub(crate) fn policy(text: &str) -> Result<ConflictPolicy, sqlx::Error> {
    one_of(ConflictPolicy::ALL, of_policy, "policy", text)
}

/// Reads a side.
pub(crate) fn side(text: &str) -> Result<Side, sqlx::Error> {
    one_of(Side::ALL, of_side, "side", text)
}
