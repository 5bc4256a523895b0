//! A client that makes the calls of write contracts.

use std::collections::VecDeque;

use reqwest::Method;
use serde_json::{Map, Value};
use tds_zoho::{
    entities::Api,
    write::{Purpose, WriteCall},
};

use crate::support::Caller;

/// What a list of calls led to.
#[derive(Debug, Default)]
pub(crate) struct Written {
    /// The id of the record that was created or found.
    pub(crate) id: Option<String>,
    /// A search found the record, so that the create was left out.
    pub(crate) found: bool,
}

impl Caller {
    /// Makes one call and returns the status and the body; `None` if no JSON arrived.
    pub(crate) async fn send(&self, call: &WriteCall) -> (u16, Option<Value>) {
        let headers: Vec<(&str, &str)> =
            call.headers.iter().map(|(key, value)| (*key, value.as_str())).collect();
        let query: Vec<(&str, &str)> = call.query.iter().map(|(key, value)| (*key, value.as_str())).collect();
        let prefix = if call.api == Api::Books { "/books/v3" } else { "/inventory/v1" };
        let path = format!("{prefix}{}", call.path);
        let body = call.body.as_ref().map(|body| body.as_str().to_owned());
        self.call(call.method.as_str(), &path, &query, &headers, body).await
    }

    pub(crate) async fn call(
        &self,
        method: &str,
        path: &str,
        query: &[(&str, &str)],
        headers: &[(&str, &str)],
        body: Option<String>,
    ) -> (u16, Option<Value>) {
        let method: Method = method.parse().expect("a method");
        let mut request = self.request(method, path, query);
        for (key, value) in headers {
            request = request.header(*key, *value);
        }
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body);
        }
        let Ok(response) = request.send().await else { return (0, None) };
        let status = response.status().as_u16();
        (status, response.json().await.ok())
    }

    /// Posts or puts a body to Books.
    pub(crate) async fn books(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let path = format!("/books/v3{path}");
        let (status, answer) = self.call(method, &path, &[], &[], Some(body.to_string())).await;
        (status, answer.unwrap_or_default())
    }

    /// Makes the calls as the outbound engine will: a search that finds the record replaces the create.
    ///
    /// # Errors
    /// The call that failed, with its status and its body.
    pub(crate) async fn write(&self, calls: &[WriteCall]) -> Result<Written, String> {
        let mut written = Written::default();
        let mut waiting: VecDeque<WriteCall> = calls.iter().cloned().collect();
        while let Some(call) = waiting.pop_front() {
            if written.found && call.purpose == Purpose::Create {
                continue;
            }
            let call = call.with_id(written.id.as_deref().unwrap_or_default());
            let (status, answer) = self.send(&call).await;
            let answer: Map<String, Value> = match answer {
                Some(Value::Object(answer)) if (200..300).contains(&status) && answer["code"] == 0 => answer,
                other => return Err(format!("{call:?}: {status} {other:?}")),
            };
            match call.purpose {
                Purpose::Search { .. } => {
                    if let Some(row) = call.found(&answer).map_err(|error| error.to_string())? {
                        let id = row[call.answer.id_key].as_str().expect("an id");
                        written = Written { id: Some(id.to_owned()), found: true };
                    } else if let Some(next) = call.next_page(&answer) {
                        waiting.push_front(next);
                    }
                }
                Purpose::Create => {
                    written.id = Some(call.answer.id(&answer).map_err(|error| error.to_string())?);
                }
                _ => {}
            }
        }
        Ok(written)
    }
}
