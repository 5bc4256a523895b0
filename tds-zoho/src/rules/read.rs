//! Reads what is registered.

use serde_json::{Map, Value};
use tds_core::{error::Result, queue::Lane};

use super::{
    facts::{ACTIONS, KEY_HEADER, RULES, Resource, WEBHOOKS},
    pace::Pace,
    plan::{Found, KeyDigest, Rule, Webhook},
    target::{Target, our_name},
};
use crate::{
    answer::{Api, Call},
    client::{NotDone, Unwritten, Why, ZohoClient},
    reading,
};

const PER_PAGE: usize = 200;
/// The number of rules of others of which more than their row is read.
const OTHERS: usize = 40;
/// The number of pages after which a list counts as unreadable.
const PAGES: usize = 50;

/// What is registered in a product, as far as Zoho shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Registered {
    /// Zoho showed it.
    Known(Found),
    /// Zoho refused to show it.
    Unreadable(Unreadable),
}

/// Why Zoho does not show what is registered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unreadable {
    /// Zoho refuses the organization in this product, in these words.
    Organization(String),
    /// Zoho refuses the call, in these words. Most likely a scope is missing.
    Refused(String),
}

impl ZohoClient {
    /// Reads the webhooks and rules that are registered in a product, for these targets. Nothing else waits if Zoho refuses
    /// that.
    ///
    /// # Errors
    /// Those of limits and of a missing token.
    pub async fn registered(
        &self,
        api: Api,
        targets: &[Target],
        lane: Lane,
        pace: &mut Pace,
    ) -> Result<Registered> {
        let modules = targets.iter().filter(|target| target.api == api).map(|target| &*target.module);
        let reader = Reader { client: self, api, modules: modules.collect(), lane };
        Ok(match reader.found(pace).await? {
            Ok(found) => Registered::Known(found),
            Err(NotDone { reason, why: Why::Organization }) => {
                Registered::Unreadable(Unreadable::Organization(reason))
            }
            Err(NotDone { reason, .. }) => {
                // Zoho may refuse a product that the organization does not have in the words of a missing scope. Then it
                // refuses everything there.
                let is_missing = api == Api::Inventory && {
                    pace.wait().await;
                    self.check_inventory().await.is_ok_and(|missing| missing.is_some())
                };
                Registered::Unreadable(if is_missing {
                    Unreadable::Organization(reason)
                } else {
                    Unreadable::Refused(reason)
                })
            }
        })
    }
}

struct Reader<'a> {
    client: &'a ZohoClient,
    api: Api,
    /// The modules whose rules matter.
    modules: Vec<&'a str>,
    lane: Lane,
}

type Refusable<T> = Result<std::result::Result<T, NotDone>>;

