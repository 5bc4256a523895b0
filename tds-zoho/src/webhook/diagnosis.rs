//! Finds out why a signature does not match. In practice the cause is nearly always one of a few changes between Zoho
//! and TDS, or a secret that was copied with extra characters around it. All of these are tried, and the one that fits
//! is named.
//!
//! This code runs for deliveries that are not proven to be authentic, so its cost is bounded: a constant number of
//! signatures over a body of bounded size. Its result contains neither the secret nor the body.

use std::borrow::Cow;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::Mac as _;
use secrecy::{ExposeSecret as _, SecretString};

use super::{
    EVENT_TYPES,
    form::{Look, decoded, look, pairs, raw_pairs, without_bom},
    signature::{decode, joined, mac, sorted},
};
use crate::hex;

/// Larger bodies are not examined.
const LARGEST: usize = 2 * 1024 * 1024;
/// Up to this size, changes of the body and of the query are tried together.
const SMALL: usize = 8 * 1024;
/// The maximum number of secrets and of parameters that are tried; lists of them are short. For a body that is not
/// small, half as many are tried.
const MOST: usize = 4;

/// A delivery whose signature does not match.
#[derive(Clone, Copy, Debug)]
pub struct Mismatch<'a> {
    /// The configured secrets.
    pub secrets: &'a [SecretString],
    /// The second factor, which operators sometimes confuse with the secret.
    pub webhook_keys: &'a [SecretString],
    /// The path of the request.
    pub path: &'a str,
    /// The query of the request, as it arrived.
    pub query: Option<&'a str>,
    /// The header `Content-Type`.
    pub content_type: Option<&'a str>,
    /// The body, as it arrived.
    pub body: &'a [u8],
    /// The header with the signature.
    pub signature: &'a str,
}

impl Mismatch<'_> {
    fn keys(&self) -> impl Iterator<Item = &str> {
        let most = if self.body.len() <= SMALL { MOST } else { MOST / 2 };
        self.secrets.iter().take(most).map(SecretString::expose_secret)
    }
}

/// Names the known change that explains the signature, in a sentence that says what to do. Returns `None` if no
/// known change explains it.
#[must_use]
pub fn diagnose(mismatch: &Mismatch<'_>) -> Option<Cow<'static, str>> {
    if mismatch.body.len() > LARGEST {
        return None;
    }
    let messages = Messages::of(mismatch);
    let Some((_, given)) = decode(mismatch.signature.trim()) else { return spelling(mismatch, &messages) };
    of_message(mismatch, &messages, &given).or_else(|| of_key(mismatch, &messages, &given))
}

/// The messages that may have been signed: one of the queries, then one of the bodies.
struct Messages<'a> {
    /// The first query is the expected one and has no hint.
    queries: Vec<(Cow<'static, str>, Vec<u8>)>,
    bodies: Vec<(&'static str, Cow<'a, [u8]>)>,
    /// Messages in another order than queries and then bodies.
    whole: Vec<(&'static str, Vec<u8>)>,
}

impl<'a> Messages<'a> {
    fn of(mismatch: &Mismatch<'a>) -> Self {
        let form = look(mismatch.content_type, mismatch.body) == Look::Form;
        let bodies = if form { Vec::new() } else { bodies(mismatch.body) };
        let whole = if form { forms(mismatch) } else { Vec::new() };
        Self { queries: queries(mismatch), bodies, whole }
    }

    /// Returns the message that TDS checks: the first query and the first body, or the first form.
    fn expected(&self) -> Vec<u8> {
        match (self.whole.first(), self.queries.first(), self.bodies.first()) {
            (Some((_, message)), ..) => message.clone(),
            (_, Some((_, query)), Some((_, body))) => [query, body.as_ref()].concat(),
            _ => Vec::new(),
        }
    }
}

fn of_message(
    mismatch: &Mismatch<'_>,
    messages: &Messages<'_>,
    given: &[u8; 32],
) -> Option<Cow<'static, str>> {
    let fits = |parts: &[&[u8]]| {
        mismatch
            .secrets
            .iter()
            .take(MOST)
            .any(|secret| is_of(secret.expose_secret().as_bytes(), parts, given))
    };
    if let Some((hint, _)) = messages.whole.iter().skip(1).find(|(_, message)| fits(&[message])) {
        return Some(Cow::Borrowed(hint));
    }
    let together = mismatch.body.len() <= SMALL;
    for (index, (of_query, query)) in messages.queries.iter().enumerate() {
        for (of_body, body) in
            messages.bodies.iter().take(if together || index == 0 { usize::MAX } else { 1 })
        {
            if fits(&[query, body]) {
                return Some(match (of_query.is_empty(), of_body.is_empty()) {
                    (true, _) => Cow::Borrowed(*of_body),
                    (_, true) => of_query.clone(),
                    _ => Cow::Owned(format!("{of_query}; besides, {of_body}")),
                });
            }
        }
    }
    let (query, body) = (messages.queries.first()?, messages.bodies.first()?);
    fits(&[&body.1, &query.1])
        .then_some(Cow::Borrowed("the parameters of the address were signed after the body"))
}

fn of_key(mismatch: &Mismatch<'_>, messages: &Messages<'_>, given: &[u8; 32]) -> Option<Cow<'static, str>> {
    let expected = messages.expected();
    let fits = |key: &[u8]| is_of(key, &[&expected], given);
    for secret in mismatch.keys() {
        if let Some((hint, _)) = keys(secret).iter().find(|(_, key)| fits(key)) {
            return Some(Cow::Borrowed(hint));
        }
    }
    let mut keys = mismatch.webhook_keys.iter().map(|key| key.expose_secret().as_bytes());
    keys.any(fits).then_some(Cow::Borrowed(
        "it was made with the webhook key; the secret of Zoho's webhook must be the webhook secret",
    ))
}

