//! Events in the shop, one after the other, and the webhook that Zoho would send for each.

mod buying;

use rust_decimal::Decimal;
use serde_json::{Value, json};

use super::{contacts, dates, documents, items::overwrite, orders, random::Random, references, words};
use crate::sim::{
    Module, SharedOrganization,
    literal::{Object, decimal, field, money},
    sample::{self, kinds},
    webhook::Delivery,
};

/// A course of events. The same seed has the same effect on the same shop.
pub struct Changes {
    random: Random,
    /// Customers that were entered by this course; only these are ever deleted.
    newcomers: Vec<String>,
}

impl Changes {
    /// Starts a new course of events.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { random: Random::new(seed), newcomers: Vec::new() }
    }

    /// Changes the organization once and returns the webhook. The result is `None` if Zoho sends no webhook for the
    /// change (a price list), or if the shop has no record of the kind.
    pub fn next_change(&mut self, zoho: &SharedOrganization) -> Option<Delivery> {
        match self.random.below(100) {
            0..30 => self.sale(zoho),
            30..48 => self.payment(zoho),
            48..60 => self.order(zoho),
            60..69 => self.price(zoho),
            69..71 => self.price_list(zoho),
            71 => rate(zoho),
            72..79 => self.new_customer(zoho),
            79..85 => self.adjustment(zoho),
            85..90 => self.product(zoho),
            90 => self.composite_item(zoho),
            91..93 => self.purchase_order(zoho),
            93..95 => self.bill(zoho),
            95..97 => self.bill_payment(zoho),
            97 => self.vendor_credit(zoho),
            _ => self.deletion(zoho),
        }
    }

    /// Returns one of the records of the kind.
    fn choose(
        &mut self,
        zoho: &SharedOrganization,
        module: Module,
        is_of_kind: fn(&Object) -> bool,
    ) -> Option<Value> {
        zoho.read(|records| {
            let records: Vec<&Object> = records.records(module).filter(|record| is_of_kind(record)).collect();
            self.random.pick(&records).map(|record| Value::Object((*record).clone()))
        })
    }

    /// Returns some goods.
    fn goods(&mut self, zoho: &SharedOrganization) -> Vec<Value> {
        (0..4).filter_map(|_| self.choose(zoho, Module::ITEMS, is_active_goods)).collect()
    }

    /// Enters a sales order.
    fn order(&mut self, zoho: &SharedOrganization) -> Option<Delivery> {
        let customer = self.choose(zoho, Module::CONTACTS, is_active_customer)?;
        let goods = self.goods(zoho);
        let lines = documents::lines(&mut self.random, &goods, &customer, 4);
        if lines.is_empty() {
            return None;
        }
        let n = free_number(zoho, Module::SALES_ORDERS, kinds::SALES_ORDER);
        let id = orders::sell(zoho, n, &customer, &lines, zoho.now());
        Some(delivery("sales-orders", "created", zoho.webhook_body(Module::SALES_ORDERS, &id)))
    }

    /// Enters an invoice. The stock falls, but the times of the items do not change.
    fn sale(&mut self, zoho: &SharedOrganization) -> Option<Delivery> {
        let customer = self.choose(zoho, Module::CONTACTS, is_active_customer)?;
        let goods = self.goods(zoho);
        if goods.is_empty() {
            return None;
        }
        let lines = documents::lines(&mut self.random, &goods, &customer, 4);
        let n = free_number(zoho, Module::INVOICES, kinds::INVOICE);
        let mut invoice = sample::invoice_of(n, &customer, &lines);
        dates::date(&mut invoice, zoho.now());
        let total = decimal(&invoice["total"]);
        let id = zoho.put(Module::INVOICES, invoice);
        for line in &lines {
            move_stock(zoho, &line.item_id, -line.quantity);
        }
        owe(zoho, &customer["contact_id"], "outstanding_receivable_amount", total);
        let body = if self.random.per_mille(500) {
            zoho.webhook_body_without_lines(Module::INVOICES, &id)
        } else {
            zoho.webhook_body(Module::INVOICES, &id)
        };
        Some(delivery("invoices", "created", body))
    }

    /// Enters a payment: a customer pays the whole open amount of an invoice, or half of it. Zoho sends the webhook of
    /// the payment; the invoice and its sales order follow without one.
    fn payment(&mut self, zoho: &SharedOrganization) -> Option<Delivery> {
        let mut invoice = self.choose(zoho, Module::INVOICES, is_unpaid)?;
        let invoice_id = invoice["invoice_id"].as_str()?.to_owned();
        let customer = Value::Object(zoho.get(Module::CONTACTS, invoice["customer_id"].as_str()?)?);
        let share = if self.random.per_mille(800) { Decimal::ONE } else { Decimal::new(5, 1) };
        let paid = documents::pay(&mut invoice, share);
        zoho.update(Module::INVOICES, &invoice_id, payment_state(&invoice));
        orders::follow(zoho, &invoice);
        owe(zoho, &invoice["customer_id"], "outstanding_receivable_amount", -paid);
        let n = free_number(zoho, Module::CUSTOMER_PAYMENTS, kinds::CUSTOMER_PAYMENT);
        let mut payment = sample::customer_payment(n, &customer, &[(invoice, paid)], Decimal::ZERO);
        dates::date(&mut payment, zoho.now());
        let id = zoho.put(Module::CUSTOMER_PAYMENTS, payment);
        Some(delivery("customer-payments", "created", zoho.webhook_body(Module::CUSTOMER_PAYMENTS, &id)))
    }

    fn price(&mut self, zoho: &SharedOrganization) -> Option<Delivery> {
        let item = self.choose(zoho, Module::ITEMS, is_active_goods)?;
        let rate = money(self.random.amount(2, 120) + Decimal::new(25, 2));
        self.edit_item(zoho, &item, json!({"rate": rate, "sales_rate": rate}))
    }

    fn product(&mut self, zoho: &SharedOrganization) -> Option<Delivery> {
        let item = self.choose(zoho, Module::ITEMS, is_active_goods)?;
        let brand = self.random.word(words::BRANDS);
        let description = format!("{brand} {}", self.random.word(words::COLOURS));
        self.edit_item(zoho, &item, json!({"brand": brand, "description": description}))
    }

    fn edit_item(&self, zoho: &SharedOrganization, item: &Value, changes: Value) -> Option<Delivery> {
        let id = item["item_id"].as_str()?;
        zoho.update(Module::ITEMS, id, changes);
        Some(delivery("products", "updated", zoho.webhook_body(Module::ITEMS, id)))
    }

    /// Changes one price of one list. No rule of Zoho can watch price lists, so no webhook is sent.
    fn price_list(&mut self, zoho: &SharedOrganization) -> Option<Delivery> {
        let lists = zoho.ids(Module::PRICE_LISTS);
        let id = self.random.pick(&lists)?;
        let mut rows = zoho.get(Module::PRICE_LISTS, id)?.get("pricebook_items")?.as_array()?.clone();
        let index = self.random.below(u64::try_from(rows.len()).ok()?);
        let row = rows.get_mut(usize::try_from(index).ok()?)?;
        let rate = row.get_mut("pricebook_rate")?;
        *rate = money((decimal(rate) * Decimal::new(102, 2)).round_dp(0));
        zoho.update(Module::PRICE_LISTS, id, json!({"pricebook_items": rows}));
        None
    }

    fn new_customer(&mut self, zoho: &SharedOrganization) -> Option<Delivery> {
        let n = free_number(zoho, Module::CONTACTS, kinds::CUSTOMER);
        let mut contact = contacts::customer(&mut self.random, n, &[], zoho.now());
        overwrite(&mut contact, json!({"status": "active"}));
        let id = zoho.put(Module::CONTACTS, contact);
        self.newcomers.push(id.clone());
        Some(delivery("customers", "created", zoho.webhook_body(Module::CONTACTS, &id)))
    }

    fn adjustment(&mut self, zoho: &SharedOrganization) -> Option<Delivery> {
        let item = self.choose(zoho, Module::ITEMS, is_active_goods)?;
        let up = self.random.per_mille(600);
        let difference = self.random.amount(1, 40) * if up { Decimal::ONE } else { Decimal::NEGATIVE_ONE };
        let n = free_number(zoho, Module::ADJUSTMENTS, kinds::ADJUSTMENT);
        let mut adjustment = sample::adjustment(n, &item, difference);
        overwrite(&mut adjustment, json!({"reason": self.random.word(words::REASONS)}));
        let id = zoho.put(Module::ADJUSTMENTS, adjustment);
        move_stock(zoho, item["item_id"].as_str()?, difference);
        Some(delivery("stock", "created", zoho.webhook_body(Module::ADJUSTMENTS, &id)))
    }

    /// Changes the price of a composite item.
    fn composite_item(&mut self, zoho: &SharedOrganization) -> Option<Delivery> {
        let composite = self.choose(zoho, Module::COMPOSITE_ITEMS, |_| true)?;
        let id = composite["composite_item_id"].as_str()?;
        zoho.update(Module::COMPOSITE_ITEMS, id, json!({"rate": money(self.random.amount(20, 300))}));
        let body = zoho.webhook_body(Module::COMPOSITE_ITEMS, id);
        Some(delivery("composite-items", "updated", body))
    }

    /// Deletes a new customer who never bought anything.
    fn deletion(&mut self, zoho: &SharedOrganization) -> Option<Delivery> {
        let bought = |id: &str| {
            zoho.read(|records| {
                records.records(Module::INVOICES).any(|invoice| field(invoice, "customer_id") == id)
            })
        };
        let index = self.newcomers.iter().position(|id| !bought(id))?;
        let id = self.newcomers.swap_remove(index);
        zoho.delete(Module::CONTACTS, &id)?;
        Some(delivery("customers", "deleted", zoho.webhook_body(Module::CONTACTS, &id)))
    }
}

