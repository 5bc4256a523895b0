//! The engine: its parts, and what programs ask of it.

use std::sync::Arc;

use super::{
    OutboundStores, Registry, Relay, RunWorker, ScheduleSpec, Scheduler, Worker, lists::Lists,
    verifier::Verifier,
};
use crate::{
    clock::Clock,
    error::Result,
    handler::{Preview, preview},
    mirror::Mirror,
    queue::Work,
    record::{EntityType, RecordKey},
    runs::{ListLoad, NewRun, Run, RunPlan, RunType},
    shutdown::Shutdown,
};

/// An engine: a worker for items, a worker for runs, and a scheduler. Clones share all of them.
///
/// # Example
/// ```
/// use std::sync::Arc;
///
/// use serde_json::json;
/// use tds_core::{memory::MemoryStore, prelude::*, testkit::ScriptedSource};
///
/// const PRODUCTS: EntityType = EntityType::from_static("products");
/// const SCHEMA: MirrorSchema = MirrorSchema { entity: PRODUCTS, head: Some("products"), children: &[] };
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<()> {
/// let source = Arc::new(ScriptedSource::new(SCHEMA, Arc::new(SystemClock)));
/// for (id, name) in [("1", "lamp"), ("2", "chair"), ("3", "table")] {
///     source.put(RecordBuilder::new(&PRODUCTS, id).fields(json!({"name": name})));
/// }
/// let store = MemoryStore::default();
/// let engine = Engine::builder(Stores::new(&store, store.clone())).source(source.clone()).start();
/// let full = || NewRun::new(PRODUCTS, RunType::Full, "scripted", "example");
///
/// let run = engine.sync(full()).await?;
/// assert_eq!((run.total_items, run.unchanged_items), (3, 0));
/// assert_eq!(store.rows(&PRODUCTS).len(), 3);
///
/// // The next full sync writes only what changed. A record that the list lacks is read by id, and then marked as
/// // deleted.
/// source.put(RecordBuilder::new(&PRODUCTS, "2").fields(json!({"name": "armchair"})));
/// source.remove("3");
/// let run = engine.sync(full()).await?;
/// assert_eq!((run.status.as_str(), run.unchanged_items), ("completed", 1));
/// let rows = store.rows(&PRODUCTS);
/// assert_eq!(rows[&RecordId::new("2")].fields["name"], "armchair");
/// assert!(rows[&RecordId::new("3")].deleted_at.is_some());
/// engine.stop().await;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Engine {
    /// The worker for items, for programs that start the tasks themselves.
    pub worker: Arc<Worker>,
    /// The worker for runs, for programs that start the tasks themselves.
    pub runs: Arc<RunWorker>,
    /// The scheduler, for programs that start the tasks themselves.
    pub scheduler: Arc<Scheduler>,
    /// The relay of local changes, for programs that start the tasks themselves; `None` without an outbox.
    pub relay: Option<Arc<Relay>>,
    pub(super) outbound: Option<OutboundStores>,
    pub(super) lists: Lists,
    pub(super) verifier: Option<Arc<Verifier>>,
    pub(super) mirror: Arc<dyn Mirror>,
    pub(super) clock: Arc<dyn Clock>,
}

impl Engine {
    /// Returns the ports of outbound work, if the stores have them.
    #[must_use]
    pub fn outbound(&self) -> Option<&OutboundStores> {
        self.outbound.as_ref()
    }

    /// Returns the handlers and sources of the engine.
    #[must_use]
    pub fn registry(&self) -> &Registry {
        &self.worker.registry
    }

    /// Refuses what [`Engine::create_run`] refuses, without asking the store. Use this method to create either all of
    /// several runs or none.
    ///
    /// # Errors
    /// `Invalid`: this engine cannot execute the run.
    pub fn check_run(&self, run: &NewRun) -> Result<()> {
        self.runs.check(run)
    }

    /// Returns the plan of a run that is about to be created, if it is known before the run begins: the plan of
    /// a run with a selection. `None` for other runs, which plan when they begin.
    ///
    /// # Errors
    /// `Invalid`: this engine cannot execute the run. Any other kind: the store cannot be asked.
    pub async fn estimate_run(&self, run: &NewRun) -> Result<Option<RunPlan>> {
        self.runs.estimate(run).await
    }

    /// Returns what is known about the list of each entity type with a source, in order, with these schedules.
    ///
    /// # Errors
    /// A store cannot be asked.
    pub async fn list_loads(&self, schedules: &[ScheduleSpec]) -> Result<Vec<ListLoad>> {
        self.lists.loads(self.registry(), schedules).await
    }

    /// Returns what would become of work on a record, without writing anything. Records that have to be read are read
    /// from the source, in the lane of operators.
    ///
    /// # Errors
    /// The mirror cannot be asked.
    pub async fn preview(&self, key: &RecordKey, work: &Work) -> Result<Vec<Preview>> {
        let source = |entity: &EntityType| self.registry().source(entity).cloned();
        preview(&self.mirror, &self.clock, source, key, work).await
    }

    /// Creates a run.
    ///
    /// # Errors
    /// `Invalid`: this engine has no executor for runs of the type, or the executor refuses the run; the lister
    /// refuses a run of an entity type without a source. `Conflict`: a run of the entity type is active.
    pub async fn create_run(&self, run: NewRun) -> Result<Run> {
        if let Some(verifier) = self.verifier.as_ref().filter(|_| run.run_type == RunType::Verify) {
            verifier.watch.begin();
        }
        self.runs.create(run).await
    }

    /// Completes the verifications whose runs have ended: repairs are looked at, and the checks of money are made.
    /// Returns true if a verification is still under way. The leader among the processes does so by itself.
    ///
    /// # Errors
    /// A store cannot be reached.
    pub async fn finish_verifications(&self) -> Result<bool> {
        match &self.verifier {
            Some(verifier) => verifier.finish_all().await,
            None => Ok(false),
        }
    }

    /// Runs until the shutdown signal.
    pub async fn run(&self, shutdown: Shutdown) {
        let relay = async {
            if let Some(relay) = &self.relay {
                relay.run(shutdown.clone()).await;
            }
        };
        tokio::join!(
            self.worker.run(shutdown.clone()),
            self.runs.run(None, shutdown.clone()),
            self.scheduler.run(shutdown.clone()),
            relay
        );
    }
}
