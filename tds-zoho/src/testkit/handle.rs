//! The handle that tests hold.

use std::{net::TcpListener, sync::Arc, time::Duration};

use serde_json::Value;
use tds_core::Clock;
use time::OffsetDateTime;
use wiremock::{Mock, MockServer, matchers::any};

use super::{
    faults::Faults,
    list::ListHabit,
    literal::{Object, id_of, object, stamp},
    module::Module,
    organization::{self, Organization},
    server::Server,
    state::Shared,
    tokens::{CLIENT_ID, CLIENT_SECRET, REFRESH_TOKEN, TokenRules},
    traffic::Limits,
};

pub(crate) const ORGANIZATION_ID: &str = "60045678901";

/// What a client needs to sign in. None of it opens anything real.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// The OAuth client.
    pub client_id: String,
    /// Its secret.
    pub client_secret: String,
    /// The refresh token.
    pub refresh_token: String,
    /// The organization, for `organization_id`.
    pub organization_id: String,
}

/// A running organization. Clones are handles to the same one; it ends with the last of them.
#[derive(Clone)]
pub struct FakeZoho {
    server: Arc<MockServer>,
    pub(super) state: Shared,
}

impl FakeZoho {
    /// Starts an empty organization on a free port of the loopback interface.
    pub async fn start() -> Self {
        Self::on(MockServer::builder()).await
    }

    /// Starts an empty organization on this listener, for tests in which Zoho goes away and comes back.
    pub async fn start_on(listener: TcpListener) -> Self {
        Self::on(MockServer::builder().listener(listener)).await
    }

    async fn on(builder: wiremock::MockServerBuilder) -> Self {
        let server = builder.disable_request_recording().start().await;
        let state = Shared::new(server.uri());
        Mock::given(any()).respond_with(Server(state.clone())).mount(&server).await;
        Self { server: Arc::new(server), state }
    }

    /// The base URL of the accounts server.
    #[must_use]
    pub fn accounts_url(&self) -> String {
        self.server.uri()
    }

    /// The base URL that `/books/v3` or `/inventory/v1` follows.
    #[must_use]
    pub fn api_url(&self) -> String {
        self.server.uri()
    }

    /// What a client needs to sign in.
    #[must_use]
    pub fn credentials(&self) -> Credentials {
        Credentials {
            client_id: CLIENT_ID.to_owned(),
            client_secret: CLIENT_SECRET.to_owned(),
            refresh_token: REFRESH_TOKEN.to_owned(),
            organization_id: ORGANIZATION_ID.to_owned(),
        }
    }

    /// Reads the organization's records under the lock; the server waits meanwhile.
    pub fn organization<T>(&self, read: impl FnOnce(&Organization) -> T) -> T {
        read(&self.state.lock().organization)
    }

    /// Enters an item. See [`Self::put`].
    pub fn put_item(&self, record: Value) -> String {
        self.put(Module::Items, record)
    }

    /// Enters a customer or vendor, by its `contact_type`. See [`Self::put`].
    pub fn put_contact(&self, record: Value) -> String {
        self.put(Module::Contacts, record)
    }

    /// Enters an invoice. See [`Self::put`].
    pub fn put_invoice(&self, record: Value) -> String {
        self.put(Module::Invoices, record)
    }

    /// Enters a bill. See [`Self::put`].
    pub fn put_bill(&self, record: Value) -> String {
        self.put(Module::Bills, record)
    }

    /// Enters a credit note. See [`Self::put`].
    pub fn put_credit_note(&self, record: Value) -> String {
        self.put(Module::CreditNotes, record)
    }

    /// Enters a price list. See [`Self::put`].
    pub fn put_price_list(&self, record: Value) -> String {
        self.put(Module::PriceLists, record)
    }

