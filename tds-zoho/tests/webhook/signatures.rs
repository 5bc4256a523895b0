//! The signature: Zoho's example, the known vectors, and all deliveries that must not pass.

use secrecy::SecretString;
use tds_zoho::webhook::{Encoding, SignatureError, Verified, sign};

const SECRET: &str = "TdsSecret0123456";
const ITEM: &[u8] = br#"{"item":{"item_id":"460000000012345","sku":"A-1"}}"#;
const ITEM_HEX: &str = "d3bf0da4117522b4df686369b0d18b2ed5eeb86102baf3cb9a5071e7e58b3168";
const ITEM_BASE64: &str = "078NpBF1IrTfaGNpsNGLLtXuuGECuvPLmlBx5+WLMWg=";
const EXAMPLE: &[u8] = br#"{"created_date":"2019-03-06","event_id":"5675"}"#;
const EXAMPLE_HEX: &str = "f0813db3c757d0f7cdb4387db80fd9211f6c114fd8b474e8427217b898124985";
const EXAMPLE_BASE64: &str = "8IE9s8dX0PfNtDh9uA/ZIR9sEU/YtHToQnIXuJgSSYU=";

fn secrets(all: &[&str]) -> Vec<SecretString> {
    all.iter().map(|secret| SecretString::from(*secret)).collect()
}