/// Handles a header that is not a signature in its spelling, but may be a signature that was encoded once more.
fn spelling(mismatch: &Mismatch<'_>, messages: &Messages<'_>) -> Option<Cow<'static, str>> {
    let expected = messages.expected();
    let header = mismatch.signature.trim().get(..mismatch.signature.trim().len().min(256))?;
    let bare = header.trim_matches(['"', '\'']);
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).ok();
    let spellings = [
        ("the header has quotation marks around the signature", Some(bare.to_owned())),
        (
            "the header has a name such as sha256= before the signature",
            bare.split_once('=').map(|(_, rest)| rest.to_owned()),
        ),
        ("the header was percent-encoded on the way", Some(decoded(bare.as_bytes(), b'+'))),
        ("the header was decoded as a form on the way: each + became a blank", Some(bare.replace(' ', "+"))),
        (
            "the header is the Base64 of the hex digits, but should be the Base64 of the bytes",
            STANDARD.decode(bare).ok().and_then(text),
        ),
        (
            "the header is the hex of the Base64, but should be the hex of the bytes",
            hex::decode(bare).and_then(text),
        ),
    ];
    let fits = |given: &[u8; 32]| mismatch.keys().any(|secret| is_of(secret.as_bytes(), &[&expected], given));
    spellings.into_iter().find_map(|(hint, spelled)| {
        let (_, given) = decode(spelled?.trim())?;
        fits(&given).then_some(Cow::Borrowed(hint))
    })
}

fn is_of(key: &[u8], parts: &[&[u8]], given: &[u8; 32]) -> bool {
    let Some(mut mac) = mac(key, &[]) else { return false };
    parts.iter().for_each(|part| mac.update(part));
    mac.verify_slice(given).is_ok()
}

