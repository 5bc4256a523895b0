//! Answers calls about registered webhooks and rules.

use serde_json::{Value, json};

use crate::{
    entities::Api,
    sim::{
        answer::{self, Answer, error, found, invalid_value, success, unknown_path},
        automation::{Automation, Call, Registry},
        list::Query,
        literal::{Object, text},
    },
};

/// The keys of a rule that its row in the list shows.
const SHOWN: [&str; 5] = ["workflow_id", "workflow_name", "entity", "rule_type", "status"];
const RULE_TYPES: [&str; 4] = ["add", "edit", "add_edit", "delete"];
const MOST_NAME: usize = 50;
const MOST_URL: usize = 5_000;

type Refused = Box<Answer>;

/// Answers a call. `new_id` is the id of what the call may create.
pub(super) fn answer(automation: &mut Automation, call: &Call<'_>, new_id: &str) -> Answer {
    let body = if matches!(call.method, "POST" | "PUT") && !call.body.is_empty() {
        match serde_json::from_slice(call.body) {
            Ok(body) => body,
            Err(_) => return error(400, 1038, "JSON is not well formed"),
        }
    } else {
        Object::new()
    };
    let parts: Vec<&str> = call.path.split('/').collect();
    let api = call.api;
    let done = match (call.method, parts.as_slice()) {
        ("GET", ["webhooks"]) => Ok(list("webhooks", &automation.of(api).webhooks, call.query, shown)),
        ("GET", ["workflows"]) => Ok(list("workflows", &automation.of(api).rules, call.query, row)),
        ("GET", ["webhooks", id]) => one(&automation.of(api).webhooks, "webhook", id),
        ("GET", ["workflows", id]) => one(&automation.of(api).rules, "workflow", id),
        ("POST", ["webhooks"]) => create_webhook(automation, api, body, new_id),
        ("PUT", ["webhooks", id]) => change_webhook(automation, api, body, id),
        ("DELETE", ["webhooks", id]) => delete_webhook(automation.of_mut(api), id),
        ("POST", ["workflows"]) => create_rule(automation, api, body, new_id),
        ("PUT", ["workflows", id]) => change_rule(automation, api, body, id),
        ("DELETE", ["workflows", id]) => delete(&mut automation.of_mut(api).rules, "workflow", id),
        ("POST", ["workflows", id, state @ ("active" | "inactive")]) => {
            set_state(automation.of_mut(api), id, state)
        }
        _ => Err(Box::new(unknown_path())),
    };
    done.unwrap_or_else(|refused| *refused)
}

fn list(key: &str, rows: &[Object], query: &Query, shown: fn(&Object) -> Value) -> Answer {
    let number = |key: &str, default| query.get(key).and_then(|text| text.parse().ok()).unwrap_or(default);
    let (page, per_page) = (number("page", 1).max(1), number("per_page", 10).clamp(1, 200));
    let page_rows: Vec<Value> = rows.iter().skip((page - 1) * per_page).take(per_page).map(shown).collect();
    let has_more = rows.len() > page * per_page;
    success(Object::from_iter([
        (key.to_owned(), json!(page_rows)),
        ("page_context".to_owned(), json!({"page": page, "per_page": per_page, "has_more_page": has_more})),
    ]))
}

/// Returns a webhook without its secret, which Zoho never shows.
fn shown(webhook: &Object) -> Value {
    let mut webhook = webhook.clone();
    webhook.remove("secret");
    Value::Object(webhook)
}

fn row(rule: &Object) -> Value {
    let known = SHOWN.iter().filter_map(|key| Some(((*key).to_owned(), rule.get(*key)?.clone())));
    Value::Object(known.collect())
}

fn one(rows: &[Object], noun: &str, id: &str) -> Result<Answer, Refused> {
    let known = rows.iter().find(|row| text(row, &format!("{noun}_id")) == id).ok_or_else(|| gone(noun))?;
    Ok(found(noun, shown(known)))
}

fn gone(noun: &str) -> Refused {
    Box::new(error(404, 1002, &format!("The {noun} does not exist.")))
}

fn refused(parameter: &str) -> Refused {
    Box::new(invalid_value(parameter))
}

fn check_webhook(automation: &Automation, body: &Object) -> Result<(), Refused> {
    let (name, url, secret) = (text(body, "webhook_name"), text(body, "url"), text(body, "secret"));
    if name.is_empty() || name.chars().count() > MOST_NAME {
        return Err(refused("webhook_name"));
    }
    if !(url.starts_with("https://") || url.starts_with("http://")) || url.len() > MOST_URL {
        return Err(refused("url"));
    }
    let is_secret =
        (12..=50).contains(&secret.len()) && secret.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if !secret.is_empty() && !is_secret {
        return Err(refused("secret"));
    }
    check_module(automation, body)
}

fn check_module(automation: &Automation, body: &Object) -> Result<(), Refused> {
    let module = text(body, "entity");
    automation
        .limits
        .modules
        .iter()
        .any(|known| *known == module)
        .then_some(())
        .ok_or_else(|| refused("entity"))
}

