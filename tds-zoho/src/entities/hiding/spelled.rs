//! How a webhook with a template of its own may spell the keys of a record: a person wrote them.

/// Between these characters a key names what is inside something else: `contact.phone`, `CONTACT[email]`.
const INSIDE: [char; 9] = ['.', '[', ']', '/', ':', '$', '{', '}', '|'];

/// How many names of a record or a person may stand before the name of a value, as in `invoice_contact_phone`.
const MOST_BEFORE: usize = 3;

/// A key of a body, without case and without what separates its words.
pub(super) struct Spelled {
    /// The whole key, after the key of the object in which it is.
    whole: String,
    /// The part after the last separator of parts.
    last: String,
    /// The parts before it, with the key of the object.
    around: Vec<String>,
}

/// Returns the letters and digits of a key, without case.
pub(super) fn plain(key: &str) -> String {
    key.chars().filter(|it| it.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

impl Spelled {
    /// Reads a key of an object that is itself under the key `parent`.
    pub(super) fn of(parent: Option<&str>, key: &str) -> Self {
        let is_name = |part: &&str| !part.is_empty() && !part.bytes().all(|byte| byte.is_ascii_digit());
        let parts = parent.into_iter().chain([key]).flat_map(|key| key.split(INSIDE)).filter(is_name);
        let mut around: Vec<String> = parts.map(plain).collect();
        let whole = around.concat();
        Self { whole, last: around.pop().unwrap_or_default(), around }
    }

    /// Returns true if the key is inside one of these lists of the record.
    pub(super) fn is_inside<'a>(&self, mut lists: impl Iterator<Item = &'a str>) -> bool {
        lists.any(|list| self.around.contains(&plain(list)))
    }

    /// Returns true if the key names this value of a record. `before`: the names that may stand before the value, plain,
    /// the longest first.
    pub(super) fn is(&self, name: &str, before: &[String]) -> bool {
        let name = plain(name);
        let is_named = |key: &str| {
            // Zoho adds other spellings of a value beside it.
            let rest = key.strip_prefix(name.as_str());
            rest.is_some_and(|rest| matches!(rest, "" | "formatted" | "unformatted"))
        };
        [&self.whole, &self.last].into_iter().any(|key| {
            let mut key = key.as_str();
            for _ in 0..MOST_BEFORE {
                if is_named(key) {
                    return true;
                }
                let Some(rest) = before.iter().find_map(|it| key.strip_prefix(it.as_str())) else {
                    return false;
                };
                key = rest;
            }
            is_named(key)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_separators_and_names_of_records_do_not_hide_a_key() {
        let before = ["customers", "customer", "contacts", "contact", "invoice"].map(str::to_owned);
        let is = |parent: Option<&str>, key: &str, name: &str| Spelled::of(parent, key).is(name, &before);
        for key in [
            "PHONE",
            "Phone",
            "contact_phone",
            "contact.phone",
            "CONTACT[phone]",
            "contactPhone",
            "Contact Phone",
            "contact-persons[0][phone]",
            "invoice.contact_phone",
            "${contact.phone}",
            "phone_formatted",
        ] {
            assert!(is(None, key, "phone"), "{key}");
        }
        for key in ["telephone", "phone_id", "contact", "id", "phones", "smartphone"] {
            assert!(!is(None, key, "phone"), "{key}");
        }
        assert!(is(Some("contact"), "name", "contact_name") && !is(Some("item"), "name", "contact_name"));
        assert!(
            is(None, "Customer Name", "customer_name") && is(Some("x"), "CUSTOMER_NAME", "customer_name")
        );
        let line = Spelled::of(None, "invoice[line_items][0][description]");
        assert!(line.is_inside(["line_items"].into_iter()) && line.is("description", &before));
        assert!(!Spelled::of(None, "description").is_inside(["line_items"].into_iter()));
    }
}
