//! The simulated Zoho as the monkey uses it: the records that change, and the changes that the receiver has accepted.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard},
    time::Duration,
};

use serde_json::{Value, json};
use tds_core::lock::lock;
use tds_zoho::testkit::{
    FakeZoho, Fault, Limits, Module, TokenRules,
    demo::{self, Size},
    number,
    sample::{self, ContactKind},
};

use crate::dice::Dice;

/// The modules that change, each with the path of its webhooks.
pub(crate) const MODULES: [(Module, &str); 6] = [
    (Module::ITEMS, "products"),
    (Module::CONTACTS, "customers"),
    (Module::INVOICES, "invoices"),
    (Module::BILLS, "bills"),
    (Module::CREDIT_NOTES, "credit-notes"),
    (Module::PRICE_LISTS, "prices"),
];
/// A module keeps at least this many records; only records above this number are deleted.
const FEWEST: usize = 6;
/// The most deletions of one module: more deletions at once would wait for an operator.
const MOST_DELETIONS: usize = 12;

/// What a delivery is about: the webhook path and the id of the record.
pub(crate) type Subject = (&'static str, String);

/// A change: its subject, its event, and its number.
#[derive(Clone)]
pub(crate) struct Change {
    pub(crate) subject: Subject,
    pub(crate) module: Module,
    pub(crate) event: &'static str,
    pub(crate) number: u64,
}

#[derive(Default)]
struct Facts {
    changes: u64,
    /// The number of the last change of each subject. `announced` holds the last change that an accepted delivery
    /// showed.
    changed: BTreeMap<Subject, u64>,
    announced: BTreeMap<Subject, u64>,
    deletions: BTreeMap<&'static str, usize>,
    created: u64,
}

pub(crate) struct Source {
    pub(crate) zoho: FakeZoho,
    poison: Vec<(Module, String)>,
    facts: Mutex<Facts>,
}

impl Source {
    pub(crate) async fn open(seed: u64, size: Size) -> Self {
        let zoho = FakeZoho::start().await;
        demo::organization(&zoho, size, seed);
        // An hour of disturbances needs more calls than the daily budget of a plan, and an exhausted budget makes work
        // wait.
        zoho.set_limits(Limits { per_day: Some(1_000_000), ..Limits::default() });
        zoho.set_token_rules(TokenRules { mints_per_ten_minutes: 1_000, ..TokenRules::default() });
        let poison = [Module::INVOICES, Module::BILLS].map(|module| (module, zoho.ids(module)[0].clone()));
        let source = Self { zoho, poison: poison.into(), facts: Mutex::default() };
        source.calm();
        source
    }

    fn facts(&self) -> MutexGuard<'_, Facts> {
        lock(&self.facts)
    }

    /// Ends every fault except the poison: the records that Zoho always refuses to return.
    pub(crate) fn calm(&self) {
        self.cure();
        for (module, id) in &self.poison {
            let refused = Fault::Status(400, 2, "Invalid value passed for monkey".to_owned());
            self.zoho.faults().every(&format!("/{}/{id}", module.path), 1, refused);
        }
    }

    /// Ends every fault.
    pub(crate) fn cure(&self) {
        self.zoho.faults().clear();
        self.zoho.set_latency(Duration::from_millis(5));
    }

    pub(crate) fn poison_ids(&self) -> Vec<&str> {
        self.poison.iter().map(|(_, id)| id.as_str()).collect()
    }

    pub(crate) fn is_poison(&self, id: &str) -> bool {
        self.poison.iter().any(|(_, poison)| poison == id)
    }

    /// Returns the subjects whose last change an accepted delivery showed: the mirror must show them without a list.
    pub(crate) fn announced(&self) -> BTreeSet<Subject> {
        let facts = self.facts();
        let announced = facts
            .announced
            .iter()
            .filter(|(subject, announced)| facts.changed.get(subject) == Some(announced));
        announced.map(|(subject, _)| subject.clone()).collect()
    }

    /// Notes that a delivery was accepted which shows the subject as of this change.
    pub(crate) fn was_announced(&self, subject: &Subject, number: u64) {
        let mut facts = self.facts();
        let announced = facts.announced.entry(subject.clone()).or_default();
        *announced = number.max(*announced);
    }

    /// Notes that the mirror was edited by hand: it need not show any longer what was delivered before.
    pub(crate) fn was_edited(&self, subject: Subject) {
        let mut facts = self.facts();
        facts.changes += 1;
        let number = facts.changes;
        facts.changed.insert(subject, number);
    }

    fn note(&self, facts: &mut Facts, module: Module, subject: Subject, event: &'static str) -> Change {
        facts.changes += 1;
        facts.changed.insert(subject.clone(), facts.changes);
        Change { subject, module, event, number: facts.changes }
    }

    /// Picks a record that is not poisoned.
    pub(crate) fn pick(&self, dice: &mut Dice, module: Module) -> Option<String> {
        let mut ids = self.zoho.ids(module);
        ids.retain(|id| !self.is_poison(id));
        (!ids.is_empty()).then(|| dice.pick(&ids))
    }

    /// Makes one random change to one random record.
    pub(crate) fn change(&self, dice: &mut Dice) -> Option<Change> {
        let (module, path) = dice.pick(&MODULES);
        match dice.below(100) {
            0..60 => {
                let id = self.pick(dice, module)?;
                self.update(module, path, &id)
            }
            60..82 => self.update_silently(dice, module, path),
            82..93 => Some(self.create(dice, module, path)),
            _ => self.delete(dice, module, path),
        }
    }

    /// Makes a change that Zoho dates. Every such change gives the record a state that it never had before.
    pub(crate) fn update(&self, module: Module, path: &'static str, id: &str) -> Option<Change> {
        let mut facts = self.facts();
        let n = facts.changes + 1;
        let changes = match module {
            Module::ITEMS => json!({"rate": number(&format!("{n}.50")), "description": format!("وصف {n}")}),
            Module::CONTACTS => json!({"notes": format!("note {n}"), "mobile": n.to_string()}),
            Module::PRICE_LISTS => json!({"name": format!("List {n}")}),
            _ => {
                let mut lines = self.zoho.get(module, id)?.get("line_items")?.clone();
                lines[0]["quantity"] = json!(n);
                json!({"line_items": lines, "notes": format!("note {n}"), "total": number(&format!("{n}.25"))})
            }
        };
        let done = self.zoho.update(module, id, changes);
        done.then(|| self.note(&mut facts, module, (path, id.to_owned()), "updated"))
    }

    /// Puts an item into one of a few states, which come back.
    pub(crate) fn put_state(&self, id: &str, state: &str) -> Option<Change> {
        let mut facts = self.facts();
        let done = self.zoho.update(Module::ITEMS, id, json!({"description": state}));
        done.then(|| self.note(&mut facts, Module::ITEMS, ("products", id.to_owned()), "updated"))
    }

    /// Changes what Zoho changes without a new `last_modified_time`: stock, balances, states, and prices of lists.
    fn update_silently(&self, dice: &mut Dice, module: Module, path: &'static str) -> Option<Change> {
        let id = self.pick(dice, module)?;
        let mut facts = self.facts();
        let n = facts.changes + 1;
        let mut subject = path;
        let changes = match module {
            Module::ITEMS => {
                let mut item = Value::Object(self.zoho.get(module, &id)?);
                item.get("locations")?;
                sample::set_stock(&mut item, &[n.into(), 3.into(), (-2).into()], 1.into());
                subject = "stock";
                item
            }
            Module::CONTACTS => {
                let record = self.zoho.get(module, &id)?;
                let side = if record["contact_type"] == "vendor" { "payable" } else { "receivable" };
                json!({format!("outstanding_{side}_amount"): n})
            }
            Module::PRICE_LISTS => {
                let mut rows = self.zoho.get(module, &id)?.get("pricebook_items").cloned()?;
                rows.as_array_mut()?.first_mut()?["pricebook_rate"] = json!(n);
                json!({ "pricebook_items": rows })
            }
            _ => json!({"status": "overdue", "balance": n}),
        };
        let done = self.zoho.update_silently(module, &id, changes);
        done.then(|| self.note(&mut facts, module, (subject, id), "updated"))
    }

    fn create(&self, dice: &mut Dice, module: Module, path: &'static str) -> Change {
        let mut facts = self.facts();
        facts.created += 1;
        let n = 100_000 + facts.created;
        let kind = if dice.percent(30) { ContactKind::Vendor } else { ContactKind::Customer };
        let items = [sample::item(1), sample::item(n)];
        let record = match module {
            Module::CONTACTS => sample::contact(n, kind),
            Module::INVOICES => sample::invoice(n, &sample::contact(n, ContactKind::Customer), &items),
            Module::BILLS => sample::bill(n, &sample::contact(n, ContactKind::Vendor), &items),
            Module::CREDIT_NOTES => {
                sample::credit_note(n, &sample::contact(n, ContactKind::Customer), &items)
            }
            Module::PRICE_LISTS => sample::price_list_volume(n, &items),
            _ if dice.percent(20) => sample::service(n),
            _ => sample::item(n),
        };
        let id = self.zoho.put(module, record);
        self.note(&mut facts, module, (path, id), "created")
    }

    fn delete(&self, dice: &mut Dice, module: Module, path: &'static str) -> Option<Change> {
        let id = self.pick(dice, module).filter(|_| self.zoho.count(module) > FEWEST)?;
        let mut facts = self.facts();
        let deletions = facts.deletions.entry(path).or_default();
        if *deletions == MOST_DELETIONS {
            return None;
        }
        self.zoho.delete(module, &id)?;
        *deletions += 1;
        Some(self.note(&mut facts, module, (path, id), "deleted"))
    }

    /// Returns the present state of a record as a whole body, and the number of the change that the body shows.
    pub(crate) fn body(&self, change: &Change) -> (String, u64) {
        let facts = self.facts();
        let body = self.zoho.webhook_body(change.module, &change.subject.1);
        // The last state of a record that was deleted in the meantime does not show the deletion.
        let is_true = change.event == "deleted" || self.zoho.get(change.module, &change.subject.1).is_some();
        let latest = facts.changed.get(&change.subject).copied().filter(|_| is_true);
        (body, latest.unwrap_or(change.number))
    }
}
