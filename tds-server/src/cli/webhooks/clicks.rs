//! The clicks that replace `webhooks install`, for credentials without the scopes for settings.

use tds_zoho::{
    entities::Api,
    rules::{Target, Trigger},
};

/// Returns the clicks in their order, with the values to paste. The secret is not among them.
pub(super) fn text(targets: &[Target], base: &str, has_key: bool) -> String {
    let mut text = String::new();
    for api in [Api::Books, Api::Inventory] {
        let targets: Vec<&Target> = targets.iter().filter(|target| target.api == api).collect();
        if targets.is_empty() {
            continue;
        }
        let product = match api {
            Api::Books => "Zoho Books",
            Api::Inventory => "Zoho Inventory",
        };
        let header = if has_key { ", header X-Webhook-Key with the value of TDS_WEBHOOK_KEY" } else { "" };
        text.push_str(&format!(
            "\n1. In {product}: Settings → Automation → Workflow actions → Webhooks → New webhook. One for each line, with\n   \
             method POST, secret = the value of ZOHO_WEBHOOK_SECRET{header}, default payload:\n"
        ));
        for target in &targets {
            let url = url(target, base);
            text.push_str(&format!(
                "   name {:34} module {:20} URL {url}\n",
                target.rule_name(),
                target.module
            ));
        }
        text.push_str(&format!(
            "\n2. In {product}: Settings → Automation → Workflow rules → New rule. One for each line, event based, with the\n   \
             webhook of the same name as its instant action:\n"
        ));
        for target in &targets {
            let when = match target.trigger {
                Trigger::Updated => "created or edited, any field, every time",
                Trigger::Deleted => "deleted",
            };
            text.push_str(&format!("   name {:34} module {:20} {when}\n", target.rule_name(), target.module));
        }
    }
    text
}

fn url(target: &Target, base: &str) -> String {
    let base = base.trim_end_matches('/');
    format!("{base}/api/zoho/webhooks/{}?event={}", target.path, target.trigger.as_str())
}
