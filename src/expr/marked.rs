//! Inputs in which only marked texts are expressions, as inputs in which every text with a `$` may be one.
//!
//! Invariants: nothing but a string that begins with the mark becomes an expression; no mark is left. A mark is random text that
//! nobody outside the process knows, so that data cannot have it.

use super::json::{skip_space, slice, string_end, string_start, value_end};
use super::substitution::LITERAL;
use memchr::{memchr, memmem};
use std::borrow::Cow;

/// What becomes of texts without a mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unmarked {
    /// They become literals.
    Literal,
    /// They stay as they are.
    AsIs,
}

/// The input with its marks undone: `"<mark>text"` is the expression `"text"`, and `{ "<mark>": value }` the literal
/// `{ "$literal": value }`.
#[must_use]
pub fn without_marks<'a>(text: &'a str, mark: &str, unmarked: Unmarked) -> Cow<'a, str> {
    if unmarked == Unmarked::AsIs && memmem::find(text.as_bytes(), mark.as_bytes()).is_none() {
        return Cow::Borrowed(text);
    }
    let bytes = text.as_bytes();
    let mut out = String::new();
    let (mut copied, mut at) = (0, 0);
    while let Some(found) = bytes.get(at..).and_then(|rest| memchr(b'$', rest)) {
        // In valid JSON a `$` is always inside a string.
        let Some(start) = string_start(text, at + found) else {
            break;
        };
        let end = string_end(text, at + found) + 1;
        let content = slice(text, start + 1, end.saturating_sub(1));
        at = end;
        let colon = skip_space(text, end);
        if bytes.get(colon) == Some(&b':') {
            let is_marked = content == mark;
            if !is_marked && (content != LITERAL || unmarked == Unmarked::AsIs) {
                continue;
            }
            let Some((object, value)) = only_member(text, start, colon + 1) else {
                continue;
            };
            let inner = if is_marked { value } else { object };
            out.push_str(slice(text, copied, object.0));
            push_literal(&mut out, &as_data(slice(text, inner.0, inner.1), mark));
            (copied, at) = (object.1, object.1);
        } else if let Some(expression) = content.strip_prefix(mark) {
            out.push_str(slice(text, copied, start + 1));
            out.push_str(expression);
            copied = end.saturating_sub(1);
        } else if unmarked == Unmarked::Literal {
            out.push_str(slice(text, copied, start));
            push_literal(&mut out, slice(text, start, end));
            copied = end;
        }
    }
    if copied == 0 {
        return as_data(text, mark);
    }
    out.push_str(slice(text, copied, text.len()));
    // Where a part of the input was made by `JSON.stringify` in its turn, marks stand within texts, and mean nothing there.
    Cow::Owned(match as_data(&out, mark) {
        Cow::Borrowed(_) => out,
        Cow::Owned(without) => without,
    })
}

/// Bytes of the marks in a text.
#[must_use]
pub fn mark_bytes(text: &str, mark: &str) -> usize {
    memmem::find_iter(text.as_bytes(), mark.as_bytes()).count() * mark.len()
}

fn push_literal(out: &mut String, value: &str) {
    out.push_str("{\"");
    out.push_str(LITERAL);
    out.push_str("\":");
    out.push_str(value);
    out.push('}');
}

/// What stands in a literal: its marks stay what they were written for, and mean nothing.
fn as_data<'a>(text: &'a str, mark: &str) -> Cow<'a, str> {
    if memmem::find(text.as_bytes(), mark.as_bytes()).is_none() {
        return Cow::Borrowed(text);
    }
    let key = format!("\"{mark}\":");
    let text = text.replace(&key, &format!("\"{LITERAL}\":"));
    Cow::Owned(text.replace(mark, ""))
}

