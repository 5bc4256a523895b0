//! The items that `check` checks.

use std::sync::Arc;

use tds_core::{
    clock::{Clock, SystemClock},
    error::ErrorKind,
    limits::budget::Throttle,
};
use tds_postgres::{
    ConnectionRoom, Database, PgStore, ReportedState, SchemaStatus, SchemaVerdict, ServerFacts, ServerReport,
};
use tds_zoho::ZohoClient;
use time::Duration;

use super::{Finding, Status};
use crate::{
    app::budget::line as budget_line,
    config::{Config, DatabaseChoice, Environment, Verification},
    engine::{BuildError, Storage},
};

/// Zoho gives at most 10 access tokens in 10 minutes. This command mints a token only if fewer than this number have
/// been minted.
const MOST_MINTS: u32 = 3;
/// Clocks that differ by more than this make "since" and "last received" misleading.
const SKEW: Duration = Duration::seconds(5);

/// Returns a summary of the configuration.
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

/// Checks database, schema and clock. Also returns the open database, if it could be opened.
pub(super) async fn database(config: &Config) -> (Vec<Finding>, Option<Storage>) {
    let storage = match Storage::open_existing(&config.database).await {
        Ok(storage) => storage,
        Err(error) => {
            let hint = match config.database {
                DatabaseChoice::Embedded(_) if matches!(error, BuildError::NoDatabase(_)) => {
                    "set DATABASE_URL, or let tds-server migrate create the private cluster"
                }
                DatabaseChoice::Url(_) => {
                    "check DATABASE_URL, whether the database server runs, and whether this machine may connect to it"
                }
                DatabaseChoice::Embedded(_) => {
                    "install PostgreSQL (apt-get install postgresql), or set DATABASE_URL"
                }
            };
            let findings = vec![
                Finding::failed("database", error.to_string(), hint),
                Finding::skipped("connections", "no database"),
                Finding::skipped("schema", "no database"),
                Finding::skipped("exposures", "no database"),
                Finding::skipped("clock", "no database"),
            ];
            return (findings, None);
        }
    };
    let facts = storage.database().facts().await;
    let mut findings = vec![server(storage.database(), facts.as_ref()).await];
    findings.extend(privileges(storage.database()).await);
    findings.extend([
        connections(storage.database()).await,
        schema(storage.database()).await,
        exposures(storage.database(), &config.erp_readers).await,
        clock(facts.as_ref()),
    ]);
    (findings, Some(storage))
}

async fn server(database: &Database, facts: Result<&ServerFacts, &tds_core::error::Error>) -> Finding {
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
        let hint = "this is the session pooler of Supabase, where each process keeps its connections; the \
                    transaction pooler has port 6543";
        return Finding::warning("database", text, hint);
    }
    Finding::ok("database", text)
}

/// Checks whether the database allows the configured number of connections.
async fn connections(database: &Database) -> Finding {
    let name = "connections";
    let room = match database.connection_room().await {
        Ok(room) => room,
        Err(error) => return Finding::failed(name, error.chain(), "look at the server's log"),
    };
    let ConnectionRoom { wanted, allowed, others } = room;
    if database.is_pooled() {
        let text = format!(
            "up to {wanted} connections of each copy to the pooler, which shares {allowed} connections of the server"
        );
        return Finding::ok(
            name,
            text + "; its limit of clients (max_client_conn) must be above the connections of all copies",
        );
    }
    let text = format!(
        "up to {wanted} connections of each copy; the server allows this role {allowed}, and others use {others}"
    );
    match room.copies() {
        0 => {
            let hint = "work waits for free connections; lower TDS_DB_CONNECTIONS, or raise the limit of the server \
                        (max_connections), of the database or of the role (CONNECTION LIMIT)";
            Finding::warning(name, text, hint)
        }
        1 => Finding::ok(name, text + ": enough for one copy"),
        copies => Finding::ok(name, format!("{text}: enough for {copies} copies")),
    }
}

/// Returns the privileges that the role of the connection lacks, or `None` if it lacks none.
async fn privileges(database: &Database) -> Option<Finding> {
    let name = "privileges";
    match database.missing_grants().await {
        Ok(missing) if missing.is_empty() => None,
        Ok(missing) => {
            let hint = format!("let the owner of the database or a superuser run: {}", missing.join("; "));
            Some(Finding::failed(name, "the role of the connection lacks privileges", &hint))
        }
        Err(error) => Some(Finding::failed(name, error.chain(), "look at the server's log")),
    }
}

