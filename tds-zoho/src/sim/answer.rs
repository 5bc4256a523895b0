//! Answers and error bodies, in Zoho's words.

use serde_json::{Value, json};

use super::{literal::Object, module::Module};

/// The status and the body of an answer.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Value,
    /// The file that is sent instead of the body.
    pub(crate) file: Option<File>,
}

/// A file, as it is sent.
#[derive(Clone, Debug)]
pub struct File {
    /// The header `Content-Type`.
    pub content_type: String,
    /// The body.
    pub bytes: Vec<u8>,
}

/// Returns an answer in JSON.
pub(crate) fn json(status: u16, body: Value) -> Answer {
    Answer { status, body, file: None }
}

/// Returns a file.
pub(crate) fn file(file: File) -> Answer {
    Answer { status: 200, body: Value::Null, file: Some(file) }
}

/// Returns a success with data under the given keys.
pub(crate) fn success(data: Object) -> Answer {
    let mut body = data;
    body.insert("code".to_owned(), json!(0));
    body.insert("message".to_owned(), json!("success"));
    json(200, Value::Object(body))
}

/// Returns a success with one value under one key.
pub(crate) fn found(key: &str, value: Value) -> Answer {
    success(Object::from_iter([(key.to_owned(), value)]))
}

/// Returns an error.
pub(crate) fn error(status: u16, code: i64, message: &str) -> Answer {
    json(status, json!({"code": code, "message": message}))
}

pub(crate) fn malformed_authorization() -> Answer {
    let message = "The request could not be authenticated as the authentication value you entered is invalid. \
                   Enter a valid authentication value and try again.";
    error(401, 14, message)
}

pub(crate) fn not_authorized() -> Answer {
    error(401, 57, "You are not authorized to perform this operation")
}

/// No official page documents this answer. Client code in public repositories expects code 6041.
pub(crate) fn wrong_organization(id: &str) -> Answer {
    error(400, 6041, &format!("This user is not associated with the CompanyID/CompanyName:{id}."))
}

pub(crate) fn unknown_path() -> Answer {
    error(404, 5, "Invalid URL Passed")
}

pub(crate) fn does_not_exist(module: Module) -> Answer {
    error(404, 1002, &format!("{} does not exist.", module.noun))
}

pub(crate) fn invalid_value(parameter: &str) -> Answer {
    error(400, 2, &format!("Invalid value passed for {parameter}"))
}
