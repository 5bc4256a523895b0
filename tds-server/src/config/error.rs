//! Errors of a configuration.

/// One wrong or missing value. `Display` is one line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{variable}: found {found}; accepted: {accepted}")]
pub struct ConfigError {
    /// The name of the variable.
    pub variable: String,
    /// The value that was found. For a secret, a description instead of the value.
    pub found: String,
    /// A description of the accepted values.
    pub accepted: String,
}

/// All errors of a configuration. `Display` is one line each.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub struct ConfigErrors(pub Vec<ConfigError>);
