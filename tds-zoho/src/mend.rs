//! Makes JSON readable that a parser refuses because of one value.
//!
//! A source cuts names in the middle of a character, writes `NaN`, or nests without limit. A parser then refuses the
//! whole text, and with it the other records of a page. This module replaces only the faulty part: bytes that are not
//! a character become U+FFFD, and text that is not a value becomes a string with this text, which its column then
//! refuses by name.

use std::fmt;

use serde::de::IgnoredAny;
use serde_json::{Map, Value, json};
use tds_core::error::Error;

use crate::reading;

/// Deeper values are replaced by a note. Zoho's records have five levels; the parser accepts 128.
const DEEPEST: usize = 100;
/// The replacement for values that are nested deeper.
const TOO_DEEP: &str = "\"(nested too deeply)\"";
/// The key of the object that replaces an unreadable element of a list; its value is the text of the element.
const UNREADABLE: &str = "unreadable text";
/// The key of the reason why the element is unreadable.
const REASON: &str = "unreadable because";

/// Reads a JSON object from a text that the parser refused. Of the object's own objects, and of the elements of its
/// own lists, each one that cannot be read in any way is replaced by an object with its text: see [`unreadable`].
pub(crate) fn object(bytes: &[u8]) -> Result<Map<String, Value>, serde_json::Error> {
    let text = readable(&String::from_utf8_lossy(bytes));
    match serde_json::from_str(&text) {
        Err(error) if !error.is_eof() => serde_json::from_str(&by_parts(&text)),
        read => read,
    }
}

/// Returns true for a text that contains U+0000: a parser reads such a text, but no database stores it.
pub(crate) fn is_needed(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_ok_and(|text| text.contains("\\u0000"))
}

/// Refuses a record whose text could not be read: at most its id is known. `what` names the record in the error.
pub(crate) fn check(record: &Map<String, Value>, what: fmt::Arguments<'_>) -> Result<(), Error> {
    match unreadable(record) {
        Some((_, reason)) => Err(Error::invalid(format!("{what} is not readable JSON: {reason}"))),
        None => Ok(()),
    }
}

/// Returns the id under `key` of a record, also of one whose text could not be read.
pub(crate) fn id_of(record: &Map<String, Value>, key: &str) -> Option<String> {
    match unreadable(record) {
        Some((text, _)) => find_id(text, key).map(str::to_owned),
        None => reading::record_id(record, key).ok(),
    }
}

/// Returns the text of a record that could not be read, and the reason.
pub(crate) fn unreadable(record: &Map<String, Value>) -> Option<(&str, &str)> {
    let text = record.get(UNREADABLE)?.as_str()?;
    Some((text, record.get(REASON)?.as_str()?))
}

/// Returns the id under `key` in a text that cannot be read as a whole.
/// Removes the text of a record that could not be read, except the ids in it.
pub(crate) fn forget_text(record: &mut Map<String, Value>) {
    let Some((text, _)) = unreadable(record) else { return };
    let keys = text.split('"').filter(|word| word.ends_with("_id"));
    let id = |key: &str| Some((key.to_owned(), Value::from(find_id(text, key)?)));
    let ids: Map<String, Value> = keys.filter_map(id).collect();
    record.insert(UNREADABLE.to_owned(), Value::Object(ids).to_string().into());
}

fn find_id<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let (_, after) = text.split_once(&format!("\"{key}\""))?;
    let value = after.trim_start().strip_prefix(':')?.trim_start();
    let value = value.strip_prefix('"').unwrap_or(value);
    let end = value.find(|character: char| !character.is_ascii_alphanumeric() && !"-_".contains(character));
    value.get(..end.unwrap_or(value.len())).filter(|id| !id.is_empty())
}

/// Returns a text with the same structure in which every string, every bare word and every depth can be read.
fn readable(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    let mut rest = text;
    let mut depth = 0_usize;
    while let Some(first) = rest.chars().next() {
        let opens = matches!(first, '{' | '[');
        depth += usize::from(opens);
        let (piece, after) = match first {
            '"' => string(rest),
            _ if is_bare(first) => {
                let end = rest.find(|character| !is_bare(character)).unwrap_or(rest.len());
                let (word, after) = rest.split_at(end);
                let is_value = serde_json::from_str::<Value>(word).is_ok();
                (if is_value { word.to_owned() } else { Value::from(word).to_string() }, after)
            }
            _ => (first.to_string(), &rest[first.len_utf8()..]),
        };
        if depth <= DEEPEST {
            out.push_str(&piece);
        } else if opens && depth == DEEPEST + 1 {
            out.push_str(TOO_DEEP);
        }
        depth = depth.saturating_sub(usize::from(matches!(first, '}' | ']')));
        rest = after;
    }
    out
}

