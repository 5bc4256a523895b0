mod products;

use super::*;
use crate::{
    entities::Catalogue,
    rules::{RuleModules, facts, targets},
};

const SECRET: &str = "TdsSecret0123456";

fn destination(base: &str, secret: &str) -> Destination {
    Destination { base: base.to_owned(), secret: secret.into(), key: None }
}

fn here() -> Destination {
    destination("https://tds.example.com", SECRET)
}

/// The targets of products: one for changes and one for deletions.
fn products() -> Vec<Target> {
    let catalogue = Catalogue::default().syncing(["products".parse().expect("a name")]);
    targets(&catalogue, &RuleModules::default())
}

/// Returns the plan of a product that is looked at alone.
fn plan(api: Api, targets: &[Target], destination: &Destination, known: &[String], found: &Found) -> Plan {
    let wanted = Wanted { targets, destination, earlier: &[], known, suspects: &BTreeSet::new() };
    plans(wanted, &[(api, found)]).remove(0)
}

/// Zoho as far as plans see it: a step is taken, or not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Zoho {
    found: Found,
    calls: usize,
}

impl Zoho {
    fn new_id(&mut self) -> String {
        self.calls += 1;
        format!("{:03}", self.calls)
    }

    fn webhook(&mut self, name: &str, url: &str) -> String {
        let id = self.new_id();
        assert!(self.found.webhooks.iter().all(|one| one.name != name), "{name} is used");
        let (name, url) = (name.to_owned(), Some(url.to_owned()));
        self.found.webhooks.push(Webhook { id: id.clone(), name, url, ..Webhook::default() });
        id
    }

    fn take(&mut self, step: &Step) {
        if step.waits {
            return;
        }
        match &step.kind {
            StepKind::CreateWebhook { url, .. } => drop(self.webhook(&step.name, url)),
            StepKind::PutRule { id, trigger, webhook, .. } => {
                let sent = match webhook {
                    Sent::Known(id) => id.clone(),
                    Sent::Created(name) => {
                        let created = self.found.webhooks.iter().find(|one| one.name == *name);
                        created.expect("created before").id.clone()
                    }
                };
                assert!(self.found.webhooks.iter().any(|one| one.id == sent));
                let rule_type = Some(facts::rule_type(*trigger).to_owned());
                let known = id.as_ref().and_then(|id| self.found.rules.iter().position(|one| one.id == *id));
                let id = id.clone().unwrap_or_else(|| self.new_id());
                let is_active = known.is_none_or(|place| self.found.rules[place].is_active);
                let (name, webhooks) = (step.name.clone(), Some(vec![sent]));
                let rule = Rule { id, name, rule_type, is_active, webhooks, ..Rule::default() };
                match known {
                    Some(place) => self.found.rules[place] = rule,
                    None => self.found.rules.push(rule),
                }
            }
            StepKind::ActivateRule(id) => {
                let rule = self.found.rules.iter_mut().find(|one| one.id == *id);
                rule.expect("a rule").is_active = true;
            }
            StepKind::RemoveRule(id) => self.found.rules.retain(|one| one.id != *id),
            StepKind::RemoveWebhook(id) => {
                let sent = |rule: &Rule| rule.webhooks.as_ref().is_some_and(|sent| sent.contains(id));
                assert!(!self.found.rules.iter().any(sent), "a rule still sends {}", step.name);
                self.found.webhooks.retain(|one| one.id != *id);
            }
        }
    }

    /// Takes the first steps of a plan, as a command that is killed then.
    fn install(&mut self, destination: &Destination, most: usize) -> usize {
        let plan = plan(Api::Books, &products(), destination, &[], &self.found);
        plan.steps.iter().take(most).for_each(|step| self.take(step));
        plan.steps.len()
    }

    fn installed(destination: &Destination) -> Self {
        let mut zoho = Self::default();
        zoho.install(destination, usize::MAX);
        zoho
    }
}

