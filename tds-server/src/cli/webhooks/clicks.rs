//! The clicks that replace `webhooks install`, for credentials without the scopes for settings.

use tds_zoho::{
    entities::Api,
    rules::{Destination, State, Target, Trigger},
};

/// A target whose webhook or rule has to be clicked.
pub(super) struct Click {
    target: Target,
    webhook_name: String,
    url: String,
    has_webhook: bool,
}

impl Click {
    /// Returns the clicks of a target of which nothing is known.
    pub(super) fn of(target: &Target, destination: &Destination) -> Self {
        Self {
            target: target.clone(),
            webhook_name: target.webhook_name(destination),
            url: target.url(destination),
            has_webhook: false,
        }
    }

    /// Returns the clicks of a target that is not registered, or not completely.
    pub(super) fn of_unfinished(state: &State) -> Option<Self> {
        let has_webhook = state.webhook_id.is_some();
        (!has_webhook || state.rule_id.is_none()).then(|| Self {
            target: state.target.clone(),
            webhook_name: state.webhook_name.clone(),
            url: state.url.clone(),
            has_webhook,
        })
    }
}

/// Returns the clicks in their order, with the values to paste. The secret is not among them. TDS knows a webhook by its
/// name.
pub(super) fn text(clicks: &[Click], has_key: bool) -> String {
    let mut text = String::new();
    for (api, product) in [(Api::Books, "Zoho Books"), (Api::Inventory, "Zoho Inventory")] {
        let clicks: Vec<&Click> = clicks.iter().filter(|click| click.target.api == api).collect();
        let webhooks: Vec<&&Click> = clicks.iter().filter(|click| !click.has_webhook).collect();
        let mut step = 1..;
        let mut number = || step.next().unwrap_or_default();
        let header = if has_key {
            ", header X-Webhook-Key with the value of TDS_WEBHOOK_KEY (of several, the last)"
        } else {
            ""
        };
        if !webhooks.is_empty() {
            text.push_str(&format!(
                "\n{}. In {product}: Settings → Automation → Workflow actions → Webhooks → New webhook. One for each line, \
                 with\n   method POST, secret = the value of ZOHO_WEBHOOK_SECRET (of several, the last){header}, default \
                 payload. The\n   name has to be exactly this one:\n",
                number()
            ));
        }
        for Click { target, webhook_name, url, .. } in webhooks {
            text.push_str(&format!("   name {webhook_name:42} module {:20} URL {url}\n", target.module));
        }
        if !clicks.is_empty() {
            text.push_str(&format!(
                "\n{}. In {product}: Settings → Automation → Workflow rules → New rule. One for each line, event based, with \
                 the\n   named webhook as its instant action:\n",
                number()
            ));
        }
        for Click { target, webhook_name, .. } in clicks {
            let when = match target.trigger {
                Trigger::Updated => "created or edited, any field, every time",
                Trigger::Deleted => "deleted",
            };
            text.push_str(&format!(
                "   name {:33} module {:20} {when}; webhook {webhook_name}\n",
                target.rule_name(),
                target.module
            ));
        }
    }
    text
}
