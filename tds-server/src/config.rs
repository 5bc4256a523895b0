//! Configuration from environment variables: one small struct per part. All errors are reported at once.

mod auth;
mod custom_columns;
mod database;
mod entities;
mod error;
mod http;
mod images;
mod ingest;
mod log;
mod lookup;
mod privacy;
mod rules;
mod schedules;
mod webhooks;
mod worker;
mod write_guard;
mod zoho;

pub(crate) use self::database::demo_directory;
pub use self::{
    auth::{Access, ApiToken, AuthConfig},
    database::{ClusterPlace, DatabaseChoice},
    entities::EntityChoice,
    error::{ConfigError, ConfigErrors},
    http::HttpConfig,
    images::{BucketConfig, BucketKeys, ImagePlace, ImageStoreConfig, ImagesConfig},
    log::{LogConfig, LogFormat},
    lookup::parse_duration,
    privacy::PrivacyConfig,
    rules::RulesConfig,
    schedules::SchedulesConfig,
    webhooks::{Verification, WebhookConfig},
    worker::WorkerConfig,
};

use std::time::Duration;

use tds_postgres::{CustomColumn, StoreSettings, WriteGuard};
use tds_zoho::{ZohoConfig, entities::Catalogue};

use self::lookup::Reader;

/// The part of the configuration that a command needs. Variables of the other parts may be absent, but are still
/// checked if they are set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// `serve` needs everything, and the rules of production apply.
    Serve,
    /// Commands that call Zoho and write to the database, such as `bulk-sync`.
    Sync,
    /// Commands that only read or write the database.
    Database,
}

/// The kind of installation. `APP_ENV`, default `development`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Environment {
    /// A developer's own machine.
    Development,
    /// Demands an admin token, a webhook secret and JSON logs.
    Production,
}

/// The whole configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// `APP_ENV`.
    pub environment: Environment,
    /// The database to use.
    pub database: DatabaseChoice,
    /// The listener.
    pub http: HttpConfig,
    /// The tokens of the operator API.
    pub auth: AuthConfig,
    /// How webhooks are authenticated.
    pub webhooks: WebhookConfig,
    /// How webhooks and rules are registered in Zoho.
    pub rules: RulesConfig,
    /// How accepted webhooks are committed.
    pub ingest: StoreSettings,
    /// `ZOHO_ORGANIZATION_ID`. A command that does not call Zoho works without it, but never on the data of another
    /// organization.
    pub organization_id: Option<String>,
    /// The access to Zoho. `None` only if the command does not call Zoho and no credentials are set.
    pub zoho: Option<ZohoConfig>,
    /// `ZOHO_UNIQUE_FIELD`, default `cf_tds_id`: the API name of the unique custom field that marks records created by TDS.
    pub unique_field: String,
    /// Workers and retries.
    pub worker: WorkerConfig,
    /// `TDS_ENTITIES`: the entity types that are synced.
    pub entities: EntityChoice,
    /// The schedules of the runs that start by themselves.
    pub schedules: SchedulesConfig,
    /// `TDS_VERIFY_SAMPLE`, default 100: the number of records of each entity type that a comparison reads whole as a random
    /// sample.
    pub verify_sample: u64,
    /// The product images.
    pub images: ImagesConfig,
    /// The age at which finished rows are pruned. `TDS_RETENTION`, default `30d`.
    pub retention: Duration,
    /// What is not kept.
    pub privacy: PrivacyConfig,
    /// `TDS_ERP_READERS`: the database roles that may read schema `erp`.
    pub erp_readers: Vec<String>,
    /// `TDS_CUSTOM_COLUMNS`: the custom fields that are columns of the mirror.
    pub custom_columns: Vec<CustomColumn>,
    /// `TDS_WRITE_GUARD`, default `on`: whether local changes are errors while Zoho is the only place where records are
    /// changed. `None`: the command leaves the database as it is.
    pub write_guard: Option<WriteGuard>,
    /// The settings of the log.
    pub log: LogConfig,
}

impl Config {
    /// Reads all variables through `lookup`, which usually reads the environment; flags may take precedence. An empty
    /// value counts as unset.
    ///
    /// # Errors
    /// Every wrong or missing value, one line each. Values of secrets are never part of a line.
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>, need: Need) -> Result<Self, ConfigErrors> {
        let mut reader = Reader::new(&lookup);
        let environment = environment(&mut reader);
        let serve = need == Need::Serve;
        let http = HttpConfig::read(&mut reader);
        let organization_id = zoho::organization_id(&mut reader);
        let retention = reader.duration("TDS_RETENTION", Duration::from_secs(30 * 86_400));
        let config = Self {
            environment,
            database: DatabaseChoice::read(&mut reader),
            auth: AuthConfig::read(&mut reader, environment, serve.then_some(http.bind)),
            http,
            webhooks: WebhookConfig::read(&mut reader, environment, serve),
            rules: RulesConfig::read(&mut reader),
            ingest: ingest::read(&mut reader),
            zoho: zoho::read(&mut reader, organization_id.as_deref(), need != Need::Database),
            organization_id,
            unique_field: zoho::unique_field(&mut reader),
            worker: WorkerConfig::read(&mut reader),
            entities: EntityChoice::read(&mut reader),
            schedules: SchedulesConfig::read(&mut reader),
            verify_sample: reader.number("TDS_VERIFY_SAMPLE", 100, 0, 10_000),
            images: ImagesConfig::read(&mut reader),
            retention,
            privacy: PrivacyConfig::read(&mut reader, retention),
            erp_readers: reader.list("TDS_ERP_READERS"),
            custom_columns: custom_columns::read(&mut reader),
            write_guard: write_guard::read(&mut reader, serve),
            log: LogConfig::read(&mut reader, environment, serve),
        };
        reader.finish(config)
    }

    /// Returns the catalogue as it is configured: which of its entity types are synced, and which columns are hidden.
    ///
    /// # Errors
    /// A name is not one that the catalogue has.
    pub fn catalogue(&self, catalogue: &Catalogue) -> Result<Catalogue, ConfigError> {
        self.rules.check(catalogue)?;
        self.privacy.of(&self.entities.of(catalogue)?)
    }
}

/// Reads the access to Zoho as far as it is set, for a command that completes it. The refresh token and the organization
/// may be missing.
///
/// # Errors
/// Every wrong value, one line each.
pub(crate) fn incomplete_zoho(lookup: impl Fn(&str) -> Option<String>) -> Result<ZohoConfig, ConfigErrors> {
    let mut reader = Reader::new(&lookup);
    let config = zoho::incomplete(&mut reader);
    reader.finish(config)
}

fn environment(reader: &mut Reader<'_>) -> Environment {
    reader.parse("APP_ENV", Environment::Development, "development or production", |text| match text {
        "development" => Some(Environment::Development),
        "production" => Some(Environment::Production),
        _ => None,
    })
}
