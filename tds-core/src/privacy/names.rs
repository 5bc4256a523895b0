//! Whether a stored text names a record: by the digits of its id, and not by those of a longer id.

/// Returns true if the bytes contain the id, and no digit stands directly before or after it.
///
/// The bytes are a body as it arrived, JSON, or an error text. In a form, an escape such as `%22` may stand before the id,
/// and `\u0022` in JSON: these digits belong to a quotation mark, so the id begins after them.
#[must_use]
pub fn names(bytes: &[u8], id: &str) -> bool {
    let id = id.as_bytes();
    if id.is_empty() {
        return false;
    }
    let found = bytes.windows(id.len()).enumerate().filter(|(_, window)| *window == id);
    found.map(|(at, _)| (bytes.get(..at), bytes.get(at + id.len()..))).any(|(before, after)| {
        let before = before.unwrap_or_default();
        let is_begin = !ends_in_digit(before) || ends_in_escape(before);
        is_begin && !after.unwrap_or_default().first().is_some_and(u8::is_ascii_digit)
    })
}

fn ends_in_digit(bytes: &[u8]) -> bool {
    bytes.last().is_some_and(u8::is_ascii_digit)
}

fn ends_in_escape(bytes: &[u8]) -> bool {
    let before_hex = |digits: usize| {
        let (before, hex) = bytes.split_at_checked(bytes.len().checked_sub(digits)?)?;
        hex.iter().all(u8::is_ascii_hexdigit).then_some(before)
    };
    if before_hex(4).is_some_and(|before| before.ends_with(b"\\u")) {
        return true;
    }
    // A form inside a form escapes the percent sign as well: %2522.
    let mut before = before_hex(2).unwrap_or_default();
    while let Some(inner) = before.strip_suffix(b"25") {
        before = inner;
    }
    before.ends_with(b"%")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_named_by_its_own_digits_only() {
        let id = "46000";
        let named = [
            "46000",
            "{\"customer_id\":\"46000\"}",
            "{\"customer_id\": 46000}",
            "customer_id=46000&total=5",
            "JSONString=%7B%22customer_id%22%3A%2246000%22%7D",
            "outer=%257B%2522customer_id%2522%253A%252246000%2522%257D",
            "{\"body\":\"{\\u0022customer_id\\u0022:\\u002246000\\u0022}\"}",
            "line\n46000",
            "1460001 and 46000, too",
            "\u{663}46000",
        ];
        for text in named {
            assert!(names(text.as_bytes(), id), "{text}");
        }
        assert!(names(b"\xff\xfe46000\xff", id), "bytes that are no text");
        let others = [
            "",
            "4600",
            "460001",
            "146000",
            "{\"customer_id\":\"460001\",\"total\":146000}",
            "customer_id%22%3A%22146000%22",
            "\\u0022146000",
        ];
        for text in others {
            assert!(!names(text.as_bytes(), id), "{text}");
        }
        assert!(!names(b"anything", ""));
    }
}
