//! The simulated organization behind wiremock, with faults.

use std::{net::TcpListener, ops::Deref, sync::Arc};

use serde_json::{Value, json};
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate, matchers::any};

use super::faults::{Fault, Faults};
use crate::sim::{
    self, SharedOrganization,
    answer::{self, Answer},
    literal::http_date,
    respond::{self, CONTENT_TYPE},
};

/// A running organization. Clones are handles to the same organization, and its server ends with the last of them. The
/// methods of [`SharedOrganization`] change the organization.
#[derive(Clone)]
pub struct FakeZoho {
    server: Arc<MockServer>,
    organization: SharedOrganization,
    faults: Faults,
}

impl FakeZoho {
    /// Starts an empty organization on a free port of the loopback interface.
    pub async fn start() -> Self {
        Self::on(MockServer::builder()).await
    }

    /// Starts an empty organization on this listener, for tests in which Zoho stops and comes back.
    pub async fn start_on(listener: TcpListener) -> Self {
        Self::on(MockServer::builder().listener(listener)).await
    }

    async fn on(builder: wiremock::MockServerBuilder) -> Self {
        let server = builder.disable_request_recording().start().await;
        let organization = SharedOrganization::new(server.uri());
        let faults = Faults::default();
        let front = Front { organization: organization.clone(), faults: faults.clone() };
        Mock::given(any()).respond_with(front).mount(&server).await;
        Self { server: Arc::new(server), organization, faults }
    }

    /// Returns the base URL of the accounts server.
    #[must_use]
    pub fn accounts_url(&self) -> String {
        self.server.uri()
    }

    /// Returns the base URL that is followed by `/books/v3` or `/inventory/v1`.
    #[must_use]
    pub fn api_url(&self) -> String {
        self.server.uri()
    }

    /// Returns a handle to the organization, which may outlive the server.
    #[must_use]
    pub fn organization(&self) -> SharedOrganization {
        self.organization.clone()
    }

    /// Returns the script of faults.
    #[must_use]
    pub fn faults(&self) -> Faults {
        self.faults.clone()
    }
}

impl Deref for FakeZoho {
    type Target = SharedOrganization;

    fn deref(&self) -> &SharedOrganization {
        &self.organization
    }
}

/// The single responder: it receives every request.
struct Front {
    organization: SharedOrganization,
    faults: Faults,
}

impl Respond for Front {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        let request = read(request);
        let mut organization = self.organization.lock();
        respond::receive(&mut organization, &request);
        let fault = self.faults.take(&request.method, &request.path);
        if matches!(fault, Some(Fault::ExpireToken)) {
            organization.tokens.live.clear();
        }
        // The call takes effect before its answer gets lost.
        let fault = match fault {
            Some(Fault::AfterCommit(inner)) => {
                respond::answer(&mut organization, &request);
                Some(*inner)
            }
            fault => fault,
        };
        let latency = match fault {
            Some(Fault::Delay(delay) | Fault::Unheard(delay)) => delay,
            _ => organization.traffic.latency,
        };
        let template = fault.as_ref().and_then(instead).unwrap_or_else(|| {
            let mut answer = respond::answer(&mut organization, &request);
            if let Some(fault) = &fault {
                spoil(&mut answer.body, fault);
            }
            match &fault {
                Some(Fault::Rewritten(text, bytes)) => rewritten(&answer, text, bytes),
                _ => render(&answer, matches!(fault, Some(Fault::TruncatedJson))),
            }
        });
        respond::leave(&mut organization, &request, latency);
        template.insert_header("date", http_date(organization.now()).as_str()).set_delay(latency)
    }
}

fn read(request: &Request) -> sim::Request {
    let headers = request.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
    let (path, query) = (request.url.path(), request.url.query());
    sim::Request::arrived(request.method.as_str(), path, query, headers, &request.body)
}

