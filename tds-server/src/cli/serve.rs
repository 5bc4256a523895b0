//! `serve`.

use clap::Args;

use super::{
    exit::{CommandResult, Failure},
    lookup::Lookup,
    output,
    settings::{Given, SERVER, flags},
    signals,
};
use crate::{
    config::{Config, Need},
    entities::Entities,
    server::App,
    service::ServiceManager,
    telemetry,
};

/// Migrate the database, then run the HTTP API, the workers and the scheduler (the default)
#[derive(Args, Default)]
#[command(
    args = flags(&SERVER),
    after_help = "Examples:\n  tds-server serve\n  tds-server serve --bind 0.0.0.0:8000 --workers 8\n\n\
    SIGTERM or Ctrl-C stops the server after the current requests and batches have ended. A second signal stops it\n\
    at once."
)]
pub(crate) struct ServeArgs {}

impl ServeArgs {
    pub(crate) async fn run(self, flags: Given, entities: &Entities) -> CommandResult {
        let lookup = Lookup::load_silently(flags)?;
        let unknown = lookup.unknown();
        let config = match Config::from_lookup(|name| lookup.get(name), Need::Serve) {
            Ok(config) => config,
            Err(errors) => {
                // A mistyped name may be the reason why a value is missing.
                unknown.iter().for_each(|warning| output::talk(&format!("warning: {warning}")));
                return Err(errors.into());
            }
        };
        telemetry::init(&config.log);
        for warning in unknown {
            tracing::warn!("{warning}");
        }
        let shutdown = signals::shutdown_after(config.http.shutdown_delay)?;
        let app = App::build_with(config, entities).await?.reporting_to(ServiceManager::from_environment());
        output::say(&format!("TDS answers on http://{}", app.address()));
        app.run_until_stopped(async move { shutdown.wait().await })
            .await
            .map_err(|error| Failure::failed(error.to_string()))
    }
}
