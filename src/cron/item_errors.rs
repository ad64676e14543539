//! The messages and hints for items that the item reader rejects.
//!
//! It must not read further. Invariant: a replacement that a hint suggests is a valid item.

use super::error::quote_excerpt;
use super::item::ItemReader;
use super::{CronError, Field};

impl ItemReader<'_> {
    /// Two forward ranges that together mean what a backward one was meant to.
    pub(super) fn split_range_hint(&self, first: u32, last: u32) -> String {
        let part = |from: u32, to: u32| match from == to {
            true => from.to_string(),
            false => format!("{from}-{to}"),
        };
        let field = self.field;
        let to_the_end = part(first, field.largest_of_star().max(first));
        format!("write `{to_the_end},{}`", part(field.smallest(), last))
    }

    /// Suggests a range for `5/15`, which lacks one; a step that is invalid too becomes 2.
    pub(super) fn step_without_range_error(&self, first: u32) -> CronError {
        let message = format!("{} has a step but no range", quote_excerpt(self.text));
        let last = self.field.largest_of_star().max(first);
        let parsed_step = self.rest().trim_start_matches('/').parse();
        let step = match parsed_step {
            Ok(step) if (1..=self.field.value_count()).contains(&step) => step,
            _ => 2,
        };
        self.error(0, &message, format!("write `{first}-{last}/{step}`"))
    }

    pub(super) fn unknown_name_error(&self, at: usize, letters: &str) -> CronError {
        let shown = quote_excerpt(letters);
        let short = letters.get(..3).unwrap_or_default();
        let upper = letters.to_ascii_uppercase();
        match (self.field, upper.as_str(), Field::of_name(short)) {
            (field, _, Some(owner)) if owner == field => {
                let hint = format!("use three letters, as in `{}`", short.to_ascii_uppercase());
                self.error(at, &format!("{shown} is not a {field} name"), hint)
            }
            (field, _, Some(owner)) => {
                let message = format!("{shown} is a {owner} name, not a {field}");
                self.error(at, &message, field.valid_values_hint())
            }
            (Field::DayOfWeek, "L", _) => {
                let hint = "use `5L` for the last Friday, `6` for Saturday, or `L` as day-of-month";
                self.error(at, "`L` alone is not a day-of-week", hint)
            }
            (field, "L" | "LW", _) => {
                let hint = format!(
                    "the last day of the month is a day-of-month; {}",
                    field.valid_values_hint()
                );
                self.error(at, &format!("{shown} is not a {field}"), hint)
            }
            (Field::DayOfMonth, "W" | "WL", _) => {
                let hint = "write `15W` for the workday nearest to the 15th, `LW` for the last";
                self.error(at, &format!("{shown} names no day"), hint)
            }
            (_, "H", _) => {
                let hint = "write a fixed value, and use the `spread` option to scatter jobs";
                self.error(at, "`H`, a hashed value, is not supported", hint)
            }
            (field, _, None) => self.error(at, &format!("{shown} is not a {field}"), field.valid_values_hint()),
        }
    }

    pub(super) fn unexpected_text_error(&self, rest: &str) -> CronError {
        let hint = match (self.field, rest.bytes().next()) {
            (Field::DayOfMonth, Some(b'L' | b'l')) => "write `L` alone for the last day".to_owned(),
            (Field::DayOfWeek, Some(b'W' | b'w')) => "`W` belongs to day-of-month".to_owned(),
            (_, Some(b'~')) => "random values are not supported; use the `spread` option".to_owned(),
            (_, Some(b'L' | b'l' | b'W' | b'w' | b'#')) => {
                "`L`, `W` and `#` follow a single day, not a range or another field".to_owned()
            }
            _ => format!("end the item before it; {}", self.field.valid_values_hint()),
        };
        self.error(
            self.at,
            &format!("unexpected {} in {}", quote_excerpt(rest), quote_excerpt(self.text)),
            hint,
        )
    }

    pub(super) fn error(&self, at: usize, message: &str, hint: impl Into<String>) -> CronError {
        CronError::in_field(self.field, self.start + at, message.to_owned(), hint)
    }
}