fn create_webhook(automation: &mut Automation, api: Api, body: Object, id: &str) -> Result<Answer, Refused> {
    check_webhook(automation, &body)?;
    let name = text(&body, "webhook_name").to_owned();
    let registry = automation.of_mut(api);
    if registry.webhooks.iter().any(|known| text(known, "webhook_name") == name) {
        return Err(Box::new(error(400, 107_051, "A webhook with the same name already exists.")));
    }
    Ok(created(&mut registry.webhooks, "webhook", body, id))
}

/// Changes a webhook. Its secret can be neither changed nor removed.
fn change_webhook(
    automation: &mut Automation,
    api: Api,
    mut body: Object,
    id: &str,
) -> Result<Answer, Refused> {
    if body.contains_key("secret") {
        return Err(refused("secret"));
    }
    check_webhook(automation, &body)?;
    let webhooks = &mut automation.of_mut(api).webhooks;
    let known =
        webhooks.iter_mut().find(|one| text(one, "webhook_id") == id).ok_or_else(|| gone("webhook"))?;
    body.remove("webhook_id");
    known.extend(body);
    Ok(found("webhook", shown(known)))
}

fn delete_webhook(registry: &mut Registry, id: &str) -> Result<Answer, Refused> {
    if registry.rules.iter().any(|rule| sends(rule).any(|used| used == id)) {
        let message = "This webhook is associated with a workflow rule and cannot be deleted.";
        return Err(Box::new(error(400, 107_060, message)));
    }
    delete(&mut registry.webhooks, "webhook", id)
}

/// Returns the ids of the webhooks that a rule sends.
pub(super) fn sends(rule: &Object) -> impl Iterator<Item = &str> {
    let actions = rule.get("instant_actions").and_then(Value::as_array).into_iter().flatten();
    let webhooks = actions.filter(|action| action["action_type"] == "webhook");
    webhooks.filter_map(|action| action["action_id"].as_str())
}

fn check_rule(automation: &Automation, api: Api, body: &Object) -> Result<(), Refused> {
    if text(body, "workflow_name").is_empty() || text(body, "workflow_name").chars().count() > MOST_NAME {
        return Err(refused("workflow_name"));
    }
    if !RULE_TYPES.contains(&text(body, "rule_type")) {
        return Err(refused("rule_type"));
    }
    let webhooks = &automation.of(api).webhooks;
    let exists = |id: &str| webhooks.iter().any(|webhook| text(webhook, "webhook_id") == id);
    if sends(body).next().is_none() || !sends(body).all(exists) {
        return Err(refused("instant_actions"));
    }
    check_module(automation, body)
}

fn create_rule(automation: &mut Automation, api: Api, mut body: Object, id: &str) -> Result<Answer, Refused> {
    check_rule(automation, api, &body)?;
    if automation.books.rules.len() + automation.inventory.rules.len() >= automation.limits.rules {
        let message = "You have reached the maximum number of workflow rules.";
        return Err(Box::new(error(400, 107_070, message)));
    }
    body.insert("status".to_owned(), json!("active"));
    Ok(created(&mut automation.of_mut(api).rules, "workflow", body, id))
}

/// Replaces a rule. Its state stays as it is.
fn change_rule(automation: &mut Automation, api: Api, mut body: Object, id: &str) -> Result<Answer, Refused> {
    check_rule(automation, api, &body)?;
    let rules = &mut automation.of_mut(api).rules;
    let known =
        rules.iter_mut().find(|one| text(one, "workflow_id") == id).ok_or_else(|| gone("workflow"))?;
    for key in ["workflow_id", "status"] {
        body.insert(key.to_owned(), known.get(key).cloned().unwrap_or_default());
    }
    *known = body;
    Ok(found("workflow", Value::Object(known.clone())))
}

fn set_state(registry: &mut Registry, id: &str, state: &str) -> Result<Answer, Refused> {
    let known = registry.rules.iter_mut().find(|one| text(one, "workflow_id") == id);
    known.ok_or_else(|| gone("workflow"))?.insert("status".to_owned(), json!(state));
    Ok(answer::json(200, json!({"code": 0, "message": "The state of the rule has been changed."})))
}

fn created(rows: &mut Vec<Object>, noun: &str, mut body: Object, id: &str) -> Answer {
    body.insert(format!("{noun}_id"), json!(id));
    rows.push(body.clone());
    let Answer { body: answer, .. } = found(noun, shown(&body));
    answer::json(201, answer)
}

fn delete(rows: &mut Vec<Object>, noun: &str, id: &str) -> Result<Answer, Refused> {
    let place =
        rows.iter().position(|row| text(row, &format!("{noun}_id")) == id).ok_or_else(|| gone(noun))?;
    rows.remove(place);
    Ok(answer::json(200, json!({"code": 0, "message": format!("The {noun} has been deleted.")})))
}
