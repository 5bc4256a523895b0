//! The tokens of the operator API.

use std::net::SocketAddr;

use secrecy::SecretString;

use super::{
    Environment,
    lookup::{Reader, split_list},
};

/// One bearer token.
#[derive(Clone, Debug)]
pub struct AdminToken {
    /// The name of the user of the token, for the audit log; `admin` if no name was given.
    pub name: String,
    /// The token.
    pub token: SecretString,
}

/// `TDS_ADMIN_TOKEN` (or `TDS_ADMIN_TOKEN_FILE`): bearer tokens, comma separated, each optionally `name:token`.
#[derive(Clone, Debug, Default)]
pub struct AuthConfig {
    /// The accepted tokens. Without tokens the API is open, which is allowed only on a loopback address in
    /// development.
    pub tokens: Vec<AdminToken>,
}

impl AuthConfig {
    /// `serving`: the address that the API will listen on.
    pub(super) fn read(
        reader: &mut Reader<'_>,
        environment: Environment,
        serving: Option<SocketAddr>,
    ) -> Self {
        const VARIABLE: &str = "TDS_ADMIN_TOKEN";
        let text = reader.secret_text(VARIABLE).unwrap_or_default();
        let tokens: Vec<AdminToken> = split_list(&text).iter().map(|part| admin_token(part)).collect();
        if tokens.iter().any(|token| secrecy::ExposeSecret::expose_secret(&token.token).is_empty()) {
            reader.error(VARIABLE, "a name without a token", "token or name:token, comma separated");
        }
        if let (true, Some(bind)) = (tokens.is_empty(), serving) {
            if environment == Environment::Production {
                reader.error(VARIABLE, "nothing", "one or more tokens, because APP_ENV is production");
            } else if !bind.ip().is_loopback() {
                let accepted = "one or more tokens, because TDS_BIND is not a loopback address";
                reader.error(VARIABLE, "nothing", accepted);
            }
        }
        Self { tokens }
    }
}

fn admin_token(part: &str) -> AdminToken {
    let (name, token) = match part.split_once(':') {
        Some((name, token)) if !name.trim().is_empty() => (name.trim(), token.trim()),
        Some((_, token)) => ("admin", token.trim()),
        None => ("admin", part),
    };
    AdminToken { name: name.to_owned(), token: SecretString::from(token.to_owned()) }
}
