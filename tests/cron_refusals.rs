//! Every refusal names the place, the value and a way out.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr
)]

use ductape::cron::{CronError, CronExpr, Field};

fn refusal(text: &str) -> CronError {
    let error = CronExpr::parse(text).expect_err(text);
    assert!(text.is_char_boundary(error.position), "{text}: {error}");
    let shown = error.to_string();
    assert!(shown.contains(&error.message) && shown.contains(&error.hint), "{shown}");
    assert!(shown.contains(&format!("at position {}", error.position)), "{shown}");
    error
}

/// Asserts field, position, and a piece of what is displayed.
fn refused(text: &str, field: Option<Field>, position: usize, piece: &str) {
    let error = refusal(text);
    assert_eq!((error.field, error.position), (field, position), "{text}: {error}");
    assert!(error.to_string().contains(piece), "{text}: {error}");
}

#[test]
fn too_many_or_too_few_fields() {
    refused("*/15 * * * * *", None, 13, "6 fields: use `every` for seconds");
    refused("0 0 1 1 * 2026", None, 10, "`endDate` for years");
    refused("0 0 0 1 1 * 2026", None, 10, "7 fields: drop seconds and year");
    refused("* * * * * * * * *", None, 10, "9 fields instead of 5");
    refused("0 9 * *", None, 7, "4 fields instead of 5");
    refused("0 9 * *", None, 7, "day-of-week is missing");
    refused("*", None, 1, "1 field instead of 5");
    refused("", None, 0, "the expression is empty");
    refused(" \t ", None, 0, "the expression is empty");
}

#[test]
fn hashed_and_random_values_point_to_spread() {
    refused("H * * * *", Some(Field::Minute), 0, "`spread` option");
    refused("0 h(0-7) * * *", Some(Field::Hour), 2, "`spread` option");
    refused("0 0 1~15 * *", Some(Field::DayOfMonth), 5, "`spread` option");
}

#[test]
fn unsupported_uses_of_l_and_w() {
    use Field::{DayOfMonth, DayOfWeek, Hour, Month};
    refused("0 0 L-3 * *", Some(DayOfMonth), 4, "`L-n` is not supported");
    refused("0 0 * * L", Some(DayOfWeek), 8, "use `5L` for the last Friday");
    refused("0 0 * * 1,L", Some(DayOfWeek), 10, "`6` for Saturday");
    refused("0 0 5L * *", Some(DayOfMonth), 5, "write `L` alone");
    refused("0 0 W * *", Some(DayOfMonth), 4, "write `15W`");
    refused("0 0 1-15W * *", Some(DayOfMonth), 8, "follow a single day");
    refused("0 0 * * 5W", Some(DayOfWeek), 9, "`W` belongs to day-of-month");
    refused("0 L * * *", Some(Hour), 2, "is a day-of-month");
    refused("0 0 * L *", Some(Month), 6, "is a day-of-month");
    refused("0 0 * * 1#6", Some(DayOfWeek), 10, "use `#1` to `#5`");
    refused("0 0 * * 1#", Some(DayOfWeek), 10, "use `#1` to `#5`");
}

#[test]
fn steps_need_a_range_and_a_sensible_size() {
    refused("5/15 * * * *", Some(Field::Minute), 0, "write `5-59/15`");
    refused("0 2/3 * * *", Some(Field::Hour), 2, "write `2-23/3`");
    refused("0 0 * * MON/2", Some(Field::DayOfWeek), 8, "write `1-6/2`");
    refused("*/0 * * * *", Some(Field::Minute), 2, "use a step of 1 to 60");
    refused("*/90 * * * *", Some(Field::Minute), 2, "the `every` option");
    refused("0 */25 * * *", Some(Field::Hour), 4, "larger than the field");
    refused("*/ * * * *", Some(Field::Minute), 2, "a step is missing");
    refused("*/5/2 * * * *", Some(Field::Minute), 3, "unexpected `/2`");
}

#[test]
fn reversed_ranges_are_shown_as_two() {
    refused("0 22-2 * * *", Some(Field::Hour), 2, "write `22-23,0-2`");
    refused("0 0 * * FRI-MON", Some(Field::DayOfWeek), 8, "write `5-6,0-1`");
    refused("0 0 1 DEC-FEB *", Some(Field::Month), 6, "write `12,1-2`");
    refused("0 0 * * 6-0", Some(Field::DayOfWeek), 8, "write `6,0`");
    for split in ["0 22-23,0-2 * * *", "0 0 * * 5-6,0-1", "0 0 1 12,1-2 *", "0 0 * * 6,0"] {
        assert!(CronExpr::parse(split).is_ok(), "{split}");
    }
}

#[test]
fn lists_have_no_empty_items() {
    refused("1,,5 * * * *", Some(Field::Minute), 2, "remove the extra comma");
    refused(", * * * *", Some(Field::Minute), 0, "remove the extra comma");
    refused("0 0 * * 1,", Some(Field::DayOfWeek), 10, "remove the extra comma");
}

