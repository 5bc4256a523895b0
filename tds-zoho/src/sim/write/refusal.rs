//! Refusals, in Zoho's words where they are known.
//!
//! Known from live accounts (`zoho-api.md` section 5): 2, 5, 1001 for an item with a known name, 1002, 1038; 3062 with
//! its words is reported by several public clients. Zoho publishes no list of codes, so the codes of the other refusals
//! are this simulation's own: a client must not depend on them.

use serde_json::Value;

use crate::sim::answer::{self, Answer};

/// An answer that refuses a call.
pub(super) type Refused = Box<Answer>;

/// The record is used by other records. The code is invented.
const IN_USE: i64 = 1090;
/// More is applied to a document than it has open. The code is invented.
const TOO_MUCH: i64 = 1091;
/// The status of the record does not allow the call. The code is invented.
const WRONG_STATUS: i64 = 1092;
/// Zoho gives the numbers itself. The code is invented.
const NUMBERED: i64 = 1093;
/// Head and lines of a document name different locations (`lessons.md`).
const ELSEWHERE: i64 = 27520;

fn refuse(status: u16, code: i64, message: &str) -> Refused {
    Box::new(answer::error(status, code, message))
}

pub(super) fn method() -> Refused {
    refuse(405, 5, "Method not allowed")
}

pub(super) fn not_json() -> Refused {
    refuse(400, 1038, "JSON is not well formed")
}

/// A value is missing or wrong.
pub(super) fn value(key: &str) -> Refused {
    refuse(400, 2, &format!("Invalid value passed for {key}"))
}

/// A body names a record that does not exist.
pub(super) fn unknown(noun: &str) -> Refused {
    refuse(400, 1002, &format!("{noun} does not exist."))
}

/// A contact of the kind has the name.
pub(super) fn contact_exists(kind: &str, name: &str) -> Refused {
    refuse(400, 3062, &format!("The {kind} \"{name}\" already exists. Please specify a different name."))
}

/// Another record has the value, which has to be unique.
pub(super) fn exists(what: &str, value: &str) -> Refused {
    refuse(400, 1001, &format!("The {what} \"{value}\" already exists."))
}

pub(super) fn numbered_by_zoho(key: &str) -> Refused {
    let message = format!(
        "Auto-generation is enabled for {key}. Send ignore_auto_number_generation=true to give a number."
    );
    refuse(400, NUMBERED, &message)
}

pub(super) fn in_use(message: &str) -> Refused {
    refuse(400, IN_USE, message)
}

pub(super) fn too_much(noun: &str) -> Refused {
    refuse(400, TOO_MUCH, &format!("The amount applied is more than the balance due of the {noun}."))
}

pub(super) fn status(noun: &str, status: &Value) -> Refused {
    let status = status.as_str().unwrap_or_default();
    refuse(400, WRONG_STATUS, &format!("The {noun} is {status}: this operation is not possible."))
}

pub(super) fn elsewhere() -> Refused {
    refuse(400, ELSEWHERE, "The location of a line item differs from that of the transaction.")
}
