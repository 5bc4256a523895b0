//! Tests `/health`, `/livez` and `/readyz`.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use async_trait::async_trait;
use tds_server::{ComponentHealth, Health, HealthReport, HealthStatus, Probe};

use super::common::{Server, no_zoho, server_with, settings};

struct Part(&'static str, bool, HealthStatus);

/// A component that is read from the database.
struct Stored(Arc<AtomicBool>, &'static str);

#[async_trait]
impl Probe for Stored {
    fn name(&self) -> &'static str {
        self.1
    }

    async fn check(&self) -> Option<ComponentHealth> {
        self.0.load(Ordering::Relaxed).then(|| ComponentHealth::healthy("moves"))
    }
}

/// The database that answers while the flag is set.
struct Database(Arc<AtomicBool>);

#[async_trait]
impl Probe for Database {
    fn name(&self) -> &'static str {
        "database"
    }

    fn is_essential(&self) -> bool {
        true
    }

    async fn check(&self) -> Option<ComponentHealth> {
        let answers = self.0.load(Ordering::Relaxed);
        let down = || ComponentHealth::unhealthy("Connection refused");
        Some(if answers { ComponentHealth::healthy("answers") } else { down() })
    }
}

#[tokio::test]
async fn the_database_alone_is_blamed_while_it_does_not_answer() {
    let (answers, readable) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicBool::new(true)));
    let probes: Vec<Arc<dyn Probe>> =
        vec![Arc::new(Database(Arc::clone(&answers))), Arc::new(Stored(Arc::clone(&readable), "queue"))];
    let health = Health::new(probes);
    let at = |report: &HealthReport, name| {
        let component = &report.components[name];
        (component.state, component.detail.clone())
    };
    let report = health.report().await;
    assert_eq!(at(&report, "queue"), (HealthStatus::Healthy, "moves".to_owned()));
    for flag in [&answers, &readable] {
        flag.store(false, Ordering::Relaxed);
    }
    for _ in 0..2 {
        let report = health.report().await;
        assert_eq!(report.status, HealthStatus::Unhealthy);
        let last = "when it could last be read: moves".to_owned();
        assert_eq!(at(&report, "queue"), (HealthStatus::Healthy, last));
        assert_eq!(at(&report, "database").1, "Connection refused");
    }
    // The trouble of a component whose database answers is its own.
    answers.store(true, Ordering::Relaxed);
    let report = health.report().await;
    assert_eq!(at(&report, "queue"), (HealthStatus::Degraded, "cannot be read".to_owned()));
}

#[async_trait]
impl Probe for Part {
    fn name(&self) -> &'static str {
        self.0
    }

    fn is_essential(&self) -> bool {
        self.1
    }

    async fn check(&self) -> Option<ComponentHealth> {
        Some(ComponentHealth { state: self.2, detail: "as the test says".to_owned() })
    }
}

fn with(database: HealthStatus, zoho: HealthStatus) -> Server {
    let probes: Vec<Arc<dyn Probe>> =
        vec![Arc::new(Part("database", true, database)), Arc::new(Part("zoho", false, zoho))];
    server_with(settings(), Health::new(probes), no_zoho())
}

#[tokio::test]
async fn the_bytes_of_healthy_appear_only_when_all_is_well() {
    use HealthStatus::{Degraded, Healthy, Unhealthy};
    for (database, zoho, status, word, ready) in [
        (Healthy, Healthy, 200, "healthy", 200),
        (Healthy, Degraded, 200, "degraded", 200),
        (Unhealthy, Healthy, 503, "unhealthy", 503),
        (Unhealthy, Degraded, 503, "unhealthy", 503),
    ] {
        let server = with(database, zoho);
        let answer = server.get("/health").await;
        assert_eq!(answer.status, status, "{}", answer.text);
        assert_eq!(answer.headers["content-type"], "application/json");
        assert!(answer.text.starts_with(&format!(r#"{{"status":"{word}""#)), "{}", answer.text);
        assert_eq!(answer.text.contains(r#""status":"healthy""#), word == "healthy", "{}", answer.text);
        assert_eq!(server.get("/readyz").await.status, ready);
        assert_eq!(server.get("/livez").await.status, 200);
    }
}

#[tokio::test]
async fn a_server_that_stops_is_not_ready() {
    let server = with(HealthStatus::Healthy, HealthStatus::Healthy);
    server.state.start_draining();
    server.get("/readyz").await.is_problem(503, "unavailable");
    assert_eq!(server.get("/livez").await.status, 200);
}
