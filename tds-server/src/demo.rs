//! The server against a simulated Zoho organization in the same process.
//!
//! Everything except Zoho is real: the HTTP client, the database, and the signatures of the webhooks. Each start
//! creates a new organization and a new mirror.

use std::{io, path::Path, time::Duration};

use rand::distr::{Alphanumeric, SampleString};
use secrecy::{ExposeSecret, SecretString};
use tds_core::{runs::RunType, shutdown::Shutdown};
use tds_zoho::sim::{
    SimulatedZoho,
    demo::{Size, organization, run_changes},
};

use crate::{
    app::{
        refusal::Refusal,
        runs::{BulkSync, entities},
    },
    config::{ClusterPlace, Config, ConfigErrors, DatabaseChoice, Need, demo_directory},
    engine::{BuildError, ClusterConfig, EmbeddedCluster},
    entities::Entities,
    http::state::{AppState, Shared},
    server::{App, RunError},
    telemetry,
};

/// The seed of the organization. Each start creates the same organization, except for its times.
const SEED: u64 = 1;
/// The time between two looks at the runs of the first sync.
const LOOK: Duration = Duration::from_secs(1);

/// The options of the demo.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DemoOptions {
    /// The size of the organization, in per cent of the real shop.
    pub(crate) scale: u64,
    /// The time between two changes in the organization.
    pub(crate) change_every: Duration,
}

