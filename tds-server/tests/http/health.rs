//! Tests `/health`, `/livez` and `/readyz`.

use std::sync::Arc;

use async_trait::async_trait;
use tds_server::{ComponentHealth, Health, HealthStatus, Probe};

use super::common::{Server, no_zoho, server_with, settings};

struct Part(&'static str, bool, HealthStatus);

#[async_trait]
impl Probe for Part {
    fn name(&self) -> &'static str {
        self.0
    }

    fn is_essential(&self) -> bool {
        self.1
    }

    async fn check(&self) -> ComponentHealth {
        ComponentHealth { state: self.2, detail: "as the test says".to_owned() }
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