/// Checks which roles can read or change objects of TDS although they should not.
async fn exposures(database: &Database, readers: &[String]) -> Finding {
    let name = "exposures";
    let found = match database.exposures(readers).await {
        Ok(found) => found.exposures,
        Err(error) => return Finding::failed(name, error.chain(), "look at the server's log"),
    };
    if found.is_empty() {
        return Finding::ok(name, "only the owner and the named roles can read or change the tables");
    }
    let mut roles: Vec<&str> = found.iter().map(|access| access.role.as_str()).collect();
    roles.dedup();
    let text = format!("{} can use {} objects of TDS", roles.join(", "), found.len());
    // The next start migrates the schema and thereby removes the exposures.
    match database.schema().await {
        Ok(status) if !status.is_current() => {
            Finding::warning(name, text, "run tds-server migrate (serve migrates by itself)")
        }
        _ => {
            let hint = "run tds-server migrate as the owner of the tables; tds-server schema exposures lists the \
                        privileges";
            Finding::failed(name, text, hint)
        }
    }
}

async fn schema(database: &Database) -> Finding {
    match database.schema().await {
        Err(error) => Finding::failed("schema", error.chain(), "look at the server's log"),
        Ok(SchemaStatus { applied, expected, verdict }) => {
            let migrate = "run tds-server migrate (serve migrates by itself)";
            match verdict {
                SchemaVerdict::Current => Finding::ok("schema", format!("version {applied}, up to date")),
                SchemaVerdict::Newer => Finding::failed(
                    "schema",
                    format!("version {applied}, but this program knows {expected}"),
                    "start the newer TDS",
                ),
                SchemaVerdict::OlderFunctions => Finding::warning(
                    "schema",
                    format!("version {applied}, with functions of another program"),
                    migrate,
                ),
                SchemaVerdict::Older => {
                    Finding::warning("schema", format!("version {applied} of {expected}"), migrate)
                }
            }
        }
    }
}

fn clock(facts: Result<&ServerFacts, &tds_core::error::Error>) -> Finding {
    let Ok(facts) = facts else { return Finding::skipped("clock", "the database did not report its time") };
    let skew = SystemClock.now() - facts.now;
    let text = format!("{:+.1} s compared with the database", skew.as_seconds_f64());
    if skew.abs() <= SKEW {
        return Finding::ok("clock", text);
    }
    Finding::failed("clock", text, "set this machine's or the database's clock (NTP)")
}

/// Checks whether Zoho accepts the credentials, and what the limits of Zoho leave.
pub(super) async fn zoho(config: &Config, storage: Option<&Storage>) -> Vec<Finding> {
    let Some(mut zoho) = config.zoho.clone() else {
        return vec![
            Finding::skipped("zoho", "the credentials are not set"),
            Finding::skipped("budget", "the credentials are not set"),
        ];
    };
    zoho.most_mints = MOST_MINTS;
    let (sharing, clock) = (zoho.token_key.is_some(), Arc::new(SystemClock));
    let client = match shared_store(storage).await {
        // Calls of this command count in the shared budget like those of any other copy.
        Some(store) => {
            let store = Arc::new(store.clone());
            ZohoClient::shared(zoho, clock, store.clone(), store)
        }
        None => ZohoClient::new(zoho, clock),
    };
    let client = match client {
        Ok(client) => client,
        Err(error) => return vec![Finding::failed("zoho", error.chain(), "see docs/zoho-setup.md")],
    };
    let findings = match report_of_a_server(&client, storage).await {
        Some(report) => vec![as_reported(&report), budget(&client, false).await],
        None => {
            let credentials = credentials(&client, sharing).await;
            let inventory = match credentials.status {
                Status::Ok => inventory(&client).await,
                _ => None,
            };
            let budget = budget(&client, true).await;
            [Some(credentials), inventory, Some(budget)].into_iter().flatten().collect()
        }
    };
    client.close().await;
    findings
}

