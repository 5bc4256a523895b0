//! Sends one call and reads its answer. Sending takes a started permit, so nothing is sent without one.

use std::sync::Arc;

use reqwest::{
    Response, Url,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue},
};
use secrecy::ExposeSecret;
use serde_json::Map;
use tds_core::{
    clock::Clock,
    error::{Error, Result},
    limits::budget::StartedPermit,
    record::Interval,
};

use super::headers::{hints, server_time};
use crate::{
    answer::{Answer, Call, File, Method, read_body},
    auth::Token,
    config::{ZohoConfig, base_url},
    error::{Fault, in_one_line, judge, judge_file, transport_fault},
    limits::budget::HeaderHints,
};

/// The only path that is requested without an organization: it lists the organizations.
pub(super) const ORGANIZATIONS: &str = "/organizations";

/// Sends calls.
pub(super) struct Sender {
    http: reqwest::Client,
    base: Url,
    organization_id: String,
    most_bytes: usize,
    most_image_bytes: usize,
    clock: Arc<dyn Clock>,
}

/// The result of sending a call.
pub(super) struct Sent {
    pub(super) outcome: std::result::Result<Answer, Fault>,
    pub(super) hints: HeaderHints,
    /// False if the call certainly did not reach Zoho.
    pub(super) left: bool,
}

impl Sender {
    pub(super) fn new(http: reqwest::Client, config: &ZohoConfig, clock: Arc<dyn Clock>) -> Result<Self> {
        let base = config.api_url.clone().unwrap_or_else(|| config.data_center.api_url());
        let base = base_url(&base).map_err(|fault| Error::config(format!("api_url {fault}")))?;
        let organization_id = config.organization_id.clone();
        let (most_bytes, most_image_bytes) = (config.max_body_bytes, config.max_image_bytes);
        Ok(Self { http, base, organization_id, most_bytes, most_image_bytes, clock })
    }

    /// Sends the call and reads the whole answer. The permit is spent, whatever the result.
    pub(super) async fn send(&self, permit: StartedPermit, token: &Token, call: &Call) -> Sent {
        let began = self.clock.now();
        let mut hints_seen = HeaderHints::default();
        let mut left = false;
        let outcome = async {
            let response = self.request(token, call)?.send().await;
            left = !response.as_ref().is_err_and(reqwest::Error::is_connect);
            let response = response.map_err(|fault| Fault::Unreachable(transport_fault(fault)))?;
            hints_seen = hints(response.headers(), self.clock.now());
            let server_time = server_time(response.headers());
            let status = response.status().as_u16();
            let (body, file) = if call.is_for_a_file() {
                (Map::new(), Some(self.file(response).await?))
            } else {
                (judge(status, &self.body(response).await?)?, None)
            };
            let interval = Interval { began, ended: self.clock.now() };
            Ok(Answer { body, file, interval, server_time })
        }
        .await;
        drop(permit);
        Sent { outcome, hints: hints_seen, left }
    }

    fn request(&self, token: &Token, call: &Call) -> std::result::Result<reqwest::RequestBuilder, Fault> {
        let url = url(token.api_url().unwrap_or(&self.base), call)
            .ok_or_else(|| Fault::Protocol("the base URL takes no path".to_owned()))?;
        let mut bearer = HeaderValue::from_str(&format!("Zoho-oauthtoken {}", token.value.expose_secret()))
            .map_err(|_| Fault::Protocol("the access token cannot be sent".to_owned()))?;
        bearer.set_sensitive(true);
        let method = match call.write.as_ref().map(|write| write.method) {
            None | Some(Method::Get) => reqwest::Method::GET,
            Some(Method::Post) => reqwest::Method::POST,
            Some(Method::Put) => reqwest::Method::PUT,
            Some(Method::Delete) => reqwest::Method::DELETE,
        };
        let mut request = self.http.request(method, url).header(AUTHORIZATION, bearer);
        if let Some(write) = &call.write {
            request =
                write.headers.iter().fold(request, |request, (name, value)| request.header(*name, value));
            if let Some(body) = &write.body {
                request = request.header(CONTENT_TYPE, "application/json").body(body.as_str().to_owned());
            }
        }
        if call.path != ORGANIZATIONS {
            request = request.query(&[("organization_id", &self.organization_id)]);
        }
        Ok(request.query(&call.query))
    }

