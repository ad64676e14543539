//! Parses one expression. Recursion is bounded by [`Limits::depth`].

use super::ast::{Key, Node};
use super::check_call::check_call;
use super::cursor::Cursor;
use super::error::ExpressionError;
use super::limits::Limits;
use super::number::Number;
use super::operators::{self, Operator};
use super::references::{Form, Reference, VARIABLE_NAMES, references, unknown_variable_message};
use crate::text::spelling::{nearest, truncated};
use std::borrow::Cow;

/// Keys that a path may always have, however low the depth limit is.
const MIN_ALLOWED_KEYS: usize = 16;

type ParseResult<T> = Result<T, ExpressionError>;

/// Parses the expression whose `$` is at byte `start` of `raw`, the content of a JSON string; returns it with its end.
/// `None` if no known name follows the `$`, which is then plain text.
pub(super) fn parse<'a>(raw: &'a str, start: usize, limits: &Limits) -> ParseResult<Option<(Node<'a>, usize)>> {
    let mut parser = Parser {
        cursor: Cursor::new(raw, start),
        depth_left: limits.depth.min(Limits::MAX_DEPTH),
        max_depth: limits.depth.min(Limits::MAX_DEPTH),
    };
    parser.cursor.eat('$');
    let node = parser.after_dollar(start)?;
    Ok(node.map(|node| (node, parser.cursor.offset())))
}

struct Parser<'a> {
    cursor: Cursor<'a>,
    /// How many more levels of nesting are allowed.
    depth_left: usize,
    max_depth: usize,
}

impl<'a> Parser<'a> {
    /// Fails with a message about the character at byte `offset`.
    fn fail<T>(&self, offset: usize, message: impl AsRef<str>) -> ParseResult<T> {
        let position = self.cursor.position_of(offset);
        Err(ExpressionError::malformed(format!(
            "at character {position}: {}",
            message.as_ref()
        )))
    }

    /// Fails with a message about the current position.
    fn fail_here<T>(&self, message: impl AsRef<str>) -> ParseResult<T> {
        self.fail(self.cursor.offset(), message)
    }

