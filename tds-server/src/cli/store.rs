//! The store for commands that need only the database.

use std::{io::IsTerminal as _, sync::Arc, time::Duration};

use tds_core::{privacy::Eraser, queue::WorkerId};
use tds_postgres::{PgEraser, SchemaStatus, SchemaVerdict};
use tds_zoho::{HiddenValues, entities::Catalogue};

use super::{
    exit::{CommandResult, Failure},
    lookup::Lookup,
    output,
};
use crate::{
    app::{
        directions::Directions, dry_run::DryRun, events::Events, explain::Explain, items::Items,
        outbox::LocalChanges, runs::Runs, services::Ports,
    },
    config::{ClusterPlace, Config, ConfigErrors, DatabaseChoice, ImageStoreConfig, Need, demo_directory},
    engine::{BuildError, EmbeddedCluster, Engine, Storage},
    entities::Entities,
    images::ImageStore,
    telemetry,
};

/// An open database whose schema is up to date.
pub(crate) struct Store {
    storage: Storage,
    /// A human-readable description of the database.
    pub(crate) place: String,
    pub(crate) items: Items,
    pub(crate) events: Events,
    pub(crate) runs: Runs,
    pub(crate) explain: Explain,
    organization_id: Option<String>,
    lookup: Lookup,
    entities: Entities,
    day_limit: Option<u32>,
    /// The age at which the bodies of ended events are blanked.
    pub(crate) payload_retention: Duration,
    images: Option<ImageStoreConfig>,
}

impl Store {
    /// Connects to the database, and refuses a schema of another version.
    pub(crate) async fn open(lookup: &Lookup, entities: &Entities) -> CommandResult<Self> {
        let config = quiet_config(lookup, Need::Database)?;
        let catalogue =
            config.catalogue(&entities.catalogue).map_err(|error| Failure::usage(error.to_string()))?;
        let (storage, place) = existing(&config.database).await?;
        if let Err(failure) = own(&storage, &config).await {
            storage.close().await;
            return Err(failure);
        }
        let ports = Ports::new(&storage.store).measuring(&storage.store).pushing(&storage.store);
        let explain = Explain { ports: ports.clone(), catalogue: catalogue.clone() };
        let events = Events { ports: ports.clone(), catalogue };
        let (items, runs) = (Items(ports.clone()), Runs(ports));
        let day_limit = lookup.get("ZOHO_DAILY_LIMIT").and_then(|limit| limit.parse().ok());
        let (lookup, entities) = (lookup.clone(), entities.clone());
        Ok(Self {
            storage,
            place,
            items,
            events,
            runs,
            explain,
            organization_id: config.organization_id,
            lookup,
            entities,
            day_limit,
            payload_retention: config.privacy.payload_retention,
            images: config.images.store,
        })
    }

    /// Returns the dry runs, which read records from Zoho if needed. They require the configuration of a sync.
    pub(crate) fn dry_run(&self) -> CommandResult<DryRun> {
        let config = Config::from_lookup(|name| self.lookup.get(name), Need::Sync)?;
        let zoho = config.zoho.clone().ok_or(BuildError::NoZoho)?;
        let name = WorkerId::unique();
        let (services, _) = Engine::compose(&config, &self.entities, zoho, &self.storage, &name)?;
        Ok(DryRun(services))
    }

    /// Returns the ports of the store.
    pub(crate) fn ports(&self) -> &Ports {
        &self.events.ports
    }

    /// Returns the operations on modes.
    pub(crate) fn directions(&self) -> Directions {
        Directions { ports: self.ports().clone(), catalogue: self.catalogue().clone() }
    }

    /// Returns the operations on local changes and conflicts.
    pub(crate) fn local_changes(&self) -> LocalChanges {
        LocalChanges(self.ports().clone())
    }

    /// Returns the part that erases records of persons.
    pub(crate) fn eraser(&self) -> Arc<dyn Eraser> {
        let persons = HiddenValues(self.catalogue().without_persons());
        Arc::new(PgEraser::new(self.storage.database.clone(), Arc::new(persons)))
    }

    /// Returns the place of product images; `None` if there is none.
    pub(crate) fn image_files(&self) -> CommandResult<Option<ImageStore>> {
        let store = self.images.as_ref().map(ImageStore::open).transpose();
        store.map_err(|error| Failure::usage(error.to_string()))
    }

