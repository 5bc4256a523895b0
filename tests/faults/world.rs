//! All parts of a monkey test.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use tds_postgres::testkit::Relay;
use tds_zoho::testkit::demo::Size;
use tokio::time::sleep;

use crate::{
    audit,
    cluster::Cluster,
    journal::Journal,
    letters::Letters,
    process::{Process, SECRET, TOKEN},
    source::Source,
    weather::{Part, Weather},
};

/// The database of the processes.
pub(crate) const DATABASE: &str = "shop";
/// A small shop, so that many events concern the same records.
const SIZE: Size = Size {
    items: 30,
    customers: 12,
    vendors: 4,
    invoices: 24,
    bills: 10,
    credit_notes: 8,
    sales_orders: 1,
    purchase_orders: 1,
    vendor_credits: 1,
};
/// 32 bytes in base64. The processes share one access token, encrypted with this key.
const KEY: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
/// The number of connections that each process may open.
pub(crate) const CONNECTIONS: usize = 12;
/// A process that stands still for longer than this loses its leases.
pub(crate) const LEASE: Duration = Duration::from_secs(5);

pub(crate) struct World {
    pub(crate) seconds: u64,
    pub(crate) ceiling: usize,
    pub(crate) cluster: Cluster,
    pub(crate) source: Source,
    pub(crate) processes: [Process; 2],
    /// Each process reaches the database through its own relay.
    pub(crate) relays: [Relay; 2],
    pub(crate) letters: Letters,
    pub(crate) journal: Journal,
    pub(crate) weather: Weather,
    over: AtomicBool,
    /// The number of commands that run beside the processes. `last_command` holds the time when one of them last ended,
    /// in milliseconds of the journal.
    commands: AtomicU64,
    last_command: AtomicU64,
}

impl World {
    /// Opens everything. Both processes are ready, and the first full sync is still to come.
    pub(crate) async fn open(seed: u64, seconds: u64) -> Arc<Self> {
        Self::open_with(seed, seconds, &[]).await
    }

    /// Like [`World::open`], with other settings of the processes.
    pub(crate) async fn open_with(seed: u64, seconds: u64, others: &[(&str, &str)]) -> Arc<Self> {
        let (cluster, source) = tokio::join!(Cluster::start(), Source::open(seed, SIZE));
        cluster.run("postgres", &format!("CREATE DATABASE {DATABASE}")).await;
        // In a long test the ceiling holds calls back from time to time; a short test has no time to wait for it.
        let ceiling = if seconds > 120 { 1_500 } else { 6_000 };
        let (first, second) =
            (Relay::before(&cluster.url(DATABASE)).await, Relay::before(&cluster.url(DATABASE)).await);
        let settings = |url: &str| {
            let mut settings = settings(&source, url, ceiling);
            settings.extend(others.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
            settings
        };
        let processes = [
            Process::new("one", settings(&first.1), cluster.home()),
            Process::new("two", settings(&second.1), cluster.home()),
        ];
        let world = Self {
            seconds,
            ceiling,
            cluster,
            source,
            processes,
            relays: [first.0, second.0],
            letters: Letters::default(),
            journal: Journal::new(),
            weather: Weather::default(),
            over: AtomicBool::new(false),
            commands: AtomicU64::new(0),
            last_command: AtomicU64::new(0),
        };
        let migrated = world.processes[0].command(&["migrate"]).await.output().await.expect("it runs");
        assert!(migrated.status.success(), "migrate: {}", String::from_utf8_lossy(&migrated.stderr));
        world.cluster.run(DATABASE, audit::TRIGGERS).await;
        for process in &world.processes {
            process.ensure().await.expect("the processes start");
        }
        Arc::new(world)
    }

    /// Returns whether the disturbances are over.
    pub(crate) fn is_over(&self) -> bool {
        self.over.load(Ordering::SeqCst)
    }

    pub(crate) fn end(&self) {
        self.over.store(true, Ordering::SeqCst);
    }

    /// Sleeps, but not beyond the end of the test.
    pub(crate) async fn rest(&self, duration: Duration) {
        let step = Duration::from_millis(100);
        let mut left = duration;
        while !left.is_zero() && !self.is_over() {
            let now = left.min(step);
            sleep(now).await;
            left -= now;
        }
    }

    pub(crate) fn storm(&self, part: Part, millis: u64) {
        self.weather.storm(&self.journal, part, millis);
    }

    /// Returns whether an answer may be judged: the process and the database have been calm since then.
    pub(crate) fn was_calm(&self, process: usize, since: u64) -> bool {
        self.weather.was_calm(process, since)
    }

    /// Notes a command that runs beside the processes, with its own connections, until the returned value is dropped.
    pub(crate) fn command_begins(&self) -> Beside<'_> {
        self.commands.fetch_add(1, Ordering::SeqCst);
        Beside(self)
    }