fn pairs(all: &[(&str, &str)]) -> Vec<(String, String)> {
    all.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

/// Returns the signature that made a delivery authentic.
fn verify(
    secrets: &[SecretString],
    pairs: &[(String, String)],
    content_type: Option<&str>,
    body: &[u8],
    header: Option<&str>,
) -> Result<Verified, SignatureError> {
    let authentic = tds_zoho::webhook::verify(secrets, pairs, content_type, body, header)?;
    Ok(authentic.signature().expect("a signature was checked"))
}

fn check(query: &[(&str, &str)], body: &[u8], header: &str) -> Result<Verified, SignatureError> {
    verify(&secrets(&[SECRET]), &pairs(query), Some("application/json"), body, Some(header))
}

#[test]
fn the_known_vectors_verify_in_every_spelling() {
    let example = [("subscription_id", "90343"), ("name", "basic")];
    for (query, body, hex, base64) in
        [(&[][..], ITEM, ITEM_HEX, ITEM_BASE64), (&example[..], EXAMPLE, EXAMPLE_HEX, EXAMPLE_BASE64)]
    {
        let hexes = [hex.to_owned(), hex.to_uppercase(), format!(" {hex} ")];
        for header in hexes {
            assert_eq!(check(query, body, &header), Ok(Verified { encoding: Encoding::Hex, secret: 0 }));
        }
        let url_safe = base64.replace('+', "-").replace('/', "_");
        for header in [base64, base64.trim_end_matches('='), &url_safe, url_safe.trim_end_matches('=')] {
            assert_eq!(check(query, body, header), Ok(Verified { encoding: Encoding::Base64, secret: 0 }));
        }
    }
}

#[test]
fn pairs_are_sorted_by_the_bytes_of_their_keys() {
    let hex = sign(&SecretString::from(SECRET), &[], b"B2a1\xc3\xa93{}");
    assert_eq!(check(&[("é", "3"), ("a", "1"), ("B", "2")], b"{}", &hex).map(|_| ()), Ok(()));
}

#[test]
fn pairs_of_a_form_are_decoded_and_sorted_in_with_those_of_the_address() {
    let body = b"name=basic+plan&JSONString=%7B%22item%22%3A1%7D";
    // The order is JSONString, event, name: capital letters come first.
    let signed = sign(&SecretString::from(SECRET), &[], br#"JSONString{"item":1}eventupdatednamebasic plan"#);
    for content_type in [Some("application/x-www-form-urlencoded; charset=UTF-8"), Some("text/plain"), None] {
        let query = pairs(&[("event", "updated")]);
        let verified = verify(&secrets(&[SECRET]), &query, content_type, body, Some(&signed));
        assert!(verified.is_ok(), "{content_type:?}");
    }
}

#[test]
fn a_raw_body_under_a_wrong_content_type_is_still_a_raw_body() {
    let form = Some("application/x-www-form-urlencoded");
    assert!(verify(&secrets(&[SECRET]), &[], form, ITEM, Some(ITEM_HEX)).is_ok());
}

#[test]
fn any_of_several_secrets_signs_while_one_is_being_replaced() {
    let both = secrets(&["NewSecret0123456", SECRET]);
    let verified = verify(&both, &[], None, ITEM, Some(ITEM_HEX));
    assert_eq!(verified, Ok(Verified { encoding: Encoding::Hex, secret: 1 }));
    let gone = verify(&secrets(&["NewSecret0123456"]), &[], None, ITEM, Some(ITEM_HEX));
    assert_eq!(gone, Err(SignatureError::Wrong));
}

#[test]
fn a_delivery_without_signature_is_refused() {
    assert_eq!(verify(&secrets(&[SECRET]), &[], None, ITEM, None), Err(SignatureError::Missing));
    for blank in ["", "   "] {
        assert_eq!(check(&[], ITEM, blank), Err(SignatureError::Missing));
    }
}

#[test]
fn what_cannot_be_a_signature_is_malformed() {
    let huge = "a".repeat(1 << 20);
    let two = format!("{ITEM_HEX}, {ITEM_HEX}");
    let zoho_payments = format!("t=1700000000,v={ITEM_HEX}");
    for header in [
        &ITEM_HEX[..63],
        &ITEM_HEX[..62],
        &ITEM_BASE64[..40],
        "zz",
        "{}",
        "sha256=",
        "é",
        &huge,
        &two,
        &zoho_payments,
    ] {
        assert_eq!(check(&[], ITEM, header), Err(SignatureError::Malformed), "{:.80}", header);
    }
}

#[test]
fn a_forged_signature_never_verifies() {
    let zeros = "0".repeat(64);
    let of_another_body = sign(&SecretString::from(SECRET), &[], b"{}");
    let with_another_key = sign(&SecretString::from("OtherSecret01234"), &[], ITEM);
    let changed = format!("e{}", &ITEM_HEX[1..]);
    for header in [&zeros, &of_another_body, &with_another_key, &changed] {
        assert_eq!(check(&[], ITEM, header), Err(SignatureError::Wrong), "{header}");
    }
    assert_eq!(check(&[("event", "deleted")], ITEM, ITEM_HEX), Err(SignatureError::Wrong));
    assert_eq!(check(&[], &[ITEM, b" "].concat(), ITEM_HEX), Err(SignatureError::Wrong));
}

#[test]
fn an_empty_secret_verifies_nothing() {
    let empty = SecretString::from("");
    assert_eq!(sign(&empty, &[], ITEM), "");
    // This is the HMAC-SHA256 of an empty message under an empty key.
    let header = "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad";
    assert_eq!(verify(&[empty], &[], None, b"", Some(header)), Err(SignatureError::Wrong));
    assert_eq!(verify(&[], &[], None, ITEM, Some(ITEM_HEX)), Err(SignatureError::Wrong));
}

/// Pairs have no delimiter, so characters that can be shifted between pairs must decide nothing.
#[test]
fn shifting_the_boundary_of_a_pair_gains_nothing() {
    let hex = sign(&SecretString::from(SECRET), &pairs(&[("event", "deleted")]), ITEM);
    assert!(check(&[("eventd", "eleted")], ITEM, &hex).is_ok(), "Zoho's scheme cannot tell these apart");
    assert_eq!(tds_zoho::webhook::event_type(None), "updated");
    let moved = [b"eventdeleted", ITEM].concat();
    if check(&[], &moved, &hex).is_ok() {
        let parsed = crate::bodies::parse("products", &moved);
        assert!(matches!(parsed.disposition, tds_core::inbox::Disposition::Unparsed(_)));
    }
}

#[test]
fn errors_do_not_contain_the_secret() {
    for error in [SignatureError::Missing, SignatureError::Malformed, SignatureError::Wrong] {
        assert!(!format!("{error} {error:?}").contains(SECRET));
    }
}
