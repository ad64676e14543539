//! Operators on dates.

use super::arguments::{Arguments, OperatorResult};
use super::calendar::{add_units, format_date, local_time};
use super::number::Number;
use super::value::Value;

pub(super) fn add<'a>(arguments: &mut Arguments<'_, 'a>) -> OperatorResult<'a> {
    let zone = arguments.scope.zone;
    let date = arguments.date(0, zone)?;
    let count = arguments.integer(1)?;
    let unit = arguments.unit(2)?;
    match add_units(date, count, unit, zone) {
        Some(ms) => Ok(Value::Number(Number::Integer(ms))),
        None => arguments.fail("the result is beyond all dates"),
    }
}

pub(super) fn format<'a>(arguments: &mut Arguments<'_, 'a>) -> OperatorResult<'a> {
    let zone = arguments.scope.zone;
    let date = arguments.date(0, zone)?;
    let pattern = arguments.text(1)?;
    Ok(Value::Text(format_date(local_time(date, zone), &pattern).into()))
}
