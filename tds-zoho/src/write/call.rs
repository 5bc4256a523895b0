//! Calls that write.

use serde_json::{Map, Value};
use tds_core::{error::Result, record::Payload};

use super::{
    answer::{Answer, unexpected},
    contract::Contract,
};
use crate::answer::Api;

/// What stands for the id of a record that an earlier call of the same list creates.
const CREATED: &str = "{id}";

/// The method of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Reads.
    Get,
    /// Creates a record, or changes its status.
    Post,
    /// Changes a record, or creates it if it is an upsert.
    Put,
    /// Deletes a record.
    Delete,
}

impl Method {
    /// Returns the method in capitals, as HTTP writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
        }
    }
}

/// What a call is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// The call looks for a record that an earlier create may have made, page by page ([`WriteCall::next_page`]). If it
    /// finds one, the create is left out. Where the value is our key, no search is needed before the first create of
    /// the record was sent.
    Search {
        /// The keys of the list in the answer.
        list_keys: &'static [&'static str],
        /// The key of a row.
        row_key: &'static str,
        /// The value that the row of the record has under the key.
        value: String,
    },
    /// The call creates the record. The answer has its id.
    Create,
    /// The call changes the record.
    Update,
    /// The call changes the status or one part of the record. The text is the path after the record's own.
    Action(&'static str),
    /// The call deletes the record.
    Delete,
}

/// One call. Calls of a list are made in their order, each after the one before succeeded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WriteCall {
    /// The product.
    pub api: Api,
    /// The method.
    pub method: Method,
    /// The path after the base of the product. `{id}` stands for the id that the answer to the create has.
    pub path: String,
    /// The query parameters, without `organization_id`.
    pub query: Vec<(&'static str, String)>,
    /// The headers, without those of every call.
    pub headers: Vec<(&'static str, String)>,
    /// The body, which is JSON.
    pub body: Option<Payload>,
    /// What the call is for.
    pub purpose: Purpose,
    /// Where the answer has the record.
    pub answer: Answer,
}

impl WriteCall {
    /// Starts a call without a body.
    pub(super) fn new(contract: &Contract, method: Method, path: String, purpose: Purpose) -> Self {
        let api = if purpose == Purpose::Create { contract.create_api } else { contract.api };
        let answer = contract.answer;
        Self { api, method, path, query: Vec::new(), headers: Vec::new(), body: None, purpose, answer }
    }

    /// Starts a call for a record that exists, or that a call before this one creates.
    pub(super) fn on(
        contract: &Contract,
        id: Option<&str>,
        method: Method,
        rest: Option<&'static str>,
        purpose: Purpose,
    ) -> Self {
        let record = format!("{}/{}", contract.path, id.unwrap_or(CREATED));
        let path = rest.map_or_else(|| record.clone(), |rest| format!("{record}/{rest}"));
        Self::new(contract, method, path, purpose)
    }

    /// Adds a body.
    pub(super) fn with_body(mut self, body: &Map<String, Value>) -> Result<Self> {
        self.body = Some(Payload::of(body)?);
        Ok(self)
    }

    /// Returns true if the call needs the id that the answer to the create has.
    #[must_use]
    pub fn needs_id(&self) -> bool {
        self.path.contains(CREATED)
    }

    /// Puts the id of the created record into the path.
    #[must_use]
    pub fn with_id(mut self, id: &str) -> Self {
        self.path = self.path.replace(CREATED, id);
        self
    }

    /// Returns the call for the page of a search that follows the page of this answer; `None` if no page follows.
    #[must_use]
    pub fn next_page(&self, answer: &Map<String, Value>) -> Option<Self> {
        let context = answer.get("page_context")?;
        let has_more = context.get("has_more_page").and_then(Value::as_bool) == Some(true);
        let is_search = matches!(self.purpose, Purpose::Search { .. });
        let page = context.get("page").and_then(Value::as_u64).filter(|_| has_more && is_search)?;
        let mut next = self.clone();
        next.query.retain(|(key, _)| *key != "page");
        next.query.push(("page", (page + 1).to_string()));
        Some(next)
    }

    /// Returns the row of the answer that a search found, if there is one.
    ///
    /// # Errors
    /// `Protocol`: the answer has no list.
    pub fn found<'a>(&self, answer: &'a Map<String, Value>) -> Result<Option<&'a Map<String, Value>>> {
        let Purpose::Search { list_keys, row_key, value } = &self.purpose else { return Ok(None) };
        let list = list_keys.iter().find_map(|key| answer.get(*key)?.as_array());
        let rows = list.ok_or_else(|| unexpected(format!("the answer has none of {list_keys:?}")))?;
        let is_ours = |row: &&Map<String, Value>| row.get(*row_key).and_then(Value::as_str) == Some(value);
        Ok(rows.iter().filter_map(Value::as_object).find(is_ours))
    }
}

/// The removal of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Removal {
    /// The call that deletes the record.
    pub call: WriteCall,
    /// The call to make if Zoho refuses to delete the record, because other records use it.
    pub if_refused: Option<WriteCall>,
}
