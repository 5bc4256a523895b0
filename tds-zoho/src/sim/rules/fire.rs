//! Sends the webhooks of a change by the registered rules.

use serde_json::Value;

use super::answers::sends;
use crate::{
    entities::Api,
    sim::{
        automation::Automation,
        literal::{Object, text},
        organization::{Organization, SharedOrganization},
        webhook::{Delivery, Receipt, SIGNATURE_HEADER, client, signature_hex},
    },
};

/// One webhook of a registered rule, as it is sent.
#[derive(Clone, Debug)]
pub struct Registered {
    /// The URL of the registered webhook.
    pub url: String,
    /// The name of the registered webhook.
    pub name: String,
    /// The JSON body.
    pub body: String,
    secret: String,
    method: String,
    headers: Vec<(String, String)>,
}

impl SharedOrganization {
    /// Returns the webhooks that the active rules send for a change, in the order of the rules. While rules are not
    /// followed, there are none.
    #[must_use]
    pub fn registered(&self, delivery: &Delivery) -> Vec<Registered> {
        self.lock().fired(delivery)
    }
}

impl Organization {
    fn fired(&self, delivery: &Delivery) -> Vec<Registered> {
        let automation = &self.automation;
        if !automation.is_followed {
            return Vec::new();
        }
        let record: Object = serde_json::from_str(&delivery.body).unwrap_or_default();
        let module = record.iter().find(|(_, value)| value.is_object()).map(|(key, _)| module(key));
        let of = |api| of(automation, api, module.as_deref().unwrap_or_default(), delivery);
        [Api::Books, Api::Inventory].into_iter().flat_map(of).collect()
    }
}

/// Returns the name of a module in rules: its key in bodies without underscores.
fn module(key: &str) -> String {
    match key {
        "payment" => "customerpayment".to_owned(),
        key => key.replace('_', ""),
    }
}

fn of(automation: &Automation, api: Api, module: &str, delivery: &Delivery) -> Vec<Registered> {
    let fires = |rule: &&Object| {
        let kinds: &[&str] = match delivery.event.as_str() {
            "created" => &["add", "add_edit"],
            "deleted" => &["delete"],
            _ => &["edit", "add_edit"],
        };
        text(rule, "status") == "active"
            && text(rule, "entity") == module
            && kinds.contains(&text(rule, "rule_type"))
    };
    let registry = automation.of(api);
    let ids = registry.rules.iter().filter(fires).flat_map(sends);
    let webhook = |id: &str| registry.webhooks.iter().find(|one| text(one, "webhook_id") == id);
    ids.filter_map(webhook).map(|webhook| registered(webhook, delivery)).collect()
}

fn registered(webhook: &Object, delivery: &Delivery) -> Registered {
    let headers = webhook.get("headers").and_then(Value::as_array).into_iter().flatten();
    let header = |pair: &Value| {
        let part = |key: &str| pair.get(key).and_then(Value::as_str).map(str::to_owned);
        Some((part("param_name")?, part("param_value")?))
    };
    Registered {
        url: text(webhook, "url").to_owned(),
        name: text(webhook, "webhook_name").to_owned(),
        body: delivery.body.clone(),
        secret: text(webhook, "secret").to_owned(),
        method: text(webhook, "method").to_owned(),
        headers: headers.filter_map(header).collect(),
    }
}

impl Registered {
    /// Signs the webhook with the secret of its registration and sends it once, as Zoho does.
    ///
    /// # Errors
    /// The receiver cannot be reached or does not answer in time.
    pub async fn send(&self) -> Result<Receipt, reqwest::Error> {
        let method = self.method.parse().unwrap_or(reqwest::Method::POST);
        let mut request = client()?.request(method, &self.url).header("content-type", "application/json");
        if !self.secret.is_empty() {
            let url = reqwest::Url::parse(&self.url).ok();
            let pairs: Vec<(String, String)> = url
                .iter()
                .flat_map(reqwest::Url::query_pairs)
                .map(|pair| (pair.0.into(), pair.1.into()))
                .collect();
            let pairs: Vec<(&str, &str)> =
                pairs.iter().map(|pair| (pair.0.as_str(), pair.1.as_str())).collect();
            request = request.header(SIGNATURE_HEADER, signature_hex(&self.secret, &pairs, &self.body));
        }
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let response = request.body(self.body.clone()).send().await?;
        Ok(Receipt { status: response.status().as_u16(), body: response.text().await? })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_active_rules_of_the_module_and_the_trigger_fire() {
        let zoho = SharedOrganization::new("http://127.0.0.1:1".to_owned());
        let webhook =
            json!({"webhook_name": "w", "entity": "creditnote", "url": "https://erp.example.test/x"});
        let id = zoho.enter_registered(Api::Books, webhook);
        let actions = json!([{"action_type": "webhook", "action_id": id}]);
        let rule = json!({"workflow_name": "r", "entity": "creditnote", "rule_type": "add_edit", "instant_actions": actions});
        zoho.enter_registered(Api::Books, rule);
        let delivery = |event: &str| Delivery {
            entity_path: "credit-notes".to_owned(),
            event: event.to_owned(),
            body: r#"{"organization_id":"1","creditnote":{"creditnote_id":"7"}}"#.to_owned(),
        };
        assert_eq!(zoho.registered(&delivery("updated")).len(), 0, "rules are not followed yet");
        zoho.follow_rules(true);
        assert_eq!(zoho.registered(&delivery("updated")).len(), 1);
        assert_eq!(zoho.registered(&delivery("deleted")).len(), 0);
        assert!(zoho.edit_registered(Api::Books, "r", &json!({"status": "inactive"})));
        assert_eq!(zoho.registered(&delivery("created")).len(), 0);
    }
}
