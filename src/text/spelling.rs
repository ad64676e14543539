//! Which known name a misspelt word most likely meant, and how messages show a word of a user's.

use super::visible::escaped;

/// Characters of a word that are compared; no known name is longer.
const MAX_COMPARED_CHARS: usize = 64;
/// Characters of a word that a message shows.
const MAX_SHOWN_CHARS: usize = 60;

/// A name as it is compared: in lower case, without `_`, `-`, `$` and spaces.
#[must_use]
pub fn simplified(name: &str) -> String {
    name.chars()
        .take(MAX_COMPARED_CHARS)
        .filter(|letter| !matches!(letter, '_' | '-' | '$' | ' '))
        .flat_map(char::to_lowercase)
        .collect()
}

/// Letters to insert, delete, replace or swap to make one name of the other, both [`simplified`].
#[must_use]
pub fn distance(word: &str, name: &str) -> usize {
    strsim::damerau_levenshtein(word, name)
}

/// The known name that differs from a word by at most a third of its letters.
pub fn nearest<T: AsRef<str>>(word: &str, known: impl IntoIterator<Item = T>) -> Option<T> {
    let word = simplified(word);
    known
        .into_iter()
        .map(|name| (distance(&word, &simplified(name.as_ref())), name))
        .filter(|(distance, name)| *distance <= (name.as_ref().len() / 3).max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// The end of a message about an unknown word: the name that was meant, else all that are known.
#[must_use]
pub fn suggestion(word: &str, known: &[&str]) -> String {
    match nearest(word, known) {
        Some(name) => format!("did you mean `{name}`?"),
        None => format!("known are {}", known.join(", ")),
    }
}

/// A word of a user's, cut to a length that a message can bear, and [escaped].
#[must_use]
pub fn truncated(word: &str) -> String {
    let cut = word.char_indices().nth(MAX_SHOWN_CHARS);
    let shown = escaped(cut.map_or(word, |(end, _)| word.get(..end).unwrap_or_default())).into_owned();
    if cut.is_some() { shown + "…" } else { shown }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_name_is_found_whatever_its_case_and_separators() {
        let known = ["conflictColumns", "updateColumns", "$notIn", "id"];
        for (word, expected) in [
            ("conflict_columns", Some("conflictColumns")),
            ("udpateColumns", Some("updateColumns")),
            ("$not_in", Some("$notIn")),
            ("ib", Some("id")),
            ("entirely different", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, known), expected, "{word}");
        }
        assert_eq!(suggestion("ib", &known[3..]), "did you mean `id`?");
        assert_eq!(suggestion("other", &["a1", "b2"]), "known are a1, b2");
    }

    #[test]
    fn long_words_are_cut_before_they_are_compared_or_shown() {
        let long = "ü".repeat(1_000_000);
        assert_eq!(nearest(&long, ["name"]), None);
        assert_eq!(truncated(&long).chars().count(), MAX_SHOWN_CHARS + 1);
        assert_eq!(truncated("short"), "short");
        assert_eq!(truncated("a\nb"), "a\\nb");
    }
}
