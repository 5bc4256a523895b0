//! What `check` looks at.

use std::sync::Arc;

use secrecy::ExposeSecret;
use tds_core::{Clock, SystemClock};
use tds_postgres::{Database, ServerFacts};
use tds_zoho::ZohoClient;
use time::Duration;

use super::Finding;
use crate::{
    config::{Config, DatabaseChoice, Environment},
    engine::Storage,
};

/// Clocks further apart than this make "since" and "last received" misleading.
const SKEW: Duration = Duration::seconds(5);

/// What the configuration amounts to.
pub(super) fn summary(config: &Config) -> String {
    let environment = match config.environment {
        Environment::Development => "development",
        Environment::Production => "production",
    };
    let tokens = config.auth.tokens.len();
    let token = if tokens == 0 {
        "no admin token (loopback only)".to_owned()
    } else {
        format!("{tokens} admin token(s)")
    };
    format!("{environment}, listens on {}, {token}", config.http.bind)
}

/// Database, schema and clock.
pub(super) async fn database(config: &Config) -> Vec<Finding> {
    let storage = match Storage::open(&config.database).await {
        Ok(storage) => storage,
        Err(error) => {
            let hint = match config.database {
                DatabaseChoice::Url(_) => {
                    "check DATABASE_URL, that the server runs, and that this machine may connect"
                }
                DatabaseChoice::Embedded(_) => {
                    "install PostgreSQL (apt-get install postgresql), or set DATABASE_URL"
                }
            };
            return vec![
                Finding::failed("database", error.to_string(), hint),
                Finding::skipped("schema", "no database"),
                Finding::skipped("clock", "no database"),
            ];
        }
    };
    let facts = storage.database().facts().await;
    let findings = vec![
        server(storage.database(), facts.as_ref()).await,
        schema(storage.database()).await,
        clock(facts.as_ref()),
    ];
    storage.close().await;
    findings
}

async fn server(database: &Database, facts: Result<&ServerFacts, &tds_core::Error>) -> Finding {
    let (facts, answered_in) = match (facts, database.ping().await) {
        (Ok(facts), Ok(time)) => (facts, time),
        (Err(error), _) => return Finding::failed("database", error.chain(), "look at the server's log"),
        (_, Err(error)) => return Finding::failed("database", error.chain(), "look at the server's log"),
    };
    let pooler = if database.is_pooled() { ", behind a pooler in transaction mode" } else { "" };
    let text = format!(
        "PostgreSQL {} at {}{pooler}, answers in {:.1} ms",
        facts.version,
        database.target(),
        answered_in.as_secs_f64() * 1000.0
    );
    if database.target().contains(":5432/") && database.target().contains("pooler.supabase") {
        let hint = "this is Supabase's session pooler: each process keeps its connections; port 6543 is the transaction pooler";
        return Finding::warning("database", text, hint);
    }
    Finding::ok("database", text)
}

async fn schema(database: &Database) -> Finding {
    match database.schema().await {
        Err(error) => Finding::failed("schema", error.chain(), "look at the server's log"),
        Ok(status) if status.is_current() => {
            Finding::ok("schema", format!("version {}, up to date", status.applied))
        }
        Ok(status) if status.is_newer() => Finding::failed(
            "schema",
            format!("version {}, this program knows {}", status.applied, status.expected),
            "start the newer TDS",
        ),
        Ok(status) => Finding::warning(
            "schema",
            format!("version {} of {}", status.applied, status.expected),
            "run tds-server migrate (serve does it by itself)",
        ),
    }
}

fn clock(facts: Result<&ServerFacts, &tds_core::Error>) -> Finding {
    let Ok(facts) = facts else { return Finding::skipped("clock", "the database did not tell its time") };
    let skew = SystemClock.now() - facts.now;
    let text = format!("{:+.1} s against the database", skew.as_seconds_f64());
    if skew.abs() <= SKEW {
        return Finding::ok("clock", text);
    }
    Finding::failed("clock", text, "set this machine's or the database's clock (NTP)")
}

/// Zoho's opinion of the credentials.
pub(super) async fn zoho(config: &Config) -> Finding {
    let name = "zoho";
    let Some(zoho) = config.zoho.clone() else {
        return Finding::skipped(name, "the credentials are not set");
    };
    let client = match ZohoClient::new(zoho, Arc::new(SystemClock)) {
        Ok(client) => client,
        Err(error) => return Finding::failed(name, error.chain(), "see docs/zoho-setup.md"),
    };
    match client.check_credentials().await {
        Ok(report) => Finding::ok(
            name,
            format!(
                "organization {} ({}), {}",
                report.organization.name,
                report.organization.id,
                report.calls_left_today.map_or_else(
                    || "no daily limit known".to_owned(),
                    |calls| format!("{calls} calls left today")
                )
            ),
        ),
        Err(error) => Finding::failed(name, error.chain(), "see docs/zoho-setup.md, section 4"),
    }
}

/// Whether webhooks can be checked.
pub(super) fn webhooks(config: &Config) -> Finding {
    let name = "webhook secret";
    let hint = "set ZOHO_WEBHOOK_SECRET to 12 to 50 letters and digits, the same as in Zoho's webhooks";
    let webhooks = &config.webhooks;
    let fits = |secret: &str| {
        (12..=50).contains(&secret.len()) && secret.bytes().all(|byte| byte.is_ascii_alphanumeric())
    };
    match webhooks.secrets.len() {
        0 if webhooks.allow_unsigned => Finding::warning(name, "not set; unsigned webhooks are taken", hint),
        0 => Finding::failed(name, "not set: webhooks are refused with 503", hint),
        _ if webhooks.secrets.iter().any(|secret| !fits(secret.expose_secret())) => {
            Finding::warning(name, "set, but not one that Zoho would take", hint)
        }
        1 => Finding::ok(name, "set"),
        several => {
            Finding::ok(name, format!("{several} are set; remove the old one when Zoho uses the new one"))
        }
    }
}
