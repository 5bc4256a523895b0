//! The writers of TDS over the simulated organization, and calls that write without a contract.

use std::{sync::Arc, time::Duration};

use reqwest::Method;
use serde_json::Value;
use tds_core::{
    clock::SystemClock,
    outbound::{LocalRecord, RemoteWriter, WriteError},
    record::RecordId,
};
use tds_zoho::{DataCenter, ZohoClient, ZohoConfig, testkit::FakeZoho, write::writers};

use crate::{local::UNIQUE, support::Caller};

/// Returns the configuration of a client of the organization. No limit is reached, and nothing is held back for long.
pub(crate) fn config(fake: &FakeZoho) -> ZohoConfig {
    let credentials = fake.credentials();
    let mut config = ZohoConfig::new(
        credentials.client_id,
        credentials.client_secret,
        credentials.refresh_token,
        credentials.organization_id,
        DataCenter::Us,
    );
    config.accounts_url = fake.accounts_url();
    config.api_url = Some(fake.api_url());
    config.requests_per_minute = 100_000;
    config.most_mints = u32::MAX;
    config.outage_probe = Duration::from_millis(1);
    config
}

/// Returns a client that knows nothing of earlier calls, as after a restart.
pub(crate) fn client(fake: &FakeZoho) -> ZohoClient {
    ZohoClient::new(config(fake), Arc::new(SystemClock)).expect("a valid configuration")
}

/// Returns the writer of an entity type.
pub(crate) fn writer(client: &ZohoClient, entity: &str) -> Arc<dyn RemoteWriter> {
    let of_entity = |writer: &Arc<dyn RemoteWriter>| writer.schema().entity.as_str() == entity;
    writers(client, UNIQUE).into_iter().find(of_entity).expect("an entity type that is written")
}

/// Creates a record as the engine does after a create without an answer: the record is searched for first.
pub(crate) async fn repeated(
    writer: &dyn RemoteWriter,
    record: &LocalRecord,
) -> Result<RecordId, WriteError> {
    match writer.find(std::slice::from_ref(record)).await? {
        Some(id) => Ok(id),
        None => writer.create(record).await.map(|written| written.id),
    }
}

/// Returns the text of a refusal.
pub(crate) fn refusal<T: std::fmt::Debug>(result: Result<T, WriteError>) -> String {
    match result.expect_err("a refusal") {
        WriteError::Refused(error) => error.to_string(),
        other => panic!("no refusal: {other:?}"),
    }
}

impl Caller {
    /// Returns the writer of an entity type.
    pub(crate) fn writer(&self, entity: &str) -> Arc<dyn RemoteWriter> {
        writer(&self.client, entity)
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
}
