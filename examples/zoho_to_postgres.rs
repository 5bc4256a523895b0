//! Zoho to PostgreSQL in one program: a private PostgreSQL, a simulated Zoho organization, the whole engine.
//!
//! Run it with `cargo run --example zoho_to_postgres`.
//!
//! With real credentials in `ZohoConfig` and a `DatabaseConfig` of your own, this is a sync engine inside your
//! program. `tds-server` adds the HTTP API, schedules and the command line.
#![expect(clippy::print_stdout, reason = "an example talks to the person who runs it")]

use std::{error::Error as StdError, sync::Arc};

use tds_core::prelude::*;
use tds_postgres::{
    ClusterConfig, Database, DatabaseConfig, EmbeddedCluster, PgMirror, PgStore, StoreSettings,
};
use tds_zoho::{
    DataCenter, ZohoClient, ZohoConfig,
    sim::{Module, SimulatedZoho},
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn StdError>> {
    // The data comes from an organization with 30 items.
    let simulated = SimulatedZoho::start().await?;
    simulated.generate(Module::ITEMS, 30);
    let credentials = simulated.credentials();
    let mut zoho = ZohoConfig::new(
        credentials.client_id,
        credentials.client_secret,
        credentials.refresh_token,
        credentials.organization_id,
        DataCenter::Us,
    );
    zoho.accounts_url = simulated.url();
    zoho.api_url = Some(simulated.url());

    // The data goes to a private cluster, which is created with the PostgreSQL binaries of this machine.
    let directory = std::env::temp_dir().join(format!("tds-example-{}", std::process::id()));
    let cluster = EmbeddedCluster::start(&ClusterConfig::new(&directory)).await?;
    let database = Database::connect(&DatabaseConfig::new(cluster.url())).await?;
    database.migrate().await?;

    // The engine has a source for each entity type and one store.
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let client = ZohoClient::new(zoho, Arc::clone(&clock))?;
    let store = PgStore::new(database.clone(), StoreSettings::default());
    let stores = Stores::new(&store, PgMirror::new(database.clone()));
    let engine = tds_zoho::sources(&client)
        .into_iter()
        .fold(Engine::builder(stores), |builder, source| builder.source(source))
        .start();

    for entity in ["products", "stock"] {
        let run = engine.sync(NewRun::new(entity.parse()?, RunType::Full, "zoho", "example")).await?;
        let (status, processed, total) = (run.status.as_str(), run.processed_items, run.total_items);
        println!("{entity}: {processed} of {total} records, {status}");
    }
    println!("Zoho was called {} times", simulated.calls());

    engine.stop().await;
    store.shutdown().await;
    database.close().await;
    cluster.stop().await?;
    std::fs::remove_dir_all(&directory)?;
    Ok(())
}