/// Returns true for the characters of numbers, of `true` and `null`, and of text that is in the place of one of them.
fn is_bare(character: char) -> bool {
    character.is_ascii_alphanumeric() || "+-._".contains(character)
}

/// Returns the string at the beginning of a text in a readable form, and the text after it. A string that does not end
/// stays open.
fn string(text: &str) -> (String, &str) {
    let mut out = String::from("\"");
    let mut rest = text.get(1..).unwrap_or_default();
    while let Some(character) = rest.chars().next() {
        let mut used = character.len_utf8();
        match character {
            '"' => {
                out.push('"');
                return (out, &rest[used..]);
            }
            '\\' => {
                let (escape, length) = escape(rest);
                out.push_str(&escape);
                used = length;
            }
            control if control < ' ' => out.push_str(&format!("\\u{:04x}", u32::from(control))),
            other => out.push(other),
        }
        rest = rest.get(used..).unwrap_or_default();
    }
    (out, rest)
}

/// Returns the escape at the beginning of a text in a readable form, and its length in the text.
fn escape(text: &str) -> (String, usize) {
    match text[1..].chars().next() {
        Some(known @ ('"' | '\\' | '/' | 'b' | 'f' | 'n' | 'r' | 't')) => (format!("\\{known}"), 2),
        Some('u') => match (unit(text), text.get(6..).and_then(unit)) {
            (Some(0xD800..=0xDBFF), Some(0xDC00..=0xDFFF)) => (text[..12].to_owned(), 12),
            (Some(0 | 0xD800..=0xDFFF), _) => ("\\ufffd".to_owned(), 6),
            (Some(_), _) => (text[..6].to_owned(), 6),
            (None, _) => ("\\\\".to_owned(), 1),
        },
        // This is a single backslash, or the end of the text.
        Some(_) => ("\\\\".to_owned(), 1),
        None => (String::new(), 1),
    }
}

/// Returns the number of the escape `\uXXXX` at the beginning of a text.
fn unit(text: &str) -> Option<u32> {
    let digits = text.strip_prefix("\\u")?.get(..4)?;
    digits.bytes().all(|byte| byte.is_ascii_hexdigit()).then(|| u32::from_str_radix(digits, 16).ok())?
}

