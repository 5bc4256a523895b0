//! The explanations for a signature that does not match.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use secrecy::SecretString;
use tds_zoho::webhook::{Mismatch, diagnose, sign, verify};

const SECRET: &str = "TdsSecret0123456";
const KEY: &str = "SecondFactor99";
const BODY: &[u8] = br#"{"item":{"item_id":"1", "name":"Cable"}}"#;
const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";
const PATH: &str = "/api/zoho/webhooks/products";

/// Returns the signature over exactly this text.
fn signed_by(secret: &str, text: &[u8]) -> String {
    // The text is signed as the name of a pair without a value and without a body, so that no text is taken for a
    // form.
    let text = String::from_utf8(text.to_vec()).expect("text");
    sign(&SecretString::from(secret), &[(text, String::new())], b"")
}

fn signed(text: &[u8]) -> String {
    signed_by(SECRET, text)
}

/// Returns the explanation for a delivery as it arrived, with the signature that it has.
fn diagnosed(query: Option<&str>, content_type: &str, body: &[u8], signature: &str) -> Option<String> {
    diagnosed_with(&[SECRET], query, content_type, body, signature)
}

fn diagnosed_with(
    secrets: &[&str],
    query: Option<&str>,
    content_type: &str,
    body: &[u8],
    signature: &str,
) -> Option<String> {
    let secrets: Vec<SecretString> = secrets.iter().map(|secret| SecretString::from(*secret)).collect();
    let pairs = tds_zoho::webhook::query_pairs(query);
    let verified = verify(&secrets, &pairs, Some(content_type), body, Some(signature));
    assert!(verified.is_err(), "only what does not verify is explained");
    let key = SecretString::from(KEY);
    let hint = diagnose(&Mismatch {
        secrets: &secrets,
        webhook_keys: std::slice::from_ref(&key),
        path: PATH,
        query,
        content_type: Some(content_type),
        body,
        signature,
    })?;
    for secret in secrets.iter().chain([&key]) {
        assert!(!hint.contains(secrecy::ExposeSecret::expose_secret(secret)), "{hint}");
    }
    Some(hint.into_owned())
}

fn says(hint: Option<String>, words: &str) {
    let hint = hint.unwrap_or_else(|| panic!("nothing was said of {words}"));
    assert!(hint.contains(words), "{hint}");
}

#[test]
fn a_line_end_that_a_proxy_adds_or_takes_away_is_named() {
    for end in ["\r\n", "\n"] {
        let longer = [BODY, end.as_bytes()].concat();
        says(diagnosed(None, JSON, &longer, &signed(BODY)), "without the line end");
        says(diagnosed(None, JSON, BODY, &signed(&longer)), "ended in a line end when it was signed");
    }
    let lines = b"{\"item\":\n{\"item_id\":\"1\"}}";
    let dos = b"{\"item\":\r\n{\"item_id\":\"1\"}}";
    says(diagnosed(None, JSON, dos, &signed(lines)), "had other line ends");
    says(diagnosed(None, JSON, lines, &signed(dos)), "had other line ends");
    says(diagnosed(None, JSON, &[b"  ", BODY].concat(), &signed(BODY)), "blanks around it");
    says(diagnosed(None, JSON, &[b"\xef\xbb\xbf", BODY].concat(), &signed(BODY)), "byte order mark");
}

#[test]
fn json_that_was_reserialized_is_named() {
    let compact = br#"{"item":{"item_id":"1","name":"a \" b \\"}}"#;
    let spread = b"{ \"item\": {\n  \"item_id\": \"1\", \"name\": \"a \\\" b \\\\\"\n} }";
    says(diagnosed(None, JSON, spread, &signed(compact)), "writes it again");
}

#[test]
fn what_happened_to_the_query_is_named() {
    let text = |query: &str| [query.as_bytes(), BODY].concat();
    let query = Some("name=a%20b%26c&event=updated");
    for undecoded in ["eventupdatednamea%20b%26c", "namea%20b%26ceventupdated"] {
        says(diagnosed(query, JSON, BODY, &signed(&text(undecoded))), "percent-encoded");
    }
    says(diagnosed(Some("a=1+2"), JSON, BODY, &signed(&text("a1+2"))), "a + in the parameters");
    says(diagnosed(Some("b=1&a=2"), JSON, BODY, &signed(&text("b1a2"))), "alphabetical order");
    says(diagnosed(query, JSON, BODY, &signed(BODY)), "were not signed");
    says(diagnosed(Some("event=updated"), JSON, BODY, &signed(&text("event=updated"))), "as text");
    says(diagnosed(Some("event=updated"), JSON, BODY, &signed(&text("?event=updated"))), "as text");
    let with_path = format!("{PATH}?event=updated");
    says(diagnosed(Some("event=updated"), JSON, BODY, &signed(&text(&with_path))), "the path was signed");
    says(diagnosed(None, JSON, BODY, &signed(&text(PATH))), "the path was signed");
    for event in ["created", "updated", "deleted"] {
        says(diagnosed(None, JSON, BODY, &signed(&text(&format!("event{event}")))), "drops the query");
    }
    let after = [BODY, b"eventupdated"].concat();
    says(diagnosed(Some("event=updated"), JSON, BODY, &signed(&after)), "after the body");
    let added = diagnosed(Some("event=updated&utm_source=proxy"), JSON, BODY, &signed(&text("eventupdated")));
    says(added, "utm_source");
    says(diagnosed(Some("event=updated"), JSON, BODY, &signed(b"eventupdated")), "the body was not");
}

