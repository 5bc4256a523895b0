//! What a call asks for and what comes back.

use std::fmt;

use serde_json::{Map, Value};
use tds_core::{
    limits::budget::Place,
    queue::Lane,
    record::{EntityType, Interval},
};
use time::OffsetDateTime;

/// Which of Zoho's two products is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Api {
    /// Zoho Books, version 3.
    Books,
    /// Zoho Inventory, version 1.
    Inventory,
}

impl Api {
    /// The name as it is shown.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Books => "books",
            Self::Inventory => "inventory",
        }
    }

    /// The scope of what belongs to the organization as a whole.
    pub(crate) fn settings(self) -> &'static str {
        match self {
            Self::Books => "ZohoBooks.settings.READ",
            Self::Inventory => "ZohoInventory.settings.READ",
        }
    }

    /// What stands between the host and the path of a call.
    pub(crate) fn prefix(self) -> &'static str {
        match self {
            Self::Books => "/books/v3",
            Self::Inventory => "/inventory/v1",
        }
    }
}

/// One reading call.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    /// Which product.
    pub(crate) api: Api,
    /// The OAuth scope that the call takes.
    pub(crate) scope: &'static str,
    /// Where, such as `/items/460000000038080`; percent-encoded by the client, never beforehand.
    pub(crate) path: String,
    /// Parameters; the client adds `organization_id`.
    pub(crate) query: Vec<(&'static str, String)>,
    /// Whose budget is spent.
    pub(crate) lane: Lane,
    /// Records of which type it is made for; `None`: of no one type.
    pub(crate) entity: Option<EntityType>,
}

impl Call {
    /// Where it fails or works together with others: the product, and the kind of call in it. Items are read one by
    /// one or many at once, which is one kind.
    pub(crate) fn place(&self) -> Place {
        let service = self.api.name().to_owned();
        let endpoint =
            if self.is_for_many_items() { format!("{service} /items/{{id}}") } else { self.endpoint() };
        Place { service, endpoint }
    }

    /// True where one call reads many items.
    pub(crate) fn is_for_many_items(&self) -> bool {
        self.path == "/itemdetails"
    }

    /// What is asked for, without the ids in it: `books /invoices/{id}`.
    pub(crate) fn endpoint(&self) -> String {
        let product = self.api.name();
        let known =
            |segment: &&str| !segment.is_empty() && segment.bytes().all(|byte| byte.is_ascii_lowercase());
        let segments = self.path.split('/').filter(|segment| !segment.is_empty());
        let shown = segments.map(|segment| if known(&segment) { segment } else { "{id}" });
        shown.fold(format!("{product} "), |text, segment| format!("{text}/{segment}"))
    }
}

/// An answer of Zoho with `code` 0.
pub(crate) struct Answer {
    /// The whole JSON object, `code` and `message` included.
    pub(crate) body: Map<String, Value>,
    /// From just before the request was sent to the last byte of the answer, on this machine's clock.
    pub(crate) interval: Interval,
    /// What Zoho's own clock said, from the header `Date`.
    pub(crate) server_time: Option<OffsetDateTime>,
}

impl fmt::Debug for Answer {
    // Bodies carry people's names and addresses: only the names of the parts are shown.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Answer")
            .field("keys", &self.body.keys().collect::<Vec<_>>())
            .field("interval", &self.interval)
            .field("server_time", &self.server_time)
            .finish()
    }
}
