//! Answers requests.

use std::collections::HashMap;

use serde_json::{Value, json};
use tokio::time::Instant;
use wiremock::{Request, Respond, ResponseTemplate};

use super::{
    answer::{self, Answer},
    detail,
    faults::Fault,
    handle::ORGANIZATION_ID,
    list::{self, Query},
    literal::http_date,
    module::{Api, Module},
    state::{Shared, State},
};

const TOKEN_PATH: &str = "/oauth/v2/token";

/// The one responder; every request comes here.
pub(crate) struct Server(pub(crate) Shared);

impl Respond for Server {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        let mut state = self.0.lock();
        let now = Instant::now();
        let path = request.url.path().to_owned();
        let on_accounts = path == TOKEN_PATH;
        if on_accounts {
            state.tokens.requests += 1;
        } else {
            state.traffic.arrive(&path, now);
        }
        let fault = state.script.take(&path);
        if matches!(fault, Some(Fault::ExpireToken)) {
            state.tokens.expire_all();
        }
        let latency = match fault {
            Some(Fault::Delay(delay)) => delay,
            _ => state.traffic.latency,
        };
        let template = match fault.as_ref().and_then(instead) {
            Some(template) => template,
            None => {
                let mut answer = if on_accounts {
                    token(&mut state, request, now)
                } else {
                    call(&mut state, request, now)
                };
                if let Some(fault) = &fault {
                    spoil(&mut answer.body, fault);
                }
                match &fault {
                    Some(Fault::Rewritten(text, bytes)) => rewritten(&answer, text, bytes),
                    _ => render(&answer, matches!(fault, Some(Fault::TruncatedJson))),
                }
            }
        };
        if !on_accounts && !latency.is_zero() {
            state.traffic.answer_until(now + latency);
        }
        template.insert_header("date", http_date(state.now()).as_str()).set_delay(latency)
    }
}

/// The answer that a fault puts in the place of the right one.
fn instead(fault: &Fault) -> Option<ResponseTemplate> {
    match fault {
        Fault::Status(status, code, message) => Some(render(&answer::error(*status, *code, message), false)),
        Fault::Html(status) => {
            let page = "<html><head><title>Error</title></head><body><h1>Bad Gateway</h1></body></html>";
            Some(ResponseTemplate::new(status_of(*status)).set_body_raw(page, "text/html"))
        }
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
        // A length that the body does not have makes the server end the connection.
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
        Fault::TokenError(body, status) => {
            Some(render(&Answer { status: *status, body: body.clone() }, false))
        }
        _ => None,
    }
}

/// Spoils the right answer.
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
    let mut bytes = answer.body.to_string().into_bytes();
    if truncated {
        bytes.truncate(bytes.len() / 2);
    }
    ResponseTemplate::new(status_of(answer.status)).set_body_raw(bytes, "application/json;charset=UTF-8")
}

/// The answer with other bytes wherever it has this text.
fn rewritten(answer: &Answer, text: &str, bytes: &[u8]) -> ResponseTemplate {
    let body = answer.body.to_string();
    let mut written = Vec::with_capacity(body.len());
    for (part, between) in body.split(text).zip(0..) {
        if between > 0 {
            written.extend_from_slice(bytes);
        }
        written.extend_from_slice(part.as_bytes());
    }
    ResponseTemplate::new(status_of(answer.status)).set_body_raw(written, "application/json;charset=UTF-8")
}

/// A status that a script invented must not take the server down.
fn status_of(status: u16) -> u16 {
    if (200..=599).contains(&status) { status } else { 500 }
}

/// The token endpoint. Parameters come in the query or as a form; a JSON body is not read.
fn token(state: &mut State, request: &Request, now: Instant) -> Answer {
    if request.method.as_str() != "POST" {
        return answer::error(405, 5, "Method not allowed");
    }
    let mut form: HashMap<String, String> = request.url.query_pairs().into_owned().collect();
    let mut body = request.url.clone();
    body.set_query(std::str::from_utf8(&request.body).ok());
    form.extend(body.query_pairs().into_owned());
    let domain = state.api_domain.clone();
    let (status, body) = state.tokens.request(&form, &domain, now);
    Answer { status, body }
}

/// A call of one of the two products.
fn call(state: &mut State, request: &Request, now: Instant) -> Answer {
    let path = request.url.path();
    let (api, rest) = if let Some(rest) = path.strip_prefix("/books/v3/") {
        (Api::Books, rest)
    } else if let Some(rest) = path.strip_prefix("/inventory/v1/") {
        (Api::Inventory, rest)
    } else {
        return answer::unknown_path();
    };
    if let Some(refused) = authorize(state, request, now) {
        return refused;
    }
    if let Some((code, message)) = state.traffic.refusal(now) {
        return answer::error(429, code, &message);
    }
    if request.method.as_str() != "GET" {
        return answer::error(405, 5, "Method not allowed");
    }
    let query: Query = request.url.query_pairs().into_owned().collect();
    route(state, api, rest.trim_end_matches('/'), &query)
}

fn authorize(state: &mut State, request: &Request, now: Instant) -> Option<Answer> {
    let header = request.headers.get("authorization").and_then(|value| value.to_str().ok());
    let Some(token) = header.and_then(|value| value.strip_prefix("Zoho-oauthtoken ")) else {
        return Some(answer::malformed_authorization());
    };
    if token.trim().is_empty() {
        return Some(answer::malformed_authorization());
    }
    (!state.tokens.accept(token, now)).then(answer::not_authorized)
}

fn route(state: &State, api: Api, path: &str, query: &Query) -> Answer {
    if path == "organizations" {
        return detail::organizations();
    }
    let organization = query.get("organization_id").map(String::as_str).unwrap_or_default();
    if organization != ORGANIZATION_ID {
        return answer::wrong_organization(organization);
    }
    match (path.split_once('/'), path) {
        (None, "itemdetails") => detail::items(&state.organization, query, state.max_item_ids),
        (None, "apiusage") if api == Api::Inventory => {
            detail::usage(state.traffic.today, state.traffic.limits.per_day)
        }
        (None, list) => match module(list, api) {
            Some(module) => list::answer(&state.organization, module, api, query, state.list_habit),
            None => answer::unknown_path(),
        },
        (Some(("organizations", id)), _) if id == ORGANIZATION_ID => {
            answer::found("organization", detail::organization())
        }
        (Some((list, id)), _) => match module(list, api) {
            Some(module) if !id.contains('/') => detail::answer(&state.organization, module, api, id),
            _ => answer::unknown_path(),
        },
    }
}

fn module(path: &str, api: Api) -> Option<Module> {
    Module::ALL.into_iter().find(|module| module.path() == path && module.exists_in(api))
}