/// The reason why the demo cannot start, or why it ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DemoError {
    /// A setting is wrong.
    #[error("{0}")]
    Config(#[from] ConfigErrors),
    /// The server could not be built.
    #[error("{0}")]
    Build(#[from] BuildError),
    /// The data of the previous demo could not be removed.
    #[error("{0} cannot be removed: {1}")]
    Data(String, io::Error),
    /// The simulated organization could not be started.
    #[error("the simulated organization cannot be started: {0}")]
    Zoho(io::Error),
    /// Another demo runs in the same data directory.
    #[error("{0} belongs to a demo that is running: stop that demo, or give this demo another --data-dir")]
    InUse(String),
    /// The server ended with an error.
    #[error("{0}")]
    Run(#[from] RunError),
    /// The task of the server ended with an error.
    #[error("the server ended: {0}")]
    Server(String),
}

/// A demo whose server listens already.
pub(crate) struct Demo {
    app: App,
    zoho: SimulatedZoho,
    token: SecretString,
    webhook_secret: SecretString,
    change_every: Duration,
}

impl Demo {
    /// Starts the organization, the database and the server. `lookup` supplies the few settings that a demo follows:
    /// the address it listens on, the directory of its data, and the settings of the log.
    pub(crate) async fn start(
        options: &DemoOptions,
        entities: &Entities,
        lookup: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, DemoError> {
        let zoho = SimulatedZoho::start().await.map_err(DemoError::Zoho)?;
        zoho.set_catalogue(&entities.catalogue);
        organization(&zoho, Size::percent(options.scale), SEED);
        let (token, webhook_secret) = (secret(), secret());
        let settings = Settings { zoho: &zoho, token: &token, webhook_secret: &webhook_secret };
        let config = Config::from_lookup(|variable| settings.get(variable, &lookup), Need::Serve)?;
        telemetry::init(&config.log);
        if let DatabaseChoice::Embedded(place) = &config.database {
            forget(place).await?;
        }
        let app = App::build_with(config, entities).await?;
        Ok(Self { app, zoho, token, webhook_secret, change_every: options.change_every })
    }

    /// Returns the text that a person needs to look around.
    pub(crate) fn introduction(&self) -> String {
        let base = self.base_url();
        let (token, secret) = (self.token.expose_secret(), self.webhook_secret.expose_secret());
        let database = self.app.parts().database.target();
        format!(
            "TDS demo: {base}   (dashboard /, API /docs)\n\
             token:    {token}\n\
             database: {database}\n\n\
             A simulated organization is being synced. It then keeps changing and sends webhooks. Try:\n\n  \
             curl -s -H 'Authorization: Bearer {token}' {base}/api/zoho/sync/stats\n  \
             curl -s -H 'Authorization: Bearer {token}' '{base}/api/zoho/sync/runs?limit=8'\n  \
             curl -s -H 'Authorization: Bearer {token}' '{base}/api/zoho/webhooks/inbox?limit=3'\n  \
             tds-server webhook send products --url {base} --webhook-secret {secret}\n\n\
             Ctrl-C ends the demo.\n"
        )
    }

    /// Runs the server, the first sync and the simulated changes until `stop`. Messages for the person go to `show`.
    pub(crate) async fn run(self, stop: Shutdown, show: impl Fn(&str)) -> Result<(), DemoError> {
        let base = self.base_url();
        let life = Life {
            zoho: self.zoho,
            base: base.clone(),
            state: self.app.state().clone(),
            webhook_secret: self.webhook_secret,
            change_every: self.change_every,
        };
        let stopped = stop.clone();
        let server = tokio::spawn(self.app.run_until_stopped(async move { stopped.wait().await }));
        life.go_on(&stop, show).await;
        server.await.map_err(|error| DemoError::Server(error.to_string()))??;
        Ok(())
    }

    fn base_url(&self) -> String {
        format!("http://{}", self.app.address())
    }
}

/// The activity beside the server.
struct Life {
    zoho: SimulatedZoho,
    base: String,
    state: AppState,
    webhook_secret: SecretString,
    change_every: Duration,
}

impl Life {
    /// Runs the first sync and the simulated changes until `stop`. Trouble is reported, and the server continues.
    async fn go_on(&self, stop: &Shutdown, show: impl Fn(&str)) {
        let first_sync = async {
            if let Err(refusal) = self.first_sync(stop, &show).await {
                show(&format!("the first sync: {refusal:?}"));
            }
        };
        let changes = run_changes(
            self.zoho.organization(),
            self.base.clone(),
            self.webhook_secret.expose_secret().to_owned(),
            self.change_every,
            stop.wait(),
        );
        tokio::join!(first_sync, changes);
    }

    /// Starts a full sync of everything, and reports when the sync has ended.
    async fn first_sync(&self, stop: &Shutdown, show: impl Fn(&str)) -> Result<(), Refusal> {
        let Shared { runs, services, .. } = &*self.state;
        let sync = BulkSync { run_type: RunType::Full, since: None, requested_by: "cli" };
        let started =
            runs.start(&services.engine, entities(services.engine.registry(), None)?, sync).await?.runs;
        while !stop.sleep(LOOK).await {
            let mut records = 0;
            let mut is_active = false;
            for run in &started {
                let run = runs.find(run.id.0).await?;
                records += run.processed_items;
                is_active |= run.status.is_active();
            }
            if !is_active {
                show(&format!("the first full sync is done: {records} records"));
                break;
            }
        }
        Ok(())
    }
}

/// Returns a secret in a form that Zoho accepts: letters and digits.
fn secret() -> SecretString {
    Alphanumeric.sample_string(&mut rand::rng(), 32).into()
}

/// The configuration of a demo.
struct Settings<'a> {
    zoho: &'a SimulatedZoho,
    token: &'a SecretString,
    webhook_secret: &'a SecretString,
}

impl Settings<'_> {
    fn get(&self, variable: &str, lookup: impl Fn(&str) -> Option<String>) -> Option<String> {
        let credentials = self.zoho.credentials();
        match variable {
            "TDS_BIND" | "PG_BIN_DIR" => lookup(variable),
            "TDS_DATA_DIR" => {
                let directory = lookup(variable).unwrap_or_else(|| ".tds".to_owned());
                Some(demo_directory(Path::new(&directory)).display().to_string())
            }
            "RUST_LOG" => Some(lookup(variable).unwrap_or_else(|| "warn".to_owned())),
            "TDS_ADMIN_TOKEN" => Some(format!("demo:{}", self.token.expose_secret())),
            "ZOHO_WEBHOOK_SECRET" => Some(self.webhook_secret.expose_secret().to_owned()),
            "ZOHO_CLIENT_ID" => Some(credentials.client_id),
            "ZOHO_CLIENT_SECRET" => Some(credentials.client_secret),
            "ZOHO_REFRESH_TOKEN" => Some(credentials.refresh_token),
            "ZOHO_ORGANIZATION_ID" => Some(credentials.organization_id),
            "ZOHO_ACCOUNTS_URL" => Some(self.zoho.url()),
            "ZOHO_API_URL" => Some(self.zoho.url()),
            // The simulated organization has no limits.
            "ZOHO_REQUESTS_PER_MINUTE" => Some("10000".to_owned()),
            "ZOHO_MAX_CONCURRENCY" => Some("8".to_owned()),
            // The schedules are short, so that a viewer soon sees runs.
            "TDS_INCREMENTAL_EVERY" => Some("2m".to_owned()),
            "TDS_STOCK_EVERY" => Some("1m".to_owned()),
            "TDS_PRICES_EVERY" => Some("1m".to_owned()),
            _ => None,
        }
    }
}

/// Removes the data of the previous demo. The database server of that demo may still run, if that demo was killed.
async fn forget(place: &ClusterPlace) -> Result<(), DemoError> {
    if !place.data_dir.exists() {
        return Ok(());
    }
    let left = ClusterConfig {
        data_dir: place.data_dir.clone(),
        bin_dir: place.bin_dir.clone(),
        settings: Vec::new(),
    };
    let cluster = EmbeddedCluster::start(&left).await.map_err(BuildError::from)?;
    let database = cluster.database_dir().to_owned();
    cluster.stop().await.map_err(BuildError::from)?;
    // The database server is still running if another process is responsible for it.
    if database.join("postmaster.pid").exists() {
        return Err(DemoError::InUse(place.data_dir.display().to_string()));
    }
    for directory in [&database, &place.data_dir] {
        std::fs::remove_dir_all(directory)
            .map_err(|error| DemoError::Data(directory.display().to_string(), error))?;
    }
    Ok(())
}
