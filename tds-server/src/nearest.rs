//! Finds the name that a person may have meant when the written name does not exist.

/// Returns the name that differs least from the text, if it differs in at most a third of the letters of the name.
pub(crate) fn nearest<'a>(text: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let close = names.into_iter().map(|name| (distance(text, name), name)).min_by_key(|(far, _)| *far);
    close.filter(|(far, name)| far * 3 <= name.len().max(3)).map(|(_, name)| name)
}

/// Returns the nearest name as the end of a sentence, or an empty text if no name is near.
pub(crate) fn meant<'a>(text: &str, names: impl IntoIterator<Item = &'a str>) -> String {
    nearest(text, names).map(|name| format!("; did you mean {name}?")).unwrap_or_default()
}

/// Returns the end of a sentence that lists the accepted names: the nearest name, or a full stop.
pub(crate) fn ending<'a>(text: &str, names: impl IntoIterator<Item = &'a str>) -> String {
    Some(meant(text, names)).filter(|meant| !meant.is_empty()).unwrap_or_else(|| ".".to_owned())
}

/// Returns the number of letters that have to be added, removed, replaced or exchanged with their neighbour.
fn distance(one: &str, other: &str) -> usize {
    let (one, other): (Vec<char>, Vec<char>) = (one.chars().collect(), other.chars().collect());
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=other.len()).collect();
    for (i, letter) in one.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, wanted) in other.iter().enumerate() {
            let mut least = (last[j] + usize::from(letter != wanted)).min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && letter == &other[j - 1] && &one[i - 1] == wanted {
                least = least.min(before_last[j - 1] + 1);
            }
            row.push(least);
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last[other.len()]
}

#[cfg(test)]
mod tests {
    use super::{distance, meant, nearest};

    #[test]
    fn a_slip_finds_its_name_and_anything_else_finds_none() {
        let names = ["products", "prices", "customers", "credit_notes"];
        assert_eq!(nearest("product", names), Some("products"));
        assert_eq!(nearest("cusotmers", names), Some("customers"));
        assert_eq!(nearest("orders", names), None);
        assert_eq!(nearest("", names), None);
        assert_eq!(meant("BNID", ["BIND", "LEASE"]), "; did you mean BIND?");
    }

    #[test]
    fn exchanged_neighbours_are_one_slip() {
        assert_eq!((distance("abcd", "abdc"), distance("abc", "xyz"), distance("", "ab")), (1, 3, 2));
    }
}