impl Reader<'_> {
    async fn found(&self, pace: &mut Pace) -> Refusable<Found> {
        let webhooks = match self.rows(&WEBHOOKS, pace).await? {
            Ok(rows) => rows,
            Err(reason) => return Ok(Err(reason)),
        };
        let mut webhooks: Vec<Webhook> = webhooks.iter().filter_map(webhook).collect();
        // A row may show less than the webhook itself.
        for known in webhooks.iter_mut().filter(|one| one.url.is_none()) {
            if let Ok(record) = self.single(&WEBHOOKS, &known.id, pace).await? {
                let (id, name) = (known.id.clone(), known.name.clone());
                *known = Webhook { id, name, ..webhook_of(&record) };
            }
        }
        let rows = match self.rows(&RULES, pace).await? {
            Ok(rows) => rows,
            Err(reason) => return Ok(Err(reason)),
        };
        let mut rules: Vec<Rule> = rows.iter().filter_map(rule).collect();
        let mut others = OTHERS;
        for known in rules.iter_mut().filter(|one| one.webhooks.is_none()) {
            let is_ours = our_name(&known.name).is_some();
            // A rule of others may send a webhook of ours.
            if !is_ours
                && (others == 0
                    || !known.module.as_deref().is_none_or(|module| self.modules.contains(&module)))
            {
                continue;
            }
            others -= usize::from(!is_ours);
            if let Ok(record) = self.single(&RULES, &known.id, pace).await? {
                let (id, name) = (known.id.clone(), known.name.clone());
                let (module, rule_type) = (known.module.take(), known.rule_type.take());
                let whole = rule_of(&record);
                *known = Rule {
                    id,
                    name,
                    module: module.or(whole.module),
                    rule_type: rule_type.or(whole.rule_type),
                    is_active: known.is_active && whole.is_active,
                    is_once: known.is_once || whole.is_once,
                    has_criteria: known.has_criteria || whole.has_criteria,
                    webhooks: whole.webhooks,
                };
            }
        }
        Ok(Ok(Found { webhooks, rules }))
    }

    async fn rows(&self, resource: &Resource, pace: &mut Pace) -> Refusable<Vec<Map<String, Value>>> {
        let mut rows = Vec::new();
        for page in 1..=PAGES {
            let query = vec![("page", page.to_string()), ("per_page", PER_PAGE.to_string())];
            let body = match self.ask(resource.path.to_owned(), query, pace).await? {
                Ok(body) => body,
                Err(reason) => return Ok(Err(reason)),
            };
            let listed = body.get(resource.list).or_else(|| body.values().find(|value| value.is_array()));
            let Some(listed) = listed.and_then(Value::as_array) else {
                return Ok(Err(odd(format!("Zoho's answer has no list of {}", resource.list))));
            };
            let context = body.get("page_context").and_then(|context| context.get("has_more_page"));
            let has_more = context.and_then(Value::as_bool).unwrap_or(listed.len() >= PER_PAGE);
            rows.extend(listed.iter().filter_map(|row| row.as_object().cloned()));
            if !has_more || listed.is_empty() {
                return Ok(Ok(rows));
            }
        }
        Ok(Err(odd(format!("the list of {} has no end", resource.list))))
    }

    async fn single(&self, resource: &Resource, id: &str, pace: &mut Pace) -> Refusable<Map<String, Value>> {
        let answer = self.ask(format!("{}/{id}", resource.path), Vec::new(), pace).await?;
        Ok(answer.map(|body| single(resource, body)))
    }

    async fn ask(
        &self,
        path: String,
        query: Vec<(&'static str, String)>,
        pace: &mut Pace,
    ) -> Refusable<Map<String, Value>> {
        pace.wait().await;
        let call = Call {
            api: self.api,
            scope: self.api.settings(),
            path,
            query,
            lane: self.lane,
            entity: None,
            write: None,
        };
        let answer = self.client.ask_apart(&call).await.map_err(Unwritten::into_error)?;
        Ok(answer.map(|answer| answer.body))
    }
}

fn odd(reason: String) -> NotDone {
    NotDone { reason, why: Why::Other }
}

/// Returns the record of an answer about one webhook or rule.
pub(super) fn single(resource: &Resource, mut body: Map<String, Value>) -> Map<String, Value> {
    match body.remove(resource.single) {
        Some(Value::Object(record)) => record,
        _ => body,
    }
}

/// Returns the id of a webhook or rule.
pub(super) fn id(record: &Map<String, Value>, resource: &Resource) -> Option<String> {
    resource.id.iter().find_map(|key| reading::record_id(record, key).ok()).map(|id| id.to_string())
}

fn text(record: &Map<String, Value>, keys: &[&str]) -> Option<String> {
    let texts = keys.iter().filter_map(|key| record.get(*key)?.as_str());
    texts.map(str::trim).find(|text| !text.is_empty()).map(str::to_owned)
}

fn webhook(row: &Map<String, Value>) -> Option<Webhook> {
    let name = text(row, WEBHOOKS.name).unwrap_or_default();
    Some(Webhook { id: id(row, &WEBHOOKS)?, name, ..webhook_of(row) })
}

/// Returns what a webhook shows of itself, without its id and its name.
fn webhook_of(record: &Map<String, Value>) -> Webhook {
    let names = |headers: &Vec<Value>| {
        headers.iter().filter_map(|one| text(one.as_object()?, &["param_name", "name"])).collect()
    };
    Webhook {
        url: text(record, &["url"]),
        method: text(record, &["method"]),
        body: text(record, &["raw_data"]),
        module: text(record, &["entity"]),
        body_type: text(record, &["body_type"]),
        parameters: record.get("query_parameters").and_then(Value::as_array).map(|shown| parameters(shown)),
        headers: record.get("headers").and_then(Value::as_array).map(names),
        key: record.get("headers").and_then(Value::as_array).and_then(|headers| key(headers)),
        ..Webhook::default()
    }
}

