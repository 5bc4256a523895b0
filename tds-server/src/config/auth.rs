//! The tokens of the operator API.

use std::net::SocketAddr;

use secrecy::{ExposeSecret, SecretString};

use super::{
    Environment,
    lookup::{Reader, split_list},
};

const ADMINS: &str = "TDS_ADMIN_TOKEN";
const VIEWERS: &str = "TDS_VIEWER_TOKEN";

/// What the user of a token may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Read and change everything.
    Admin,
    /// Read everything.
    Viewer,
}

/// One bearer token.
#[derive(Clone, Debug)]
pub struct ApiToken {
    /// The name of the user of the token, for the audit log; `admin` or `viewer` if no name was given.
    pub name: String,
    /// The token.
    pub token: SecretString,
    /// What its user may do.
    pub access: Access,
}

/// `TDS_ADMIN_TOKEN` and `TDS_VIEWER_TOKEN` (or `…_FILE`): bearer tokens, comma separated, each optionally
/// `name:token`.
#[derive(Clone, Debug, Default)]
pub struct AuthConfig {
    /// The accepted tokens. Without tokens the API is open, which is allowed only on a loopback address in
    /// development. Tokens of viewers alone are refused.
    pub tokens: Vec<ApiToken>,
}

impl AuthConfig {
    /// `serving`: the address that the API will listen on.
    pub(super) fn read(
        reader: &mut Reader<'_>,
        environment: Environment,
        serving: Option<SocketAddr>,
    ) -> Self {
        let mut tokens = read_tokens(reader, ADMINS, Access::Admin);
        if let (true, Some(bind)) = (tokens.is_empty(), serving) {
            if environment == Environment::Production {
                reader.error(ADMINS, "nothing", "one or more tokens, because APP_ENV is production");
            } else if !bind.ip().is_loopback() {
                let accepted = "one or more tokens, because TDS_BIND is not a loopback address";
                reader.error(ADMINS, "nothing", accepted);
            }
        }
        let viewers = read_tokens(reader, VIEWERS, Access::Viewer);
        let is_taken = |viewer: &ApiToken| {
            tokens.iter().any(|admin| admin.token.expose_secret() == viewer.token.expose_secret())
        };
        if tokens.is_empty() && !viewers.is_empty() {
            let accepted = "it together with TDS_ADMIN_TOKEN, without which the API asks for no token";
            reader.error(VIEWERS, "it without TDS_ADMIN_TOKEN", accepted);
        } else if viewers.iter().any(is_taken) {
            reader.error(VIEWERS, "a token of TDS_ADMIN_TOKEN", "tokens that may only read");
        }
        tokens.extend(viewers);
        Self { tokens }
    }

    /// Returns the number of tokens with this access.
    pub(crate) fn count(&self, access: Access) -> usize {
        self.tokens.iter().filter(|token| token.access == access).count()
    }
}

fn read_tokens(reader: &mut Reader<'_>, variable: &str, access: Access) -> Vec<ApiToken> {
    let text = reader.secret_text(variable).unwrap_or_default();
    let tokens: Vec<ApiToken> = split_list(&text).iter().map(|part| api_token(part, access)).collect();
    if tokens.iter().any(|token| token.token.expose_secret().is_empty()) {
        reader.error(variable, "a name without a token", "token or name:token, comma separated");
    }
    tokens
}

fn api_token(part: &str, access: Access) -> ApiToken {
    let (name, token) = part.split_once(':').unwrap_or(("", part));
    let name = match (name.trim(), access) {
        ("", Access::Admin) => "admin",
        ("", Access::Viewer) => "viewer",
        (name, _) => name,
    };
    ApiToken { name: name.to_owned(), token: SecretString::from(token.trim().to_owned()), access }
}
