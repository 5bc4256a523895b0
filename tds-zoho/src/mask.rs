//! Keeps this program's own secrets out of texts that come from elsewhere: an answer may repeat a value of its request.

use reqwest::Url;

/// What stands in the place of a secret.
const MASK: &str = "…";

/// The shortest secret that is masked, in bytes. A shorter one is a part of ordinary words, which then would show it.
const SHORTEST: usize = 8;

/// Returns the text with each of the secrets masked, also where one is percent-encoded.
pub(crate) fn masked(text: &str, secrets: &[&str]) -> String {
    let mut secrets: Vec<String> = secrets.iter().flat_map(|one| [(*one).to_owned(), encoded(one)]).collect();
    secrets.retain(|secret| secret.len() >= SHORTEST);
    // A secret may be a part of a longer one.
    secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    secrets.iter().fold(text.to_owned(), |text, secret| text.replace(secret.as_str(), MASK))
}

/// Returns a text as a form or a query has it.
fn encoded(text: &str) -> String {
    let Ok(mut url) = Url::parse("x:") else { return String::new() };
    url.query_pairs_mut().append_key_only(text);
    url.query().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::masked;

    #[test]
    fn secrets_are_masked_longest_first_and_encoded_ones_too() {
        let text = "abcdefgh abcdefghijk a%2Fb+cdefg a/b cdefg x";
        let secrets = ["abcdefgh", "abcdefghijk", "a/b cdefg", "x", ""];
        assert_eq!(masked(text, &secrets), "… … … … x");
    }
}
