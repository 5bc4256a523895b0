//! Calls to Zoho and their answers.

use std::fmt;

use reqwest::Response;
use serde_json::{Map, Value};
use tds_core::{
    limits::budget::Place,
    queue::Lane,
    record::{EntityType, Interval, Payload},
};
use time::OffsetDateTime;

/// One of Zoho's two products.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Api {
    /// Zoho Books, version 3.
    Books,
    /// Zoho Inventory, version 1.
    Inventory,
}

impl Api {
    /// Returns the name as it is shown.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Books => "books",
            Self::Inventory => "inventory",
        }
    }

    /// Returns the OAuth scope for data of the organization as a whole.
    pub(crate) fn settings(self) -> &'static str {
        match self {
            Self::Books => "ZohoBooks.settings.READ",
            Self::Inventory => "ZohoInventory.settings.READ",
        }
    }

    /// Returns the part of the URL between the host and the path of a call.
    pub(crate) fn prefix(self) -> &'static str {
        match self {
            Self::Books => "/books/v3",
            Self::Inventory => "/inventory/v1",
        }
    }
}

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

    /// Returns the operation of the OAuth scope that a call with the method needs; `None` if it only reads. Zoho
    /// documents `CREATE` for actions, and `UPDATE` for upserts.
    pub(crate) fn operation(self) -> Option<&'static str> {
        match self {
            Self::Get => None,
            Self::Post => Some("CREATE"),
            Self::Put => Some("UPDATE"),
            Self::Delete => Some("DELETE"),
        }
    }
}

/// One call.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    /// The product.
    pub(crate) api: Api,
    /// The OAuth scope that the call needs. The scope of a call that writes lacks its operation: see
    /// [`Call::needed_scope`].
    pub(crate) scope: &'static str,
    /// The path, such as `/items/460000000038080`. The client percent-encodes the path, so it must not be encoded
    /// beforehand.
    pub(crate) path: String,
    /// The query parameters. The client adds `organization_id`.
    pub(crate) query: Vec<(&'static str, String)>,
    /// The lane whose budget the call spends.
    pub(crate) lane: Lane,
    /// The entity type of the records that the call is made for. `None` means that the call concerns no single
    /// entity type.
    pub(crate) entity: Option<EntityType>,
    /// What the call writes. `None`: the call reads.
    pub(crate) write: Option<Write>,
}

/// What a call writes.
#[derive(Clone, Debug)]
pub(crate) struct Write {
    /// The method.
    pub(crate) method: Method,
    /// The headers, without those of every call.
    pub(crate) headers: Vec<(&'static str, String)>,
    /// The body.
    pub(crate) body: Option<Payload>,
}

impl Call {
    /// Returns the method, as HTTP writes it.
    pub(crate) fn method(&self) -> &'static str {
        self.write.as_ref().map_or(Method::Get, |write| write.method).as_str()
    }

    /// Returns the OAuth scope that the call needs.
    pub(crate) fn needed_scope(&self) -> String {
        let operation = self.write.as_ref().and_then(|write| write.method.operation());
        operation.map_or_else(|| self.scope.to_owned(), |operation| format!("{}.{operation}", self.scope))
    }

    /// Returns the place of the call: the product, and the kind of call in it. The calls of a place fail and work
    /// together. Reading one item and reading many items at once are the same kind of call.
    pub(crate) fn place(&self) -> Place {
        let service = self.api.name().to_owned();
        let endpoint =
            if self.is_for_many_items() { format!("{service} /items/{{id}}") } else { self.endpoint() };
        Place { service, endpoint }
    }

    /// Returns what the token needs a right for: the first part of the path, such as `items`, and the method of a call
    /// that writes. A token may read items but not their images, and may read what it may not write.
    pub(crate) fn resource(&self) -> String {
        let resource = if self.is_for_a_file() { "image" } else { resource(&self.path) };
        if self.write.is_some() { format!("{} {resource}", self.method()) } else { resource.to_owned() }
    }

    /// Returns true if a success of the call is a file, and not JSON.
    pub(crate) fn is_for_a_file(&self) -> bool {
        self.write.is_none() && self.path.ends_with("/image")
    }

    /// Returns true if one call reads many items.
    pub(crate) fn is_for_many_items(&self) -> bool {
        self.path == "/itemdetails"
    }

    /// Returns what the call reads or writes, with the ids replaced: `books /invoices/{id}`, `books PUT /invoices/{id}`.
    pub(crate) fn endpoint(&self) -> String {
        let mut product = self.api.name().to_owned();
        if self.write.is_some() {
            product = format!("{product} {}", self.method());
        }
        let known =
            |segment: &&str| !segment.is_empty() && segment.bytes().all(|byte| byte.is_ascii_lowercase());
        let segments = self.path.split('/').filter(|segment| !segment.is_empty());
        let shown = segments.map(|segment| if known(&segment) { segment } else { "{id}" });
        shown.fold(format!("{product} "), |text, segment| format!("{text}/{segment}"))
    }
}

/// Returns true for the path of a call of Inventory that is made to Books where Inventory is missing.
pub(crate) fn is_read_from_books(path: &str) -> bool {
    matches!(resource(path), "items" | "itemdetails")
}

fn resource(path: &str) -> &str {
    path.trim_start_matches('/').split('/').next().unwrap_or_default()
}

/// An answer of Zoho with `code` 0, or a file.
pub(crate) struct Answer {
    /// The whole JSON object, including `code` and `message`. It is empty if the answer is a file.
    pub(crate) body: Map<String, Value>,
    /// The file, if the call was for one.
    pub(crate) file: Option<File>,
    /// The time from just before the request was sent to the last byte of the answer, by this machine's clock.
    pub(crate) interval: Interval,
    /// The time of Zoho's own clock, from the header `Date`.
    pub(crate) server_time: Option<OffsetDateTime>,
}

/// A file that Zoho sent.
pub(crate) struct File {
    pub(crate) bytes: Vec<u8>,
    /// The header `Content-Type`.
    pub(crate) content_type: Option<String>,
}

/// Reads a body in chunks, so that an endless body is not kept in memory. `None` means that the body is longer than
/// `most` bytes.
pub(crate) async fn read_body(mut response: Response, most: usize) -> reqwest::Result<Option<Vec<u8>>> {
    if response
        .content_length()
        .is_some_and(|length| usize::try_from(length).is_ok_and(|length| length > most))
    {
        return Ok(None);
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > most {
            return Ok(None);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Some(body))
}

impl fmt::Debug for Answer {
    // Bodies contain people's names and addresses, so only the names of their members are shown.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Answer")
            .field("keys", &self.body.keys().collect::<Vec<_>>())
            .field("interval", &self.interval)
            .field("server_time", &self.server_time)
            .finish()
    }
}
