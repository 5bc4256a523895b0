//! Images of items.

use async_trait::async_trait;
use tds_core::{
    error::{Error, ErrorKind, Result, Retry},
    images::{Fetched, ImageSource},
    queue::Lane,
    record::RecordId,
};

use super::fetch::check_id;
use crate::{
    answer::{Api, Call},
    client::ZohoClient,
};

/// The images of the items of one organization: `GET /items/{id}/image` of Inventory, or of Books where Inventory refuses
/// the organization.
#[derive(Clone, Debug)]
pub struct ZohoImages {
    client: ZohoClient,
}

impl ZohoImages {
    /// Creates the source of images over a client.
    #[must_use]
    pub fn new(client: ZohoClient) -> Self {
        Self { client }
    }
}

#[async_trait]
impl ImageSource for ZohoImages {
    async fn fetch(&self, id: &RecordId, lane: Lane) -> Result<Fetched> {
        check_id(id)?;
        let call = Call {
            api: Api::Inventory,
            scope: "ZohoInventory.items.READ",
            path: format!("/items/{id}/image"),
            query: Vec::new(),
            lane,
            // The statistics count the calls of an entity type and a lane for the run that spends the lane. Calls for
            // images have the lane of verifications, which they are not a part of.
            entity: None,
            write: None,
        };
        match self.client.get(call).await {
            Ok(answer) => {
                let file = answer.file.ok_or_else(|| {
                    Error::new(ErrorKind::Protocol, Retry::Permanent, "an image came without its file")
                })?;
                Ok(Fetched::File { bytes: file.bytes, content_type: file.content_type })
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Fetched::Absent),
            Err(error) => Err(error),
        }
    }
}
