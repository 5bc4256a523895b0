//! Compares the webhook and the rule of one target with what is registered.

use super::{
    Deviation, Found, Kind, Plan, Rule, Sent, State, Step, StepKind, Wanted, Webhook, altered::Shown,
    is_same_address,
};
use crate::rules::{
    shown::shown_url,
    target::{Destination, Target, our_name},
};

/// Why a rule is switched to another webhook.
pub(super) const SENDS_ANOTHER: &str = "it sends another webhook";

impl Plan {
    pub(super) fn of_target(&mut self, target: &Target, wanted: Wanted<'_>, shown: &Shown, found: &Found) {
        let destination = wanted.destination;
        let (rule_name, url) = (target.rule_name(), target.url(destination));
        let webhooks = OfTarget::find(target, wanted, &url, shown, found);
        let rules: Vec<&Rule> = found.rules.iter().filter(|rule| rule.name == rule_name).collect();
        let sends = |rule: &Rule, id: &str| {
            rule.webhooks.as_ref().is_some_and(|sent| sent.iter().any(|one| one == id))
        };
        let is_right = |rule: &Rule, webhook: &Webhook| {
            sends(rule, &webhook.id) && rule.webhooks.as_ref().is_some_and(|sent| sent.len() == 1)
        };
        // Of several right webhooks, the one that a rule sends is kept.
        let webhook = webhooks.right.iter().copied().max_by_key(|webhook| {
            (rules.iter().any(|rule| sends(rule, &webhook.id)), std::cmp::Reverse(&webhook.id))
        });
        let rule = rules.iter().copied().max_by_key(|rule| {
            let is_right = webhook.is_some_and(|webhook| is_right(rule, webhook));
            (is_right, rule.is_active, std::cmp::Reverse(&rule.id))
        });
        let group = rule_name.clone();
        let mut step = |kind, name: &str, reason| {
            let name = name.to_owned();
            self.steps.push(Step { kind, name, reason, group: group.clone(), waits: false });
        };
        let sent = match webhook {
            Some(webhook) => Sent::Known(webhook.id.clone()),
            None => {
                let reason = webhooks.old.first().map_or("it is missing", |(_, reason)| reason);
                let (module, name) = (target.module.clone(), webhooks.free_name.clone());
                step(StepKind::CreateWebhook { module, url: url.clone() }, &name, reason);
                Sent::Created(name)
            }
        };
        let put = |id| StepKind::PutRule {
            id,
            module: target.module.clone(),
            trigger: target.trigger,
            webhook: sent.clone(),
        };
        match rule {
            None => step(put(None), &rule_name, "it is missing"),
            Some(rule) => {
                if let Some(reason) = shown.of_rule(rule, target) {
                    step(put(Some(rule.id.clone())), &rule_name, reason);
                } else if !webhook.is_some_and(|webhook| is_right(rule, webhook)) {
                    step(put(Some(rule.id.clone())), &rule_name, SENDS_ANOTHER);
                }
                if !rule.is_active {
                    step(StepKind::ActivateRule(rule.id.clone()), &rule_name, "it is not active");
                }
            }
        }
        for double in rules.iter().filter(|one| rule.is_none_or(|kept| kept.id != one.id)) {
            step(StepKind::RemoveRule(double.id.clone()), &rule_name, "it is there twice");
        }
        for (old, _) in &webhooks.old {
            step(StepKind::RemoveWebhook(old.id.clone()), &old.name, "another webhook takes its place");
        }
        for double in webhooks.right.iter().filter(|one| webhook.is_none_or(|kept| kept.id != one.id)) {
            step(StepKind::RemoveWebhook(double.id.clone()), &double.name, "it is there twice");
        }
        self.deviations_of(target, destination, shown, webhook, rule, (&rules, &webhooks));
        self.states.push(State {
            target: target.clone(),
            webhook_name: webhook.map_or(webhooks.free_name, |webhook| webhook.name.clone()),
            url,
            webhook_id: webhook.map(|webhook| webhook.id.clone()),
            rule_id: rule.map(|rule| rule.id.clone()),
        });
    }

