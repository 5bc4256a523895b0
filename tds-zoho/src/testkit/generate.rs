//! Enters records: single ones of each kind, and many samples at once.

use serde_json::Value;

use crate::sim::{
    Module, SharedOrganization,
    literal::Object,
    sample::{
        ContactKind, any_customer_payment, any_vendor_payment, bill, contact, credit_note, invoice, item,
        price_list_unit, purchase_order, sales_order, vendor_credit,
    },
};

impl SharedOrganization {
    /// Enters an item. See [`SharedOrganization::put`].
    pub fn put_item(&self, record: Value) -> String {
        self.put(Module::ITEMS, record)
    }

    /// Enters a customer or a vendor, by its `contact_type`. See [`SharedOrganization::put`].
    pub fn put_contact(&self, record: Value) -> String {
        self.put(Module::CONTACTS, record)
    }

    /// Enters an invoice. See [`SharedOrganization::put`].
    pub fn put_invoice(&self, record: Value) -> String {
        self.put(Module::INVOICES, record)
    }

    /// Enters a bill. See [`SharedOrganization::put`].
    pub fn put_bill(&self, record: Value) -> String {
        self.put(Module::BILLS, record)
    }

    /// Enters a credit note. See [`SharedOrganization::put`].
    pub fn put_credit_note(&self, record: Value) -> String {
        self.put(Module::CREDIT_NOTES, record)
    }

    /// Enters a price list. See [`SharedOrganization::put`].
    pub fn put_price_list(&self, record: Value) -> String {
        self.put(Module::PRICE_LISTS, record)
    }

    /// Enters the samples 1 to `count` of a module and returns their ids. Contacts are customers (bills add a vendor),
    /// documents belong to the first customer and item, and a price list has all items. Records that the samples need
    /// are entered where they are missing, except those that payments name. Other modules have samples of their own; for them the result is empty.
    pub fn generate(&self, module: Module, count: u64) -> Vec<String> {
        let make: Box<dyn Fn(u64) -> Value> = match module {
            Module::ITEMS => Box::new(item),
            Module::CONTACTS => Box::new(|n| contact(n, ContactKind::Customer)),
            Module::INVOICES => {
                let (customer, items) = (self.party(ContactKind::Customer), [self.first_item()]);
                Box::new(move |n| invoice(n, &customer, &items))
            }
            Module::BILLS => {
                let (vendor, items) = (self.party(ContactKind::Vendor), [self.first_item()]);
                Box::new(move |n| bill(n, &vendor, &items))
            }
            Module::CREDIT_NOTES => {
                let (customer, items) = (self.party(ContactKind::Customer), [self.first_item()]);
                Box::new(move |n| credit_note(n, &customer, &items))
            }
            Module::SALES_ORDERS => {
                let (customer, items) = (self.party(ContactKind::Customer), [self.first_item()]);
                Box::new(move |n| sales_order(n, &customer, &items))
            }
            Module::PURCHASE_ORDERS => {
                let (vendor, items) = (self.party(ContactKind::Vendor), [self.first_item()]);
                Box::new(move |n| purchase_order(n, &vendor, &items))
            }
            Module::VENDOR_CREDITS => {
                let (vendor, items) = (self.party(ContactKind::Vendor), [self.first_item()]);
                Box::new(move |n| vendor_credit(n, &vendor, &items))
            }
            Module::CUSTOMER_PAYMENTS => Box::new(any_customer_payment),
            Module::VENDOR_PAYMENTS => Box::new(any_vendor_payment),
            Module::PRICE_LISTS => {
                let items: Vec<Value> =
                    self.read(|records| records.records(Module::ITEMS).cloned().map(Value::Object).collect());
                Box::new(move |n| price_list_unit(n, &items))
            }
            _ => return Vec::new(),
        };
        (1..=count).map(|n| self.put(module, make(n))).collect()
    }

    fn party(&self, kind: ContactKind) -> Value {
        let wanted = if kind == ContactKind::Vendor { "vendor" } else { "customer" };
        let is_wanted = |record: &&Object| record.get("contact_type").is_some_and(|found| found == wanted);
        let known = self.read(|records| records.records(Module::CONTACTS).find(is_wanted).cloned());
        known.map_or_else(|| self.enter(Module::CONTACTS, contact(1, kind)), Value::Object)
    }

    fn first_item(&self) -> Value {
        let known = self.read(|records| records.records(Module::ITEMS).next().cloned());
        known.map_or_else(|| self.enter(Module::ITEMS, item(1)), Value::Object)
    }

    fn enter(&self, module: Module, record: Value) -> Value {
        self.put(module, record.clone());
        record
    }
}
