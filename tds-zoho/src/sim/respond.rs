//! Answers requests as Zoho does: the token endpoint, and the calls of Zoho Books and Zoho Inventory.

use std::{collections::HashMap, time::Duration};

use serde_json::Value;
use tokio::time::Instant;

use super::{
    answer::{self, Answer, File},
    automation, detail, image,
    list::{self, Query},
    literal::http_date,
    module::Module,
    organization::{ORGANIZATION_ID, Organization},
    rules, write,
};
use crate::entities::Api;

const TOKEN_PATH: &str = "/oauth/v2/token";

/// A request to the accounts server or to one of the two products.
#[derive(Clone, Debug)]
pub struct Request {
    /// The HTTP method, in capitals.
    pub method: String,
    /// The path, such as `/books/v3/invoices`.
    pub path: String,
    /// The decoded parameters of the query and of a body that is a form.
    pub parameters: HashMap<String, String>,
    /// The headers, by their names in lower case.
    pub headers: HashMap<String, String>,
    /// The body of a call that writes.
    pub body: Vec<u8>,
    /// When the request arrived.
    pub arrived: Instant,
}

/// An answer. Without a file, its content type is `application/json;charset=UTF-8`.
#[derive(Clone, Debug)]
pub struct Response {
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub body: Value,
    /// The file that is sent instead of the body.
    pub file: Option<File>,
    /// The header `Date`, by the organization's clock.
    pub date: String,
    /// How long the answer takes.
    pub latency: Duration,
}

/// The content type of every answer that is not a file.
pub(crate) const CONTENT_TYPE: &str = "application/json;charset=UTF-8";

/// Answers a request from the organization's state, and counts the request there.
pub fn respond(organization: &mut Organization, request: &Request) -> Response {
    receive(organization, request);
    let latency = organization.traffic.latency;
    let Answer { status, body, file } = answer(organization, request);
    leave(organization, request, latency);
    Response { status, body, file, date: http_date(organization.now()), latency }
}

/// Counts a request at its arrival.
pub(crate) fn receive(organization: &mut Organization, request: &Request) {
    if request.is_on_accounts() {
        organization.tokens.requests += 1;
    } else {
        organization.traffic.arrive(&request.method, &request.path, request.arrived);
    }
}

/// Records how long the answer of a call is in flight.
pub(crate) fn leave(organization: &mut Organization, request: &Request, latency: Duration) {
    if !request.is_on_accounts() && !latency.is_zero() {
        organization.traffic.answer_until(request.arrived + latency);
    }
}

/// Returns the answer to a request that has been counted.
pub(crate) fn answer(organization: &mut Organization, request: &Request) -> Answer {
    if request.is_on_accounts() { token(organization, request) } else { call(organization, request) }
}

impl Request {
    fn is_on_accounts(&self) -> bool {
        self.path == TOKEN_PATH
    }

    /// Creates a request from what arrived now.
    pub(crate) fn arrived<'h>(
        method: &str,
        path: &str,
        query: Option<&str>,
        headers: impl Iterator<Item = (&'h str, &'h [u8])>,
        body: &[u8],
    ) -> Self {
        let text = |(name, value): (&str, &[u8])| {
            Some((name.to_ascii_lowercase(), String::from_utf8(value.to_vec()).ok()?))
        };
        Self {
            method: method.to_owned(),
            path: path.to_owned(),
            parameters: Self::parameters_of(query, if path == TOKEN_PATH { body } else { &[] }),
            headers: headers.filter_map(text).collect(),
            body: body.to_vec(),
            arrived: Instant::now(),
        }
    }

    /// Returns the parameters of a query, and of a body that is a form. A JSON body gives none, because Zoho's token
    /// endpoint reads no JSON.
    fn parameters_of(query: Option<&str>, body: &[u8]) -> HashMap<String, String> {
        let form = std::str::from_utf8(body).ok();
        let mut parameters = HashMap::new();
        for text in [query, form].into_iter().flatten() {
            // The base URL is not used: the URL is built only for its parser of queries.
            if let Ok(mut url) = reqwest::Url::parse("http://localhost") {
                url.set_query(Some(text));
                parameters.extend(url.query_pairs().into_owned());
            }
        }
        parameters
    }
}