/// Returns the text in which each of the object's own objects, and each element of its own lists, that cannot be read
/// by itself is replaced by a readable form.
fn by_parts(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 64);
    let (mut depth, mut at, mut copied) = (0_usize, 0, 0);
    // The start of the current part, and whether the part is an element of a list.
    let mut part: Option<(usize, bool)> = None;
    while let Some(first) = text[at..].chars().next() {
        if first == '"' {
            at = text.len() - string(&text[at..]).1.len();
            continue;
        }
        let mut ended = None;
        match first {
            '{' | '[' => {
                depth += 1;
                if depth == 2 {
                    part = Some(if first == '[' { (at + 1, true) } else { (at, false) });
                }
            }
            '}' | ']' => {
                if depth == 2 {
                    ended = part.take().map(|(begin, in_list)| (begin, if in_list { at } else { at + 1 }));
                }
                depth = depth.saturating_sub(1);
            }
            ',' if depth == 2 && part.is_some_and(|(_, in_list)| in_list) => {
                ended = part.replace((at + 1, true)).map(|(begin, _)| (begin, at));
            }
            _ => {}
        }
        at += first.len_utf8();
        let Some((begin, end)) = ended else { continue };
        let element = text[begin..end].trim();
        if let (false, Err(error)) = (element.is_empty(), serde_json::from_str::<IgnoredAny>(element)) {
            out.push_str(&text[copied..begin]);
            out.push_str(&json!({ UNREADABLE: element, REASON: error.to_string() }).to_string());
            copied = end;
        }
    }
    out.push_str(&text[copied..]);
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn page(row: &str) -> String {
        format!(r#"{{"code":0,"rows":[{{"id":"1","name":"a"}},{row},{{"id":"3"}}],"more":{{"page":1}}}}"#)
    }

    fn rows(bytes: &[u8]) -> Vec<Value> {
        assert!(serde_json::from_slice::<Value>(bytes).is_err(), "the parser reads it by itself");
        let page = object(bytes).expect("readable");
        assert_eq!((&page["code"], &page["more"]), (&json!(0), &json!({"page": 1})));
        let rows = page["rows"].as_array().expect("rows").clone();
        assert_eq!((&rows[0], &rows[2]), (&json!({"id": "1", "name": "a"}), &json!({"id": "3"})));
        rows
    }

    #[test]
    fn invalid_characters_are_replaced_and_the_rest_is_unchanged() {
        for (name, read) in [
            (r"half \ud83d", "half \u{fffd}"),
            (r"\ud83d\ude00 whole \ud83d\ud83d", "\u{1f600} whole \u{fffd}\u{fffd}"),
            (r"\ude00 low", "\u{fffd} low"),
            (r#"\" \\ \/ \n é \u00e9 \ud83dx"#, "\" \\ / \n é é \u{fffd}x"),
            (r"\x and \u12 and \uzzzz", r"\x and \u12 and \uzzzz"),
            ("a\nb\u{1}", "a\nb\u{1}"),
        ] {
            let row =
                rows(page(&format!(r#"{{"id":"2","name":"{name}","rate":1.50}}"#)).as_bytes())[1].clone();
            assert_eq!(row["name"], read, "{name}");
            assert_eq!(row["rate"].to_string(), "1.50");
        }
        let broken = page(r#"{"id":"2","name":"~"}"#).into_bytes();
        let broken: Vec<u8> = broken.into_iter().map(|byte| if byte == b'~' { 0xff } else { byte }).collect();
        assert_eq!(rows(&broken)[1]["name"], "\u{fffd}");
    }

    #[test]
    fn characters_that_no_database_stores_are_replaced() {
        let text = br#"{"a":"x\u0000y","b":"\\u0000","c":"\u0001"}"#;
        assert!(is_needed(text) && !is_needed(br#"{"a":"\u0001"}"#));
        assert_eq!(
            Value::Object(object(text).expect("readable")),
            json!({"a": "x\u{fffd}y", "b": "\\u0000", "c": "\u{1}"})
        );
    }

    #[test]
    fn an_invalid_value_becomes_its_text() {
        for (value, read) in [
            ("NaN", json!("NaN")),
            ("-Infinity", json!("-Infinity")),
            ("undefined", json!("undefined")),
            ("007", json!("007")),
            ("[1,NaN]", json!([1, "NaN"])),
        ] {
            assert_eq!(rows(page(&format!(r#"{{"id":"2","rate":{value}}}"#)).as_bytes())[1]["rate"], read);
        }
    }

    #[test]
    fn endless_nesting_becomes_a_note() {
        let deep = format!("{}{{\"a\":\"]}}\"}}{}", "[".repeat(100_000), "]".repeat(100_000));
        let rows = rows(page(&format!(r#"{{"id":"2","deep":{deep},"rate":1}}"#)).as_bytes());
        assert_eq!((&rows[1]["id"], &rows[1]["rate"]), (&json!("2"), &json!(1)));
    }

    #[test]
    fn an_element_that_is_not_json_is_kept_as_its_text_with_its_id() {
        for (row, id) in [
            (r#"{"id":"2","rate":}"#, Some("2")),
            (r#"{"id" : 22 "rate":1}"#, Some("22")),
            (r#"{"rate"}"#, None),
            (r#"{"id":"","x":,}"#, None),
        ] {
            let rows = rows(page(row).as_bytes());
            let (text, reason) = unreadable(rows[1].as_object().expect("an object")).expect("marked");
            assert_eq!((text, find_id(text, "id")), (row, id));
            assert!(!reason.is_empty());
        }
        assert_eq!(unreadable(&Map::new()), None);
        let detail = object(br#"{"code":0,"contact":{"id":"2","rate":}}"#).expect("readable");
        assert!(unreadable(detail["contact"].as_object().expect("an object")).is_some());
    }

    #[test]
    fn a_truncated_body_is_refused() {
        for cut in
            ["{\"a\":\"", "{\"a\":\"\\", "{\"a\":\"\\ud83d", "{\"a\":[1,", "{", "{\"a\":\"\\ud83d\"", ""]
        {
            assert!(object(cut.as_bytes()).is_err(), "{cut}");
        }
        let error = object(br#"{"a":"\ud83d","b":[{"c":1"#).expect_err("cut");
        assert!(error.is_eof(), "{error}");
    }

    proptest! {
        #[test]
        fn anything_is_read_or_refused(text in any::<String>(), bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = object(text.as_bytes());
            let _ = object(&bytes);
            let _ = find_id(&text, "id");
        }

        #[test]
        fn valid_json_is_not_changed(text in "[^\\x00]*", number in -1e300..1e300_f64) {
            let whole = json!({"text": text, "list": [{"n": number}, [text], null, true]});
            prop_assert_eq!(Value::Object(object(whole.to_string().as_bytes()).expect("readable")), whole);
        }
    }
}