    /// Returns whether no command has run beside the processes since then.
    pub(crate) fn was_alone(&self, since: u64) -> bool {
        self.commands.load(Ordering::SeqCst) == 0 && self.last_command.load(Ordering::SeqCst) < since
    }

    pub(crate) async fn text(&self, sql: &str) -> Option<String> {
        self.cluster.text(DATABASE, sql).await
    }
}

/// A command that runs beside the processes.
pub(crate) struct Beside<'w>(&'w World);

impl Drop for Beside<'_> {
    fn drop(&mut self) {
        self.0.last_command.fetch_max(self.0.journal.now(), Ordering::SeqCst);
        self.0.commands.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Returns the environment of a program with this source and this database.
pub(crate) fn settings(source: &Source, url: &str, ceiling: usize) -> HashMap<String, String> {
    let credentials = source.zoho.credentials();
    [
        ("DATABASE_URL", url.to_owned()),
        ("TDS_DB_CONNECTIONS", CONNECTIONS.to_string()),
        ("TDS_ADMIN_TOKEN", TOKEN.to_owned()),
        ("ENCRYPTION_KEY", KEY.to_owned()),
        ("ZOHO_WEBHOOK_SECRET", SECRET.to_owned()),
        ("ZOHO_CLIENT_ID", credentials.client_id),
        ("ZOHO_CLIENT_SECRET", credentials.client_secret),
        ("ZOHO_REFRESH_TOKEN", credentials.refresh_token),
        ("ZOHO_ORGANIZATION_ID", credentials.organization_id),
        ("ZOHO_ACCOUNTS_URL", source.zoho.accounts_url()),
        ("ZOHO_API_URL", source.zoho.api_url()),
        ("ZOHO_REQUESTS_PER_MINUTE", ceiling.to_string()),
        ("ZOHO_MAX_CONCURRENCY", "6".to_owned()),
        ("TDS_LEASE", format!("{}s", LEASE.as_secs())),
        ("TDS_RETRY_BASE", "50ms".to_owned()),
        ("TDS_RETRY_MAX", "1s".to_owned()),
        // The time until Zoho is probed again after it refused all processes.
        ("TDS_OUTAGE_PROBE", "1s".to_owned()),
        ("TDS_INCREMENTAL_EVERY", "7s".to_owned()),
        ("TDS_STOCK_EVERY", "11s".to_owned()),
        ("TDS_PRICES_EVERY", "13s".to_owned()),
        ("TDS_FULL_EVERY", "off".to_owned()),
        // The checks count the work that the deliveries and the runs enqueue.
        ("TDS_DERIVED_WAIT", "off".to_owned()),
        // Operators of the tests change rows by hand.
        ("TDS_WRITE_GUARD", "off".to_owned()),
        ("RUST_LOG", "warn".to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}

/// The schedules that would start new runs for ever.
pub(crate) const SCHEDULES: [&str; 3] = ["TDS_INCREMENTAL_EVERY", "TDS_STOCK_EVERY", "TDS_PRICES_EVERY"];
