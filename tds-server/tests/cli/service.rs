//! Tests the program under a service manager and in a container: what it reports, and `healthcheck`.

use std::{os::linux::net::SocketAddrExt as _, os::unix::net, time::Duration};

use tds_postgres::testkit::TestDatabase;
use tds_zoho::testkit::FakeZoho;
use tokio::{net::UnixDatagram, time::timeout};

use crate::{program::Program, serving::free_port, syncing};

/// The longest time for which nothing may be reported.
const PATIENCE: Duration = Duration::from_secs(60);

/// The service manager.
struct Manager(UnixDatagram);

impl Manager {
    /// Waits for a message that contains this line.
    async fn hears(&self, line: &str) -> String {
        let mut others = Vec::new();
        let listening = async {
            loop {
                let mut buffer = [0; 4096];
                let length = self.0.recv(&mut buffer).await.expect("a message");
                let message = String::from_utf8_lossy(&buffer[..length]).into_owned();
                if message.lines().any(|heard| heard.starts_with(line)) {
                    return message;
                }
                others.push(message);
            }
        };
        let heard = timeout(PATIENCE, listening).await;
        heard.unwrap_or_else(|_| panic!("nothing says {line}: {others:?}"))
    }

    /// Forgets what was reported until now.
    fn forget(&self) {
        while self.0.try_recv(&mut [0; 4096]).is_ok() {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_manager_hears_of_readiness_life_and_end_and_healthcheck_agrees() {
    let (zoho, database) = (FakeZoho::start().await, TestDatabase::new().await);
    let name = format!("tds-test-{}-{}", std::process::id(), free_port());
    let address = net::SocketAddr::from_abstract_name(&name).expect("a name");
    let socket = net::UnixDatagram::bind_addr(&address).expect("a socket");
    socket.set_nonblocking(true).expect("a socket");
    let manager = Manager(UnixDatagram::from_std(socket).expect("a socket"));
    let port = free_port();
    let program = syncing::program(&zoho, &database)
        .with("NOTIFY_SOCKET", format!("@{name}"))
        .with("WATCHDOG_USEC", "1000000")
        .with("TDS_ADMIN_TOKEN", "an-operator-token-of-some-length")
        .with("TDS_SHUTDOWN_DELAY", "2s")
        .with("TDS_BIND", format!("0.0.0.0:{port}"));

    let early = program.run(&["healthcheck"]).await;
    assert_eq!(early.status, 1, "nothing listens yet: {}", early.stderr);
    assert_eq!(early.stderr.lines().count(), 1, "{}", early.stderr);
    let running = program.start(&["serve"]);
    manager.hears("READY=1").await;
    let healthy = program.run(&["healthcheck"]).await;
    assert_eq!((healthy.status, healthy.stdout + &healthy.stderr), (0, String::new()));
    manager.hears("WATCHDOG=1").await;

    // A database that is away is no reason to end the process.
    database.cut().await;
    let url = format!("http://127.0.0.1:{port}/");
    let unready = program.run(&["healthcheck", "--url", &url, "--timeout", "20s"]).await;
    assert_eq!(unready.status, 1);
    assert!(unready.stderr.contains("503") && unready.stderr.contains("database"), "{}", unready.stderr);
    assert_eq!(unready.stderr.lines().count(), 1, "{}", unready.stderr);
    manager.forget();
    manager.hears("WATCHDOG=1").await;
    manager.hears("STATUS=not ready: ").await;
    database.restore().await;
    manager.hears("STATUS=ready").await;

    // With a delay, the server says that it stops and still answers.
    running.terminate().await;
    assert!(manager.hears("STOPPING=1").await.contains("STATUS=stopping"));
    let stopping = program.run(&["healthcheck"]).await;
    assert!(stopping.status == 1 && stopping.stderr.contains("stopping"), "{}", stopping.stderr);
    let ended = running.ended_within(Duration::from_secs(12)).await;
    assert_eq!(ended.status, 0, "{}", ended.stderr);
}

#[tokio::test]
async fn healthcheck_reads_nothing_but_the_address() {
    let program = Program::new().with("APP_ENV", "nonsense").with("TDS_BIND", "127.0.0.1:0");
    let ended = program.run(&["healthcheck"]).await;
    assert!(ended.status == 2 && ended.stderr.contains("--url"), "{}", ended.stderr);
    let ended = program.run(&["healthcheck", "--bind", "here"]).await;
    assert!(ended.status == 2 && ended.stderr.contains("TDS_BIND: found \"here\""), "{}", ended.stderr);
    let ended = program.run(&["healthcheck", "--url", "http://127.0.0.1:1", "--timeout", "now"]).await;
    assert!(ended.status == 2 && ended.stderr.contains("duration"), "{}", ended.stderr);
    let ended = program.run(&["healthcheck", "--url", "ftp://x"]).await;
    assert!(ended.status == 2 && ended.stderr.contains("http://127.0.0.1:8000"), "{}", ended.stderr);
}

#[tokio::test]
async fn every_command_has_a_man_page() {
    let program = Program::new();
    let page = program.done(&["man"]).await;
    for part in [".TH tds-server 1", ".SH SYNOPSIS", "tds\\-server\\-queue(1)"] {
        assert!(page.contains(part), "{part} is not in\n{page}");
    }
    program.done(&["man", "--dir", "share/man1"]).await;
    let read = |name: &str| std::fs::read_to_string(program.directory().join("share/man1").join(name));
    for name in ["tds-server.1", "tds-server-serve.1", "tds-server-queue-list.1", "tds-server-healthcheck.1"]
    {
        let page = read(name).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(page.contains(".SH NAME") && page.contains(".SH OPTIONS"), "{name}: {page}");
    }
    let serve = read("tds-server-serve.1").expect("a page");
    assert!(serve.contains("\\-\\-bind") && serve.contains("TDS_BIND"), "{serve}");
    let refused = program.run(&["man", "--dir", "/proc/none"]).await;
    assert!(refused.status == 1 && refused.stderr.contains("/proc/none"), "{}", refused.stderr);
}