/// Returns the kinds of deviations and the actions of the plan.
fn looked_at(found: &Found) -> (Vec<Kind>, Vec<&'static str>) {
    let plan = plan(Api::Books, &products(), &here(), &[], found);
    let mut kinds: Vec<Kind> = plan.deviations.iter().map(|one| one.kind).collect();
    kinds.sort_unstable();
    kinds.dedup();
    (kinds, plan.steps.iter().map(Step::action).collect())
}

#[test]
fn an_empty_organization_gets_a_webhook_and_a_rule_for_each_trigger_and_then_nothing() {
    let (kinds, actions) = looked_at(&Found::default());
    assert_eq!(kinds, [Kind::Missing]);
    assert_eq!(actions, ["create webhook", "create rule", "create webhook", "create rule"]);
    let zoho = Zoho::installed(&here());
    assert_eq!((zoho.found.webhooks.len(), zoho.found.rules.len()), (2, 2));
    assert!(plan(Api::Books, &products(), &here(), &[], &zoho.found).is_right());
}

#[test]
fn what_is_wrong_decides_what_is_done() {
    type Change = fn(&mut Zoho);
    let cases: [(&str, Change, &[Kind], &[&str]); 20] = [
        (
            "the trigger in the URL of a webhook was edited by hand",
            |zoho| {
                let url = zoho.found.webhooks[0].url.as_mut().expect("shown");
                *url = url.replace("event=updated", "event=deleted");
            },
            &[Kind::Changed],
            &["create webhook", "change rule", "delete webhook"],
        ),
        (
            "a parameter was added to a webhook",
            |zoho| {
                let event = ("event".to_owned(), "updated".to_owned());
                zoho.found.webhooks[0].parameters = Some(vec![event, ("a".to_owned(), "b".to_owned())]);
            },
            &[Kind::Changed],
            &["create webhook", "change rule", "delete webhook"],
        ),
        (
            "the module and the form of a webhook were changed",
            |zoho| {
                zoho.found.webhooks[0].module = Some("item".to_owned());
                zoho.found.webhooks[1].module = Some("invoice".to_owned());
            },
            &[Kind::Changed],
            &["create webhook", "change rule", "delete webhook"],
        ),
        (
            "a rule was turned off",
            |zoho| zoho.found.rules[0].is_active = false,
            &[Kind::Inactive],
            &["activate rule"],
        ),
        ("a rule was deleted", |zoho| drop(zoho.found.rules.remove(0)), &[Kind::Missing], &["create rule"]),
        (
            "a webhook was deleted with its use in the rule",
            |zoho| {
                zoho.found.webhooks.remove(0);
                zoho.found.rules[0].webhooks = Some(Vec::new());
            },
            &[Kind::Missing],
            &["create webhook", "change rule"],
        ),
        (
            "a rule has another trigger",
            |zoho| zoho.found.rules[0].rule_type = Some("edit".to_owned()),
            &[Kind::Changed],
            &["change rule"],
        ),
        (
            "a rule fires only once for each record",
            |zoho| zoho.found.rules.iter_mut().for_each(|rule| rule.is_once = true),
            &[Kind::Changed],
            // A record is deleted once, so only the other rule is wrong.
            &["change rule"],
        ),
        (
            "a rule fires only for some records",
            |zoho| zoho.found.rules[1].has_criteria = true,
            &[Kind::Changed],
            &["change rule"],
        ),
        (
            "a rule watches another module",
            |zoho| {
                zoho.found.rules[0].module = Some("item".to_owned());
                zoho.found.rules[1].module = Some("invoice".to_owned());
            },
            &[Kind::Changed],
            &["change rule"],
        ),
        (
            "the method of a webhook was changed",
            |zoho| zoho.found.webhooks[0].method = Some("DELETE".to_owned()),
            &[Kind::Changed],
            &["create webhook", "change rule", "delete webhook"],
        ),
        (
            "the body of a webhook was changed",
            |zoho| {
                zoho.found.webhooks[1].body = Some("${JSONSTRING}".to_owned());
                zoho.found.webhooks[0].body = Some("${ITEM.NAME}".to_owned());
            },
            &[Kind::Changed],
            &["create webhook", "change rule", "delete webhook"],
        ),
        (
            "somebody else sends our webhook",
            |zoho| {
                let sent = zoho.found.rules[0].webhooks.clone();
                let rule = Rule { id: "902".to_owned(), name: "Items to ERP".to_owned(), ..Rule::default() };
                zoho.found.rules.push(Rule { is_active: true, webhooks: sent, ..rule });
            },
            &[Kind::Doubled],
            &[],
        ),
        (
            "a rule sends something else as well",
            |zoho| zoho.found.rules[0].webhooks.as_mut().expect("shown").push("900".to_owned()),
            &[Kind::Changed],
            &["change rule"],
        ),
        (
            "the URL of a webhook was edited by hand",
            |zoho| zoho.found.webhooks[0].url = Some("https://elsewhere.example.net/x".to_owned()),
            &[Kind::Changed],
            &["create webhook", "change rule", "delete webhook"],
        ),
        (
            "a rule is there twice",
            |zoho| {
                let mut double = zoho.found.rules[0].clone();
                double.id = "900".to_owned();
                zoho.found.rules.insert(0, double);
            },
            &[Kind::Doubled],
            &["delete rule"],
        ),
        (
            "a webhook is there twice",
            |zoho| {
                let first = zoho.found.webhooks[0].clone();
                zoho.webhook(&format!("{} 2", first.name), first.url.as_deref().expect("shown"));
            },
            &[Kind::Doubled],
            &["delete webhook"],
        ),
        (
            "somebody else sends elsewhere",
            |zoho| drop(zoho.webhook("Slack", "https://hooks.example.net/1")),
            &[Kind::Foreign],
            &[],
        ),
        (
            "somebody registered the same address by hand",
            |zoho| drop(zoho.webhook("TDS items", "https://tds.example.com/api/zoho/webhooks/products")),
            &[Kind::Doubled],
            &[],
        ),
        (
            "an entity type is no longer synced",
            |zoho| {
                let id = zoho
                    .webhook("TDS bill updated 0123abcd", "https://tds.example.com/api/zoho/webhooks/bills");
                zoho.found.rules.push(Rule {
                    id: "901".to_owned(),
                    name: "TDS bill updated".to_owned(),
                    is_active: true,
                    webhooks: Some(vec![id]),
                    ..Rule::default()
                });
            },
            &[Kind::Leftover],
            &["delete rule", "delete webhook"],
        ),
    ];
    for (case, change, kinds, actions) in cases {
        let mut zoho = Zoho::installed(&here());
        change(&mut zoho);
        assert_eq!(looked_at(&zoho.found), (kinds.to_vec(), actions.to_vec()), "{case}");
        zoho.install(&here(), usize::MAX);
        let left = plan(Api::Books, &products(), &here(), &[], &zoho.found);
        assert!(left.steps.is_empty(), "{case}: {left:?}");
    }
}

