//! One string with expressions in it: finds them and replaces them by their values.

use super::ast::Node;
use super::error::ExpressionError;
use super::evaluate::Evaluator;
use super::json::slice;
use super::limits::Limits;
use super::parse::parse;
use super::substitution::LITERAL;
use memchr::memchr;

/// A part of the content of a string.
pub(super) enum Part<'a> {
    /// Text that is copied verbatim, escapes included.
    Text(&'a str),
    Expression(Node<'a>),
}

/// Iterates over the parts of the content of a string.
pub(super) struct Parts<'a, 'l> {
    raw: &'a str,
    at: usize,
    limits: &'l Limits,
    /// An expression that was found after the text that was returned last.
    pending: Option<Node<'a>>,
}

impl<'a, 'l> Parts<'a, 'l> {
    /// The parts of `raw`, the content of a JSON string with its escapes.
    pub(super) fn of(raw: &'a str, limits: &'l Limits) -> Self {
        Self {
            raw,
            at: 0,
            limits,
            pending: None,
        }
    }

    fn advance(&mut self) -> Result<Option<Part<'a>>, ExpressionError> {
        if let Some(node) = self.pending.take() {
            return Ok(Some(Part::Expression(node)));
        }
        let start = self.at;
        let mut from = start;
        let bytes = self.raw.as_bytes();
        while let Some(found) = bytes.get(from..).and_then(|rest| memchr(b'$', rest)) {
            let dollar = from + found;
            if bytes.get(dollar + 1) == Some(&b'$') {
                self.at = dollar + 2;
                return Ok(Some(Part::Text(slice(self.raw, start, dollar + 1))));
            }
            if let Some((node, end)) = parse(self.raw, dollar, self.limits)? {
                self.at = end;
                if dollar == start {
                    return Ok(Some(Part::Expression(node)));
                }
                self.pending = Some(node);
                return Ok(Some(Part::Text(slice(self.raw, start, dollar))));
            }
            from = dollar + 1;
        }
        self.at = self.raw.len();
        let rest = slice(self.raw, start, self.raw.len());
        Ok((!rest.is_empty()).then_some(Part::Text(rest)))
    }
}

impl<'a> Iterator for Parts<'a, '_> {
    type Item = Result<Part<'a>, ExpressionError>;

    fn next(&mut self) -> Option<Self::Item> {
        let part = self.advance().transpose();
        if let Some(Err(_)) = part {
            self.at = self.raw.len();
        }
        part
    }
}

/// Appends the JSON that replaces the string with the content `raw`: the value of an expression that stands alone, in
/// its own type, or else a string.
pub(super) fn render<'a>(
    raw: &'a str,
    limits: &Limits,
    evaluator: &mut Evaluator<'_, 'a>,
    out: &mut String,
) -> Result<(), ExpressionError> {
    let mut parts = Parts::of(raw, limits);
    let Some(first) = parts.next().transpose()? else {
        out.push_str("\"\"");
        return Ok(());
    };
    let second = parts.next().transpose()?;
    match (first, second) {
        (Part::Expression(node), None) => {
            evaluator.found_literal = false;
            let value = evaluator.output(node)?;
            let start = out.len();
            value.write_json(out);
            let written = out.get(start..).unwrap_or_default();
            if evaluator.found_literal && evaluator.literals.keeps(written) {
                let marked = format!("{{\"{LITERAL}\":{written}}}");
                out.truncate(start);
                out.push_str(&marked);
            }
        }
        (first, second) => {
            out.push('"');
            for part in [Some(first), second].into_iter().flatten().map(Ok).chain(parts) {
                match part? {
                    Part::Text(text) => out.push_str(text),
                    Part::Expression(node) => evaluator.output(node)?.write_string_content(out),
                }
            }
            out.push('"');
        }
    }
    Ok(())
}
