//! Counts in messages: a number and its noun, in the singular for one.

use std::borrow::Cow;

/// A count with its noun, which is passed in the singular: `1 element`, `0 retries`.
pub fn counted(count: u64, singular: &str) -> String {
    format!("{count} {}", noun(count, singular))
}

/// The noun alone, for a count that is formatted in another way: `element` for 1, `elements` for all others.
pub fn noun(count: u64, singular: &str) -> Cow<'_, str> {
    if count == 1 {
        return Cow::Borrowed(singular);
    }
    let before_y = singular.strip_suffix('y').filter(|stem| !stem.ends_with(['a', 'e', 'i', 'o', 'u']));
    Cow::Owned(match before_y {
        Some(stem) => format!("{stem}ies"),
        None if singular.ends_with(['s', 'x']) || singular.ends_with("ch") || singular.ends_with("sh") => {
            format!("{singular}es")
        }
        None => format!("{singular}s"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_plurals() {
        assert_eq!([0, 1, 2].map(|count| counted(count, "element")), ["0 elements", "1 element", "2 elements"]);
        let several = ["byte", "copy", "retry", "key", "pass", "branch", "failed call", "dead letter"];
        assert_eq!(
            several.map(|singular| noun(2, singular).into_owned()),
            ["bytes", "copies", "retries", "keys", "passes", "branches", "failed calls", "dead letters"]
        );
    }
}
