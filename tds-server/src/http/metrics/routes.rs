//! The series of routes. Their number is bounded, so that a monitor can keep all series of many processes.

use std::{collections::BTreeSet, sync::Mutex, time::Duration};

use axum::http::StatusCode;
use metrics::{counter, histogram};
use tds_core::lock::lock;

use crate::http::routes::webhooks;

/// The number of routes that have a histogram of their own, and of pairs of route and status that have a counter of
/// their own. Usual operation needs fewer.
const MOST_ROUTES: usize = 24;
const MOST_PAIRS: usize = 72;

/// The label of what is beyond these numbers.
const OTHER: &str = "other";

/// The routes that have series of their own.
#[derive(Default)]
pub(super) struct Routes {
    timed: Mutex<BTreeSet<String>>,
    counted: Mutex<BTreeSet<(String, u16)>>,
}

impl Routes {
    /// Creates the series that every server has.
    pub(super) fn at_start(&self) {
        for status in [200, 401, 503] {
            let (route, status) = self.counted(webhooks::CONTRACT_ADDRESS, status);
            counter!("tds_http_requests_total", "route" => route, "status" => status).absolute(0);
        }
        let route = self.timed(webhooks::CONTRACT_ADDRESS);
        drop(histogram!("tds_http_request_duration_seconds", "route" => route));
        drop(histogram!("tds_api_request_duration_seconds"));
    }

    /// Counts one answered request.
    pub(super) fn answered(&self, route: &str, status: StatusCode, elapsed: Duration) {
        let is_webhook = webhooks::is_address(route);
        if route.starts_with("/api/") && !is_webhook {
            histogram!("tds_api_request_duration_seconds").record(elapsed);
        }
        // All spellings of the addresses of webhooks count as one route.
        let route = if is_webhook { webhooks::CONTRACT_ADDRESS } else { route };
        let timed = self.timed(route);
        histogram!("tds_http_request_duration_seconds", "route" => timed).record(elapsed);
        let (route, status) = self.counted(route, status.as_u16());
        counter!("tds_http_requests_total", "route" => route, "status" => status).increment(1);
    }

    fn timed(&self, route: &str) -> String {
        bounded(&self.timed, MOST_ROUTES, route.to_owned()).unwrap_or_else(|| OTHER.to_owned())
    }

    fn counted(&self, route: &str, status: u16) -> (String, String) {
        let pair = bounded(&self.counted, MOST_PAIRS, (route.to_owned(), status));
        let route = pair.map_or_else(|| OTHER.to_owned(), |(route, _)| route);
        (route, status.to_string())
    }
}

/// Returns the value if it is among the first `most` values.
fn bounded<T: Ord + Clone>(seen: &Mutex<BTreeSet<T>>, most: usize, value: T) -> Option<T> {
    let mut seen = lock(seen);
    if seen.contains(&value) {
        return Some(value);
    }
    (seen.len() < most).then(|| {
        seen.insert(value.clone());
        value
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_routes_keep_their_series_and_the_others_share_one() {
        let routes = Routes::default();
        let names: Vec<String> = (0..MOST_ROUTES + 5).map(|n| routes.timed(&format!("/{n}"))).collect();
        assert_eq!(names[MOST_ROUTES - 1], format!("/{}", MOST_ROUTES - 1));
        assert!(names[MOST_ROUTES..].iter().all(|name| name == OTHER), "{names:?}");
        assert_eq!(routes.timed("/0"), "/0");
        let pairs: BTreeSet<_> =
            (0..MOST_PAIRS + 50).map(|n| routes.counted(&format!("/{n}"), 200)).collect();
        assert_eq!(pairs.len(), MOST_PAIRS + 1);
    }
}
