//! What should be registered.

use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

use super::{
    facts::{RuleModules, is_only_in_inventory},
    trigger::Trigger,
};
use crate::{answer::Api, entities::Catalogue, hex};

/// The first word of the names of everything that is registered for this program.
const PREFIX: &str = "TDS";
/// The number of bytes of a mark. A mark says which secret a webhook was made with, and is too short to guess a secret
/// from it.
const MARK_BYTES: usize = 4;

/// One webhook with its rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The product whose rules watch the module.
    pub api: Api,
    /// The last part of the path at which the webhooks arrive.
    pub path: String,
    /// The module that the rule watches.
    pub module: String,
    /// The trigger of the rule.
    pub trigger: Trigger,
}

/// Where webhooks are sent, and how they are signed. `Debug` shows no secret.
#[derive(Clone, Debug)]
pub struct Destination {
    /// The base URL of the server, without a slash at its end.
    pub base: String,
    /// The secret of the webhooks.
    pub secret: SecretString,
    /// The value of the header `X-Webhook-Key`, if the server demands one.
    pub key: Option<SecretString>,
}

/// Returns what should be registered for the entity types that are synced, in their order.
#[must_use]
pub fn targets(catalogue: &Catalogue, modules: &RuleModules) -> Vec<Target> {
    let mut targets: Vec<Target> = Vec::new();
    for descriptor in catalogue.synced() {
        let Some(webhooks) = &descriptor.webhooks else { continue };
        let assumed = descriptor.envelopes.first().map_or("", |(name, _)| *name);
        for (api, module) in modules.of(webhooks.path, assumed) {
            for trigger in Trigger::ALL {
                let target = Target { api, path: webhooks.path.to_owned(), module: module.clone(), trigger };
                if !targets.contains(&target) {
                    targets.push(target);
                }
            }
        }
    }
    targets
}

impl Target {
    /// Returns true if the target is in Zoho Inventory although Zoho Books has the records of its entity type as well.
    #[must_use]
    pub fn is_moved(&self) -> bool {
        self.api == Api::Inventory && !is_only_in_inventory(&self.path)
    }

    /// Returns the name of the rule.
    #[must_use]
    pub fn rule_name(&self) -> String {
        format!("{PREFIX} {} {}", self.module, self.trigger.as_str())
    }

    /// Returns the name of the webhook.
    #[must_use]
    pub fn webhook_name(&self, destination: &Destination) -> String {
        format!("{} {}", self.rule_name(), destination.mark(&self.url(destination)))
    }

    /// Returns the URL of the webhook.
    #[must_use]
    pub fn url(&self, destination: &Destination) -> String {
        let base = destination.base.trim_end_matches('/');
        format!("{base}/api/zoho/webhooks/{}?event={}", self.path, self.trigger.as_str())
    }
}

impl Destination {
    /// Returns the values that no message may repeat.
    pub(super) fn secrets(&self) -> Vec<&str> {
        let secrets = std::iter::once(&self.secret).chain(&self.key);
        secrets.map(ExposeSecret::expose_secret).filter(|secret| !secret.is_empty()).collect()
    }

    /// Returns the mark of a webhook with this URL: it differs for every URL, secret and key.
    fn mark(&self, url: &str) -> String {
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(self.secret.expose_secret().as_bytes()) else {
            return "0".repeat(MARK_BYTES * 2);
        };
        let key = self.key.as_ref().map(ExposeSecret::expose_secret).unwrap_or_default();
        // The first part keeps a mark from being the signature of any delivery.
        for part in ["mark of a registered webhook", url, key] {
            mac.update(part.as_bytes());
            mac.update(b"\0");
        }
        hex::encode(&mac.finalize().into_bytes()[..MARK_BYTES])
    }
}

/// The parts of a name that this program gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OurName<'a> {
    pub(super) module: &'a str,
    pub(super) trigger: &'a str,
    /// The mark; `None` for a rule.
    pub(super) mark: Option<&'a str>,
}

