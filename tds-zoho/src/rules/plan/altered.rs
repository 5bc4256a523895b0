//! What a person changed in Zoho of a webhook or a rule, so that deliveries are lost.
//!
//! Zoho may show some of this, all of it, or nothing, and no page says in which form. So only what certainly is wrong
//! counts: a webhook that is created again and still looks wrong would be created again for ever.

use reqwest::Url;
use secrecy::ExposeSecret;

use super::{Found, KeyDigest, Rule, Webhook};
use crate::rules::{
    facts,
    target::{Destination, Target, our_name},
    trigger::Trigger,
};

/// What the rest of a product proves to be shown.
pub(super) struct Shown {
    /// The server demands the header with a key, and Zoho shows this header of another webhook.
    key: bool,
    /// The value of this header, if Zoho shows it of another webhook as it was given.
    value: Option<KeyDigest>,
    /// Zoho shows the trigger in the URL of another webhook, or apart, and nothing else there.
    parameters: bool,
    /// Zoho shows the modules of webhooks by the names that they were created with.
    modules_of_webhooks: bool,
    /// Zoho shows the modules of rules by the names that they were created with.
    modules: bool,
}

impl Shown {
    pub(super) fn of(found: &Found, destination: &Destination) -> Self {
        let ours = |name: &str| our_name(name).is_some();
        let webhooks = || found.webhooks.iter().filter(|webhook| ours(&webhook.name));
        let value = destination.key.as_ref().map(|key| KeyDigest::of(key.expose_secret()));
        let shows_module = |rule: &Rule| {
            our_name(&rule.name).is_some_and(|ours| rule.module.as_deref() == Some(ours.module))
        };
        let shows_its_module = |webhook: &Webhook| {
            our_name(&webhook.name).is_some_and(|ours| webhook.module.as_deref() == Some(ours.module))
        };
        let shows_its_trigger = |webhook: &Webhook| {
            let ours = our_name(&webhook.name).map(|ours| ours.trigger);
            parameters(webhook).map(|(_, value)| value).eq(ours.map(str::to_owned))
                && ours.is_some_and(|trigger| !has_other_parameters(webhook, trigger))
        };
        Self {
            parameters: webhooks().any(shows_its_trigger),
            modules_of_webhooks: webhooks().any(shows_its_module),
            key: destination.key.is_some() && webhooks().any(|webhook| has_key(webhook) == Some(true)),
            value: value.filter(|_| webhooks().any(|webhook| webhook.key == value)),
            modules: found.rules.iter().any(shows_module),
        }
    }

    /// Returns what is wrong with a webhook that has the right URL and secret; `None` if nothing is.
    pub(super) fn of_webhook(&self, webhook: &Webhook, target: &Target) -> Option<&'static str> {
        let is_post = |method: &String| method.eq_ignore_ascii_case("post");
        let is_record = |body: &String| {
            let body = body.to_ascii_lowercase();
            body.trim().is_empty() || body.contains(&facts::WHOLE_RECORD.to_ascii_lowercase())
        };
        if webhook.method.as_ref().is_some_and(|method| !is_post(method)) {
            return Some("its method is not POST");
        }
        if webhook.body.as_ref().is_some_and(|body| !is_record(body)) {
            return Some("its body is not the whole record");
        }
        if webhook.body_type.as_ref().is_some_and(|kind| kind.to_ascii_lowercase().contains("form")) {
            return Some("its body is a form");
        }
        if self.modules_of_webhooks && webhook.module.as_ref().is_some_and(|module| *module != target.module)
        {
            return Some("it is of another module");
        }
        if self.parameters && has_other_parameters(webhook, target.trigger.as_str()) {
            return Some("its URL has other parameters");
        }
        if self.key && has_key(webhook) == Some(false) {
            return Some("it lacks the header X-Webhook-Key");
        }
        let is_other = self.value.is_some() && webhook.key.is_some() && webhook.key != self.value;
        is_other.then_some("its header X-Webhook-Key has another value")
    }

    /// Returns what is wrong with a rule, whatever it sends; `None` if nothing is.
    pub(super) fn of_rule(&self, rule: &Rule, target: &Target) -> Option<&'static str> {
        if rule.rule_type.as_deref().is_some_and(|text| !facts::may_be_of(target.trigger, text)) {
            return Some("it has another trigger");
        }
        if self.modules && rule.module.as_ref().is_some_and(|module| *module != target.module) {
            return Some("it watches another module");
        }
        // A record is deleted once.
        if rule.is_once && target.trigger == Trigger::Updated {
            return Some("it fires only once for each record");
        }
        rule.has_criteria.then_some("it has criteria")
    }
}

/// Returns true if a webhook sends other parameters than its trigger.
fn has_other_parameters(webhook: &Webhook, trigger: &str) -> bool {
    parameters(webhook).any(|(name, value)| name != "event" || value != trigger)
}

/// Returns the parameters of a webhook. Zoho may show them in the URL, apart, or not at all.
fn parameters(webhook: &Webhook) -> impl Iterator<Item = (String, String)> {
    let url = webhook.url.as_deref().and_then(|url| Url::parse(url).ok());
    let pairs = |url: Url| -> Vec<(String, String)> { url.query_pairs().into_owned().collect() };
    url.map(pairs).unwrap_or_default().into_iter().chain(webhook.parameters.clone().unwrap_or_default())
}

/// Returns whether a webhook has the header with the key; `None` if Zoho does not show its headers.
fn has_key(webhook: &Webhook) -> Option<bool> {
    let headers = webhook.headers.as_ref()?;
    Some(headers.iter().any(|name| name.eq_ignore_ascii_case(facts::KEY_HEADER)))
}
