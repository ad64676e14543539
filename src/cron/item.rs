//! One item of a field's list: `5`, `MON-FRI`, `*/15`, `10-20/5`, `L`, `15W`, `1#2`, `5L`.
//!
//! It must not know the other fields or items. Invariant: an item that is returned lies within
//! the range of its field; an error's position lies within the item or right after it.

use super::days::LAST_ORDINAL;
use super::error::quote_excerpt;
use super::{CronError, Field};

/// What one item selects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Item {
    /// Bit n for value n; `star` if the item begins with `*`.
    Values { bits: u64, star: bool },
    /// `L` as a day of the month.
    LastDay,
    /// `LW`.
    LastWorkday,
    /// `15W`.
    NearWorkday(u32),
    /// `1#2`, and `1L` with the ordinal [`LAST_ORDINAL`].
    Nth { weekday: u32, ordinal: u32 },
}

/// Reads an item that begins at byte `start` of the expression; `alone` tells whether it is the
/// only one of its field.
pub(super) fn read_item(field: Field, start: usize, text: &str, alone: bool) -> Result<Item, CronError> {
    let mut reader = ItemReader {
        field,
        start,
        text,
        at: 0,
    };
    if text.is_empty() {
        return Err(reader.error(0, "an item of the list is empty", "remove the extra comma"));
    }
    let item = match reader.peek() {
        Some(b'*') => reader.star()?,
        Some(b'?') => reader.question(alone)?,
        Some(b'L' | b'l') if field == Field::DayOfMonth => reader.last_day()?,
        _ => reader.value_or_range()?,
    };
    match reader.rest() {
        "" => Ok(item),
        rest => Err(reader.unexpected_text_error(rest)),
    }
}

/// Reads one item from left to right.
pub(super) struct ItemReader<'t> {
    pub(super) field: Field,
    /// The byte of the expression at which the item begins.
    pub(super) start: usize,
    pub(super) text: &'t str,
    /// The byte of the item to be read next.
    pub(super) at: usize,
}

impl<'t> ItemReader<'t> {
    pub(super) fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<u8> {
        self.rest().bytes().next()
    }

    fn skip(&mut self, byte: u8) -> bool {
        let found = self.peek().is_some_and(|next| next.eq_ignore_ascii_case(&byte));
        self.at += usize::from(found);
        found
    }

