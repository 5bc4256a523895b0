//! The redaction of stored data by the hidden columns of a catalogue.

use serde_json::Value;
use tds_core::{
    privacy::{RedactedTable, Redaction},
    record::EntityType,
};

use crate::{entities::Catalogue, webhook::kept_body};

/// The hidden columns of a catalogue, for data that was stored before they were hidden, and for erasures.
#[derive(Clone, Debug)]
pub struct HiddenValues(pub Catalogue);

impl HiddenValues {
    fn changed(text: &str, change: impl FnOnce(&mut Value) -> bool) -> Option<String> {
        let mut json: Value = serde_json::from_str(text).ok()?;
        change(&mut json).then(|| json.to_string())
    }
}

impl Redaction for HiddenValues {
    fn rules(&self) -> String {
        self.0.hidden_values().names().join(",")
    }

    fn tables(&self) -> Vec<RedactedTable> {
        self.0.hidden_values().tables(self.0.iter())
    }

    fn json(&self, entity: &EntityType, text: &str) -> Option<String> {
        Self::changed(text, |json| self.0.hidden_values().part(entity, json))
    }

    fn differences(&self, entity: &EntityType, text: &str) -> Option<String> {
        Self::changed(text, |json| self.0.hidden_values().differences(entity, json))
    }

    fn body(&self, entity: &EntityType, body: &[u8]) -> Option<Vec<u8>> {
        kept_body(&self.0, entity, body, false)
    }

    fn hash(&self, text: &str) -> Option<String> {
        self.0.hidden_values().hash(text)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_differences_of_a_conflict_and_its_decisions_lose_what_says_who_a_person_is() {
        let persons = HiddenValues(Catalogue::default().without_persons());
        let invoices = EntityType::from_static("invoices");
        let redact = |value: &Value| {
            let text = persons.differences(&invoices, &value.to_string())?;
            serde_json::from_str::<Value>(&text).ok()
        };
        let fields = json!([{"field": "customer_name", "base": null, "erp": "Ali", "zoho": "Ala", "winner": "erp"},
            {"field": "total", "base": 4, "erp": 5, "zoho": 6, "winner": null}]);
        let left = json!([{"field": "customer_name", "base": null, "erp": null, "zoho": null, "winner": "erp"},
            {"field": "total", "base": 4, "erp": 5, "zoho": 6, "winner": null}]);
        assert_eq!(redact(&fields), Some(left.clone()));
        assert_eq!(redact(&left), None, "a second time changes nothing");
        let decisions = json!({"customer_name": {"zoho": "Ala", "winner": "zoho"}, "total": {"zoho": 6, "winner": "erp"}});
        let left =
            json!({"customer_name": {"zoho": null, "winner": "zoho"}, "total": {"zoho": 6, "winner": "erp"}});
        assert_eq!(redact(&decisions), Some(left));
    }
}