/// Enters today's rate of the dinar. No rule of Zoho can watch currencies, so no webhook is sent.
fn rate(zoho: &SharedOrganization) -> Option<Delivery> {
    references::new_rate(zoho, sample::IQD)?;
    None
}

fn delivery(entity_path: &str, event: &str, body: String) -> Delivery {
    Delivery { entity_path: entity_path.to_owned(), event: event.to_owned(), body }
}

fn is_active_goods(item: &Object) -> bool {
    field(item, "status") == "active" && item.contains_key("locations")
}

fn is_active_customer(contact: &Object) -> bool {
    field(contact, "contact_type") == "customer" && field(contact, "status") == "active"
}

fn is_unpaid(invoice: &Object) -> bool {
    matches!(field(invoice, "status").as_str(), Some("sent" | "overdue" | "partially_paid"))
}

/// Changes the stock at the first location.
fn move_stock(zoho: &SharedOrganization, id: &str, difference: Decimal) {
    let Some(item) = zoho.get(Module::ITEMS, id) else { return };
    let mut item = Value::Object(item);
    let mut on_hand = sample::stock_by_place(&item);
    if let Some(first) = on_hand.first_mut() {
        *first += difference;
    }
    let committed = decimal(&item["committed_stock"]);
    sample::set_stock(&mut item, &on_hand, committed);
    zoho.update_silently(Module::ITEMS, id, item);
}