fn parameters(shown: &[Value]) -> Vec<(String, String)> {
    let parameter = |one: &Map<String, Value>| {
        let value = text(one, &["param_value", "value"]).unwrap_or_default();
        Some((text(one, &["param_name", "name"])?, value))
    };
    shown.iter().filter_map(Value::as_object).filter_map(parameter).collect()
}

/// Returns the digest of the header with the key. A value that is shown masked is not shown.
fn key(headers: &[Value]) -> Option<KeyDigest> {
    let is_key = |one: &&Map<String, Value>| {
        text(one, &["param_name", "name"]).is_some_and(|name| name.eq_ignore_ascii_case(KEY_HEADER))
    };
    let header = headers.iter().filter_map(Value::as_object).find(is_key)?;
    let value = text(header, &["param_value", "value"])?;
    let is_masked = value.chars().any(|char| matches!(char, '*' | '•' | '…'));
    (!is_masked).then(|| KeyDigest::of(&value))
}

fn rule(row: &Map<String, Value>) -> Option<Rule> {
    let name = text(row, RULES.name).unwrap_or_default();
    Some(Rule { id: id(row, &RULES)?, name, ..rule_of(row) })
}

/// Returns what a rule shows of itself, without its id and its name.
fn rule_of(record: &Map<String, Value>) -> Rule {
    let criteria = record.get("rule").into_iter().chain(record.get("criteria"));
    Rule {
        module: text(record, &["entity"]),
        rule_type: text(record, &["rule_type"]),
        is_active: is_active(record),
        is_once: record.get("apply_rule_always").and_then(Value::as_bool) == Some(false),
        has_criteria: criteria.into_iter().any(has_entries),
        webhooks: sent(record),
        ..Rule::default()
    }
}

/// Returns true for a list with entries, or an object that has one.
fn has_entries(value: &Value) -> bool {
    match value {
        Value::Array(entries) => !entries.is_empty(),
        Value::Object(keys) => {
            keys.values().any(|value| value.as_array().is_some_and(|list| !list.is_empty()))
        }
        _ => false,
    }
}

/// Returns false if a rule says that it is not active. No page documents the key.
fn is_active(row: &Map<String, Value>) -> bool {
    let says = |key: &str| match row.get(key)? {
        Value::Bool(flag) => Some(*flag),
        Value::String(text) => match text.trim().to_ascii_lowercase().as_str() {
            "active" | "true" | "enabled" => Some(true),
            "inactive" | "false" | "disabled" => Some(false),
            _ => None,
        },
        _ => None,
    };
    ["is_active", "status", "active"].iter().find_map(|key| says(key)).unwrap_or(true)
}

/// Returns the ids of the webhooks that a rule sends, if it shows its actions.
fn sent(row: &Map<String, Value>) -> Option<Vec<String>> {
    let actions = ACTIONS.iter().find_map(|key| row.get(*key)?.as_array())?;
    let is_webhook = |action: &&Map<String, Value>| {
        action
            .get("action_type")
            .and_then(Value::as_str)
            .is_none_or(|kind| kind.eq_ignore_ascii_case("webhook"))
    };
    let id = |action: &Map<String, Value>| {
        ["action_id", "webhook_id"]
            .iter()
            .find_map(|key| reading::record_id(action, key).ok())
            .map(|id| id.to_string())
    };
    Some(actions.iter().filter_map(Value::as_object).filter(is_webhook).filter_map(id).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn rows_are_read_whatever_their_keys_are_called() {
        let row = json!({"workflow_id": 460_000_000_000_017_u64, "name": " TDS item updated ", "is_active": false,
                         "actions": [{"action_type": "webhook", "action_id": 7}, {"action_type": "email", "action_id": "8"}]});
        let rule = rule(row.as_object().expect("an object")).expect("a rule");
        assert_eq!((rule.id.as_str(), rule.name.as_str()), ("460000000000017", "TDS item updated"));
        assert_eq!((rule.is_active, rule.webhooks), (false, Some(vec!["7".to_owned()])));
        for (state, expected) in [(json!("Inactive"), false), (json!("active"), true), (json!(3), true)] {
            let row = json!({"status": state});
            assert_eq!(is_active(row.as_object().expect("an object")), expected, "{row}");
        }
        let bare = json!({"webhook_id": "9", "webhook_name": "x", "url": ""});
        assert_eq!(webhook(bare.as_object().expect("an object")).expect("a webhook").url, None);
    }
}