    /// Returns the entity types of the program.
    pub(crate) fn catalogue(&self) -> &Catalogue {
        &self.events.catalogue
    }

    /// Returns the calls that the organization's plan allows in a day, if they are configured.
    pub(crate) fn day_limit(&self) -> Option<u32> {
        self.day_limit
    }

    /// Returns the organization whose webhooks are handled.
    pub(crate) fn organization_id(&self) -> CommandResult<&str> {
        self.organization_id.as_deref().ok_or_else(|| {
            Failure::usage(
                "ZOHO_ORGANIZATION_ID: found nothing; accepted: the organization whose webhooks are handled",
            )
        })
    }

    /// Closes the connections, and stops the private cluster if this command started it.
    pub(crate) async fn close(self) {
        self.storage.close().await;
    }
}

/// Refuses schemas of another version, or of another organization.
pub(crate) async fn own(storage: &Storage, config: &Config) -> CommandResult {
    current(storage).await?;
    of_organization(storage, config).await
}

/// Refuses the schemas of another organization than the configured one.
pub(crate) async fn of_organization(storage: &Storage, config: &Config) -> CommandResult {
    match &config.organization_id {
        Some(id) => Ok(storage.store.check_organization(id).await?),
        None => Ok(()),
    }
}

/// Refuses a schema of another version.
async fn current(storage: &Storage) -> CommandResult {
    refusal(storage.database.schema().await?).map_or(Ok(()), Err)
}

/// Returns the failure of a command that needs the current schema.
fn refusal(SchemaStatus { applied, expected, verdict }: SchemaStatus) -> Option<Failure> {
    let what_to_do = match verdict {
        SchemaVerdict::Current => return None,
        SchemaVerdict::OlderFunctions => {
            let text = "the functions of the database are not those of this program: run tds-server migrate";
            return Some(Failure::failed(text));
        }
        SchemaVerdict::Older => "run tds-server migrate",
        SchemaVerdict::Newer => "start the newer TDS",
    };
    Some(Failure::failed(format!(
        "the schema of the database has version {applied}, but this program needs version {expected}: {what_to_do}"
    )))
}

/// Reads the configuration of a command that serves nothing. The log of such a command reports only trouble, unless
/// more is asked for.
pub(crate) fn quiet_config(lookup: &Lookup, need: Need) -> CommandResult<Config> {
    let mut config = Config::from_lookup(|name| lookup.get(name), need)?;
    if lookup.get("RUST_LOG").is_none() {
        config.log.filter = "warn".to_owned();
    }
    telemetry::init(&config.log);
    Ok(config)
}

/// Opens the existing database and returns its description. Commands that only look create nothing. If only a demo has
/// a private cluster, that cluster is opened.
pub(crate) async fn existing(choice: &DatabaseChoice) -> CommandResult<(Storage, String)> {
    let demo = demo_below(choice);
    let storage = match &demo {
        Some(demo) => Storage::open_existing(&DatabaseChoice::Embedded(demo.clone())).await?,
        None => Storage::open_existing(choice).await?,
    };
    let target = storage.database.target();
    let place = match (choice, &demo) {
        (_, Some(demo)) => format!("the demo's database in {} ({target})", demo.data_dir.display()),
        (DatabaseChoice::Embedded(place), None) => {
            format!("the private database in {} ({target})", place.data_dir.display())
        }
        (DatabaseChoice::Url(_), None) => target.to_owned(),
    };
    if demo.is_some() || std::io::stderr().is_terminal() {
        output::talk(&format!("database: {place}"));
    }
    Ok((storage, place))
}

/// Returns the location of the demo's cluster, if `TDS_DATA_DIR` holds no other cluster.
fn demo_below(choice: &DatabaseChoice) -> Option<ClusterPlace> {
    let DatabaseChoice::Embedded(place) = choice else { return None };
    let directory = demo_directory(&place.data_dir);
    let only = !EmbeddedCluster::exists(&place.data_dir) && EmbeddedCluster::exists(&directory);
    only.then(|| ClusterPlace { data_dir: directory, ..place.clone() })
}

impl From<ConfigErrors> for Failure {
    fn from(errors: ConfigErrors) -> Self {
        Self::Usage(errors.0.iter().map(ToString::to_string).collect())
    }
}

impl From<BuildError> for Failure {
    fn from(error: BuildError) -> Self {
        match error.exit_status() {
            2 => Self::usage(error.to_string()),
            _ => Self::failed(error.to_string()),
        }
    }
}