    /// Consumes the following bytes while they satisfy `accepts`.
    fn take(&mut self, accepts: fn(&u8) -> bool) -> &'t str {
        let rest = self.rest();
        let length = rest.bytes().take_while(accepts).count();
        self.at += length;
        rest.get(..length).unwrap_or_default()
    }

    fn star(&mut self) -> Result<Item, CronError> {
        self.at += 1;
        self.stepped(self.field.smallest(), self.field.largest_of_star(), true)
    }

    fn question(&mut self, alone: bool) -> Result<Item, CronError> {
        let day_field = matches!(self.field, Field::DayOfMonth | Field::DayOfWeek);
        if !day_field {
            return Err(self.error(0, "`?` is for the two day fields only", "write `*`"));
        }
        if !alone || self.text.len() > 1 {
            return Err(self.error(0, "`?` stands alone in its field", "write `*`"));
        }
        self.star()
    }

    fn last_day(&mut self) -> Result<Item, CronError> {
        self.at += 1;
        if self.peek() == Some(b'-') {
            let message = format!("{} counts back from the last day", quote_excerpt(self.text));
            let hint = "`L-n` is not supported; use `L`, or a fixed day such as `28`";
            return Err(self.error(0, &message, hint));
        }
        Ok(if self.skip(b'W') {
            Item::LastWorkday
        } else {
            Item::LastDay
        })
    }

    fn value_or_range(&mut self) -> Result<Item, CronError> {
        let first = self.value()?;
        if self.skip(b'-') {
            let last_at = self.at;
            let last = self.value()?;
            return self.range(first, self.sunday_at_the_end(first, last, last_at));
        }
        match (self.field, self.peek()) {
            (_, Some(b'/')) => Err(self.step_without_range_error(first)),
            (Field::DayOfMonth, Some(b'W' | b'w')) => {
                self.at += 1;
                Ok(Item::NearWorkday(first))
            }
            (Field::DayOfWeek, Some(b'L' | b'l')) => {
                self.at += 1;
                Ok(Item::Nth {
                    weekday: first % 7,
                    ordinal: LAST_ORDINAL,
                })
            }
            (Field::DayOfWeek, Some(b'#')) => self.nth(first % 7),
            _ => Ok(Item::Values {
                bits: 1 << first,
                star: false,
            }),
        }
    }

    /// `SAT-SUN` means 6-7: a week may end with a Sunday that is written by name.
    fn sunday_at_the_end(&self, first: u32, last: u32, last_at: usize) -> u32 {
        let by_name = self.text.as_bytes().get(last_at).is_some_and(u8::is_ascii_alphabetic);
        let sunday = self.field == Field::DayOfWeek && last == 0;
        if sunday && by_name && first > 0 { 7 } else { last }
    }

    fn range(&mut self, first: u32, last: u32) -> Result<Item, CronError> {
        if first > last {
            let message = format!("the range {} runs backwards", quote_excerpt(self.text));
            return Err(self.error(0, &message, self.split_range_hint(first, last)));
        }
        self.stepped(first, last, false)
    }

    /// The rest of a range: nothing, or a step.
    fn stepped(&mut self, first: u32, last: u32, star: bool) -> Result<Item, CronError> {
        let step = if self.skip(b'/') { self.step()? } else { 1 };
        let bits = (first..=last)
            .step_by(step)
            .fold(0_u64, |bits, value| bits | 1 << value);
        Ok(Item::Values { bits, star })
    }

    fn step(&mut self) -> Result<usize, CronError> {
        let at = self.at;
        let digits = self.take(u8::is_ascii_digit);
        let span = self.field.value_count();
        let valid = format!("use a step of 1 to {span}");
        if digits.is_empty() {
            return Err(self.error(at, "a step is missing after `/`", valid));
        }
        match number(digits) {
            0 => Err(self.error(at, &format!("{} is no step", quote_excerpt(digits)), valid)),
            step if step > span => {
                let message = format!("the step {} is larger than the field", quote_excerpt(digits));
                let hint = format!("{valid}, or the `every` option for any other interval");
                Err(self.error(at, &message, hint))
            }
            step => Ok(step as usize),
        }
    }

    fn nth(&mut self, weekday: u32) -> Result<Item, CronError> {
        self.at += 1;
        let at = self.at;
        if self.skip(b'L') {
            return Ok(Item::Nth {
                weekday,
                ordinal: LAST_ORDINAL,
            });
        }
        let digits = self.take(u8::is_ascii_digit);
        match number(digits) {
            ordinal @ 1..=5 if !digits.is_empty() => Ok(Item::Nth { weekday, ordinal }),
            _ => {
                let message = format!("{} names no week of the month", quote_excerpt(self.text));
                Err(self.error(at, &message, "use `#1` to `#5`, or `L` for the last"))
            }
        }
    }

    /// A number or a name, within the range of the field.
    fn value(&mut self) -> Result<u32, CronError> {
        let at = self.at;
        if self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            let digits = self.take(u8::is_ascii_digit);
            let value = number(digits);
            if !(self.field.smallest()..=self.field.largest()).contains(&value) {
                let message = format!("{} is out of range", quote_excerpt(digits));
                return Err(self.error(at, &message, self.field.valid_values_hint()));
            }
            return Ok(value);
        }
        let letters = self.take(u8::is_ascii_alphabetic);
        if letters.is_empty() {
            let message = match self.rest() {
                "" => format!("a value is missing in {}", quote_excerpt(self.text)),
                rest => format!("{} is not a value", quote_excerpt(rest)),
            };
            return Err(self.error(at, &message, self.field.valid_values_hint()));
        }
        // `MONL` is a name and the suffix `L`, which the caller reads.
        let (name, suffix) = letters.split_at(letters.len().min(3));
        match self.field.value_of_name(name) {
            Some(value) if matches!(suffix, "" | "L" | "l") => {
                self.at -= suffix.len();
                Ok(value)
            }
            _ => Err(self.unknown_name_error(at, letters)),
        }
    }
}

/// The value of decimal digits; too many of them count as the largest number.
fn number(digits: &str) -> u32 {
    digits.bytes().fold(0_u32, |value, digit| {
        value
            .saturating_mul(10)
            .saturating_add(u32::from(digit.wrapping_sub(b'0')))
    })
}
