//! A small shop at the simulated Zoho, and two processes of the engine that mirror it.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use serde_json::{Value, json};
use tds_core::{
    engine::{RunSettings, ScheduleSpec, SchedulerSettings, Stores, WorkerSettings},
    inbox::{Disposition, EventFilter, EventStatus, Inbox, InboxOperator, NewEvent},
    memory::MemoryStore,
    queue::{ItemFilter, QueueOperator, Work, WorkerId},
    record::{EntityType, RecordId, RecordKey},
    runs::{NewRun, Run, RunFilter, RunType, SyncRunOperator},
    shutdown::ShutdownTrigger,
};
use tds_zoho::{
    DataCenter, ZohoClient, ZohoConfig,
    testkit::{FakeZoho, Module, TokenRules},
};
use tokio::time::{Instant, sleep};

use super::front::{Front, SharedClock};

/// Virtual time advances by at most this much at once, so that data on its way through the operating system takes
/// almost no virtual time.
const TICK: Duration = Duration::from_millis(50);
const RECORDS: u64 = 8;
/// The interval of incremental runs.
pub(super) const INCREMENTAL: Duration = Duration::from_secs(900);

/// An entity type, its module, the column that changes, and the key of this column at Zoho.
const KINDS: [(&str, Module, &str, &str); 3] = [
    ("customers", Module::CONTACTS, "notes", "notes"),
    ("products", Module::ITEMS, "description", "description"),
    ("invoices", Module::INVOICES, "notes", "notes"),
];

/// The simulated Zoho, the proxy, the store, and the two processes.
pub(super) struct Shop {
    pub(super) fake: FakeZoho,
    pub(super) front: Front,
    pub(super) store: MemoryStore,
    clients: Vec<ZohoClient>,
    stop: ShutdownTrigger,
    changes: u64,
    /// The value that each changed record must show, by kind and id.
    expected: BTreeMap<(usize, String), String>,
}

impl Shop {
    /// Opens the shop and reads all records once.
    pub(super) async fn open() -> Self {
        let fake = FakeZoho::start().await;
        tokio::time::pause();
        // The fake counts the mints of ten real minutes. The client keeps Zoho's limit of mints itself, in virtual
        // time.
        fake.set_token_rules(TokenRules { mints_per_ten_minutes: 1_000, ..TokenRules::default() });
        drop(tokio::spawn(async {
            loop {
                sleep(TICK).await;
            }
        }));
        let clock = SharedClock::new();
        fake.set_clock(clock.clone());
        KINDS.iter().for_each(|(_, module, ..)| drop(fake.generate(*module, RECORDS)));
        let behind = fake.api_url().trim_start_matches("http://").parse().expect("an address");
        let front = Front::open(behind).await;
        let store = MemoryStore::new(clock.clone());
        let (stop, shutdown) = ShutdownTrigger::new();
        let mut clients = Vec::new();
        for number in 0..2 {
            let client = client(&fake, &front, &store, &clock);
            let engine = Engine { store: &store, clock: &clock, client: &client, number };
            engine.start(&shutdown);
            clients.push(client);
        }
        let expected = BTreeMap::new();
        let shop = Self { fake, front, store, clients, stop, changes: 0, expected };
        for entity in KINDS.map(|(entity, ..)| EntityType::from_static(entity)) {
            let request = NewRun {
                entity,
                run_type: RunType::Full,
                source_type: "zoho".to_owned(),
                since: None,
                selection: None,
                verify: None,
                requested_by: "the beginning".to_owned(),
            };
            // The request is refused if a scheduled run is active already; that run also reads everything.
            drop(shop.store.create(request).await);
        }
        shop.until("everything was read", Duration::from_secs(600), async || shop.is_at_rest().await).await;
        shop
    }

    /// Changes a record. A third of the changes has no webhook; for the others, a webhook names only the id.
    pub(super) async fn change(&mut self) {
        self.changes += 1;
        let (number, kind) = (self.changes, usize::try_from(self.changes).expect("small") % KINDS.len());
        let (entity, module, _, name) = KINDS[kind];
        let ids = self.fake.ids(module);
        let id = ids[usize::try_from(number).expect("small") / KINDS.len() % ids.len()].clone();
        let text = format!("change {number}");
        assert!(self.fake.update(module, &id, json!({name: text})), "the record is there");
        self.expected.insert((kind, id.clone()), text);
        if number / 3 % 3 == 2 {
            return;
        }
        let entity = EntityType::from_static(entity);
        let key = RecordKey::new(entity.clone(), RecordId::new(id.clone()));
        let event = NewEvent {
            event_id: format!("change {number}"),
            source_type: "zoho".to_owned(),
            entity_type: entity,
            entity_id: Some(id),
            event_type: "updated".to_owned(),
            raw_payload: number.to_string().into_bytes(),
            headers: json!({}),
            disposition: Disposition::Work(vec![(key, Work::fetch())]),
        };
        self.store.accept(event).await.expect("accepted");
    }

