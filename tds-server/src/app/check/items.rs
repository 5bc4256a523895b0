//! The items that `check` checks.

use std::sync::Arc;

use tds_core::{
    clock::{Clock, SystemClock},
    error::{Error, ErrorKind, Result},
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
    config::{Access, Config, DatabaseChoice, Environment, Verification},
    engine::{BuildError, Storage},
    hint::command,
    images::ImageStore,
};

/// Zoho gives at most 10 access tokens in 10 minutes. This command mints a token only if fewer than this number have
/// been minted.
const MOST_MINTS: u32 = 3;
/// What to do about a schema of an earlier version.
const MIGRATE: &str = "run tds-server migrate (serve migrates by itself)";
/// The time limit for the check of the image store.
const IMAGE_STORE_TIME: std::time::Duration = std::time::Duration::from_secs(20);
/// What to do about an image store that does not work.
const IMAGE_STORE_HINT: &str = "check TDS_IMAGE_STORE, the permissions of the folder or the bucket, and AWS_ENDPOINT_URL, \
                                AWS_REGION and the keys";
/// The time limit for the database's answer.
const PING: std::time::Duration = std::time::Duration::from_secs(5);
/// Clocks that differ by more than this make "since" and "last received" misleading.
const SKEW: Duration = Duration::seconds(5);

/// Returns a summary of the configuration.
pub(super) fn summary(config: &Config) -> String {
    let environment = match config.environment {
        Environment::Development => "development",
        Environment::Production => "production",
    };
    let token = match (config.auth.count(Access::Admin), config.auth.count(Access::Viewer)) {
        (0, _) => "no admin token (loopback only)".to_owned(),
        (admins, 0) => format!("{admins} admin token(s)"),
        (admins, viewers) => format!("{admins} admin token(s), {viewers} viewer token(s)"),
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
            let mut findings = vec![Finding::failed("database", error.to_string(), hint)];
            findings.extend(
                ["connections", "schema", "exposures", "clock"]
                    .map(|name| Finding::skipped(name, "no database")),
            );
            return (findings, None);
        }
    };
    let database = &storage.database;
    let facts = database.facts().await;
    let mut findings = vec![server(database, &facts).await.unwrap_or_else(unreadable("database"))];
    let privileges = privileges(database).await;
    findings.extend(privileges.unwrap_or_else(|error| Some(unreadable("privileges")(error))));
    findings.extend([
        connections(database).await.unwrap_or_else(unreadable("connections")),
        schema(database).await.unwrap_or_else(unreadable("schema")),
        exposures(database, &config.erp_readers).await.unwrap_or_else(unreadable("exposures")),
        clock(&facts),
    ]);
    if let Some(id) = &config.organization_id
        && let Err(error) = storage.store.check_organization(id).await
    {
        let hint = "run the command with the schemas and the credentials of one organization";
        findings.push(Finding::failed("organization", error.explain(command), hint));
        storage.close().await;
        // The credentials and the budget in this database are those of the other organization.
        return (findings, None);
    }
    (findings, Some(storage))
}

/// Returns the finding of a check that the database did not answer.
fn unreadable(name: &'static str) -> impl FnOnce(Error) -> Finding {
    move |error| Finding::failed(name, error.explain(command), "look at the server's log")
}

async fn server(database: &Database, facts: &Result<ServerFacts>) -> Result<Finding> {
    let facts = facts.as_ref().map_err(Error::clone)?;
    let answered_in = database.ping(PING).await?;
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
        return Ok(Finding::warning("database", text, hint));
    }
    Ok(Finding::ok("database", text))
}

/// Checks whether the database allows the configured number of connections.
async fn connections(database: &Database) -> Result<Finding> {
    let name = "connections";
    let room = database.connection_room().await?;
    let ConnectionRoom { wanted, allowed, others } = room;
    if database.is_pooled() {
        let text = format!(
            "up to {wanted} connections of each process to the pooler, which shares {allowed} connections of the server; \
             its limit of clients (max_client_conn) must be above the connections of all processes"
        );
        return Ok(Finding::ok(name, text));
    }
    let text = format!(
        "up to {wanted} connections of each process; the server allows this role {allowed}, and others use {others}"
    );
    Ok(match room.processes() {
        0 => {
            let hint = "work waits for free connections; lower TDS_DB_CONNECTIONS, or raise the limit of the server \
                        (max_connections), of the database or of the role (CONNECTION LIMIT)";
            Finding::warning(name, text, hint)
        }
        1 => Finding::ok(name, text + ": enough for one process"),
        processes => Finding::ok(name, format!("{text}: enough for {processes} processes")),
    })
}

/// Returns the privileges that the role of the connection lacks, or `None` if it lacks none.
async fn privileges(database: &Database) -> Result<Option<Finding>> {
    let missing = database.missing_grants().await?;
    let hint = format!("let the owner of the database or a superuser run: {}", missing.join("; "));
    let text = "the role of the connection lacks privileges";
    Ok((!missing.is_empty()).then(|| Finding::failed("privileges", text, &hint)))
}