    /// Parses what follows the `$` at `start`; `None` if it is no known name.
    fn after_dollar(&mut self, start: usize) -> ParseResult<Option<Node<'a>>> {
        let name = self.cursor.identifier();
        let next = self.cursor.peek();
        if let Some((reference, form)) = Reference::find(name) {
            return match (form, next) {
                (Form::Bare, Some('(')) => self.empty_parentheses(reference, start).map(Some),
                (Form::Bare, _) => Ok(Some(self.reference(reference, Vec::new(), start))),
                (Form::Path, Some('{')) => self.path(reference, start).map(Some),
                (Form::Parenthesized, Some('(')) => self.variable(reference, start).map(Some),
                (Form::Path | Form::Parenthesized, _) => Ok(None),
            };
        }
        match (operators::find(name), next) {
            (Some(operator), Some('(')) => self.call(operator, start).map(Some),
            (Some(operator), Some('{')) if operator.signature.braces => self.braced(operator, start).map(Some),
            _ => Ok(None),
        }
    }

    fn reference(&self, reference: Reference, path: Vec<Key<'a>>, start: usize) -> Node<'a> {
        Node::Reference {
            reference,
            path,
            source_text: self.cursor.text_since(start),
        }
    }

    fn empty_parentheses(&mut self, reference: Reference, start: usize) -> ParseResult<Node<'a>> {
        self.cursor.eat('(');
        self.cursor.skip_space();
        if !self.cursor.eat(')') {
            return self.fail_here(format!(
                "${} takes no arguments; it is {}",
                reference.name(),
                reference.example()
            ));
        }
        Ok(self.reference(reference, Vec::new(), start))
    }

    fn variable(&mut self, reference: Reference, start: usize) -> ParseResult<Node<'a>> {
        self.cursor.eat('(');
        self.cursor.skip_space();
        let name_start = self.cursor.offset();
        let name = self.cursor.identifier();
        if !VARIABLE_NAMES.contains(&name) {
            return self.fail(name_start, format!("$Var {}", unknown_variable_message(name)));
        }
        self.cursor.skip_space();
        if !self.cursor.eat(')') {
            return self.fail_here("$Var(…) is not closed; `)` is missing");
        }
        Ok(self.reference(reference, vec![name.into()], start))
    }

    /// One or more keys in braces, each of them `a`, `a.b` or `"a.b"`.
    fn path(&mut self, reference: Reference, start: usize) -> ParseResult<Node<'a>> {
        let mut keys = Vec::with_capacity(2);
        while self.cursor.eat('{') {
            self.keys(reference, start, &mut keys)?;
        }
        Ok(self.reference(reference, keys, start))
    }

    fn keys(&mut self, reference: Reference, start: usize, keys: &mut Vec<Key<'a>>) -> ParseResult<()> {
        self.cursor.skip_space();
        if let Some(quote @ ('"' | '\'')) = self.cursor.peek() {
            keys.push(self.quoted(quote)?);
            self.cursor.skip_space();
            if !self.cursor.eat('}') {
                return self.fail(start, unbalanced_braces_message(reference));
            }
            return Ok(());
        }
        let keys_start = self.cursor.offset();
        loop {
            match self.cursor.peek() {
                Some('}') => break,
                None | Some('{') => return self.fail(start, unbalanced_braces_message(reference)),
                Some(_) => self.cursor.next(),
            };
        }
        let raw = self.cursor.text_since(keys_start).trim();
        self.cursor.eat('}');
        if raw.split('.').any(|key| key.trim().is_empty()) {
            return self.fail(keys_start, format!("${}{{…}} has an empty key", reference.name()));
        }
        if keys.len() + raw.split('.').count() > self.max_depth.max(MIN_ALLOWED_KEYS) {
            return self.fail(start, format!("${}{{…}} has too many keys", reference.name()));
        }
        keys.extend(raw.split('.').map(|key| super::cursor::unescape(key.trim())));
        Ok(())
    }

    /// `$Size{…}` and `$Length{…}`: one expression in braces.
    fn braced(&mut self, operator: &'static Operator, start: usize) -> ParseResult<Node<'a>> {
        self.cursor.eat('{');
        self.cursor.skip_space();
        let argument = self.nested(Self::argument)?;
        self.cursor.skip_space();
        if !self.cursor.eat('}') {
            let message = format!(
                "${}{{…}} is not closed; it is {}",
                operator.signature.name, operator.signature.usage
            );
            return self.fail(start, message);
        }
        Ok(Node::Call {
            operator,
            arguments: vec![argument],
        })
    }

    fn call(&mut self, operator: &'static Operator, start: usize) -> ParseResult<Node<'a>> {
        self.cursor.eat('(');
        let arguments = self.nested(|parser| parser.items(')', Self::argument))?;
        let Some(arguments) = arguments else {
            let message = format!(
                "the call of ${} is not closed; it is {}",
                operator.signature.name, operator.signature.usage
            );
            return self.fail(start, message);
        };
        if let Err(message) = check_call(&operator.signature, &arguments) {
            return self.fail(start, message);
        }
        Ok(Node::Call { operator, arguments })
    }

    /// Parses something one level deeper.
    fn nested<T>(&mut self, read: impl FnOnce(&mut Self) -> ParseResult<T>) -> ParseResult<T> {
        let Some(depth_left) = self.depth_left.checked_sub(1) else {
            let max_depth = self.max_depth;
            return self.fail_here(format!(
                "is nested more than {max_depth} deep; simplify it, or raise `expressions.maxDepth`"
            ));
        };
        self.depth_left = depth_left;
        let result = read(self);
        self.depth_left += 1;
        result
    }

    /// Parses comma-separated items up to `end`; `None` if the text ends before that.
    fn items<T>(&mut self, end: char, read: impl Fn(&mut Self) -> ParseResult<T>) -> ParseResult<Option<Vec<T>>> {
        let mut items = Vec::new();
        self.cursor.skip_space();
        if self.cursor.eat(end) {
            return Ok(Some(items));
        }
        loop {
            self.cursor.skip_space();
            if self.cursor.peek().is_none() {
                return Ok(None);
            }
            items.push(read(self)?);
            self.cursor.skip_space();
            if self.cursor.eat(end) {
                return Ok(Some(items));
            }
            if !self.cursor.eat(',') {
                return match self.cursor.peek() {
                    None => Ok(None),
                    Some(other) => self.fail_here(format!("expected `,` or `{end}`, found `{other}`")),
                };
            }
        }
    }

    fn argument(&mut self) -> ParseResult<Node<'a>> {
        let start = self.cursor.offset();
        match self.cursor.peek() {
            Some('$') => self.nested_expression(start),
            Some(quote @ ('"' | '\'')) => Ok(Node::Text(self.quoted(quote)?)),
            Some('-' | '+' | '.' | '0'..='9') => self.number(),
            Some('<' | '>' | '=' | '!') => Ok(Node::Text(self.comparison().into())),
            Some('[') => self.list(),
            Some('{') => self.object(),
            Some(character) if character.is_ascii_alphabetic() => self.constant(start),
            Some(')' | ',' | ']' | '}') => self.fail_here("an argument is missing"),
            Some(other) => self.fail_here(format!("`{other}` begins no argument; texts stand in quotes")),
            None => self.fail_here("the text ends where an argument is expected"),
        }
    }

    fn nested_expression(&mut self, start: usize) -> ParseResult<Node<'a>> {
        self.cursor.eat('$');
        if let Some(node) = self.after_dollar(start)? {
            return Ok(node);
        }
        let source_text = self.cursor.text_since(start);
        let name = source_text.trim_start_matches('$');
        if let Some((reference, _)) = Reference::find(name) {
            return self.fail(
                start,
                format!("{source_text} is incomplete; it is {}", reference.example()),
            );
        }
        if let Some(operator) = operators::find(name) {
            return self.fail(
                start,
                format!("{source_text} is incomplete; it is {}", operator.signature.usage),
            );
        }
        let known = operators::operators().map(|signature| signature.name);
        match nearest(name, known.chain(references().map(Reference::name))) {
            Some(known) => self.fail(
                start,
                format!("there is no ${}; did you mean ${known}?", truncated(name)),
            ),
            None => self.fail(
                start,
                format!("there is no ${}; texts stand in quotes", truncated(name)),
            ),
        }
    }

    /// Parses a string literal. A backslash quotes the next character, apart from `\n` (line feed) and `\t` (tab).
    fn quoted(&mut self, quote: char) -> ParseResult<Cow<'a, str>> {
        let start = self.cursor.offset();
        self.cursor.next();
        if let Some(text) = self.cursor.take_unescaped(quote) {
            return Ok(text.into());
        }
        let mut text = String::new();
        loop {
            match self.cursor.next() {
                None => return self.fail(start, format!("the text is not closed; {quote} is missing")),
                Some(character) if character == quote => return Ok(text.into()),
                Some('\\') => match self.cursor.next() {
                    Some('n') => text.push('\n'),
                    Some('t') => text.push('\t'),
                    other => text.extend(other),
                },
                Some(character) => text.push(character),
            }
        }
    }

    fn number(&mut self) -> ParseResult<Node<'a>> {
        let start = self.cursor.offset();
        while let Some('-' | '+' | '.' | 'e' | 'E' | '0'..='9') = self.cursor.peek() {
            self.cursor.next();
        }
        let source_text = self.cursor.text_since(start);
        let number = match source_text.parse() {
            Ok(integer) => Some(Number::Integer(integer)),
            Err(_) => source_text.parse().ok().and_then(Number::finite),
        };
        match number {
            Some(number) => Ok(Node::Number(number)),
            None => self.fail(start, format!("{} is no number", truncated(source_text))),
        }
    }

    fn comparison(&mut self) -> &'a str {
        let start = self.cursor.offset();
        while let Some('<' | '>' | '=' | '!') = self.cursor.peek() {
            self.cursor.next();
        }
        self.cursor.text_since(start)
    }

    fn constant(&mut self, start: usize) -> ParseResult<Node<'a>> {
        match self.cursor.identifier() {
            "true" => Ok(Node::Bool(true)),
            "false" => Ok(Node::Bool(false)),
            "null" => Ok(Node::Null),
            word => {
                let word = truncated(word);
                self.fail(
                    start,
                    format!("{word} is no value; texts stand in quotes, as in '{word}'"),
                )
            }
        }
    }

    fn list(&mut self) -> ParseResult<Node<'a>> {
        let start = self.cursor.offset();
        self.cursor.next();
        match self.nested(|parser| parser.items(']', Self::argument))? {
            Some(items) => Ok(Node::List(items)),
            None => self.fail(start, "the list is not closed; `]` is missing"),
        }
    }

    fn object(&mut self) -> ParseResult<Node<'a>> {
        let start = self.cursor.offset();
        self.cursor.next();
        match self.nested(|parser| parser.items('}', Self::entry))? {
            Some(entries) => Ok(Node::Object(entries)),
            None => self.fail(start, "the object is not closed; `}` is missing"),
        }
    }

    fn entry(&mut self) -> ParseResult<(Cow<'a, str>, Node<'a>)> {
        let key = match self.cursor.peek() {
            Some(quote @ ('"' | '\'')) => self.quoted(quote)?,
            _ => self.cursor.identifier().into(),
        };
        if key.is_empty() {
            return self.fail_here("an object's key is missing");
        }
        self.cursor.skip_space();
        if !self.cursor.eat(':') {
            return self.fail_here("`:` is missing after an object's key");
        }
        self.cursor.skip_space();
        Ok((key, self.argument()?))
    }
}

fn unbalanced_braces_message(reference: Reference) -> String {
    format!(
        "the braces of ${}{{…}} are not balanced; it is {}",
        reference.name(),
        reference.example()
    )
}