/// Returns the ways to sign a query. The first way is the expected one.
fn queries(mismatch: &Mismatch<'_>) -> Vec<(Cow<'static, str>, Vec<u8>)> {
    let raw = mismatch.query.unwrap_or_default();
    let mut all = vec![(Cow::Borrowed(""), sorted(pairs(raw.as_bytes())))];
    let mut add = |hint: &'static str, message: Vec<u8>| all.push((Cow::Borrowed(hint), message));
    if raw.is_empty() {
        for event in EVENT_TYPES {
            let hint = "the address had a parameter event when it was signed: something between Zoho and TDS drops the \
                        query; let it pass the query unchanged";
            add(hint, format!("event{event}").into_bytes());
        }
    } else {
        let undecoded = "the parameters of the address were signed as they are written, percent-encoded; use parameters \
                         of letters and digits only, so that both are the same";
        let path = mismatch.path;
        let as_written = || raw_pairs(raw.as_bytes()).map(|(name, value)| (lossy(name), lossy(value)));
        let plus = |half: &[u8]| decoded(half, b'+');
        let hint = "a + in the parameters of the address was signed as a +; avoid blanks and + in them";
        add(hint, sorted(raw_pairs(raw.as_bytes()).map(|(name, value)| (plus(name), plus(value))).collect()));
        let hint = "the parameters of the address were signed in their own order instead of sorted by name; put them in \
                    alphabetical order";
        add(hint, joined(pairs(raw.as_bytes())));
        add(undecoded, sorted(as_written().collect()));
        add(undecoded, joined(as_written()));
        let hint = "the parameters of the address were not signed: something between Zoho and TDS adds them, or a proxy \
                    rewrites the address; let it pass the address unchanged";
        add(hint, Vec::new());
        let hint = "the query was signed as text, with its = and &; only Zoho's own scheme is understood";
        add(hint, raw.as_bytes().to_vec());
        add(hint, format!("?{raw}").into_bytes());
        let hint = "the path was signed together with the query; only Zoho's own scheme is understood";
        add(hint, format!("{path}?{raw}").into_bytes());
    }
    let hint = "the path was signed, too; only Zoho's own scheme is understood";
    add(hint, mismatch.path.as_bytes().to_vec());
    let given = pairs(raw.as_bytes());
    for left_out in 0..if given.len() > 1 { given.len().min(MOST * 2) } else { 0 } {
        let mut others = given.clone();
        let (name, _) = others.remove(left_out);
        let name: String = name.chars().take(40).flat_map(char::escape_default).collect();
        let hint = format!(
            "the parameter {name} of the address was not signed: something between Zoho and TDS adds it; let it pass the \
             address unchanged"
        );
        all.push((Cow::Owned(hint), sorted(others)));
    }
    all
}

/// Returns the bodies that may have been signed in place of a body that is not a form. The first is the body itself.
fn bodies(body: &[u8]) -> Vec<(&'static str, Cow<'_, [u8]>)> {
    const ADDED: &str = "the body was signed without the line end that it ends in: something between Zoho and TDS, such as a \
                         proxy, adds it; let it pass the body unchanged";
    const REMOVED: &str = "the body ended in a line end when it was signed: something between Zoho and TDS, such as a proxy, \
                           takes it away; let it pass the body unchanged";
    const ENDS: &str = "the body had other line ends when it was signed: something between Zoho and TDS rewrites \
                        them; let it pass the body unchanged";
    const MARK: &str = "the byte order mark at the body's start was added or taken away between Zoho and TDS; let the body \
                        pass unchanged";
    let mut all: Vec<(&'static str, Cow<'_, [u8]>)> = vec![("", Cow::Borrowed(body))];
    for end in [&b"\r\n"[..], b"\n", b"\r"] {
        if let Some(shorter) = body.strip_suffix(end) {
            all.push((ADDED, Cow::Borrowed(shorter)));
        }
        all.push((REMOVED, Cow::Owned([body, end].concat())));
    }
    let hint = "the body was signed without the blanks around it: something between Zoho and TDS adds them; let it pass the \
                body unchanged";
    all.push((hint, Cow::Borrowed(body.trim_ascii())));
    let is_kept = |(at, byte): &(usize, u8)| *byte != b'\r' || body.get(at + 1) != Some(&b'\n');
    let unix: Vec<u8> = body.iter().copied().enumerate().filter(is_kept).map(|(_, byte)| byte).collect();
    all.push((ENDS, Cow::Owned(unix.split(|byte| *byte == b'\n').collect::<Vec<_>>().join(&b"\r\n"[..]))));
    all.push((ENDS, Cow::Owned(unix)));
    all.push((MARK, Cow::Borrowed(without_bom(body))));
    all.push((MARK, Cow::Owned([b"\xef\xbb\xbf", body].concat())));
    let hint = "the body was signed without blanks between its parts: something between Zoho and TDS parses the JSON \
                and writes it again; let it pass the body unchanged";
    all.push((hint, Cow::Owned(compact(body))));
    let hint = "the body was signed in its percent-decoded form; let the body pass unchanged";
    all.push((hint, Cow::Owned(decoded(body, b' ').into_bytes())));
    let hint = "only the parameters of the address were signed, and the body was not: something between Zoho and TDS adds or \
                replaces the body";
    all.push((hint, Cow::Borrowed(b"")));
    all
}