#[test]
fn names_belong_to_their_field_and_have_three_letters() {
    refused(
        "0 0 * * JAN",
        Some(Field::DayOfWeek),
        8,
        "`JAN` is a month name, not a day-of-week",
    );
    refused("0 0 MAR * *", Some(Field::DayOfMonth), 4, "`MAR` is a month name");
    refused(
        "MON 0 * * *",
        Some(Field::Minute),
        0,
        "`MON` is a day-of-week name, not a minute",
    );
    refused("0 0 * * monday", Some(Field::DayOfWeek), 8, "as in `MON`");
    refused("0 0 * JANUARY *", Some(Field::Month), 6, "as in `JAN`");
    refused("0 0 * * xyz", Some(Field::DayOfWeek), 8, "`xyz` is not a day-of-week");
}

#[test]
fn values_out_of_range_name_the_range() {
    refused("60 * * * *", Some(Field::Minute), 0, "`60` is out of range");
    refused("0 24 * * *", Some(Field::Hour), 2, "use 0-23");
    refused("0 0 0 * *", Some(Field::DayOfMonth), 4, "use 1-31");
    refused("0 0 1 13 *", Some(Field::Month), 6, "use 1-12 or JAN-DEC");
    refused("0 0 * * 1-8", Some(Field::DayOfWeek), 10, "0 and 7 are Sunday");
    refused("99999999999999999999 * * * *", Some(Field::Minute), 0, "use 0-59");
    refused("-5 * * * *", Some(Field::Minute), 0, "`-5` is not a value");
    refused("1- * * * *", Some(Field::Minute), 2, "a value is missing");
}

#[test]
fn question_marks_stand_alone_in_the_day_fields() {
    refused("? * * * *", Some(Field::Minute), 0, "write `*`");
    refused("0 0 * ? *", Some(Field::Month), 6, "the two day fields only");
    refused("0 0 ?,5 * *", Some(Field::DayOfMonth), 4, "stands alone");
    refused("0 0 * * ?/2", Some(Field::DayOfWeek), 8, "stands alone");
}

#[test]
fn strange_characters_are_named_by_code() {
    refused("0\u{a0}0 * * *", None, 1, "U+00A0) is not ASCII");
    refused("\u{ff10} 0 * * *", None, 0, "U+FF10");
    refused("0 0 * * 😀", None, 8, "use ASCII");
    refused("0\n0 * * *", None, 1, "U+000A");
    refused("0 0 * * *\n", None, 9, "on one line");
}

#[test]
fn long_texts_are_refused_unread() {
    let longest = format!("0 0 * * *{}", " ".repeat(247));
    assert!(CronExpr::parse(&longest).is_ok());
    refused(&format!("{longest} "), None, 256, "use at most 256 bytes");
    let accents = "é".repeat(300);
    assert_eq!(CronExpr::parse(&accents).expect_err("too long").position, 256);
    let odd = format!("0{}", "é".repeat(300));
    assert!(odd.is_char_boundary(CronExpr::parse(&odd).expect_err("too long").position));
    let shown = refusal(&format!("{} * * * *", "9".repeat(200))).to_string();
    assert!(shown.len() < 150, "{shown}");
}

#[test]
fn aliases_stand_alone_and_unknown_ones_list_the_known() {
    refused("@fortnightly", None, 0, "use @yearly");
    refused("@reboot", None, 0, "a queue never boots");
    refused("@every 5m", None, 0, "use the `every` option");
    refused("@daily 0 0 * * *", None, 7, "write the alias alone");
    refused("TZ=UTC 0 0 * * *", None, 0, "use the `tz` option");
    refused("CRON_TZ=UTC 0 0 * * *", None, 0, "use the `tz` option");
    assert_eq!(CronExpr::parse("@DAILY"), CronExpr::parse(" 0 0 * * * "));
}

#[test]
fn a_refusal_reads_as_one_lower_case_line() {
    assert_eq!(
        refusal("0 0 * * 8").to_string(),
        "`8` is out of range at position 8 in the day-of-week field; \
         use 0-7 (0 and 7 are Sunday), SUN-SAT, `1#2` or `5L`"
    );
    assert_eq!(
        refusal("*/15 * * * * *").to_string(),
        "6 fields instead of 5 at position 13; \
         6 fields: use `every` for seconds, `start_at` and `endDate` for years"
    );
}

/// A hint that spells out a replacement spells out a valid one.
#[test]
fn what_a_hint_says_to_write_is_accepted() {
    let ranges = [(0, 59), (0, 23), (1, 31), (1, 12), (0, 7)];
    for (index, (smallest, largest)) in ranges.into_iter().enumerate() {
        let expression = |item: &str| {
            let mut fields = ["0", "0", "*", "*", "*"];
            fields[index] = item;
            fields.join(" ")
        };
        for first in smallest..=largest {
            let reversed = (smallest..first).map(|last| format!("{first}-{last}"));
            for item in reversed.chain([format!("{first}/2")]) {
                let hint = refusal(&expression(&item)).hint;
                let replacement = hint.split('`').nth(1).expect("a replacement");
                assert!(CronExpr::parse(&expression(replacement)).is_ok(), "{item}: {hint}");
            }
        }
    }
}
