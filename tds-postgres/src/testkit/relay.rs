//! A TCP relay in front of a server. The relay can stop answering without closing any connection, and it counts
//! transactions.

mod answers;

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tds_core::lock::lock;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
    task::{JoinHandle, JoinSet},
};

use self::answers::Answers;

/// Passes connections on to a server. A frozen connection behaves as if the network path to the server had
/// disappeared: requests get no answer, and neither side is notified. All connections end when the value is dropped.
#[derive(Debug)]
pub struct Relay {
    address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    target: String,
    state: Mutex<State>,
    open: AtomicUsize,
    delay_micros: AtomicU64,
    transactions: AtomicU64,
}

#[derive(Debug)]
struct State {
    /// The senders of orders to the open connections.
    connections: Vec<watch::Sender<Order>>,
    /// The first order of a new connection.
    first: Order,
    refuse: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    Pass,
    Freeze,
    Reset,
}

impl Relay {
    /// Starts a relay on a free port of the loopback address. `target` is `host:port`.
    ///
    /// # Panics
    /// Panics if no port is free.
    pub async fn start(target: impl Into<String>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
        let listener = listener.unwrap_or_else(|error| panic!("no port for a relay: {error}"));
        let address = listener.local_addr().unwrap_or_else(|error| panic!("the relay's port: {error}"));
        let shared = Arc::new(Shared {
            target: target.into(),
            state: Mutex::new(State { connections: Vec::new(), first: Order::Pass, refuse: false }),
            open: AtomicUsize::new(0),
            delay_micros: AtomicU64::new(0),
            transactions: AtomicU64::new(0),
        });
        let task = tokio::spawn(serve(listener, Arc::clone(&shared)));
        Self { address, shared, task }
    }

    /// Starts a relay in front of the server of this database URL. Returns the relay and the URL that leads through
    /// it.
    ///
    /// # Panics
    /// Panics if the URL contains no host, or if no port is free.
    pub async fn before(url: &str) -> (Self, String) {
        let parts = url.rsplit_once('@').and_then(|(user, rest)| Some((user, rest.split_once('/')?)));
        let Some((user, (host, rest))) = parts else { panic!("no URL with a host for a relay") };
        let host = if host.contains(':') { host.to_owned() } else { format!("{host}:5432") };
        let relay = Self::start(host).await;
        let url = format!("{user}@{}/{rest}", relay.address);
        (relay, url)
    }

    /// Freezes the open connections: they stay open and pass nothing on in either direction. New connections are
    /// served.
    pub fn freeze(&self) {
        self.shared.order(Order::Freeze);
    }

    /// Like [`Relay::freeze`], but connections that are opened later get no answer either.
    pub fn freeze_all(&self) {
        self.shared.lock().first = Order::Freeze;
        self.freeze();
    }

    /// Serves new connections again. Frozen connections stay frozen, as if the machine behind them were gone.
    pub fn admit(&self) {
        self.shared.lock().first = Order::Pass;
    }

    /// Passes everything on again, including the data that was sent in the meantime over connections that are still
    /// open.
    pub fn thaw(&self) {
        self.shared.lock().first = Order::Pass;
        self.shared.order(Order::Pass);
    }

    /// Resets all open connections. New connections are served.
    pub fn cut(&self) {
        self.shared.order(Order::Reset);
    }

    /// Sets whether new connections are reset at once.
    pub fn refuse(&self, refuse: bool) {
        self.shared.lock().refuse = refuse;
    }

    /// Delays all data by this time, in each direction.
    pub fn delay(&self, delay: Duration) {
        let micros = u64::try_from(delay.as_micros()).unwrap_or(u64::MAX);
        self.shared.delay_micros.store(micros, Ordering::SeqCst);
    }