    /// Enters a record, replacing one with the same id, and returns its id. A missing id, `created_time`
    /// or `last_modified_time` is filled in; every other key stays as given, also one that Zoho would
    /// never write.
    pub fn put(&self, module: Module, record: Value) -> String {
        let mut record = object(record);
        let mut state = self.state.lock();
        let now = stamp(state.now());
        let known = id_of(&record, module.id_key());
        let id = known.clone().unwrap_or_else(|| state.organization.new_id());
        if known.is_none() {
            record.insert(module.id_key().to_owned(), Value::String(id.clone()));
        }
        let created = record.entry("created_time").or_insert_with(|| Value::String(now)).clone();
        record.entry("last_modified_time").or_insert(created);
        state.organization.put(module, &id, record);
        id
    }

    /// Overwrites keys of a record and moves its `last_modified_time` to now. False if it does not exist.
    pub fn update(&self, module: Module, id: &str, changes: Value) -> bool {
        let mut state = self.state.lock();
        let now = stamp(state.now());
        let Some(record) = state.organization.get_mut(module, id) else { return false };
        if record.contains_key("updated_time") {
            record.insert("updated_time".to_owned(), Value::String(now.clone()));
        }
        record.insert("last_modified_time".to_owned(), Value::String(now));
        organization::patch(record, changes);
        true
    }

    /// Overwrites keys of a record as Zoho does with stock and balances: `last_modified_time` stays.
    pub fn update_silently(&self, module: Module, id: &str, changes: Value) -> bool {
        let mut state = self.state.lock();
        let Some(record) = state.organization.get_mut(module, id) else { return false };
        organization::patch(record, changes);
        true
    }

    /// Deletes a record and returns its last state.
    pub fn delete(&self, module: Module, id: &str) -> Option<Object> {
        self.state.lock().organization.delete(module, id)
    }

    /// A record with the keys of both list and detail.
    #[must_use]
    pub fn get(&self, module: Module, id: &str) -> Option<Object> {
        self.state.lock().organization.get(module, id).cloned()
    }

    /// The ids of a module, oldest entry first.
    #[must_use]
    pub fn ids(&self, module: Module) -> Vec<String> {
        self.state.lock().organization.ids(module)
    }

    /// How many records a module has.
    #[must_use]
    pub fn count(&self, module: Module) -> usize {
        self.state.lock().organization.count(module)
    }

    /// Takes the time from this clock from now on. By default it is the machine's.
    pub fn set_clock(&self, clock: Arc<dyn Clock>) {
        self.state.lock().clock = clock;
    }

    /// Moves the organization's clock ahead.
    pub fn advance(&self, by: Duration) {
        let by = time::Duration::try_from(by).unwrap_or(time::Duration::ZERO);
        self.state.lock().clock_ahead += by;
    }

    /// Now, by the organization's clock.
    #[must_use]
    pub fn now(&self) -> OffsetDateTime {
        self.state.lock().now()
    }

    /// Scripts faults.
    #[must_use]
    pub fn faults(&self) -> Faults {
        Faults(self.state.clone())
    }

    /// Sets the limits; counts go on.
    pub fn set_limits(&self, limits: Limits) {
        self.state.lock().traffic.limits = limits;
    }

    /// Sets how access tokens live; tokens already minted keep their lifetime.
    pub fn set_token_rules(&self, rules: TokenRules) {
        self.state.lock().tokens.rules = rules;
    }

    /// How long every answer takes.
    pub fn set_latency(&self, latency: Duration) {
        self.state.lock().traffic.latency = latency;
    }

    /// How many ids `/itemdetails` takes; 200 by default.
    pub fn set_max_item_ids(&self, ids: usize) {
        self.state.lock().max_item_ids = ids;
    }

    /// How lists differ from what is documented, from now on.
    pub fn set_list_habit(&self, habit: ListHabit) {
        self.state.lock().list_habit = habit;
    }

    /// Ends every access token now.
    pub fn expire_tokens(&self) {
        self.state.lock().tokens.expire_all();
    }

    /// Revokes the refresh token (`true`), or gives it back.
    pub fn revoke_refresh_token(&self, revoked: bool) {
        self.state.lock().tokens.revoked = revoked;
    }

    /// A new day begins: the daily limit counts from zero.
    pub fn new_day(&self) {
        self.state.lock().traffic.new_day();
    }
}