#[test]
fn two_changes_at_once_are_named_together() {
    let both = diagnosed(
        Some("event=updated&x=%20"),
        JSON,
        &[BODY, b"\r\n"].concat(),
        &signed(&[b"eventupdatedx%20", BODY].concat()),
    );
    let hint = both.expect("a hint");
    assert!(hint.contains("percent-encoded") && hint.contains("without the line end"), "{hint}");
}

#[test]
fn what_happened_to_a_form_is_named() {
    let body = b"name=a%20b&JSONString=%7B%7D";
    says(diagnosed(None, FORM, body, &signed(b"namea bJSONString{}")), "in their own order");
    says(diagnosed(None, FORM, body, &signed(b"JSONString%7B%7Dnamea%20b")), "as they are written");
    says(diagnosed(None, FORM, body, &signed(body)), "as text");
    says(diagnosed(None, FORM, b"a=1+2", &signed(b"a1+2")), "a + in the form");
    let query = Some("event=updated");
    says(diagnosed(query, FORM, b"aa=1", &signed(b"aa1")), "parameters of the address were not signed");
    says(diagnosed(query, FORM, b"bb=1&aa=2", &signed(b"eventupdatedaa2bb1")), "before the form's pairs");
    says(
        diagnosed(query, FORM, b"zz=1", &signed(b"zz1eventupdated")),
        "before the parameters of the address",
    );
    says(diagnosed(query, FORM, b"aa=1", &signed(b"eventupdated")), "the form was not signed");
}

#[test]
fn a_secret_with_something_around_it_is_named() {
    let by = |secret: &str| signed_by(secret, BODY);
    for secret in ["TdsSecret0123456\n", "TdsSecret0123456\r\n"] {
        says(diagnosed(None, JSON, BODY, &by(secret)), "line feed");
    }
    for secret in ["TdsSecret0123456 ", " TdsSecret0123456", "\"TdsSecret0123456\"", "'TdsSecret0123456'"] {
        says(diagnosed(None, JSON, BODY, &by(secret)), "around it");
    }
    says(diagnosed(None, JSON, BODY, &by("tdssecret0123456")), "upper and lower case");
    says(diagnosed(None, JSON, BODY, &by(&STANDARD.encode(SECRET))), "Base64");
    says(diagnosed(None, JSON, BODY, &by(KEY)), "with the webhook key");
    let quoted = diagnosed_with(&["\"TdsSecret0123456\""], None, JSON, BODY, &by(SECRET));
    says(quoted, "the configured secret has quotation marks");
    let listed = diagnosed_with(&["Other1234567890;TdsSecret0123456"], None, JSON, BODY, &by(SECRET));
    says(listed, "separate them by commas");
    let encoded = diagnosed_with(&[&STANDARD.encode(SECRET)], None, JSON, BODY, &by(SECRET));
    says(encoded, "write the secret itself");
    let later =
        diagnosed_with(&["Other1234567890", SECRET], None, JSON, &[BODY, b"\n"].concat(), &by(SECRET));
    says(later, "without the line end");
}

#[test]
fn a_signature_in_another_encoding_is_named() {
    let hex = signed(BODY);
    says(diagnosed(None, JSON, BODY, &format!("sha256={hex}")), "sha256=");
    says(diagnosed(None, JSON, BODY, &format!("\"{hex}\"")), "quotation marks");
    says(diagnosed(None, JSON, BODY, &STANDARD.encode(&hex)), "Base64 of the hex digits");
    let bytes: Vec<u8> =
        (0..32).map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).expect("hex")).collect();
    let escaped = STANDARD.encode(&bytes).replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
    says(diagnosed(None, JSON, BODY, &escaped), "percent-encoded");
    let hex_of_base64: String = STANDARD.encode(&bytes).bytes().map(|byte| format!("{byte:02x}")).collect();
    says(diagnosed(None, JSON, BODY, &hex_of_base64), "hex of the Base64");
}

#[test]
fn a_forged_signature_is_not_explained() {
    let forged =
        [&"0".repeat(64), &signed_by("AnotherSecret99", BODY), "nonsense", "sha256=", "é", &"%".repeat(300)]
            .map(str::to_owned);
    for signature in forged {
        assert_eq!(diagnosed(Some("event=updated"), JSON, BODY, &signature), None, "{signature:.40}");
        assert_eq!(diagnosed(None, FORM, b"a=b&c=d", &signature), None, "{signature:.40}");
        assert_eq!(diagnosed(None, JSON, b"", &signature), None, "{signature:.40}");
    }
}

/// The sender is not proven to be authentic yet, so the work is bounded, whatever arrives.
#[test]
fn the_work_for_a_hostile_delivery_is_bounded() {
    let zeros = "0".repeat(64);
    let pairs: Vec<String> = (0..3_000).map(|at| format!("p{at}=%41")).collect();
    let query = pairs.join("&");
    let secrets = vec![SECRET; 50];
    let large = [b"{".as_slice(), &vec![b' '; 2 << 20], b"\n"].concat();
    let explained = signed(large.trim_ascii_end());
    assert_eq!(
        diagnosed(None, JSON, &large, &explained),
        None,
        "a body of more than 2 MiB is not looked into"
    );
    assert_eq!(diagnosed_with(&secrets, Some(&query), JSON, &[b'{'; 100], &zeros), None);
    let form = vec![b'&'; 1 << 20];
    assert_eq!(diagnosed_with(&secrets, None, FORM, &form, &zeros), None);
}