    /// Returns the number of changed records that the mirror shows correctly, and a text for each of the others.
    pub(super) fn shown(&self) -> (usize, Vec<String>) {
        let shows = |((kind, id), text): &(&(usize, String), &String)| {
            let (entity, _, column, _) = KINDS[*kind];
            let row = self.store.row(&EntityType::from_static(entity), &RecordId::new(id.clone()));
            row.and_then(|row| row.fields.get(column).cloned()) == Some(Value::String((*text).clone()))
        };
        let (shown, missing): (Vec<_>, Vec<_>) = self.expected.iter().partition(shows);
        (
            shown.len(),
            missing.iter().map(|((kind, id), text)| format!("{} {id}: {text}", KINDS[*kind].0)).collect(),
        )
    }

    /// Returns the calls that were made so far as the engine counts them, including calls whose connection was refused.
    pub(super) async fn calls(&self) -> u64 {
        for client in &self.clients {
            client.status().await.expect("a status");
        }
        let usage = self.clients[0].usage().await.expect("counts");
        usage.calls.iter().map(|count| u64::from(count.calls)).sum()
    }

    pub(super) async fn runs(&self) -> Vec<Run> {
        self.store.list_runs(&RunFilter::default(), 500, None).await.expect("runs").items
    }

    /// Returns whether no run is active and no item is queued.
    pub(super) async fn is_at_rest(&self) -> bool {
        let queue = self.store.stats().await.expect("stats").queue;
        let open = queue.live();
        open == 0 && self.runs().await.iter().all(|run| !run.status.is_active())
    }

    /// Returns everything that is wrong after an hour in which no record was at fault.
    pub(super) async fn faults(&self) -> Vec<String> {
        let mut faults = self.shown().1;
        for item in self.store.list(&ItemFilter::default(), 10_000, None).await.expect("items").items {
            if item.retry_count > 0 || item.status != tds_core::queue::ItemStatus::Completed {
                faults.push(format!("{item:?}"));
            }
        }
        for event in
            self.store.list_events(&EventFilter::default(), 10_000, None).await.expect("events").items
        {
            if event.status != EventStatus::Completed {
                faults.push(format!("{event:?}"));
            }
        }
        let bad = |run: &&Run| run.status != tds_core::runs::RunStatus::Completed;
        faults.extend(self.runs().await.iter().filter(bad).map(|run| format!("{run:?}")));
        faults
    }

    /// Checks the condition every second of virtual time, and returns how long it took.
    pub(super) async fn until(
        &self,
        what: &str,
        most: Duration,
        mut look: impl AsyncFnMut() -> bool,
    ) -> Duration {
        let began = Instant::now();
        while !look().await {
            assert!(began.elapsed() < most, "not within {most:?}: {what}; {:?}", self.faults().await);
            sleep(Duration::from_secs(1)).await;
        }
        began.elapsed()
    }

    pub(super) fn close(&self) {
        self.stop.shutdown();
    }
}

fn client(fake: &FakeZoho, front: &Front, store: &MemoryStore, clock: &Arc<SharedClock>) -> ZohoClient {
    let who = fake.credentials();
    let mut config = ZohoConfig::new(
        who.client_id,
        who.client_secret,
        who.refresh_token,
        who.organization_id,
        DataCenter::Us,
    );
    config.accounts_url = front.url();
    config.api_url = Some(front.url());
    let store = Arc::new(store.clone());
    ZohoClient::shared(config, clock.clone(), store.clone(), store).expect("a client")
}

/// The parts of one process of the program.
struct Engine<'a> {
    store: &'a MemoryStore,
    clock: &'a Arc<SharedClock>,
    client: &'a ZohoClient,
    number: u32,
}

impl Engine<'_> {
    fn start(&self, shutdown: &tds_core::shutdown::Shutdown) {
        let name = WorkerId(format!("process {}", self.number));
        let stores = Stores::new(self.store, self.store.clone());
        let mut builder = tds_core::engine::Engine::builder(stores).clock(self.clock.clone());
        let mut specs = Vec::new();
        for source in tds_zoho::sources(self.client) {
            let entity = source.schema().entity.clone();
            if KINDS.iter().any(|(name, ..)| *name == entity.as_str()) {
                builder = builder.source(source);
                specs.push(ScheduleSpec { entity, run_type: RunType::Incremental, every: INCREMENTAL });
            }
        }
        let scheduler = SchedulerSettings {
            worker: name.clone(),
            tick: Duration::from_secs(5),
            source_type: "zoho".to_owned(),
        };
        let engine = builder
            .worker(WorkerSettings { worker: name.clone(), ..WorkerSettings::default() })
            .runs(RunSettings { worker: name, ..RunSettings::default() })
            .schedules(specs, scheduler)
            .build();
        let shutdown = shutdown.clone();
        drop(tokio::spawn(async move { engine.run(shutdown).await }));
    }
}
