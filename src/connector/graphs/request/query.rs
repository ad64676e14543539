//! Reads a query of the job's own, and finds the parameters that it names.

use super::{InputFields, type_mismatch};
use crate::connector::Failure;
use crate::connector::databases::json::Json;
use crate::connector::graphs::operation::Operation;
use crate::resources::graph_input;
use crate::text::spelling::truncated;

impl InputFields<'_> {
    pub(super) fn query(&self) -> Result<Operation, Failure> {
        self.reject_unknown_fields(graph_input::QUERY)?;
        let json = self.required(&["query", "cypher", "text"], "a string of Cypher")?;
        let text = json
            .as_text()
            .ok_or_else(|| type_mismatch("query", "a string of Cypher", json))?;
        if text.trim().is_empty() {
            return Err(Failure::invalid(
                "input.query: is empty; it must be a string of Cypher, such as 'MATCH (n) RETURN count(n)'",
            ));
        }
        let params = match self.get(&["params", "parameters"])? {
            None => Vec::new(),
            Some(json) => match json.value() {
                Json::Map(entries) => entries.clone(),
                _ => return Err(type_mismatch("params", "an object of names and values", json)),
            },
        };
        let given = |name: &str| params.iter().any(|(known, _)| **known == *name);
        if let Some(missing) = parameters_of(text).into_iter().find(|name| !given(name)) {
            return Err(Failure::invalid(format!(
                "input.params: lacks '{}', which the Cypher names as a parameter",
                truncated(missing)
            )));
        }
        Ok(Operation::Query {
            text: text.into(),
            params,
            auto_commit: self.flag("autoCommit")?,
        })
    }
}

/// The names behind `$` in Cypher, but for those in texts, quoted names and comments.
fn parameters_of(cypher: &str) -> Vec<&str> {
    let mut names = Vec::new();
    let mut rest = cypher;
    while let Some(at) = rest.find(['$', '\'', '"', '`', '/']) {
        let (_, from) = rest.split_at(at);
        rest = match from.as_bytes() {
            [b'$', ..] => {
                let (name, after) = name_of(from.get(1..).unwrap_or_default());
                names.extend(name);
                after
            }
            [b'/', b'/', ..] => from.split_once(['\n', '\r']).map_or("", |(_, after)| after),
            [b'/', b'*', ..] => from.split_once("*/").map_or("", |(_, after)| after),
            [b'/', ..] => from.get(1..).unwrap_or_default(),
            [quote, ..] => behind_quote(from.get(1..).unwrap_or_default(), char::from(*quote)),
            [] => "",
        };
    }
    names
}

/// The name of a parameter, if there is one, and what follows.
fn name_of(text: &str) -> (Option<&str>, &str) {
    if let Some((name, after)) = text.strip_prefix('`').and_then(|quoted| quoted.split_once('`')) {
        return (Some(name), after);
    }
    let is_of_name = |character: char| character.is_alphanumeric() || character == '_';
    let end = text.find(|character| !is_of_name(character)).unwrap_or(text.len());
    let (name, after) = text.split_at(end);
    ((!name.is_empty()).then_some(name), after)
}

/// What follows a quoted text: a backslash escapes all but in names.
fn behind_quote(text: &str, quote: char) -> &str {
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        if character == '\\' && quote != '`' {
            characters.next();
        } else if character == quote {
            return text.get(at + 1..).unwrap_or_default();
        }
    }
    ""
}

#[cfg(test)]
mod tests {
    use super::parameters_of;

    #[test]
    fn parameters_are_names_behind_a_dollar_outside_of_quotes_and_comments() {
        for (cypher, expected) in [
            ("RETURN $a, $b_1+$2", &["a", "b_1", "2"][..]),
            (
                "MATCH (n {a: $`x y`}) RETURN '$no', \"$no\", n.`$no`, $yes",
                &["x y", "yes"],
            ),
            ("RETURN 'it\\'s $no', $yes // $no", &["yes"]),
            ("// $no '\nRETURN 4 / $yes /* $no */", &["yes"]),
            ("MATCH (n:$(label)) RETURN n", &[]),
            ("RETURN '$no", &[]),
            ("$", &[]),
        ] {
            assert_eq!(parameters_of(cypher), expected, "{cypher}");
        }
    }
}
