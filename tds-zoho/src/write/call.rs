//! Calls that write.

use serde_json::{Map, Value};
use tds_core::{error::Error, outbound::WriteError, record::Payload};

use super::{answer::Answer, contract::Contract};
use crate::{
    answer::{Api, Method},
    entities::has_hash,
};

/// What stands for the id of a record that an earlier call of the same list creates.
const CREATED: &str = "{id}";

/// What a call is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// The call looks for a record that an earlier create may have made, or that has the name already, page by page. If it
    /// finds one, the create is left out.
    Search {
        /// The value is our key, so that no search is needed before the first create of the record was sent.
        by_key: bool,
        /// The keys of the list in the answer.
        list_keys: &'static [&'static str],
        /// The key of a row.
        row_key: &'static str,
        /// The value that the row of the record has under the key.
        value: String,
    },
    /// The call asks for the record by our key. It creates nothing: if there is no such record, Zoho says so.
    Lookup,
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
    /// The OAuth scope without its operation.
    pub scope: &'static str,
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
        let (api, scope) = match purpose {
            Purpose::Create | Purpose::Lookup => (contract.create_api, contract.create_scope),
            _ => (contract.api, None),
        };
        Self {
            api,
            scope: scope.unwrap_or(contract.scope),
            method,
            path,
            query: Vec::new(),
            headers: Vec::new(),
            body: None,
            purpose,
            answer: contract.answer,
        }
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
    ///
    /// # Errors
    /// `Refused`: the body has the hash of a hidden value. Columns with hashes are left out long before, so this is only the
    /// last guard.
    pub(super) fn with_body(mut self, body: &Map<String, Value>) -> Result<Self, WriteError> {
        if let Some(key) = body.iter().find_map(|(key, value)| has_hash(value).then_some(key)) {
            let text = format!(
                "{key} has the hash of a value that is hidden or has been, and Zoho must not get it: enter another value"
            );
            return Err(WriteError::Refused(Error::invalid(text)));
        }
        self.body = Some(Payload::of(body).map_err(WriteError::Refused)?);
        Ok(self)
    }

    /// Returns true unless the call only reads.
    #[must_use]
    pub fn writes(&self) -> bool {
        self.method != Method::Get
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

    /// Returns the call for a page of a search.
    #[must_use]
    pub fn with_page(mut self, number: u32) -> Self {
        self.query.retain(|(key, _)| *key != "page");
        self.query.push(("page", number.to_string()));
        self
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
