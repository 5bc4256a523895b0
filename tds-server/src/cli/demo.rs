//! `demo`: the server against a simulated Zoho organization in the same process.
//!
//! Everything except Zoho is real: the HTTP client, the database, and the signatures of the webhooks. Each start
//! creates a new organization and a new mirror.

use std::{path::Path, time::Duration};

use clap::Args;
use rand::distr::{Alphanumeric, SampleString};
use tds_core::{
    runs::RunType,
    shutdown::{Shutdown, ShutdownTrigger},
};
use tds_zoho::sim::{
    SimulatedZoho,
    demo::{Size, organization, run_changes},
};

use super::{
    exit::{CommandResult, Failure},
    lookup::Lookup,
    output, parse,
    settings::{Given, Setting, flags},
    signals,
};
use crate::{
    app::{refusal::Refusal, runs::BulkSync},
    config::{ClusterPlace, Config, DatabaseChoice, Need, demo_directory},
    engine::{ClusterConfig, EmbeddedCluster},
    entities::Entities,
    http::state::{AppState, Shared},
    server::App,
    telemetry,
};

/// The seed of the organization. Each start creates the same organization, except for its times.
const SEED: u64 = 1;
/// The time between two checks of the runs of the first sync.
const LOOK: Duration = Duration::from_secs(1);

/// Run the server against a simulated Zoho organization that keeps changing; needs no configuration
#[derive(Args)]
#[command(
    args = flags(&[DEMO]).into_iter().map(|flag| flag.help_heading(None)),
    after_help = "Examples:\n  tds-server demo\n  tds-server demo --scale 100 --change-every 200ms\n  \
    tds-server demo --for 60s --bind 127.0.0.1:8080\n\n\
    The data are stored in the directory demo below TDS_DATA_DIR, and are created again at each start."
)]
pub(crate) struct DemoArgs {
    /// Size of the organization, in percent: 100 is a shop with 2,200 items and 24,000 invoices
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=1000))]
    scale: u64,
    /// Time between two changes in the organization
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = parse::duration)]
    change_every: Duration,
    /// Time after which the demo exits, such as 60s
    #[arg(long = "for", value_name = "TIME", value_parser = parse::duration)]
    ends_after: Option<Duration>,
}

/// The settings that the demo accepts from outside.
const DEMO: &[Setting] = &[
    ("bind", "TDS_BIND", "Listen address [default: 127.0.0.1:8000]"),
    ("data-dir", "TDS_DATA_DIR", "Directory of the demo's database [default: .tds]"),
    ("pg-bin-dir", "PG_BIN_DIR", "Directory of initdb and postgres [default: searched for]"),
    ("log", "RUST_LOG", "Log level or directives [default: warn]"),
];

impl DemoArgs {
    pub(crate) async fn run(self, flags: Given, entities: &Entities) -> CommandResult {
        let lookup = Lookup::load(flags)?;
        let interrupted = signals::shutdown()?;
        output::talk("starting PostgreSQL and the simulated organization …");
        let zoho = SimulatedZoho::start().await.map_err(|error| {
            Failure::failed(format!("the simulated organization cannot be started: {error}"))
        })?;
        zoho.set_catalogue(&entities.catalogue);
        organization(&zoho, Size::percent(self.scale), SEED);
        let (token, webhook_secret) = (secret(), secret());
        let read = |variable: &str| setting(variable, &lookup, &zoho, &token, &webhook_secret);
        let config = Config::from_lookup(read, Need::Serve)?;
        telemetry::init(&config.log);
        if let DatabaseChoice::Embedded(place) = &config.database {
            forget(place).await?;
        }
        let app = App::build_with(config, entities).await?;
        let base = format!("http://{}", app.address());
        let database = app.engine.storage.database.target();
        output::data(&format!(
            "TDS demo: {base}   (dashboard /, API /docs)\n\
             token:    {token}\n\
             database: {database}\n\n\
             A simulated organization is being synced. It then keeps changing and sends webhooks. Try:\n\n  \
             curl -s -H 'Authorization: Bearer {token}' {base}/api/zoho/sync/stats\n  \
             curl -s -H 'Authorization: Bearer {token}' '{base}/api/zoho/sync/runs?limit=8'\n  \
             curl -s -H 'Authorization: Bearer {token}' '{base}/api/zoho/webhooks/inbox?limit=3'\n  \
             tds-server webhook send products --url {base} --webhook-secret {webhook_secret}\n  \
             tds-server mode set customers bidirectional   (then change erp.customers, and see {base}/conflicts)\n\n\
             Ctrl-C ends the demo.\n"
        ))?;
        let (trigger, stop) = ShutdownTrigger::new();
        let ends_after = self.ends_after;
        tokio::spawn(async move {
            match ends_after {
                Some(time) => drop(interrupted.sleep(time).await),
                None => interrupted.wait().await,
            }
            trigger.shutdown();
        });
        let (state, stopped) = (app.state.clone(), stop.clone());
        let server = tokio::spawn(app.run_until_stopped(async move { stopped.wait().await }));
        // Trouble of the first sync is reported, and the server continues.
        let syncing = async {
            if let Err(refusal) = first_sync(&state, &stop).await {
                output::talk(&format!("the first sync: {refusal:?}"));
            }
        };
        let changes = run_changes(zoho.organization(), base, webhook_secret, self.change_every, stop.wait());
        tokio::join!(syncing, changes);
        let ended = server.await.map_err(|error| Failure::failed(format!("the server ended: {error}")))?;
        ended.map_err(|error| Failure::failed(error.to_string()))
    }
}

