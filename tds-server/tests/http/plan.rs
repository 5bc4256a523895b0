//! Tests `GET /api/zoho/plan` and `GET /api/zoho/budget`.

use std::time::Duration;

use tds_core::{engine::ScheduleSpec, queue::Lane, record::EntityType, runs::RunType};
use tds_server::{CostSettings, Health, RouteSettings};

use super::common::{item, no_zoho, server_with, settings};

#[tokio::test]
async fn the_costs_of_a_day_are_shown_by_lane_against_the_plan() {
    let every = |entity, run_type, minutes: u64| ScheduleSpec {
        entity: EntityType::from_static(entity),
        run_type,
        every: Duration::from_secs(minutes * 60),
    };
    let schedules =
        vec![every("products", RunType::Incremental, 15), every("products", RunType::Full, 1_440)];
    let mut zoho = no_zoho();
    zoho.daily_limit = Some(1_000);
    let settings = RouteSettings {
        costs: CostSettings { schedules, probe_every: None, derived: true, ..CostSettings::default() },
        ..settings()
    };
    let server = server_with(settings, Health::default(), zoho);
    server.deliver("/api/zoho/webhooks/products", &item("7", 1)).await;

    let answer = server.get("/api/zoho/plan").await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let plan = answer.json();
    // 96 looks for changes, one full list, and a question for the quota every hour.
    assert_eq!(plan["idle_calls_a_day"], 121, "{plan:#}");
    assert_eq!((&plan["day_limit"], &plan["day_allowance"]), (&1_000.into(), &800.into()), "{plan:#}");
    assert!(plan["calls_a_day"].as_u64() > plan["idle_calls_a_day"].as_u64(), "{plan:#}");
    assert!(plan["share_percent"].as_f64().is_some_and(|share| share > 15.0), "{plan:#}");
    let lanes = plan["lanes"].as_array().expect("lanes");
    let names: Vec<&str> = lanes.iter().filter_map(|lane| lane["lane"].as_str()).collect();
    assert_eq!(names, Lane::ALL.map(Lane::as_str));
    for lane in lanes {
        let is_off = matches!(lane["lane"].as_str(), Some("outbound" | "verify"));
        assert_eq!(lane["reason"] == "off", lane["calls_a_day"] == 0, "{lane}");
        assert!(!is_off || lane["reason"] == "off", "{lane}");
    }
    let costs = plan["costs"].as_array().expect("costs");
    let events = costs.iter().find(|cost| cost["cause"] == "events").expect("the webhook");
    assert_eq!(
        (&events["entity_type"], &events["lane"]),
        (&"products".into(), &"webhook".into()),
        "{events}"
    );
    assert!(events["assumed"] == true && events["idle_calls_a_day"] == 0, "{events}");
    server.get("/api/zoho/plan?what_if=1").await.is_problem(422, "invalid-value");
}

#[tokio::test]
async fn the_budget_is_shown_by_minute_day_and_lane() {
    let mut zoho = no_zoho();
    zoho.daily_limit = Some(1_000);
    zoho.requests_per_minute = 60;
    let server = server_with(settings(), Health::default(), zoho);
    server.deliver("/api/zoho/webhooks/stock", r#"{"item_id":"7"}"#).await;
    let answer = server.get("/api/zoho/budget").await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let budget = answer.json();
    assert_eq!(
        (&budget["minute"]["limit"], &budget["day"]["limit"]),
        (&60.into(), &1_000.into()),
        "{budget:#}"
    );
    assert_eq!(
        (&budget["day"]["allowance"], &budget["day"]["spent"]),
        (&800.into(), &0.into()),
        "{budget:#}"
    );
    let lanes = budget["lanes"].as_array().expect("lanes");
    let names: Vec<&str> = lanes.iter().filter_map(|lane| lane["lane"].as_str()).collect();
    assert_eq!(names, Lane::ALL.map(Lane::as_str));
    assert!(lanes.iter().all(|lane| lane["spent"] == 0), "{budget:#}");
    assert_eq!(budget["forecast"]["backlog_calls"], 1, "{budget:#}");
    assert_eq!(budget["step"], "normal", "{budget:#}");
    server.get("/api/zoho/budget?lane=1").await.is_problem(422, "invalid-value");
}