/// Returns what a live server with the same credentials reports about Zoho. Another request to Zoho would use up an
/// access token that the server may need.
async fn report_of_a_server(client: &ZohoClient, storage: Option<&Storage>) -> Option<ServerReport> {
    let servers = shared_store(storage).await?.live_servers().await.ok()?;
    let says = |server: &ServerReport| {
        server.credentials == client.credentials_name() && server.zoho_state != ReportedState::Unknown
    };
    servers.into_iter().find(says)
}

/// Checks whether Zoho Inventory accepts calls for the organization. Returns `None` if it does.
async fn inventory(client: &ZohoClient) -> Option<Finding> {
    let hint = "see docs/zoho-setup.md, section 3, for the scopes";
    match client.check_inventory().await {
        Ok(None) => None,
        Ok(Some(line)) => Some(Finding::warning("inventory", line, hint)),
        Err(error) => Some(Finding::failed("inventory", error.chain(), hint)),
    }
}

fn as_reported(report: &ServerReport) -> Finding {
    let detail = format!("{}, as the running server reports", report.zoho_detail);
    match report.zoho_state {
        ReportedState::Healthy => Finding::ok("zoho", detail),
        _ => Finding::failed("zoho", detail, "see the runbook, and docs/zoho-setup.md, section 4"),
    }
}

/// Returns the store, if its schema is the one that this program needs.
async fn shared_store(storage: Option<&Storage>) -> Option<&PgStore> {
    let storage = storage?;
    let current = storage.database().schema().await.is_ok_and(|status| status.is_current());
    current.then(|| storage.store())
}

async fn credentials(client: &ZohoClient, sharing: bool) -> Finding {
    let token = if sharing { "the access token is shared" } else { "each copy has its own token" };
    match client.check_credentials().await {
        Ok(report) => {
            let organization = report.organization;
            let text = format!("organization {} ({}), {token}", organization.name, organization.id);
            match client.ignored_api_domain() {
                None => Finding::ok("zoho", text),
                Some(host) => Finding::warning(
                    "zoho",
                    format!("{text}; the token answer names the API host {host}, which is not followed"),
                    "set ZOHO_API_URL to that host if the host is right, and check ZOHO_DATA_CENTER",
                ),
            }
        }
        // The limit of this command was reached. The answer says nothing about the credentials.
        Err(error) if error.kind() == ErrorKind::RateLimited => Finding::warning(
            "zoho",
            format!("Zoho was not asked: {}", error.chain()),
            "run check again in ten minutes",
        ),
        Err(error) => Finding::failed("zoho", error.chain(), "see docs/zoho-setup.md, section 4"),
    }
}

async fn budget(client: &ZohoClient, ask: bool) -> Finding {
    if ask {
        // Zoho does not document this call. If Zoho does not answer it, only the number of the plan counts.
        drop(client.refresh_quota().await);
    }
    match client.status().await {
        Err(error) => Finding::failed("budget", error.chain(), "look at the database"),
        Ok(status) => {
            let line = budget_line(&status, client.requests_per_minute());
            match status.day.limit {
                None => Finding::warning(
                    "budget",
                    line,
                    "set ZOHO_DAILY_LIMIT to the number of calls that your plan allows in a day",
                ),
                Some(_) if status.throttle() > Throttle::BulkDeferred => Finding::warning(
                    "budget",
                    line,
                    "the day's calls are spent; see the runbook, \"Zoho's limits\"",
                ),
                Some(_) => Finding::ok("budget", line),
            }
        }
    }
}

/// Checks whether webhooks can be verified.
pub(super) fn webhooks(config: &Config) -> Finding {
    let name = "webhook secret";
    let hint = "set ZOHO_WEBHOOK_SECRET to 12 to 50 letters and digits, the same as in Zoho's webhooks";
    match config.webhooks.verification() {
        Verification::Unsigned => {
            Finding::warning(name, "not set; webhooks without a signature are accepted", hint)
        }
        Verification::Impossible => Finding::failed(name, "not set: webhooks are refused with 503", hint),
        Verification::Quoted => Finding::warning(name, "set with quotation marks around it", hint),
        Verification::Unacceptable => {
            Finding::warning(name, "set, but Zoho does not accept such a secret", hint)
        }
        Verification::Signed(1) => Finding::ok(name, "set"),
        Verification::Signed(several) => Finding::ok(
            name,
            format!("{several} secrets are set; remove the old one when Zoho uses the new one"),
        ),
    }
}
