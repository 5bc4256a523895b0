//! The webhooks and workflow rules that programs registered, as they are kept.

use super::{list::Query, literal::Object};
use crate::entities::Api;

/// The limits of registered webhooks and rules.
#[derive(Clone, Debug)]
pub struct AutomationLimits {
    /// The maximum number of rules of the organization.
    pub rules: usize,
    /// The modules that rules can watch.
    pub modules: Vec<String>,
    /// The product Zoho Inventory answers its calls. If it is false, they are refused with code 6041.
    pub inventory: bool,
}

/// The modules that rules can watch by default.
const MODULES: [&str; 12] = [
    "item",
    "contact",
    "invoice",
    "bill",
    "creditnote",
    "salesorder",
    "customerpayment",
    "purchaseorder",
    "vendorpayment",
    "vendorcredit",
    "inventoryadjustment",
    "compositeitem",
];

impl Default for AutomationLimits {
    fn default() -> Self {
        let modules = MODULES.iter().map(|module| (*module).to_owned()).collect();
        Self { rules: 100, modules, inventory: true }
    }
}

/// The registered webhooks and rules of both products.
#[derive(Default)]
pub(crate) struct Automation {
    pub(super) limits: AutomationLimits,
    pub(super) books: Registry,
    pub(super) inventory: Registry,
    /// True if webhooks are sent by the registered rules.
    pub(super) is_followed: bool,
}

/// The webhooks and rules of one product, with all keys that were given.
#[derive(Default)]
pub(super) struct Registry {
    pub(super) webhooks: Vec<Object>,
    pub(super) rules: Vec<Object>,
}

impl Automation {
    pub(super) fn of(&self, api: Api) -> &Registry {
        match api {
            Api::Books => &self.books,
            Api::Inventory => &self.inventory,
        }
    }

    pub(super) fn of_mut(&mut self, api: Api) -> &mut Registry {
        match api {
            Api::Books => &mut self.books,
            Api::Inventory => &mut self.inventory,
        }
    }
}

/// A call about registered webhooks and rules, after its authorization.
pub(crate) struct Call<'a> {
    pub(crate) api: Api,
    pub(crate) method: &'a str,
    /// What follows `settings/`.
    pub(crate) path: &'a str,
    pub(crate) query: &'a Query,
    pub(crate) body: &'a [u8],
}
