//! Form bodies, and how to distinguish them from JSON. The content type is often missing or wrong.

use crate::hex;

/// What a body looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// The body begins like a JSON object or list.
    Json,
    /// The body consists of the pairs of a form.
    Form,
    /// The body is neither.
    Other,
}

/// Decides what a body looks like: JSON is tested first, then a form.
pub(super) fn look(content_type: Option<&str>, body: &[u8]) -> Look {
    let says_form = content_type.is_some_and(|kind| {
        kind.trim_start()
            .get(..33)
            .is_some_and(|kind| kind.eq_ignore_ascii_case("application/x-www-form-urlencoded"))
    });
    match without_bom(body).trim_ascii_start().first() {
        None => Look::Other,
        Some(b'{' | b'[') => Look::Json,
        Some(_) if says_form || is_form(body) => Look::Form,
        Some(_) => Look::Other,
    }
}

/// Returns the body without the byte order mark that some senders put before UTF-8.
pub(super) fn without_bom(body: &[u8]) -> &[u8] {
    body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body)
}

/// Returns the decoded pairs, in their order.
pub(super) fn pairs(body: &[u8]) -> Vec<(String, String)> {
    raw_pairs(body).map(|(name, value)| (decoded(name, b' '), decoded(value, b' '))).collect()
}

/// Iterates over the pairs as they arrived, in their order.
pub(super) fn raw_pairs(body: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    body.trim_ascii().split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()).map(|pair| {
        let mut halves = pair.splitn(2, |byte| *byte == b'=');
        (halves.next().unwrap_or_default(), halves.next().unwrap_or_default())
    })
}

/// Returns true for a form. A pair needs a name of plain characters and a `=`; a sentence that contains a `=` is not a
/// form.
fn is_form(body: &[u8]) -> bool {
    let name = body.split(|byte| *byte == b'=').next().unwrap_or_default();
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-.[]%+$".contains(byte);
    body.contains(&b'=') && !name.is_empty() && name.iter().all(plain)
}

/// Decodes percent-encoding. `plus` is the character that a `+` stands for.
pub(super) fn decoded(text: &[u8], plus: u8) -> String {
    let mut bytes: Vec<u8> = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        match (first, after.get(..2).and_then(hex::byte)) {
            (b'+', _) => bytes.push(plus),
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = after.get(2..).unwrap_or_default();
            }
            _ => bytes.push(*first),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
