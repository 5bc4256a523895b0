//! `images`: one pass over the product images in the foreground, executed like a bulk sync.

use clap::Args;
use tds_core::{
    runs::{Run, RunStatus},
    shutdown::Shutdown,
};

use super::{
    bulk_sync::{MOST_MINTS, follow},
    exit::{CommandResult, Failure},
    lookup::Lookup,
    output::{self, Column},
    settings::{ACCESS, DATABASE, ENTITIES, Given, IMAGES, MIRROR, WORKER, ZOHO, flags},
    signals,
    store::quiet_config,
};
use crate::{
    app::{
        bulk_sync::Execution,
        runs::{Runs, Started},
    },
    config::Need,
    engine::Engine,
    entities::Entities,
    http::dto,
};

/// Download product images to the image store
#[derive(Args)]
#[command(args = flags(&[IMAGES, ENTITIES, ZOHO, WORKER, MIRROR, ACCESS, DATABASE]), after_help = "Examples:\n  \
    tds-server images\n  tds-server images --product 460000000038080,460000000038090\n\n\
    The command looks at each image that is due: a new one, one whose id or name changed, and one of a product that\n\
    changed since the last look. Each look is one call to Zoho. A server does the same every TDS_IMAGES_EVERY. With\n\
    --product, the images of these products are read and written again, whether they are due or not.")]
pub(crate) struct ImagesArgs {
    /// Read the images of the products with these Zoho ids, comma separated
    #[arg(long = "product", value_name = "IDS", value_delimiter = ',')]
    products: Option<Vec<String>>,
    /// Print the finished run as JSON, in the format of the API
    #[arg(long)]
    json: bool,
}

impl ImagesArgs {
    pub(crate) async fn run(self, flags: Given, entities: &Entities) -> CommandResult {
        let mut config = quiet_config(&Lookup::load(flags)?, Need::Sync)?;
        if config.images.store.is_none() {
            return Err(Failure::usage(
                "TDS_IMAGE_STORE: found off; accepted: file:///FOLDER or s3://BUCKET/PATH, because images are kept there",
            ));
        }
        if config.worker.concurrency == 0 {
            return Err(Failure::usage(
                "TDS_WORKERS: found 0; accepted: at least 1, because the command downloads the images itself",
            ));
        }
        if let Some(zoho) = &mut config.zoho {
            zoho.most_mints = MOST_MINTS;
        }
        let shutdown = signals::shutdown()?;
        let engine = Engine::build(&config, entities).await?;
        let result = self.download(&engine, &shutdown).await;
        engine.close().await;
        report(result?, self.json)
    }

    async fn download(&self, engine: &Engine, shutdown: &Shutdown) -> CommandResult<Vec<Run>> {
        output::talk(&format!("target: {}", engine.storage.database.target()));
        let runs = Runs(engine.services.ports.clone());
        let Started { runs: mut started, active } =
            runs.start_images(&engine.services, self.products.clone()).await?;
        for run in active {
            output::talk(&format!("run {} is already active; this command shows its progress", run.id));
            started.push(run);
        }
        let mut execution = Execution::new(engine, started.iter().map(|run| run.id).collect());
        let followed = follow(&runs, started, &mut execution, shutdown).await;
        execution.stop().await;
        followed
    }
}

fn report(runs: Vec<Run>, as_json: bool) -> CommandResult {
    let complete = runs.iter().all(|run| run.status == RunStatus::Completed);
    let stopped = runs.iter().any(|run| run.status.is_active());
    if as_json {
        output::json(&dto::FollowedRuns::from(runs))?;
    } else {
        output::data(&output::table(COLUMNS, &runs))?;
        for line in runs.iter().filter_map(|run| run.error_log.as_deref()).flat_map(str::lines) {
            output::talk(&output::clean(line));
        }
    }
    if stopped {
        output::talk("the command stopped before the end; the next images or serve continues");
    }
    if complete { Ok(()) } else { Err(Failure::Reported) }
}

const COLUMNS: &[Column<Run>] = &[
    ("RUN", |run| run.id.to_string()),
    ("STATUS", |run| run.status.as_str().to_owned()),
    ("IMAGES", |run| run.total_items.to_string()),
    ("FAILED", |run| run.failed_items.to_string()),
];