/// Returns the ways to sign a form. The first way is the expected one.
fn forms(mismatch: &Mismatch<'_>) -> Vec<(&'static str, Vec<u8>)> {
    const AS_TEXT: &str = "the form was signed as text, as it is written; only Zoho's own scheme is understood, in which a \
                           form's pairs are decoded and sorted";
    let query = pairs(mismatch.query.unwrap_or_default().as_bytes());
    let form = || pairs(mismatch.body);
    let as_written = || raw_pairs(mismatch.body).map(|(name, value)| (lossy(name), lossy(value)));
    let with_query = |form: Vec<(String, String)>| sorted(query.iter().cloned().chain(form).collect());
    let plus = |half: &[u8]| decoded(half, b'+');
    let plus = raw_pairs(mismatch.body).map(|(name, value)| (plus(name), plus(value))).collect();
    vec![
        ("", with_query(form())),
        ("the form's pairs were signed in their own order instead of sorted by name", {
            joined(query.iter().cloned().chain(form()))
        }),
        (
            "a + in the form was signed as a +: something between Zoho and TDS writes the form again",
            with_query(plus),
        ),
        (
            "the form's pairs were signed as they are written, percent-encoded",
            with_query(as_written().collect()),
        ),
        ("the form's pairs were signed as they are written, percent-encoded and in their own order", {
            joined(query.iter().cloned().chain(as_written()))
        }),
        (
            "the parameters of the address were not signed: something between Zoho and TDS adds them",
            sorted(form()),
        ),
        ("the form's pairs were signed before the parameters of the address, each sorted on their own", {
            [sorted(form()), sorted(query.clone())].concat()
        }),
        ("the parameters of the address were signed before the form's pairs, each sorted on their own", {
            [sorted(query.clone()), sorted(form())].concat()
        }),
        (AS_TEXT, [sorted(query.clone()), mismatch.body.to_vec()].concat()),
        (AS_TEXT, [sorted(query.clone()), mismatch.body.trim_ascii().to_vec()].concat()),
        ("the form was not signed, only the parameters of the address", sorted(query)),
    ]
}

/// Returns other spellings that a secret may have in Zoho.
fn keys(secret: &str) -> Vec<(&'static str, Vec<u8>)> {
    const LINE: &str = "the secret at Zoho ends in a line feed, which came from a file: set it again without the \
                        line feed";
    const AROUND: &str =
        "the secret at Zoho has blanks or quotation marks around it: set it again without them";
    let mut all: Vec<(&'static str, Vec<u8>)> = Vec::new();
    for (hint, before, after) in [
        (LINE, "", "\n"),
        (LINE, "", "\r\n"),
        (AROUND, "", " "),
        (AROUND, " ", ""),
        (AROUND, " ", " "),
        (AROUND, "\"", "\""),
        (AROUND, "'", "'"),
    ] {
        all.push((hint, format!("{before}{secret}{after}").into_bytes()));
    }
    let bare = secret.trim_matches(['"', '\'']);
    let hint = "the configured secret has quotation marks around it: remove them";
    all.push((hint, bare.as_bytes().to_vec()));
    let hint = "the configured secret holds several secrets; separate them by commas";
    all.extend(
        secret.split([' ', ';', '\t', '|']).take(MOST).map(|part| (hint, part.trim().as_bytes().to_vec())),
    );
    let hint = "the configured secret differs from the secret at Zoho in upper and lower case";
    all.push((hint, secret.to_ascii_lowercase().into_bytes()));
    all.push((hint, secret.to_ascii_uppercase().into_bytes()));
    let hint =
        "the configured secret is the Base64 or the hex of the secret at Zoho: write the secret itself";
    all.extend(STANDARD.decode(secret).ok().map(|key| (hint, key)));
    all.extend(hex::decode(secret).map(|key| (hint, key)));
    let hint = "the secret at Zoho is the Base64 of the configured secret: write it as it is at Zoho";
    all.push((hint, STANDARD.encode(secret).into_bytes()));
    all
}

fn lossy(text: &[u8]) -> String {
    String::from_utf8_lossy(text).into_owned()
}

/// Returns JSON without the blanks between its parts.
fn compact(json: &[u8]) -> Vec<u8> {
    let (mut in_text, mut escaped) = (false, false);
    let keep = move |byte: &u8| {
        let blank = !in_text && byte.is_ascii_whitespace();
        in_text ^= *byte == b'"' && !escaped;
        escaped = in_text && *byte == b'\\' && !escaped;
        !blank
    };
    json.iter().copied().filter(keep).collect()
}