    /// Returns how many connections are open, including frozen ones.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.shared.open.load(Ordering::SeqCst)
    }

    /// Returns how many transactions of PostgreSQL have ended so far. A statement outside of a transaction counts as
    /// one.
    #[must_use]
    pub fn transactions(&self) -> u64 {
        self.shared.transactions.load(Ordering::SeqCst)
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    fn order(&self, order: Order) {
        let mut state = self.lock();
        state.connections.retain(|connection| !connection.is_closed());
        for connection in &state.connections {
            connection.send_replace(order);
        }
    }

    /// Returns the orders of a new connection. `None` if the connection is refused.
    fn enter(&self) -> Option<watch::Receiver<Order>> {
        let mut state = self.lock();
        if state.refuse {
            return None;
        }
        let (sender, receiver) = watch::channel(state.first);
        state.connections.push(sender);
        Some(receiver)
    }

    fn delay(&self) -> Duration {
        Duration::from_micros(self.delay_micros.load(Ordering::SeqCst))
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    // The connections end with this task.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((client, _)) = accepted else { continue };
                match shared.enter() {
                    Some(orders) => drop(connections.spawn(connection(client, orders, Arc::clone(&shared)))),
                    None => reset(&client),
                }
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Counts a connection for as long as it lives.
struct Open(Arc<Shared>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::SeqCst);
    }
}

async fn connection(client: TcpStream, mut orders: watch::Receiver<Order>, shared: Arc<Shared>) {
    shared.open.fetch_add(1, Ordering::SeqCst);
    let open = Open(Arc::clone(&shared));
    // A connection that is frozen from its beginning does not reach the server.
    if orders.wait_for(|order| *order != Order::Freeze).await.is_err() {
        return;
    }
    let Ok(server) = TcpStream::connect(&shared.target).await else { return reset(&client) };
    for stream in [&client, &server] {
        // Without this option, small packets wait for each other.
        let _ = stream.set_nodelay(true);
    }
    let ((mut from_client, mut to_client), (mut from_server, mut to_server)) =
        (client.into_split(), server.into_split());
    let pass = async {
        tokio::select! {
            ended = pump(&mut from_client, &mut to_server, orders.clone(), &shared, None) => ended,
            ended = pump(&mut from_server, &mut to_client, orders.clone(), &shared, Some(Answers::default())) => ended,
        }
    };
    let mut resets = orders.clone();
    let was_reset = tokio::select! {
        ended = pass => ended.is_err(),
        () = ordered(&mut resets, Order::Reset) => true,
    };
    drop(open);
    if was_reset {
        reset(to_client.as_ref());
        reset(to_server.as_ref());
    }
}

/// Waits for an order.
async fn ordered(orders: &mut watch::Receiver<Order>, order: Order) {
    // The sender lives as long as the relay.
    if orders.wait_for(|given| *given == order).await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Passes bytes on until one side ends, and counts the transactions in the answers of a server.
async fn pump(
    from: &mut OwnedReadHalf,
    to: &mut OwnedWriteHalf,
    mut orders: watch::Receiver<Order>,
    shared: &Shared,
    mut answers: Option<Answers>,
) -> io::Result<()> {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        ordered(&mut orders, Order::Pass).await;
        tokio::select! {
            // An order takes precedence over data that arrives at the same time.
            biased;
            changed = orders.changed() => if changed.is_err() { return Ok(()) },
            read = from.read(&mut buffer) => {
                let read = read?;
                if read == 0 {
                    return Ok(());
                }
                let delay = shared.delay();
                if !delay.is_zero() {
                    tokio::time::sleep(delay).await;
                    ordered(&mut orders, Order::Pass).await;
                }
                let ended = answers.as_mut().map_or(0, |answers| answers.read(&buffer[..read]));
                shared.transactions.fetch_add(ended, Ordering::SeqCst);
                to.write_all(&buffer[..read]).await?;
            }
        }
    }
}

/// Makes the end of a connection a reset instead of an orderly close.
fn reset(stream: &TcpStream) {
    // A connection that is already closed needs no reset.
    let _ = stream.set_zero_linger();
}