/// Returns the answer that a fault puts in place of the right answer.
fn instead(fault: &Fault) -> Option<ResponseTemplate> {
    match fault {
        Fault::Status(status, code, message) => Some(render(&answer::error(*status, *code, message), false)),
        Fault::Html(status) => {
            let page = "<html><head><title>Error</title></head><body><h1>Bad Gateway</h1></body></html>";
            Some(ResponseTemplate::new(status_of(*status)).set_body_raw(page, "text/html"))
        }
        Fault::Unheard(_) => instead(&Fault::Html(504)),
        Fault::EmptyBody => Some(ResponseTemplate::new(200)),
        Fault::Empty(status) => Some(ResponseTemplate::new(status_of(*status))),
        Fault::Text(status, body, retry_after) => {
            let answer =
                ResponseTemplate::new(status_of(*status)).set_body_raw(body.as_bytes(), "application/json");
            Some(match retry_after {
                Some(seconds) => answer.insert_header("retry-after", seconds.to_string().as_str()),
                None => answer,
            })
        }
        // The stated length exceeds the body, so the server ends the connection.
        Fault::BrokenOff => Some(
            ResponseTemplate::new(200)
                .set_body_raw("{\"code\":0,", "application/json")
                .insert_header("content-length", "100000"),
        ),
        Fault::CodeUnder200(code) => Some(render(&answer::error(200, *code, "Something went wrong"), false)),
        Fault::RetryAfter429 { retry_after, code } => {
            let answer = answer::error(429, *code, "Too many requests");
            let safe: String =
                retry_after.chars().filter(|c| c.is_ascii() && !c.is_ascii_control()).collect();
            Some(render(&answer, false).insert_header("retry-after", safe.as_str()))
        }
        Fault::TokenError(body, status) => Some(render(&answer::json(*status, body.clone()), false)),
        _ => None,
    }
}

/// Changes the right answer according to the fault.
fn spoil(body: &mut Value, fault: &Fault) {
    let Some(fields) = body.as_object_mut() else { return };
    match fault {
        Fault::WrongEnvelope => {
            let keys: Vec<String> = fields
                .iter()
                .filter(|(_, data)| data.is_array() || data.is_object())
                .map(|(k, _)| k.clone())
                .collect();
            for key in keys.into_iter().filter(|key| key != "page_context") {
                if let Some(data) = fields.remove(&key) {
                    fields.insert("payload".to_owned(), data);
                }
            }
        }
        Fault::MissingPageContext => {
            fields.remove("page_context");
        }
        Fault::EmptyPageWithMore => {
            for data in fields.values_mut().filter(|data| data.is_array()) {
                *data = json!([]);
            }
            if let Some(Value::Object(context)) = fields.get_mut("page_context") {
                context.insert("has_more_page".to_owned(), json!(true));
            }
        }
        Fault::HostileApiDomain(host) => {
            fields.insert("api_domain".to_owned(), json!(host));
        }
        _ => {}
    }
}

fn render(answer: &Answer, truncated: bool) -> ResponseTemplate {
    if let Some(file) = &answer.file {
        return ResponseTemplate::new(status_of(answer.status))
            .set_body_raw(file.bytes.clone(), &file.content_type);
    }
    let mut bytes = answer.body.to_string().into_bytes();
    if truncated {
        bytes.truncate(bytes.len() / 2);
    }
    ResponseTemplate::new(status_of(answer.status)).set_body_raw(bytes, CONTENT_TYPE)
}

/// Returns the answer with other bytes wherever it has this text.
fn rewritten(answer: &Answer, text: &str, bytes: &[u8]) -> ResponseTemplate {
    let body = answer.body.to_string();
    let mut written = Vec::with_capacity(body.len());
    for (part, between) in body.split(text).zip(0..) {
        if between > 0 {
            written.extend_from_slice(bytes);
        }
        written.extend_from_slice(part.as_bytes());
    }
    ResponseTemplate::new(status_of(answer.status)).set_body_raw(written, CONTENT_TYPE)
}

/// Returns a valid status. An invalid status in a script must not end the server.
fn status_of(status: u16) -> u16 {
    if (200..=599).contains(&status) { status } else { 500 }
}
