//! A simulated organization, and the handle that its server shares with the code that changes it.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard},
};

use serde_json::{Value, json};
use tds_core::{
    clock::{Clock, SystemClock},
    lock::lock,
};
use time::OffsetDateTime;

use super::{
    automation::Automation,
    delivery::Delivery,
    image::ItemImage,
    list::ListHabit,
    literal::{Object, id_of, object, stamp},
    module::Module,
    records::Records,
    tokens::{CLIENT_ID, CLIENT_SECRET, REFRESH_TOKEN, Tokens},
    traffic::Traffic,
};
use crate::entities::Catalogue;

/// The id of every simulated organization.
pub(crate) const ORGANIZATION_ID: &str = "60045678901";

/// The values that a client needs to sign in. None of these values gives access to a real organization.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// The OAuth client.
    pub client_id: String,
    /// The secret of the OAuth client.
    pub client_secret: String,
    /// The refresh token.
    pub refresh_token: String,
    /// The organization, for the parameter `organization_id`.
    pub organization_id: String,
}

/// The state of the simulated Zoho: records, access tokens, and the number of calls. [`respond`](fn@super::respond)
/// answers requests from this state.
pub struct Organization {
    pub(crate) records: Records,
    pub(crate) tokens: Tokens,
    pub(crate) traffic: Traffic,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) clock_ahead: time::Duration,
    pub(crate) max_item_ids: usize,
    pub(crate) list_habit: ListHabit,
    pub(crate) api_domain: String,
    pub(crate) modules: Vec<Module>,
    /// The images of items that a test decided. The others follow from the records of the items.
    pub(crate) images: HashMap<String, ItemImage>,
    /// The deliveries of webhooks as Zoho's history shows them, newest first.
    pub(crate) webhook_history: Vec<Value>,
    /// The API names of the custom fields that no two records of a module share.
    pub(crate) unique_fields: Vec<String>,
    /// The webhooks of calls that wrote, which nobody has sent yet.
    pub(crate) webhooks: VecDeque<Delivery>,
    /// The last part of the address at which the webhooks of each module arrive.
    pub(crate) paths: Vec<(Module, &'static str)>,
    /// The registered webhooks and rules.
    pub(crate) automation: Automation,
    /// Further organizations that the user of the tokens belongs to, as id and name. They have no records.
    pub(crate) others: Vec<(String, String)>,
}

impl Organization {
    /// Creates an empty organization. `api_domain` is the base URL that the token endpoint returns to clients.
    #[must_use]
    pub fn new(api_domain: String) -> Self {
        Self {
            records: Records::default(),
            tokens: Tokens::default(),
            traffic: Traffic::default(),
            clock: Arc::new(SystemClock),
            clock_ahead: time::Duration::ZERO,
            max_item_ids: 200,
            list_habit: ListHabit::default(),
            api_domain,
            modules: modules(&Catalogue::default()),
            images: HashMap::new(),
            webhook_history: Vec::new(),
            unique_fields: vec!["cf_tds_id".to_owned()],
            webhooks: VecDeque::new(),
            paths: paths(&Catalogue::default()),
            automation: Automation::default(),
            others: Vec::new(),
        }
    }

    /// Returns the time by the organization's clock.
    #[must_use]
    pub fn now(&self) -> OffsetDateTime {
        self.clock.now() + self.clock_ahead
    }

    /// Enters a record, or replaces the record with the same id, and returns the id. A missing id, `created_time` or
    /// `last_modified_time` is filled in. Every other key stays as given, even a key that Zoho would never write.
    pub fn put(&mut self, module: Module, record: Value) -> String {
        let mut record = object(record);
        let now = stamp(self.now());
        let known = id_of(&record, module.id_key);
        let id = known.clone().unwrap_or_else(|| self.records.new_id());
        if known.is_none() {
            record.insert(module.id_key.to_owned(), Value::String(id.clone()));
        }
        let created = record.entry("created_time").or_insert_with(|| Value::String(now)).clone();
        record.entry("last_modified_time").or_insert(created);
        self.records.put(module, &id, record);
        id
    }
}

/// Returns the last part of the address at which the webhooks of each module arrive. No rule of Zoho can watch price
/// lists.
fn paths(catalogue: &Catalogue) -> Vec<(Module, &'static str)> {
    let of_types = catalogue.iter().filter_map(|one| Some((one.simulated?, one.webhooks.as_ref()?.path)));
    let watched = of_types.filter(|(module, _)| *module != Module::PRICE_LISTS);
    watched.chain([(Module::ADJUSTMENTS, "stock")]).collect()
}

fn modules(catalogue: &Catalogue) -> Vec<Module> {
    let of_types = catalogue.iter().filter_map(|descriptor| descriptor.simulated);
    of_types.chain([Module::ADJUSTMENTS]).collect()
}

/// A handle to one organization. Clones are handles to the same organization.
#[derive(Clone)]
pub struct SharedOrganization(Arc<Mutex<Organization>>);

