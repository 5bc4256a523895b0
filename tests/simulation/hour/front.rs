//! A proxy in front of the simulated Zoho: an address on this machine that a test can close, and a clock that stands
//! still while an answer is made.
//!
//! Virtual time advances whenever no task of the test's thread has anything to do, and a thread that waits for another
//! thread has nothing to do. So everything between the engine and this proxy runs on the one thread of the test, where
//! a byte that was sent arrives at once. The proxy asks the other thread through a blocking task, and virtual time
//! stands still until that task has ended.

use std::{
    io::{Read as _, Write as _},
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    thread::ThreadId,
    time::Duration,
};

use tds_core::clock::Clock;
use time::{OffsetDateTime, macros::datetime};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
    time::Instant,
};

const START: OffsetDateTime = datetime!(2026-06-01 08:00 UTC);
/// The simulated Zoho answers within this real time.
const PATIENCE: Duration = Duration::from_secs(30);

/// Virtual time, also for other threads: they see the time at which the test's thread last read the clock.
pub(super) struct SharedClock {
    home: ThreadId,
    began: Instant,
    millis: AtomicI64,
}

impl SharedClock {
    /// Creates the clock, which starts now. The current thread must be the one whose time is virtual.
    pub(super) fn new() -> Arc<Self> {
        let home = std::thread::current().id();
        Arc::new(Self { home, began: Instant::now(), millis: AtomicI64::default() })
    }
}

impl Clock for SharedClock {
    fn now(&self) -> OffsetDateTime {
        if std::thread::current().id() == self.home {
            let millis = i64::try_from(self.began.elapsed().as_millis()).expect("a time");
            self.millis.store(millis, Ordering::Relaxed);
        }
        START + time::Duration::milliseconds(self.millis.load(Ordering::Relaxed))
    }
}

/// The proxy.
pub(super) struct Front {
    address: SocketAddr,
    behind: SocketAddr,
    open: Option<JoinHandle<()>>,
    cuts: Arc<AtomicBool>,
}

impl Front {
    /// Starts a proxy for the server at the address `behind`.
    pub(super) async fn open(behind: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("its address");
        let cuts = Arc::new(AtomicBool::new(false));
        let open = Some(tokio::spawn(serve(listener, behind, cuts.clone())));
        Self { address, behind, open, cuts }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Refuses connections from now on.
    pub(super) async fn shut(&mut self) {
        if let Some(open) = self.open.take() {
            open.abort();
            drop(open.await);
        }
    }

    /// Accepts connections again.
    pub(super) async fn reopen(&mut self) {
        let listener = TcpListener::bind(self.address).await.expect("the same port");
        self.open = Some(tokio::spawn(serve(listener, self.behind, self.cuts.clone())));
    }

    /// Sets whether answers to calls break off from now on.
    pub(super) fn cut(&self, cuts: bool) {
        self.cuts.store(cuts, Ordering::Relaxed);
    }
}

async fn serve(listener: TcpListener, behind: SocketAddr, cuts: Arc<AtomicBool>) {
    while let Ok((stream, _)) = listener.accept().await {
        drop(tokio::spawn(pass_on(stream, behind, cuts.load(Ordering::Relaxed))));
    }
}

/// Passes on one request and its answer, byte for byte.
async fn pass_on(mut stream: TcpStream, behind: SocketAddr, cuts: bool) -> Option<()> {
    let question = question(&mut stream).await?;
    // Only reads break off: the request for a token belongs to another server.
    let cuts = cuts && question.starts_with(b"GET ");
    let mut answer = tokio::task::spawn_blocking(move || ask(behind, &question)).await.ok()??;
    if cuts {
        answer.truncate(answer.len().saturating_sub(20));
    }
    stream.write_all(&answer).await.ok()?;
    stream.shutdown().await.ok()
}

/// Reads a whole request, and adds a header that closes the connection after the answer.
async fn question(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    loop {
        let head = bytes.windows(4).position(|four| four == b"\r\n\r\n").map(|end| end + 4);
        if let Some(head) = head {
            let text = String::from_utf8_lossy(&bytes[..head]).to_ascii_lowercase();
            let length = text.split("\r\n").find_map(|line| line.strip_prefix("content-length:"));
            let length: usize = length.map_or(Some(0), |length| length.trim().parse().ok())?;
            if bytes.len() >= head + length {
                let line = bytes.windows(2).position(|two| two == b"\r\n")? + 2;
                bytes.splice(line..line, b"connection: close\r\n".iter().copied());
                return Some(bytes);
            }
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
}

/// Sends the request to the server behind the proxy and returns its answer. An answer that breaks off is returned as
/// far as it came.
fn ask(behind: SocketAddr, question: &[u8]) -> Option<Vec<u8>> {
    let mut stream = std::net::TcpStream::connect_timeout(&behind, PATIENCE).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    stream.write_all(question).ok()?;
    let (mut answer, mut chunk) = (Vec::new(), [0; 16_384]);
    while let Ok(read @ 1..) = stream.read(&mut chunk) {
        answer.extend_from_slice(&chunk[..read]);
    }
    Some(answer)
}
