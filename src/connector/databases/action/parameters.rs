//! The parameters that SQL of a definition has of its own: `$1`, `?`, `:name`.
//!
//! Pure. Invariant: what is in quotes, in a comment or between `{{` and `}}` is no parameter.

use crate::connector::databases::dialect::Dialect;

/// What a text of SQL has of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Parameters {
    /// How many values are bound to those that are counted: `?`, or the greatest number of PostgreSQL.
    pub(super) count: usize,
    /// Whether SQLite has others, by name or number, so that their number is not known.
    pub(super) are_named: bool,
}

impl Parameters {
    pub(super) fn of(sql: &str, dialect: Dialect) -> Self {
        let mut found = Self::default();
        let (mut rest, mut before) = (sql, ' ');
        while let Some(first) = rest.chars().next() {
            let next = match skipped(rest, before, dialect) {
                Some(next) => next,
                None => {
                    found.add(rest, before, dialect);
                    rest.get(first.len_utf8()..).unwrap_or_default()
                }
            };
            (rest, before) = (next, first);
        }
        found
    }

    pub(super) fn are_none(self) -> bool {
        self == Self::default()
    }

    /// Notes the parameter that a text begins with, if it does.
    fn add(&mut self, rest: &str, before: char, dialect: Dialect) {
        let mut characters = rest.chars();
        let first = characters.next().unwrap_or_default();
        let follows = characters.next().unwrap_or_default();
        match (dialect, first) {
            (Dialect::Postgres, '$') if !is_of_name(before) => {
                let digits: String = rest.chars().skip(1).take_while(char::is_ascii_digit).collect();
                self.count = self.count.max(digits.parse().unwrap_or_default());
            }
            (Dialect::MySql | Dialect::Dynamo, '?') => self.count += 1,
            (Dialect::Sqlite, '?') if follows.is_ascii_digit() => self.are_named = true,
            (Dialect::Sqlite, '?') => self.count += 1,
            (Dialect::Sqlite, ':' | '@' | '$') if is_of_name(follows) && !is_of_name(before) => self.are_named = true,
            _ => {}
        }
    }
}

/// The rest behind a string, a quoted name, a comment or a placeholder, if a text begins with one.
fn skipped(rest: &str, before: char, dialect: Dialect) -> Option<&str> {
    let behind = |open: usize, close: &str| {
        let inside = rest.get(open..).unwrap_or_default();
        Some(inside.split_once(close).map_or("", |(_, behind)| behind))
    };
    match (rest.as_bytes().first()?, dialect) {
        (b'{', _) if rest.starts_with("{{") => behind(2, "}}"),
        (b'\'', Dialect::Postgres) if matches!(before, 'e' | 'E') => Some(behind_escaped(rest, '\'')),
        (b'\'', Dialect::MySql) => Some(behind_escaped(rest, '\'')),
        (b'"', Dialect::MySql) => Some(behind_escaped(rest, '"')),
        (b'\'', _) => behind(1, "'"),
        (b'"', _) => behind(1, "\""),
        (b'`', Dialect::MySql | Dialect::Sqlite) => behind(1, "`"),
        (b'[', Dialect::Sqlite) => behind(1, "]"),
        (b'#', Dialect::MySql) => behind(1, "\n"),
        // What stands in such a comment is run.
        (b'/', Dialect::MySql) if rest.starts_with("/*!") => rest.get(3..),
        (b'/', _) if rest.starts_with("/*") => behind(2, "*/"),
        (b'-', Dialect::MySql) if rest.starts_with("--") => {
            let is_comment = rest.chars().nth(2).is_none_or(char::is_whitespace);
            is_comment.then(|| behind(2, "\n")).flatten()
        }
        (b'-', _) if rest.starts_with("--") => behind(2, "\n"),
        (b'$', Dialect::Postgres) if !is_of_name(before) => {
            let (tag, _) = rest.get(1..)?.split_once('$')?;
            let is_tag = tag.chars().all(is_of_name) && !tag.starts_with(|first: char| first.is_ascii_digit());
            is_tag.then(|| behind(tag.len() + 2, &format!("${tag}$"))).flatten()
        }
        _ => None,
    }
}

/// The rest behind a string in which a backslash escapes.
fn behind_escaped(rest: &str, quote: char) -> &str {
    let mut characters = rest.char_indices().skip(1);
    while let Some((at, character)) = characters.next() {
        if character == '\\' {
            characters.next();
        } else if character == quote {
            return rest.get(at + 1..).unwrap_or_default();
        }
    }
    ""
}

fn is_of_name(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_counted_outside_quotes_and_comments() {
        let count = |count| Parameters {
            count,
            are_named: false,
        };
        for (dialect, sql, expected) in [
            (Dialect::Postgres, "SELECT $2, $1, $1", count(2)),
            (Dialect::Dynamo, "SELECT id FROM \"t?\" WHERE id = ?", count(1)),
            (
                Dialect::Postgres,
                "SELECT '$1', \"$2\", E'\\'$3', $$ $4 $$, $x$ $5 $x$, a$6",
                count(0),
            ),
            (
                Dialect::Postgres,
                "-- $1\nSELECT j ? 'a' /* $2 */, {{a}}, $1::int",
                count(1),
            ),
            (
                Dialect::MySql,
                "SELECT ?, '?', 'it\\'s ?', \"?\", `?` # ?\n-- ?\n, 1--?",
                count(2),
            ),
            (Dialect::MySql, "SELECT /*! ?, */ /* ? */ @a := 1", count(1)),
            (
                Dialect::Sqlite,
                "SELECT ?, '?', [?], {{n:integer}}, 'it''s ?'",
                count(1),
            ),
            (
                Dialect::Sqlite,
                "SELECT :a, ?",
                Parameters {
                    count: 1,
                    are_named: true,
                },
            ),
            (
                Dialect::Sqlite,
                "SELECT ?2",
                Parameters {
                    count: 0,
                    are_named: true,
                },
            ),
        ] {
            assert_eq!(Parameters::of(sql, dialect), expected, "{sql}");
        }
    }
}