#[test]
fn a_webhook_that_lost_the_header_with_the_key_is_created_again_where_zoho_shows_headers() {
    let with_key = Destination { key: Some("k".into()), ..here() };
    let mut zoho = Zoho::installed(&with_key);
    let steps = |found: &Found, to: &Destination| plan(Api::Books, &products(), to, &[], found).steps.len();
    zoho.found.webhooks[0].headers = Some(Vec::new());
    assert_eq!(steps(&zoho.found, &with_key), 0, "Zoho may show no headers at all");
    zoho.found.webhooks[1].headers = Some(vec!["x-webhook-key".to_owned()]);
    assert_eq!(steps(&zoho.found, &with_key), 3);
    assert_eq!(steps(&Zoho::installed(&here()).found, &here()), 0, "no key is demanded");
}

#[test]
fn a_key_with_another_value_is_seen_where_zoho_shows_values_as_they_were_given() {
    let with_key = Destination { key: Some("right".into()), ..here() };
    let mut zoho = Zoho::installed(&with_key);
    let steps = |found: &Found| plan(Api::Books, &products(), &with_key, &[], found).steps.len();
    zoho.found.webhooks[0].key = Some(KeyDigest::of("other"));
    assert_eq!(steps(&zoho.found), 0, "Zoho may show something else in place of values");
    zoho.found.webhooks[1].key = Some(KeyDigest::of("right"));
    assert_eq!(steps(&zoho.found), 3);
    assert_eq!(format!("{:?}", zoho.found.webhooks[0].key), "Some(KeyDigest(…))");
}

