//! What the shop buys, pays and sends back.

use rust_decimal::Decimal;
use serde_json::Value;

use super::{
    Changes, dates, decimal, delivery, documents, field, free_number, kinds, move_stock, orders, owe,
    payment_state, sample,
};
use crate::sim::{Module, SharedOrganization, literal::Object, webhook::Delivery};

const OWED: &str = "outstanding_payable_amount";

impl Changes {
    /// Enters a purchase order.
    pub(super) fn purchase_order(&mut self, zoho: &SharedOrganization) -> Option<Delivery> {
        let vendor = self.choose(zoho, Module::CONTACTS, is_vendor)?;
        let lines = orders::at_cost(self.bought(zoho, &vendor)?);
        let n = free_number(zoho, Module::PURCHASE_ORDERS, kinds::PURCHASE_ORDER);
        let id = orders::buy(zoho, n, &vendor, &lines, zoho.now());
        Some(delivery("purchase-orders", "created", zoho.webhook_body(Module::PURCHASE_ORDERS, &id)))
    }

    /// Enters a bill. The stock rises, but the times of the items do not change.
    pub(super) fn bill(&mut self, zoho: &SharedOrganization) -> Option<Delivery> {
        let vendor = self.choose(zoho, Module::CONTACTS, is_vendor)?;
        let lines = orders::at_cost(self.bought(zoho, &vendor)?);
        let n = free_number(zoho, Module::BILLS, kinds::BILL);
        let mut bill = sample::bill_of(n, &vendor, &lines);
        dates::date(&mut bill, zoho.now());
        let total = decimal(&bill["total"]);
        let id = zoho.put(Module::BILLS, bill);
        for line in &lines {
            move_stock(zoho, &line.item_id, line.quantity);
        }
        owe(zoho, &vendor["contact_id"], OWED, total);
        Some(delivery("bills", "created", zoho.webhook_body(Module::BILLS, &id)))
    }

    /// Pays the whole open amount of a bill. Zoho sends the webhook of the payment; the bill follows without one.
    pub(super) fn bill_payment(&mut self, zoho: &SharedOrganization) -> Option<Delivery> {
        let mut bill = self.choose(zoho, Module::BILLS, is_open)?;
        let bill_id = bill["bill_id"].as_str()?.to_owned();
        let vendor = Value::Object(zoho.get(Module::CONTACTS, bill["vendor_id"].as_str()?)?);
        let paid = documents::pay(&mut bill, Decimal::ONE);
        zoho.update(Module::BILLS, &bill_id, payment_state(&bill));
        owe(zoho, &bill["vendor_id"], OWED, -paid);
        let n = free_number(zoho, Module::VENDOR_PAYMENTS, kinds::VENDOR_PAYMENT);
        let mut payment = sample::vendor_payment(n, &vendor, &[(bill, paid)], Decimal::ZERO);
        dates::date(&mut payment, zoho.now());
        let id = zoho.put(Module::VENDOR_PAYMENTS, payment);
        Some(delivery("vendor-payments", "created", zoho.webhook_body(Module::VENDOR_PAYMENTS, &id)))
    }

    /// Sends goods back and enters the credit of the vendor. The stock falls.
    pub(super) fn vendor_credit(&mut self, zoho: &SharedOrganization) -> Option<Delivery> {
        let vendor = self.choose(zoho, Module::CONTACTS, is_vendor)?;
        let lines = self.bought(zoho, &vendor)?;
        let n = free_number(zoho, Module::VENDOR_CREDITS, kinds::VENDOR_CREDIT);
        let mut credit = sample::vendor_credit_of(n, &vendor, &lines);
        dates::date(&mut credit, zoho.now());
        let total = decimal(&credit["total"]);
        let id = zoho.put(Module::VENDOR_CREDITS, credit);
        for line in &lines {
            move_stock(zoho, &line.item_id, -line.quantity);
        }
        owe(zoho, &vendor["contact_id"], "unused_credits_payable_amount", total);
        Some(delivery("vendor-credits", "created", zoho.webhook_body(Module::VENDOR_CREDITS, &id)))
    }

    /// Returns lines of goods in the vendor's currency.
    fn bought(&mut self, zoho: &SharedOrganization, vendor: &Value) -> Option<Vec<sample::Line>> {
        let goods = self.goods(zoho);
        let lines = documents::lines(&mut self.random, &goods, vendor, 4);
        (!lines.is_empty()).then_some(lines)
    }
}

fn is_vendor(contact: &Object) -> bool {
    field(contact, "contact_type") == "vendor" && field(contact, "status") == "active"
}

fn is_open(bill: &Object) -> bool {
    matches!(field(bill, "status").as_str(), Some("open" | "overdue" | "partially_paid"))
}