/// Where the object whose key begins at `key` is, and its value, which follows `after_colon`; `None`: it has other keys.
fn only_member(text: &str, key: usize, after_colon: usize) -> Option<((usize, usize), (usize, usize))> {
    let bytes = text.as_bytes();
    let open = bytes.get(..key)?.iter().rposition(|byte| !byte.is_ascii_whitespace())?;
    let value = skip_space(text, after_colon);
    let end = value_end(text, value);
    let close = skip_space(text, end);
    let is_only = bytes.get(open) == Some(&b'{') && bytes.get(close) == Some(&b'}');
    is_only.then_some(((open, close + 1), (value, end)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARK: &str = "$0f";

    #[test]
    fn only_marked_texts_are_expressions() {
        for (written, stored) in [
            (r#"{"a":"b"}"#, r#"{"a":"b"}"#),
            (r#"{"at":"$0f$Now()"}"#, r#"{"at":"$Now()"}"#),
            (
                r#"{"at": "$0f$Now()", "c":"$Secret{K}", "n":1.50}"#,
                r#"{"at": "$Now()", "c":{"$literal":"$Secret{K}"}, "n":1.50}"#,
            ),
            (r#"["$","$0f$Add(1, \"$\")"]"#, r#"[{"$literal":"$"},"$Add(1, \"$\")"]"#),
            // Not at the beginning it marks nothing, and is not kept.
            (r#"["$Now() $0f$Now()"]"#, r#"[{"$literal":"$Now() $Now()"}]"#),
            // Keys are data.
            (r#"{"$Now()":{"$lt":"$0f$Now()"}}"#, r#"{"$Now()":{"$lt":"$Now()"}}"#),
            // What looks like a literal is data.
            (
                r#"{"a":{"$literal":"$Now()"}}"#,
                r#"{"a":{"$literal":{"$literal":"$Now()"}}}"#,
            ),
            (
                r#"{"a":{"$literal":"$0f$Now()"}}"#,
                r#"{"a":{"$literal":{"$literal":"$Now()"}}}"#,
            ),
            (
                r#"{"a":{"$literal":1,"b":"$"}}"#,
                r#"{"a":{"$literal":1,"b":{"$literal":"$"}}}"#,
            ),
            // A literal of the program's own.
            (
                r#"{"a":{"$0f":["$Now()"]},"b":"$0f$Now"}"#,
                r#"{"a":{"$literal":["$Now()"]},"b":"$Now"}"#,
            ),
            (
                r#"{"$0f":{"a":{"$0f":1},"b":"$0f$Now"}}"#,
                r#"{"$literal":{"a":{"$literal":1},"b":"$Now"}}"#,
            ),
            // Written by JSON.stringify within.
            (r#"{"a":"[\"$0f$Now()\"]"}"#, r#"{"a":{"$literal":"[\"$Now()\"]"}}"#),
            (r#"{"a":"$0f$Add(1, 2) $0f"}"#, r#"{"a":"$Add(1, 2) "}"#),
        ] {
            assert_eq!(without_marks(written, MARK, Unmarked::Literal), stored, "{written}");
        }
    }

    #[test]
    fn where_texts_may_be_expressions_marks_are_taken_away() {
        for (written, stored) in [
            (r#"{"a":"$Now()"}"#, r#"{"a":"$Now()"}"#),
            (
                r#"{"a":"$Now()","b":"$0f$Now()","c":{"$literal":1},"d":{"$0f":"$"}}"#,
                r#"{"a":"$Now()","b":"$Now()","c":{"$literal":1},"d":{"$literal":"$"}}"#,
            ),
        ] {
            assert_eq!(without_marks(written, MARK, Unmarked::AsIs), stored, "{written}");
        }
    }

    #[test]
    fn cut_json_ends() {
        let whole = r#"{"a":{"$0f":["$Now()",{"$literal":"$0f$"}]},"b":"$0f$Now"}"#;
        for end in 0..=whole.len() {
            for unmarked in [Unmarked::Literal, Unmarked::AsIs] {
                let _ = without_marks(&whole[..end], MARK, unmarked);
            }
        }
    }
}