impl SharedOrganization {
    /// Creates an empty organization. See [`Organization::new`].
    #[must_use]
    pub fn new(api_domain: String) -> Self {
        Self(Arc::new(Mutex::new(Organization::new(api_domain))))
    }

    /// Locks the organization. Its server waits in the meantime. A thread that panicked while it held the lock does
    /// not make other threads fail.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Organization> {
        lock(&self.0)
    }

    /// Returns the values that a client needs to sign in.
    #[must_use]
    pub fn credentials(&self) -> Credentials {
        Credentials {
            client_id: CLIENT_ID.to_owned(),
            client_secret: CLIENT_SECRET.to_owned(),
            refresh_token: REFRESH_TOKEN.to_owned(),
            organization_id: ORGANIZATION_ID.to_owned(),
        }
    }

    /// Reads the organization's records under the lock. Its server waits in the meantime.
    pub fn read<T>(&self, read: impl FnOnce(&Records) -> T) -> T {
        read(&self.lock().records)
    }

    /// Enters a record. See [`Organization::put`].
    pub fn put(&self, module: Module, record: Value) -> String {
        self.lock().put(module, record)
    }

    /// Overwrites keys of a record, nested values as a whole, and sets its `last_modified_time` to the organization's
    /// time. Returns false if the record does not exist.
    pub fn update(&self, module: Module, id: &str, changes: Value) -> bool {
        let mut organization = self.lock();
        let now = stamp(organization.now());
        let Some(record) = organization.records.get_mut(module, id) else { return false };
        if record.contains_key("updated_time") {
            record.insert("updated_time".to_owned(), Value::String(now.clone()));
        }
        record.insert("last_modified_time".to_owned(), Value::String(now));
        record.extend(object(changes));
        true
    }

    /// Overwrites keys of a record and leaves its `last_modified_time` unchanged, as Zoho does with stock and
    /// balances. Returns false if the record does not exist.
    pub fn update_silently(&self, module: Module, id: &str, changes: Value) -> bool {
        let mut organization = self.lock();
        let Some(record) = organization.records.get_mut(module, id) else { return false };
        record.extend(object(changes));
        true
    }

    /// Sets how a call for the image of an item is answered. The record of the item stays as it is.
    pub fn set_image(&self, item_id: &str, image: ItemImage) {
        self.lock().images.insert(item_id.to_owned(), image);
    }

    /// Deletes a record and returns its last state.
    pub fn delete(&self, module: Module, id: &str) -> Option<Object> {
        self.lock().records.delete(module, id)
    }

    /// Returns a record with the keys of both list and detail.
    #[must_use]
    pub fn get(&self, module: Module, id: &str) -> Option<Object> {
        self.lock().records.get(module, id).cloned()
    }

    /// Returns the ids of a module's records, oldest entry first.
    #[must_use]
    pub fn ids(&self, module: Module) -> Vec<String> {
        self.lock().records.ids(module)
    }

    /// Sets the modules: from now on the organization has the modules of these entity types, and those that are not
    /// entity types. The default is Zoho's catalogue.
    pub fn set_catalogue(&self, catalogue: &Catalogue) {
        let mut organization = self.lock();
        organization.modules = modules(catalogue);
        organization.paths = paths(catalogue);
    }

    /// Sets the API names of the custom fields that no two records of a module share. The default is `cf_tds_id`.
    pub fn set_unique_fields(&self, api_names: &[&str]) {
        self.lock().unique_fields = api_names.iter().map(|name| (*name).to_owned()).collect();
    }

    /// Enters a delivery into the organization's history of webhooks, with the HTTP status that the receiver answered.
    pub fn record_delivery(&self, module: Module, id: &str, status: u16) {
        let mut organization = self.lock();
        let entry = json!({
            "webhook_history_id": organization.records.new_id(),
            "entity": module.detail_key,
            "entity_id": id,
            "status": if (200..=299).contains(&status) { "success" } else { "failure" },
            "response_code": status,
            "executed_time": stamp(organization.now()),
        });
        organization.webhook_history.insert(0, entry);
    }

    /// Makes a code for the exchange at the accounts server, as the API console does for a self client. The code can be
    /// exchanged once within three minutes.
    #[must_use]
    pub fn grant_code(&self, scopes: &[&str]) -> String {
        self.lock().tokens.new_code(scopes, None, false)
    }

    /// Makes a code of a client with a redirect URI, which the exchange has to repeat.
    #[must_use]
    pub fn grant_code_for(&self, scopes: &[&str], redirect_uri: &str) -> String {
        self.lock().tokens.new_code(scopes, Some(redirect_uri), false)
    }

    /// Makes a code that has expired.
    #[must_use]
    pub fn expired_code(&self) -> String {
        self.lock().tokens.new_code(&[], None, true)
    }

    /// Adds an organization that the user of the tokens belongs to as well. It has no records.
    pub fn add_organization(&self, id: &str, name: &str) {
        self.lock().others.push((id.to_owned(), name.to_owned()));
    }

    /// Returns the time by the organization's clock.
    #[must_use]
    pub fn now(&self) -> OffsetDateTime {
        self.lock().now()
    }
}
