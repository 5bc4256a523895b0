//! Finds hidden values in the JSON of records: under the keys of their columns, in the records of persons, in custom
//! fields, and wherever a contact's address or number is repeated.

use serde_json::{Map, Value};

use super::{EntityRules, HashKey, How, spelled::Spelled};
use crate::mend;

/// Shorter values are not searched for: a number such as 07 is a part of too much.
const SHORTEST: usize = 6;
/// How deep texts with JSON may be inside each other.
const TEXTS: usize = 4;
/// Other spellings of a value that Zoho adds beside it.
const SPELLINGS: [&str; 2] = ["_formatted", "_unformatted"];

/// Hides the values of one record.
pub(super) fn record(rules: &EntityRules, key: Option<&HashKey>, record: &mut Map<String, Value>) {
    let mut walk = Walk { rules, key, seen: Vec::new(), everywhere: false, texts: None };
    for (name, how) in &rules.top {
        walk.take(record, name, *how);
    }
    walk.lists(record);
    walk.object(None, record);
    walk.repeated(record);
}

/// Hides the values of records anywhere in a body, whatever keys a template gave them.
pub(super) fn anywhere(rules: &EntityRules, key: Option<&HashKey>, body: &mut Map<String, Value>) {
    let mut walk = Walk { rules, key, seen: Vec::new(), everywhere: true, texts: Some(TEXTS) };
    walk.object(None, body);
    walk.repeated(body);
}

/// Hides the values inside the values of a row. The columns of the row are the caller's.
pub(super) fn inside(rules: &EntityRules, row: &mut Map<String, Value>) {
    let mut walk = Walk { rules, key: None, seen: Vec::new(), everywhere: false, texts: None };
    row.values_mut().for_each(|value| walk.value(None, value));
}

struct Walk<'a> {
    rules: &'a EntityRules,
    key: Option<&'a HashKey>,
    /// The values that were found and that may be repeated elsewhere.
    seen: Vec<(String, How)>,
    /// The place of the records is not known: the keys of their own columns count everywhere.
    everywhere: bool,
    /// The keys are those of a template, and how deep texts with JSON are read. `None`: the keys are those of Zoho, and a text
    /// is a text.
    texts: Option<usize>,
}