    async fn body(&self, response: Response) -> std::result::Result<Vec<u8>, Fault> {
        let body = read_body(response, self.most_bytes).await.map_err(broken_off)?;
        body.ok_or_else(|| Fault::Protocol(format!("Zoho's answer is longer than {} bytes", self.most_bytes)))
    }

    /// Reads a file. A file that is too long is the fault of its record.
    async fn file(&self, response: Response) -> std::result::Result<File, Fault> {
        let (status, most) = (response.status().as_u16(), self.most_image_bytes);
        let content_type = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let content_type = content_type.map(str::to_ascii_lowercase);
        let bytes = read_body(response, most).await.map_err(broken_off)?;
        let bytes = bytes.ok_or_else(|| Fault::too_long(status, most))?;
        judge_file(status, content_type.as_deref().unwrap_or_default(), &bytes)?;
        Ok(File { bytes, content_type })
    }
}

fn broken_off(fault: reqwest::Error) -> Fault {
    Fault::Unreachable(format!("Zoho's answer broke off: {}", transport_fault(fault)))
}

/// Rejects a path that would leave the API: ids come from the network.
pub(super) fn check(call: &Call) -> Result<()> {
    let climbs =
        |segment: &str| matches!(segment.to_ascii_lowercase().replace("%2e", ".").as_str(), "." | "..");
    if call.path.starts_with('/') && !call.path.split('/').any(climbs) {
        return Ok(());
    }
    Err(Error::invalid(format!("{:?} is not a path of Zoho's API", in_one_line(&call.path))))
}

/// Returns the URL of a call, with every segment percent-encoded.
fn url(base: &Url, call: &Call) -> Option<Url> {
    let segments = call.api.prefix().split('/').chain(call.path.split('/'));
    let mut url = base.clone();
    url.path_segments_mut().ok()?.pop_if_empty().extend(segments.filter(|segment| !segment.is_empty()));
    Some(url)
}

#[cfg(test)]
mod tests {
    use tds_core::queue::Lane;

    use super::*;
    use crate::answer::Api;

    fn address(base: &str, path: &str) -> Option<String> {
        let call = Call {
            api: Api::Inventory,
            scope: Api::Inventory.settings(),
            path: path.to_owned(),
            query: Vec::new(),
            lane: Lane::Full,
            entity: None,
            write: None,
        };
        check(&call).ok()?;
        url(&Url::parse(base).expect("base"), &call).map(String::from)
    }

    #[test]
    fn the_address_has_the_product_and_keeps_a_path_of_the_base() {
        let expected = "https://www.zohoapis.eu/inventory/v1/items/46";
        assert_eq!(address("https://www.zohoapis.eu", "/items/46").as_deref(), Some(expected));
        assert_eq!(
            address("http://localhost:1/x/", "/a").as_deref(),
            Some("http://localhost:1/x/inventory/v1/a")
        );
    }

    #[test]
    fn an_id_from_the_network_cannot_leave_its_place() {
        for path in ["/items/../organizations", "/items/%2e%2E/x", "/./items", "items/1", "@evil.example/"] {
            assert_eq!(address("https://www.zohoapis.eu", path), None, "{path}");
        }
        let odd = address("https://www.zohoapis.eu", "/items/1?a=b#c d\\..%2f").expect("address");
        assert!(odd.starts_with("https://www.zohoapis.eu/inventory/v1/items/1%3Fa=b%23c%20d"), "{odd}");
    }
}