#[test]
fn a_webhook_whose_deliveries_are_refused_is_created_again_before_it_is_deleted() {
    let zoho = Zoho::installed(&here());
    let suspects = BTreeSet::from([zoho.found.webhooks[0].id.clone()]);
    let (targets, destination) = (products(), here());
    let wanted = Wanted {
        targets: &targets,
        destination: &destination,
        earlier: &[],
        known: &[],
        suspects: &suspects,
    };
    let plan = plans(wanted, &[(Api::Books, &zoho.found)]).remove(0);
    let actions: Vec<&str> = plan.steps.iter().map(Step::action).collect();
    assert_eq!(actions, ["create webhook", "change rule", "delete webhook"]);
    assert!(plan.steps[1].switches() && !plan.steps[0].switches());
    assert!(plan.steps[0].name.ends_with(" 2"), "the name of the old one is used: {:?}", plan.steps[0]);
}

#[test]
fn beginnings_of_known_urls_end_where_a_part_of_a_url_ends() {
    let known = |url: &str| {
        let mut zoho = Zoho::installed(&here());
        zoho.webhook("Slack", url);
        let known = ["https://hooks.slack.com".to_owned(), "https://a.example/x/".to_owned()];
        plan(Api::Books, &products(), &here(), &known, &zoho.found).is_right()
    };
    assert!(known("https://hooks.slack.com/1") && known("https://hooks.slack.com"));
    assert!(known("https://a.example/x/1"));
    assert!(
        !known("https://hooks.slack.com.evil.example/") && !known("https://hooks.slack.com@evil.example/")
    );
}

#[test]
fn names_of_modules_count_only_where_zoho_shows_them_as_they_were_given() {
    let mut zoho = Zoho::installed(&here());
    zoho.found.rules.iter_mut().for_each(|rule| rule.module = Some("Items".to_owned()));
    assert!(plan(Api::Books, &products(), &here(), &[], &zoho.found).is_right());
}

#[test]
fn what_is_left_in_a_product_without_targets_is_found_and_others_there_are_not_mentioned() {
    let mut zoho = Zoho::default();
    let id = zoho.webhook("TDS compositeitem updated 0123abcd", "https://tds.example.com/x");
    zoho.webhook("Slack", "https://hooks.example.net/1");
    let (name, webhooks) = ("TDS compositeitem updated".to_owned(), Some(vec![id]));
    zoho.found.rules.push(Rule { id: "900".to_owned(), name, is_active: true, webhooks, ..Rule::default() });
    let plan = plan(Api::Inventory, &products(), &here(), &[], &zoho.found);
    assert!(plan.deviations.iter().all(|one| one.kind == Kind::Leftover), "{plan:?}");
    assert_eq!(plan.steps.iter().map(Step::action).collect::<Vec<_>>(), ["delete rule", "delete webhook"]);
    assert_eq!(plan.others, []);
}