/// Returns the last part of the path of a URL at which webhooks of this program arrive.
pub(super) fn path_of(url: &str) -> Option<String> {
    let (_, rest) = url.split_once("/api/zoho/webhooks/")?;
    let path = rest.split(['/', '?', '#']).next().unwrap_or_default();
    (!path.is_empty()).then(|| path.to_owned())
}

/// Reads a name. `None` means that somebody else gave it.
pub(super) fn our_name(name: &str) -> Option<OurName<'_>> {
    let parts: Vec<&str> = name.split(' ').collect();
    let (module, trigger, mark) = match parts[..] {
        [PREFIX, module, trigger] => (module, trigger, None),
        [PREFIX, module, trigger, mark] => (module, trigger, Some(mark)),
        // A further webhook whose first name was taken.
        [PREFIX, module, trigger, mark, number] if number.bytes().all(|byte| byte.is_ascii_digit()) => {
            (module, trigger, Some(mark))
        }
        _ => return None,
    };
    let is_mark = |mark: &str| mark.len() == MARK_BYTES * 2 && hex::decode(mark).is_some();
    let is_ours = Trigger::ALL.iter().any(|known| known.as_str() == trigger) && mark.is_none_or(is_mark);
    is_ours.then_some(OurName { module, trigger, mark })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn destination(base: &str, secret: &str) -> Destination {
        Destination { base: base.to_owned(), secret: secret.into(), key: None }
    }

    #[test]
    fn each_watched_module_has_a_target_for_each_trigger_and_names_fit() {
        let targets = targets(&Catalogue::default(), &RuleModules::default());
        assert_eq!(targets.len(), 24, "{targets:?}");
        assert_eq!(targets.iter().filter(|target| target.api == Api::Inventory).count(), 2);
        let destination = destination("https://tds.example.com/", "TdsSecret0123456");
        for target in &targets {
            let name = target.webhook_name(&destination);
            assert!(name.len() <= 47, "{name}: Zoho accepts 50 characters, and a number may follow");
            let ours = our_name(&name).expect("our name");
            assert_eq!((ours.module, ours.trigger), (target.module.as_str(), target.trigger.as_str()));
            assert!(!target.url(&destination).contains("com//"));
        }
    }

    #[test]
    fn only_entity_types_that_are_synced_have_targets() {
        let catalogue =
            Catalogue::default().syncing(["vendors", "taxes"].map(|name| name.parse().expect("a name")));
        let targets = targets(&catalogue, &RuleModules::default());
        assert_eq!(
            targets.iter().map(Target::rule_name).collect::<Vec<_>>(),
            ["TDS contact updated", "TDS contact deleted"]
        );
    }

    #[test]
    fn the_mark_follows_from_url_secret_and_key() {
        let target = &targets(&Catalogue::default(), &RuleModules::default())[0];
        let first = destination("https://a.example.com", "TdsSecret0123456");
        let with_key = Destination { key: Some("k".into()), ..first.clone() };
        let names = [
            target.webhook_name(&first),
            target.webhook_name(&destination("https://b.example.com", "TdsSecret0123456")),
            target.webhook_name(&destination("https://a.example.com", "TdsSecret0123457")),
            target.webhook_name(&with_key),
        ];
        assert_eq!(target.webhook_name(&first.clone()), names[0]);
        let distinct: std::collections::BTreeSet<&String> = names.iter().collect();
        assert_eq!(distinct.len(), 4, "{names:?}");
        assert!(!format!("{with_key:?}").contains("TdsSecret"));
    }

    #[test]
    fn names_that_others_gave_are_not_ours() {
        for name in [
            "TDS items",
            "tds item updated",
            "TDS item updated now",
            "TDS item",
            "TDS item created",
            "ERP item updated",
        ] {
            assert_eq!(our_name(name), None, "{name}");
        }
        assert!(our_name("TDS item updated 0123abcd 2").is_some());
    }
}