    fn deviations_of(
        &mut self,
        target: &Target,
        destination: &Destination,
        shown: &Shown,
        webhook: Option<&Webhook>,
        rule: Option<&Rule>,
        (rules, webhooks): (&[&Rule], &OfTarget<'_>),
    ) {
        let name = target.rule_name();
        let mut deviate = |kind, text: String| {
            self.deviations.push(Deviation { kind, name: name.clone(), text });
        };
        match (webhook, webhooks.old.first()) {
            (Some(_), _) => {}
            (None, None) => deviate(Kind::Missing, "there is no webhook".to_owned()),
            (None, Some((old, reason))) => {
                let url = old.url.as_deref().map(|url| shown_url(url, destination));
                let url = url.as_deref().unwrap_or("URL not shown");
                deviate(Kind::Changed, format!("the webhook to {url}: {reason}"));
            }
        }
        match rule {
            None => deviate(Kind::Missing, "there is no rule".to_owned()),
            Some(rule) => {
                if !rule.is_active {
                    deviate(Kind::Inactive, "the rule is not active, so nothing is sent".to_owned());
                }
                if let Some(reason) = shown.of_rule(rule, target) {
                    let shown = rule.rule_type.as_deref().unwrap_or("type not shown");
                    deviate(Kind::Changed, format!("the rule ({shown}): {reason}"));
                }
                let sends_other = webhook.is_some_and(|webhook| {
                    rule.webhooks.as_ref().is_some_and(|sent| *sent != [webhook.id.clone()])
                });
                if sends_other {
                    deviate(
                        Kind::Changed,
                        "the rule does not send this webhook, or not only this one".to_owned(),
                    );
                }
            }
        }
        if rules.len() > 1 {
            deviate(Kind::Doubled, format!("the rule is there {} times", rules.len()));
        }
        if webhooks.right.len() > 1 {
            deviate(Kind::Doubled, format!("the webhook is there {} times", webhooks.right.len()));
        }
        if webhook.is_some() && !webhooks.old.is_empty() {
            deviate(Kind::Leftover, "an earlier webhook was not deleted".to_owned());
        }
    }
}

/// The webhooks of one target.
struct OfTarget<'a> {
    /// Those with the present URL and secret, as they were created.
    right: Vec<&'a Webhook>,
    /// The others, and why another one takes the place of each.
    old: Vec<(&'a Webhook, &'static str)>,
    /// A name for a new one, which no webhook has.
    free_name: String,
}

impl<'a> OfTarget<'a> {
    fn find(target: &Target, wanted: Wanted<'_>, url: &str, shown: &Shown, found: &'a Found) -> Self {
        let destination = wanted.destination;
        let name = target.webhook_name(destination);
        let mark = our_name(&name).and_then(|ours| ours.mark);
        let is_ours = |webhook: &&Webhook| {
            our_name(&webhook.name).is_some_and(|ours| {
                ours.mark.is_some() && ours.module == target.module && ours.trigger == target.trigger.as_str()
            })
        };
        let wrong = |webhook: &Webhook| {
            let has_mark = our_name(&webhook.name).and_then(|ours| ours.mark) == mark;
            let is_earlier = |one: &Destination| {
                our_name(&target.webhook_name(one)).and_then(|ours| ours.mark)
                    == our_name(&webhook.name).and_then(|ours| ours.mark)
            };
            if !has_mark && wanted.earlier.iter().any(is_earlier) {
                return Some("it has an earlier one of the secrets or keys that are set");
            }
            if !(has_mark && webhook.url.as_deref().is_none_or(|shown| is_same_address(url, shown))) {
                return Some("the URL or the secret is another one");
            }
            let is_suspect = wanted.suspects.contains(&webhook.id);
            shown.of_webhook(webhook, target).or(is_suspect.then_some("its deliveries are refused"))
        };
        let (mut right, mut old) = (Vec::new(), Vec::new());
        for webhook in found.webhooks.iter().filter(is_ours) {
            match wrong(webhook) {
                None => right.push(webhook),
                Some(reason) => old.push((webhook, reason)),
            }
        }
        let is_free = |name: &String| !found.webhooks.iter().any(|webhook| webhook.name == *name);
        let numbered = (2..100).map(|number| format!("{name} {number}"));
        let free_name = std::iter::once(name.clone()).chain(numbered).find(is_free).unwrap_or(name);
        Self { right, old, free_name }
    }
}
