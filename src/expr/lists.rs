//! Operators on lists.

use super::arguments::{Arguments, OperatorResult};
use super::compare::Comparison;
use super::error::ExpressionError;
use super::number::Number;
use super::value::Value;

pub(super) fn concat<'a>(arguments: &mut Arguments<'_, 'a>) -> OperatorResult<'a> {
    join_values(arguments, "")
}

pub(super) fn join<'a>(arguments: &mut Arguments<'_, 'a>) -> OperatorResult<'a> {
    join_values(arguments, ",")
}

fn join_values<'a>(arguments: &mut Arguments<'_, 'a>, default_delimiter: &'static str) -> OperatorResult<'a> {
    let values = arguments.list(0)?;
    let delimiter = if arguments.has(1) {
        arguments.text(1)?
    } else {
        default_delimiter.into()
    };
    let mut text = String::new();
    for (index, value) in values.into_iter().enumerate() {
        if index > 0 {
            text.push_str(&delimiter);
        }
        // Charged before the text grows.
        arguments
            .budget
            .charge_text(value.approximate_bytes() + delimiter.len())?;
        arguments.budget.check_text_size(text.len())?;
        text.push_str(&value.into_display_text());
    }
    arguments.budget.charge_text(text.len())?;
    Ok(Value::Text(text.into()))
}

pub(super) fn pick<'a>(arguments: &mut Arguments<'_, 'a>) -> OperatorResult<'a> {
    let mut values = arguments.list(0)?;
    let index = arguments.integer(1)?;
    let length = values.len();
    let from_start = if index < 0 {
        index.saturating_add(i64::try_from(length).unwrap_or(i64::MAX))
    } else {
        index
    };
    match usize::try_from(from_start).ok().filter(|index| *index < length) {
        Some(index) => Ok(values.swap_remove(index)),
        None => arguments.fail(&format!(
            "index {index} is out of range, the list has {length} elements"
        )),
    }
}

pub(super) fn filter<'a>(arguments: &mut Arguments<'_, 'a>) -> OperatorResult<'a> {
    let (values, comparison, wanted) = search_arguments(arguments)?;
    let holds = |value: &Value<'a>| comparison.holds(value, &wanted);
    Ok(Value::List(values.into_iter().filter(holds).collect()))
}

pub(super) fn find<'a>(arguments: &mut Arguments<'_, 'a>) -> OperatorResult<'a> {
    let (values, comparison, wanted) = search_arguments(arguments)?;
    let found = values.into_iter().find(|value| comparison.holds(value, &wanted));
    Ok(found.unwrap_or(Value::Null))
}

fn search_arguments<'a>(
    arguments: &mut Arguments<'_, 'a>,
) -> Result<(Vec<Value<'a>>, Comparison, Value<'a>), ExpressionError> {
    let values = arguments.list(0)?;
    let comparison = arguments.comparison(1)?;
    let wanted = arguments.take(2);
    // Each comparison may read both of its operands entirely.
    let wanted_bytes = wanted.approximate_bytes().saturating_mul(values.len());
    let list_bytes = values.iter().map(Value::approximate_bytes).sum::<usize>();
    arguments
        .budget
        .charge_read(wanted_bytes.saturating_add(list_bytes).saturating_mul(4))?;
    Ok((values, comparison, wanted))
}

pub(super) fn size<'a>(arguments: &mut Arguments<'_, 'a>) -> OperatorResult<'a> {
    count_with(arguments, str::len)
}

pub(super) fn length<'a>(arguments: &mut Arguments<'_, 'a>) -> OperatorResult<'a> {
    count_with(arguments, |text| text.chars().count())
}

fn count_with<'a>(arguments: &mut Arguments<'_, 'a>, of_text: fn(&str) -> usize) -> OperatorResult<'a> {
    let value = arguments.take(0);
    let kind = value.kind();
    arguments.budget.charge_read(value.approximate_bytes())?;
    let count = value.count().or_else(|| value.text().ok().map(|text| of_text(&text)));
    match count.and_then(|count| i64::try_from(count).ok()) {
        Some(count) => Ok(Value::Number(Number::Integer(count))),
        None => arguments.fail(&format!("needs a list, an object or a string, got {kind}")),
    }
}