/// Starts a full sync of everything, and reports when the sync has ended.
async fn first_sync(state: &AppState, stop: &Shutdown) -> Result<(), Refusal> {
    let Shared { runs, services, .. } = &**state;
    let sync = BulkSync { run_type: RunType::Full, since: None, selection: None, requested_by: "demo" };
    let mut started = runs.start(services, None, &sync).await?.runs;
    while !stop.sleep(LOOK).await {
        started = runs.latest(&started).await?;
        if !started.iter().any(|run| run.status.is_active()) {
            let records: i64 = started.iter().map(|run| run.processed_items).sum();
            output::talk(&format!("the first full sync is done: {records} records"));
            break;
        }
    }
    Ok(())
}

/// Returns a secret in a form that Zoho accepts: letters and digits.
fn secret() -> String {
    Alphanumeric.sample_string(&mut rand::rng(), 32)
}

/// Returns a setting of the demo. `lookup` supplies the few settings that a demo follows: the address it listens on,
/// the directory of its data, and the settings of the log.
fn setting(
    variable: &str,
    lookup: &Lookup,
    zoho: &SimulatedZoho,
    token: &str,
    webhook_secret: &str,
) -> Option<String> {
    let credentials = zoho.credentials();
    match variable {
        "TDS_BIND" | "PG_BIN_DIR" => lookup.get(variable),
        "TDS_DATA_DIR" => {
            let directory = lookup.get(variable).unwrap_or_else(|| ".tds".to_owned());
            Some(demo_directory(Path::new(&directory)).display().to_string())
        }
        "RUST_LOG" => Some(lookup.get(variable).unwrap_or_else(|| "warn".to_owned())),
        "TDS_ADMIN_TOKEN" => Some(format!("demo:{token}")),
        "ZOHO_WEBHOOK_SECRET" => Some(webhook_secret.to_owned()),
        "ZOHO_CLIENT_ID" => Some(credentials.client_id),
        "ZOHO_CLIENT_SECRET" => Some(credentials.client_secret),
        "ZOHO_REFRESH_TOKEN" => Some(credentials.refresh_token),
        "ZOHO_ORGANIZATION_ID" => Some(credentials.organization_id),
        "ZOHO_ACCOUNTS_URL" | "ZOHO_API_URL" => Some(zoho.url()),
        // The simulated organization has no limits.
        "ZOHO_REQUESTS_PER_MINUTE" => Some("10000".to_owned()),
        "ZOHO_MAX_CONCURRENCY" => Some("8".to_owned()),
        // The schedules are short, so that a viewer soon sees runs.
        "TDS_INCREMENTAL_EVERY" => Some("2m".to_owned()),
        "TDS_STOCK_EVERY" | "TDS_PRICES_EVERY" => Some("1m".to_owned()),
        _ => None,
    }
}

/// Removes the data of the previous demo. The database server of that demo may still run, if that demo was killed.
async fn forget(place: &ClusterPlace) -> CommandResult {
    if !place.data_dir.exists() {
        return Ok(());
    }
    let left = ClusterConfig {
        data_dir: place.data_dir.clone(),
        bin_dir: place.bin_dir.clone(),
        settings: Vec::new(),
    };
    let cluster = EmbeddedCluster::start(&left).await?;
    let database = cluster.database_dir().to_owned();
    cluster.stop().await?;
    // The database server is still running if another process is responsible for it.
    if database.join("postmaster.pid").exists() {
        return Err(Failure::failed(format!(
            "{} belongs to a demo that is running: stop that demo, or give this demo another --data-dir",
            place.data_dir.display()
        )));
    }
    for directory in [&database, &place.data_dir] {
        std::fs::remove_dir_all(directory).map_err(|error| {
            Failure::failed(format!("{} cannot be removed: {error}", directory.display()))
        })?;
    }
    Ok(())
}