/// Answers a request to the token endpoint.
fn token(organization: &mut Organization, request: &Request) -> Answer {
    if request.method != "POST" {
        return answer::error(405, 5, "Method not allowed");
    }
    let domain = organization.api_domain.clone();
    let (status, body) = organization.tokens.request(&request.parameters, &domain, request.arrived);
    answer::json(status, body)
}

/// Answers a call of one of the two products.
fn call(organization: &mut Organization, request: &Request) -> Answer {
    let (api, rest) = if let Some(rest) = request.path.strip_prefix("/books/v3/") {
        (Api::Books, rest)
    } else if let Some(rest) = request.path.strip_prefix("/inventory/v1/") {
        (Api::Inventory, rest)
    } else {
        return answer::unknown_path();
    };
    if let Some(refused) = authorize(organization, request) {
        return refused;
    }
    if let Some((code, message)) = organization.traffic.refusal(request.arrived) {
        return answer::error(429, code, &message);
    }
    let rest = rest.trim_end_matches('/');
    if let Some(scope) = rules::scope(api, rest, &request.method)
        && !organization.tokens.has_scope(bearer(request).unwrap_or_default(), &scope)
    {
        return answer::not_authorized();
    }
    if let Some(path) = rules::path(rest) {
        let (method, query, body) = (request.method.as_str(), &request.parameters, request.body.as_slice());
        let call = automation::Call { api, method, path, query, body };
        return refuse_organization(query).unwrap_or_else(|| rules::answer(organization, &call));
    }
    if request.method == "GET" {
        return route(organization, api, rest, &request.parameters);
    }
    if let Some(refused) = refuse_organization(&request.parameters) {
        return refused;
    }
    let Some((module, rest)) = module(organization, rest, api) else { return answer::unknown_path() };
    let call = write::Call {
        api,
        method: &request.method,
        query: &request.parameters,
        headers: &request.headers,
        body: &request.body,
    };
    write::answer(organization, module, rest, &call)
}

/// Returns the refusal of a call for another organization.
fn refuse_organization(query: &Query) -> Option<Answer> {
    let asked = query.get("organization_id").map(String::as_str).unwrap_or_default();
    (asked != ORGANIZATION_ID).then(|| answer::wrong_organization(asked))
}

fn authorize(organization: &mut Organization, request: &Request) -> Option<Answer> {
    let Some(token) = bearer(request).filter(|token| !token.trim().is_empty()) else {
        return Some(answer::malformed_authorization());
    };
    (!organization.tokens.accept(token, request.arrived)).then(answer::not_authorized)
}

/// Returns the access token of a request.
fn bearer(request: &Request) -> Option<&str> {
    request.headers.get("authorization")?.strip_prefix("Zoho-oauthtoken ")
}

fn route(organization: &Organization, api: Api, path: &str, query: &Query) -> Answer {
    if path == "organizations" {
        return detail::organizations(&organization.others);
    }
    if let Some(refused) = refuse_organization(query) {
        return refused;
    }
    let records = &organization.records;
    match (path.split_once('/'), path) {
        (None, "itemdetails") => detail::items(records, query, organization.max_item_ids),
        (None, "apiusage") if api == Api::Inventory => {
            detail::usage(organization.traffic.today, organization.traffic.limits.per_day)
        }
        (_, "settings/webhooks/histories") if api == Api::Books => {
            detail::webhook_history(&organization.webhook_history, query)
        }
        (Some(("organizations", id)), _) if id == ORGANIZATION_ID => {
            answer::found("organization", detail::organization())
        }
        _ => match module(organization, path, api) {
            Some((module, "")) => list::answer(records, module, api, query, organization.list_habit),
            Some((module, rest)) => match rest.split_once('/') {
                None => detail::answer(records, module, api, rest),
                Some((id, "image")) if module == Module::ITEMS => {
                    image::answer(records, &organization.images, id)
                }
                Some((id, part)) => detail::part(records, module, id, part),
            },
            None => answer::unknown_path(),
        },
    }
}

/// Returns the module of a path, and what follows the module's own path.
fn module<'p>(organization: &Organization, path: &'p str, api: Api) -> Option<(Module, &'p str)> {
    let modules = organization.modules.iter().filter(|module| module.exists_in(api));
    let rest = |module: &Module| match path.strip_prefix(module.path)? {
        "" => Some((*module, "")),
        rest => Some((*module, rest.strip_prefix('/')?)),
    };
    modules.filter_map(rest).next()
}