/// Changes an amount that a party owes, is owed or has paid too much.
fn owe(zoho: &SharedOrganization, party_id: &Value, key: &str, difference: Decimal) {
    let id = party_id.as_str().unwrap_or_default();
    let amount =
        zoho.get(Module::CONTACTS, id).map(|contact| decimal(field(&contact, key))).unwrap_or_default();
    zoho.update_silently(Module::CONTACTS, id, json!({key: money(amount + difference)}));
}

/// Returns the keys that a payment changes in the document that it pays.
fn payment_state(document: &Value) -> Value {
    let keys = ["status", "current_sub_status", "balance", "payment_made", "vendor_credits_applied"];
    let shown = keys.iter().filter_map(|key| Some(((*key).to_owned(), document.get(*key)?.clone())));
    shown.collect()
}

/// Returns the next number of this kind that no record has or had.
fn free_number(zoho: &SharedOrganization, module: Module, kind: u64) -> u64 {
    zoho.read(|records| {
        let taken = |n: &u64| {
            let id = sample::id(kind, *n);
            records.get(module, &id).is_some() || records.deleted(module, &id).is_some()
        };
        let start = u64::try_from(records.count(module)).unwrap_or_default();
        let start = if module == Module::CONTACTS { start / 2 } else { start };
        (start + 1..).find(|n| !taken(n)).unwrap_or_default()
    })
}