/// Checks which roles can read or change objects of TDS although they should not.
async fn exposures(database: &Database, readers: &[String]) -> Result<Finding> {
    let name = "exposures";
    let found = database.exposures(readers).await?.exposures;
    if found.is_empty() {
        let text = "only the owner and the named roles can read or change the tables";
        return Ok(Finding::ok(name, text));
    }
    let mut roles: Vec<&str> = found.iter().map(|access| access.role.as_str()).collect();
    roles.dedup();
    let text = format!("{} can use {} objects of TDS", roles.join(", "), found.len());
    let remedies: Vec<&str> = found.iter().filter_map(|access| access.remedy.as_deref()).collect();
    if let [first, others @ ..] = &*remedies {
        let more = match others.len() {
            0 => String::new(),
            more => format!(" (and {more} more: tds-server schema exposures)"),
        };
        let own = if remedies.len() < found.len() {
            "run tds-server migrate as the owner of the tables, and "
        } else {
            ""
        };
        let hint = format!("{own}run {first}{more}");
        // A role that may create objects beside the tables reads nothing yet.
        let reads = found.iter().any(|access| access.remedy.is_none() || access.kind != "schema");
        return Ok(if reads {
            Finding::failed(name, text, &hint)
        } else {
            Finding::warning(
                name,
                format!("{} can create objects in the schema of TDS", roles.join(", ")),
                &hint,
            )
        });
    }
    // The next start migrates the schema and so removes the exposures.
    Ok(match database.schema().await {
        Ok(status) if !status.is_current() => Finding::warning(name, text, MIGRATE),
        _ => {
            let hint = "run tds-server migrate as the owner of the tables; tds-server schema exposures lists the \
                        privileges";
            Finding::failed(name, text, hint)
        }
    })
}

async fn schema(database: &Database) -> Result<Finding> {
    let name = "schema";
    let SchemaStatus { applied, expected, verdict } = database.schema().await?;
    Ok(match verdict {
        SchemaVerdict::Current => Finding::ok(name, format!("version {applied}, up to date")),
        SchemaVerdict::Newer => {
            let text = format!("version {applied}, but this program knows {expected}");
            Finding::failed(name, text, "start the newer TDS")
        }
        SchemaVerdict::OlderFunctions => {
            Finding::warning(name, format!("version {applied}, with functions of another program"), MIGRATE)
        }
        SchemaVerdict::Older => Finding::warning(name, format!("version {applied} of {expected}"), MIGRATE),
    })
}

fn clock(facts: &Result<ServerFacts>) -> Finding {
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
        return ["zoho", "budget"].map(|name| Finding::skipped(name, "the credentials are not set")).into();
    };
    zoho.most_mints = MOST_MINTS;
    let (sharing, clock) = (zoho.token_key.is_some(), Arc::new(SystemClock));
    let client = match shared_store(storage).await {
        // Calls of this command count in the shared budget like those of any other process.
        Some(store) => {
            let store = Arc::new(store.clone());
            ZohoClient::shared(zoho, clock, store.clone(), store)
        }
        None => ZohoClient::new(zoho, clock),
    };
    let client = match client {
        Ok(client) => client,
        Err(error) => return vec![Finding::failed("zoho", error.explain(command), "see docs/zoho-setup.md")],
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
        Err(error) => Some(Finding::failed("inventory", error.explain(command), hint)),
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
    let current = storage.database.schema().await.is_ok_and(|status| status.is_current());
    current.then_some(&storage.store)
}

async fn credentials(client: &ZohoClient, sharing: bool) -> Finding {
    let token = if sharing { "the access token is shared" } else { "each process has its own token" };
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
            format!("Zoho was not asked: {}", error.explain(command)),
            if sharing {
                "run check again then"
            } else {
                "run check again then; with ENCRYPTION_KEY, commands and servers share one token"
            },
        ),
        Err(error) => Finding::failed("zoho", error.explain(command), "see docs/zoho-setup.md, section 4"),
    }
}

async fn budget(client: &ZohoClient, ask: bool) -> Finding {
    if ask {
        // Zoho does not document this call. If Zoho does not answer it, only the number of the plan counts.
        drop(client.refresh_quota().await);
    }
    match client.status().await {
        Err(error) => Finding::failed("budget", error.explain(command), "look at the database"),
        Ok(status) => {
            let line = budget_line(&status, client.requests_per_minute());
            match status.day.limit {
                None => Finding::warning(
                    "budget",
                    line,
                    "set ZOHO_DAILY_LIMIT to the number of calls that your plan allows in a day",
                ),
                Some(_) if status.throttle() >= Throttle::JournalOnly => Finding::warning(
                    "budget",
                    line,
                    "the day's calls are spent; see the runbook, \"Zoho's limits\"",
                ),
                Some(_) if status.throttle() > Throttle::BulkDeferred => Finding::warning(
                    "budget",
                    line,
                    "more calls are expected today than are left, so some of them wait; see the runbook, \"Zoho's limits\"",
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

/// Writes, reads and deletes a file in the image store.
pub(super) async fn images(config: &Config) -> Finding {
    let name = "image store";
    let Some(store) = &config.images.store else {
        return Finding::ok(name, "off: product images are not downloaded");
    };
    let probe = async { ImageStore::open(store)?.probe().await };
    match tokio::time::timeout(IMAGE_STORE_TIME, probe).await {
        Ok(Ok(())) => Finding::ok(name, format!("{}: a file was written, read and deleted", store.base)),
        Ok(Err(error)) => Finding::failed(name, error.explain(command), IMAGE_STORE_HINT),
        Err(_) => {
            let seconds = IMAGE_STORE_TIME.as_secs();
            let text = format!("{} did not answer within {seconds} s", store.base);
            Finding::failed(name, text, IMAGE_STORE_HINT)
        }
    }
}
