//! Single records, many items at once, and the calls about the organization itself.

use serde_json::{Value, json};

use super::{
    answer::{Answer, does_not_exist, found, invalid_value, success, unknown_path},
    list::Query,
    literal::Object,
    module::Module,
    organization::ORGANIZATION_ID,
    projection::detail,
    records::Records,
};
use crate::entities::Api;

/// Answers `GET /{module}/{id}`.
pub(crate) fn answer(records: &Records, module: Module, api: Api, id: &str) -> Answer {
    match records.get(module, id) {
        Some(record) if module.detail_key.is_empty() => success(detail(module, api, record)),
        Some(record) => found(module.detail_key, Value::Object(detail(module, api, record))),
        None => does_not_exist(module),
    }
}

/// Answers `GET /{module}/{id}/{part}`: a list of the record.
pub(crate) fn part(records: &Records, module: Module, id: &str, part: &str) -> Answer {
    let Some((_, key)) = module.parts.iter().find(|(name, _)| *name == part) else { return unknown_path() };
    match records.get(module, id) {
        Some(record) => found(key, record.get(*key).cloned().unwrap_or_else(|| json!([]))),
        None => does_not_exist(module),
    }
}

/// Answers `GET /itemdetails?item_ids=a,b,c`. The answer omits ids that do not exist.
pub(crate) fn items(records: &Records, query: &Query, max_ids: usize) -> Answer {
    let ids: Vec<&str> = query
        .get("item_ids")
        .map(|ids| ids.split(',').filter(|id| !id.is_empty()).collect())
        .unwrap_or_default();
    if ids.is_empty() || ids.len() > max_ids {
        return invalid_value("item_ids");
    }
    let items = ids.iter().filter_map(|id| records.get(Module::ITEMS, id));
    found("items", items.cloned().map(Value::Object).collect())
}

/// Answers `GET /organizations`.
pub(crate) fn organizations(others: &[(String, String)]) -> Answer {
    let other = |(id, name): &(String, String)| {
        let mut other = organization();
        other["organization_id"] = json!(id);
        other["name"] = json!(name);
        other["is_default_org"] = json!(false);
        other
    };
    found("organizations", std::iter::once(organization()).chain(others.iter().map(other)).collect())
}

/// Returns the simulated organization as the API shows it.
pub(crate) fn organization() -> Value {
    json!({
        "organization_id": ORGANIZATION_ID,
        "name": "Dijla Mobile Accessories",
        "contact_name": "Shop Owner",
        "email": "owner@example.test",
        "is_default_org": true,
        "is_org_active": true,
        "plan_name": "PREMIUM",
        "language_code": "en",
        "fiscal_year_start_month": 0,
        "account_created_date": "2024-01-15",
        "time_zone": "Asia/Baghdad",
        "currency_id": super::sample::USD,
        "currency_code": "USD",
        "currency_symbol": "$",
        "price_precision": 2,
    })
}

/// Answers `GET /settings/webhooks/histories`. The address is known; the keys of the answer are an assumption.
pub(crate) fn webhook_history(history: &[Value], query: &Query) -> Answer {
    let number = |key: &str, default| query.get(key).and_then(|text| text.parse().ok()).unwrap_or(default);
    let (page, per_page) = (number("page", 1).max(1), number("per_page", 200).clamp(1, 200));
    let rows: Vec<&Value> = history.iter().skip((page - 1) * per_page).take(per_page).collect();
    let has_more = history.len() > page * per_page;
    let context = json!({"page": page, "per_page": per_page, "has_more_page": has_more});
    success(Object::from_iter([
        ("webhook_histories".to_owned(), json!(rows)),
        ("page_context".to_owned(), context),
    ]))
}

/// A plan that no demo spends in a day, for organizations without a limit.
const WITHOUT_LIMIT: u64 = 10_000_000;

/// Answers the undocumented `GET /apiusage` of Inventory.
pub(crate) fn usage(used: u64, limit: Option<u64>) -> Answer {
    let limit = limit.unwrap_or(WITHOUT_LIMIT);
    let data = json!({
        "maximum_api_count": limit,
        "total_api_count": used,
        "remaining_api_count": limit.saturating_sub(used),
        "user_details": [],
    });
    found("data", data)
}
