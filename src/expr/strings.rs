//! Operators on numbers and strings.

use super::arguments::{Arguments, OperatorResult};
use super::error::ExpressionError;
use super::number::Number;
use super::value::Value;
use std::borrow::Cow;

pub(super) fn add<'a>(arguments: &mut Arguments<'_, 'a>) -> OperatorResult<'a> {
    fold(arguments, |a, b| a.add(b))
}

pub(super) fn subtract<'a>(arguments: &mut Arguments<'_, 'a>) -> OperatorResult<'a> {
    fold(arguments, |a, b| a.subtract(b))
}

fn fold<'a>(
    arguments: &mut Arguments<'_, 'a>,
    combine: impl Fn(Number<'a>, Number<'a>) -> Option<Number<'static>>,
) -> OperatorResult<'a> {
    let mut total = arguments.number(0)?;
    for index in 1..arguments.values.len() {
        let next = arguments.number(index)?;
        match combine(total, next) {
            Some(combined) => total = combined,
            None => return arguments.fail("the result is beyond all numbers"),
        }
    }
    Ok(Value::Number(total))
}

pub(super) fn substring<'a>(arguments: &mut Arguments<'_, 'a>) -> OperatorResult<'a> {
    let text = arguments.text(0)?;
    let start = arguments.integer(1)?;
    let end = if arguments.has(2) {
        Some(arguments.integer(2)?)
    } else {
        None
    };
    let length = text.chars().count();
    let from_start = |index: i64| {
        let steps = usize::try_from(index.unsigned_abs()).unwrap_or(usize::MAX);
        if index < 0 {
            length.saturating_sub(steps)
        } else {
            steps.min(length)
        }
    };
    let (start, end) = (from_start(start), end.map_or(length, from_start));
    let byte_offset = |index: usize| text.char_indices().nth(index).map_or(text.len(), |(at, _)| at);
    let range = byte_offset(start)..byte_offset(end.max(start));
    Ok(Value::Text(substring_at(&text, range)))
}

/// A part of a string, borrowed if the string is.
fn substring_at<'a>(text: &Cow<'a, str>, range: std::ops::Range<usize>) -> Cow<'a, str> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.get(range).unwrap_or_default()),
        Cow::Owned(text) => Cow::Owned(text.get(range).unwrap_or_default().to_owned()),
    }
}

pub(super) fn trim<'a>(arguments: &mut Arguments<'_, 'a>) -> OperatorResult<'a> {
    let text = arguments.text(0)?;
    let start = text.len() - text.trim_start().len();
    let end = start + text.trim().len();
    Ok(Value::Text(substring_at(&text, start..end)))
}

pub(super) fn split<'a>(arguments: &mut Arguments<'_, 'a>) -> OperatorResult<'a> {
    let text = arguments.text(0)?;
    let delimiter = arguments.text(1)?;
    let mut parts = Vec::new();
    let mut start = 0;
    let mut push = |arguments: &mut Arguments<'_, 'a>, range| {
        arguments.budget.spend_steps(1)?;
        parts.push(Value::Text(substring_at(&text, range)));
        Ok::<(), ExpressionError>(())
    };
    if delimiter.is_empty() {
        for (at, character) in text.char_indices() {
            push(arguments, at..at + character.len_utf8())?;
        }
    } else {
        for (at, found) in text.match_indices(&*delimiter) {
            push(arguments, start..at)?;
            start = at + found.len();
        }
        push(arguments, start..text.len())?;
    }
    Ok(Value::List(parts))
}

pub(super) fn uppercase<'a>(arguments: &mut Arguments<'_, 'a>) -> OperatorResult<'a> {
    Ok(Value::Text(arguments.text(0)?.to_uppercase().into()))
}

pub(super) fn lowercase<'a>(arguments: &mut Arguments<'_, 'a>) -> OperatorResult<'a> {
    Ok(Value::Text(arguments.text(0)?.to_lowercase().into()))
}

pub(super) fn replace<'a>(arguments: &mut Arguments<'_, 'a>) -> OperatorResult<'a> {
    let text = arguments.text(0)?;
    let search = arguments.text(1)?;
    let replacement = arguments.text(2)?;
    if search.is_empty() {
        return arguments.fail("the text to search for must not be empty");
    }
    let occurrences = text.matches(&*search).count();
    if occurrences == 0 {
        return Ok(Value::Text(text));
    }
    // An upper bound of the result's length, charged before the result is made.
    arguments
        .budget
        .charge_text(text.len() + occurrences * replacement.len())?;
    Ok(Value::Text(text.replace(&*search, &replacement).into()))
}