impl Walk<'_> {
    /// Hides the values of an object that is under the key `parent`.
    fn object(&mut self, parent: Option<&str>, object: &mut Map<String, Value>) {
        let rules = self.rules;
        // Nobody knows where in such a text the values are.
        mend::forget_text(object);
        for (name, how) in &rules.deep {
            self.take(object, name, *how);
        }
        if self.everywhere {
            for (name, how) in &rules.top {
                self.take(object, name, *how);
            }
            self.lists(object);
        }
        for (name, how) in &rules.custom {
            self.take(object, name, *how);
        }
        if self.texts.is_some() {
            self.of_template(parent, object);
        }
        // The lines of a document have columns of their own.
        let is_lines = |name: &str| self.everywhere && rules.line_keys.contains(&name);
        let (lines, others): (Vec<_>, Vec<_>) = object.iter_mut().partition(|(name, _)| is_lines(name));
        others.into_iter().for_each(|(name, value)| self.value(Some(name), value));
        let everywhere = std::mem::take(&mut self.everywhere);
        lines.into_iter().for_each(|(name, value)| self.value(Some(name), value));
        self.everywhere = everywhere;
    }

    fn value(&mut self, parent: Option<&str>, value: &mut Value) {
        match value {
            Value::Object(object) => self.object(parent, object),
            Value::Array(items) => {
                self.custom_fields(items);
                items.iter_mut().for_each(|item| self.value(parent, item));
            }
            Value::String(text) => self.text(parent, text),
            _ => {}
        }
    }

    /// Hides the values of a text that is a JSON object or list. Nobody knows where the values are in a text that begins like
    /// an object and cannot be read, so it is not kept.
    fn text(&mut self, parent: Option<&str>, text: &mut String) {
        let Some(left) = self.texts else { return };
        let trimmed = text.trim_start_matches('\u{feff}').trim();
        if !trimmed.starts_with(['{', '[']) {
            return;
        }
        let is_object =
            trimmed.strip_prefix('{').is_some_and(|rest| rest.trim_start().starts_with(['"', '}']));
        let json = serde_json::from_str::<Value>(trimmed);
        let Some(before) = json.ok().filter(|_| left > 0) else {
            if is_object {
                text.clear();
            }
            return;
        };
        let mut json = before.clone();
        self.texts = Some(left - 1);
        self.value(parent, &mut json);
        self.texts = Some(left);
        if json != before {
            *text = json.to_string();
        }
    }

    /// Hides the values under keys that spell those of a record in another way.
    fn of_template(&mut self, parent: Option<&str>, object: &mut Map<String, Value>) {
        let rules = self.rules;
        let names: Vec<String> = object.keys().cloned().collect();
        for key in names {
            let spelled = Spelled::of(parent, &key);
            let is_person = |(name, _): &(&str, How)| spelled.is(name, &rules.before_person);
            let deep = rules.deep.iter().map(|(name, how)| (*name, *how)).find(is_person);
            let custom = rules.custom.iter().map(|(name, how)| (name.as_str(), *how));
            let is_line = spelled.is_inside(rules.line_keys.iter().copied());
            let top = rules.top.iter().filter(|_| self.everywhere && !is_line);
            let top = top.map(|(name, how)| (*name, *how));
            let of_lines = rules.lists.iter().filter(|(list, ..)| spelled.is_inside([*list].into_iter()));
            let of_lines = of_lines.map(|(_, name, how)| (*name, *how));
            let is = |(name, _): &(&str, How)| spelled.is(name, &rules.before);
            if let Some((name, how)) = deep.or_else(|| custom.chain(top).chain(of_lines).find(is)) {
                self.take_as(object, &key, name, how);
            }
        }
    }

    /// Hides the entries of an array of custom fields.
    fn custom_fields(&self, items: &mut Vec<Value>) {
        for (name, how) in &self.rules.custom {
            let is_name = |found: &str| {
                found == name || self.texts.is_some() && Spelled::of(None, found).is(name, &self.rules.before)
            };
            let is_field = |item: &Value| {
                ["api_name", "label", "placeholder"]
                    .iter()
                    .any(|key| item.get(key).and_then(Value::as_str).is_some_and(is_name))
            };
            match (how, self.key) {
                (How::Hash, Some(key)) => {
                    for entry in items.iter_mut().filter(|item| is_field(item)) {
                        let Some(entry) = entry.as_object_mut() else { continue };
                        let value = entry.get("value").map_or(Value::Null, |value| key.value(value));
                        entry.retain(|key, _| !key.starts_with("value"));
                        entry.insert("value".to_owned(), value);
                    }
                }
                _ => items.retain(|item| !is_field(item)),
            }
        }
    }

    /// Hides the columns of child tables in the lists that they are read from.
    fn lists(&mut self, object: &mut Map<String, Value>) {
        for (list, name, how) in &self.rules.lists {
            let items = object.get_mut(*list).and_then(Value::as_array_mut);
            for item in items.into_iter().flatten().filter_map(Value::as_object_mut) {
                self.take(item, name, *how);
            }
        }
    }

    /// Hides the value under a key, and its other spellings.
    fn take(&mut self, object: &mut Map<String, Value>, name: &str, how: How) {
        for spelling in SPELLINGS {
            object.remove(&format!("{name}{spelling}"));
        }
        self.take_as(object, name, name, how);
    }

    /// Hides the value under a key that stands for the value `name` of a record.
    fn take_as(&mut self, object: &mut Map<String, Value>, key: &str, name: &str, how: How) {
        let Some(value) = object.remove(key) else { return };
        if self.rules.repeated.contains(name)
            && let Some(text) = value.as_str().map(str::trim).filter(|text| text.len() >= SHORTEST)
            && !self.seen.iter().any(|(known, _)| known == text)
        {
            self.seen.push((text.to_owned(), how));
        }
        if let (How::Hash, Some(hash)) = (how, self.key) {
            object.insert(key.to_owned(), hash.value(&value));
        }
    }

    /// Hides the found values where other keys repeat them.
    fn repeated(&self, object: &mut Map<String, Value>) {
        if !self.seen.is_empty() {
            object.retain(|name, value| is_id(name) || self.keep(value));
        }
    }

    /// Returns false for a text that repeats a found value.
    fn keep(&self, value: &mut Value) -> bool {
        match value {
            Value::Object(object) => object.retain(|name, value| is_id(name) || self.keep(value)),
            Value::Array(items) => items.retain_mut(|item| self.keep(item)),
            Value::String(text) => {
                let Some((found, how)) = self.seen.iter().find(|(found, _)| has_word(text, found)) else {
                    return true;
                };
                match (how, self.key) {
                    (How::Hash, Some(key)) if text.trim() == found => *text = key.hash(found),
                    _ => return false,
                }
            }
            _ => {}
        }
        true
    }
}

/// Returns true for the key of an id, whose digits may look like those of a number by chance.
fn is_id(name: &str) -> bool {
    name.ends_with("_id") || name.ends_with("_ids")
}

/// Returns true if a text contains a value that is no part of a longer word or number.
fn has_word(text: &str, value: &str) -> bool {
    let ends = |character: Option<char>| character.is_none_or(|it| !it.is_alphanumeric());
    text.match_indices(value).any(|(at, _)| {
        let (before, after) = (text.get(..at), text.get(at + value.len()..));
        ends(before.and_then(|it| it.chars().next_back())) && ends(after.and_then(|it| it.chars().next()))
    })
}