#[test]
fn another_host_or_secret_creates_switches_and_removes_in_this_order() {
    for other in [
        destination("https://new.example.com", SECRET),
        destination("https://tds.example.com", "Another0123456"),
    ] {
        let mut zoho = Zoho::installed(&here());
        let plan = plan(Api::Books, &products(), &other, &[], &zoho.found);
        let actions: Vec<&str> = plan.steps.iter().map(Step::action).collect();
        let one = ["create webhook", "change rule", "delete webhook"];
        assert_eq!(actions, [one, one].concat());
        assert!(plan.deviations.iter().all(|one| one.kind == Kind::Changed));
        zoho.install(&other, usize::MAX);
        assert_eq!((zoho.found.webhooks.len(), zoho.found.rules.len()), (2, 2));
        assert_eq!(zoho.install(&other, 0), 0, "nothing is left to do");
    }
}

#[test]
fn a_webhook_with_an_earlier_secret_that_is_still_accepted_is_named_so() {
    let zoho = Zoho::installed(&here());
    let (targets, new) = (products(), destination("https://tds.example.com", "Another0123456"));
    let (earlier, suspects) = ([here()], BTreeSet::new());
    let wanted =
        Wanted { targets: &targets, destination: &new, earlier: &earlier, known: &[], suspects: &suspects };
    let plan = plans(wanted, &[(Api::Books, &zoho.found)]).remove(0);
    assert!(plan.deviations.iter().all(|one| one.text.contains("an earlier one of the secrets")), "{plan:?}");
    assert_eq!(plan.steps.len(), 6);
}

#[test]
fn a_command_that_dies_after_any_step_is_mended_by_the_next() {
    let other = destination("https://new.example.com", "Another0123456");
    let starts = [(Zoho::default(), here()), (Zoho::installed(&here()), other.clone())];
    for (start, destination) in starts {
        let steps = start.clone().install(&destination, 0);
        let whole = start.clone();
        assert!(steps >= 4, "{steps} steps of {whole:?}");
        for died in 0..=steps {
            let mut zoho = start.clone();
            zoho.install(&destination, died);
            zoho.install(&destination, usize::MAX);
            assert_eq!(zoho.install(&destination, 0), 0, "died after {died} steps");
            assert_eq!(
                (zoho.found.webhooks.len(), zoho.found.rules.len()),
                (2, 2),
                "died after {died} steps"
            );
        }
    }
}

#[test]
fn urls_of_others_that_are_known_are_nothing_wrong() {
    let mut zoho = Zoho::installed(&here());
    zoho.webhook("Slack", "https://hooks.example.net/1");
    let known = ["https://hooks.example.net/".to_owned()];
    let plan = plan(Api::Books, &products(), &here(), &known, &zoho.found);
    assert!(plan.is_right(), "{plan:?}");
    assert_eq!(plan.others.len(), 1);
}

#[test]
fn what_the_other_product_shows_of_us_is_left_alone() {
    let targets = targets(&Catalogue::default(), &RuleModules::default());
    let mut zoho = Zoho::default();
    for step in plan(Api::Books, &targets, &here(), &[], &zoho.found.clone()).steps {
        zoho.take(&step);
    }
    let inventory = plan(Api::Inventory, &targets, &here(), &[], &zoho.found);
    assert!(inventory.steps.iter().all(|step| step.action().starts_with("create")), "{inventory:?}");
    assert!(inventory.deviations.iter().all(|one| one.kind == Kind::Missing), "{inventory:?}");
}

#[test]
fn a_removal_deletes_rules_before_their_webhooks_and_nothing_of_others() {
    let mut zoho = Zoho::installed(&here());
    zoho.webhook("Slack", "https://hooks.example.net/1");
    let mut sent = zoho.clone();
    sent.found.rules[0].name = "Items to ERP".to_owned();
    let removed = removal(Api::Books, &sent.found);
    let of_rule = removed.deviations.iter().filter(|one| one.name == "Items to ERP");
    assert_eq!(of_rule.count(), 1, "Zoho deletes no webhook that a rule sends");
    for step in removal(Api::Books, &zoho.found).steps {
        zoho.take(&step);
    }
    assert!(zoho.found.rules.is_empty());
    assert_eq!(zoho.found.webhooks.iter().map(|one| one.name.as_str()).collect::<Vec<_>>(), ["Slack"]);
}
