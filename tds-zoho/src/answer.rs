//! What a call asks for and what comes back.

use std::fmt;

use serde_json::{Map, Value};
use tds_core::{EntityType, Interval, Lane};
use time::OffsetDateTime;

/// Which of Zoho's two products is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Api {
    /// Zoho Books, version 3.
    Books,
    /// Zoho Inventory, version 1.
    Inventory,
}

impl Api {
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
    /// What is asked for, without the ids in it: `books /invoices/{id}`.
    pub(crate) fn endpoint(&self) -> String {
        let product = match self.api {
            Api::Books => "books",
            Api::Inventory => "inventory",
        };
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
