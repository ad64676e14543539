//! Every error names the position, the value and a remedy.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr
)]

use ductape::cron::{CronError, CronExpr, Field};

fn parse_error(text: &str) -> CronError {
    let error = CronExpr::parse(text).expect_err(text);
    assert!(text.is_char_boundary(error.position), "{text}: {error}");
    let shown = error.to_string();
    assert!(shown.contains(&error.message) && shown.contains(&error.hint), "{shown}");
    assert!(shown.contains(&format!("at position {}", error.position)), "{shown}");
    error
}

/// Asserts field, position, and a part of the message.
fn assert_error(text: &str, field: Option<Field>, position: usize, piece: &str) {
    let error = parse_error(text);
    assert_eq!((error.field, error.position), (field, position), "{text}: {error}");
    assert!(error.to_string().contains(piece), "{text}: {error}");
}

#[test]
fn wrong_number_of_fields_is_refused() {
    assert_error("*/15 * * * * *", None, 13, "6 fields: use `every` for seconds");
    assert_error("0 0 1 1 * 2026", None, 10, "`endDate` for years");
    assert_error("0 0 0 1 1 * 2026", None, 10, "7 fields: drop seconds and year");
    assert_error("* * * * * * * * *", None, 10, "9 fields instead of 5");
    assert_error("0 9 * *", None, 7, "4 fields instead of 5");
    assert_error("0 9 * *", None, 7, "day-of-week is missing");
    assert_error("*", None, 1, "1 field instead of 5");
    assert_error("", None, 0, "the expression is empty");
    assert_error(" \t ", None, 0, "the expression is empty");
}

#[test]
fn hashed_and_random_values_suggest_spread() {
    assert_error("H * * * *", Some(Field::Minute), 0, "`spread` option");
    assert_error("0 h(0-7) * * *", Some(Field::Hour), 2, "`spread` option");
    assert_error("0 0 1~15 * *", Some(Field::DayOfMonth), 5, "`spread` option");
}

#[test]
fn unsupported_uses_of_l_and_w_are_refused() {
    use Field::{DayOfMonth, DayOfWeek, Hour, Month};
    assert_error("0 0 L-3 * *", Some(DayOfMonth), 4, "`L-n` is not supported");
    assert_error("0 0 * * L", Some(DayOfWeek), 8, "use `5L` for the last Friday");
    assert_error("0 0 * * 1,L", Some(DayOfWeek), 10, "`6` for Saturday");
    assert_error("0 0 5L * *", Some(DayOfMonth), 5, "write `L` alone");
    assert_error("0 0 W * *", Some(DayOfMonth), 4, "write `15W`");
    assert_error("0 0 1-15W * *", Some(DayOfMonth), 8, "follow a single day");
    assert_error("0 0 * * 5W", Some(DayOfWeek), 9, "`W` belongs to day-of-month");
    assert_error("0 L * * *", Some(Hour), 2, "is a day-of-month");
    assert_error("0 0 * L *", Some(Month), 6, "is a day-of-month");
    assert_error("0 0 * * 1#6", Some(DayOfWeek), 10, "use `#1` to `#5`");
    assert_error("0 0 * * 1#", Some(DayOfWeek), 10, "use `#1` to `#5`");
}

#[test]
fn steps_need_a_range_and_a_sensible_size() {
    assert_error("5/15 * * * *", Some(Field::Minute), 0, "write `5-59/15`");
    assert_error("0 2/3 * * *", Some(Field::Hour), 2, "write `2-23/3`");
    assert_error("0 0 * * MON/2", Some(Field::DayOfWeek), 8, "write `1-6/2`");
    assert_error("*/0 * * * *", Some(Field::Minute), 2, "use a step of 1 to 60");
    assert_error("*/90 * * * *", Some(Field::Minute), 2, "the `every` option");
    assert_error("0 */25 * * *", Some(Field::Hour), 4, "larger than the field");
    assert_error("*/ * * * *", Some(Field::Minute), 2, "a step is missing");
    assert_error("*/5/2 * * * *", Some(Field::Minute), 3, "unexpected `/2`");
}

#[test]
fn reversed_ranges_suggest_two_ranges() {
    assert_error("0 22-2 * * *", Some(Field::Hour), 2, "write `22-23,0-2`");
    assert_error("0 0 * * FRI-MON", Some(Field::DayOfWeek), 8, "write `5-6,0-1`");
    assert_error("0 0 1 DEC-FEB *", Some(Field::Month), 6, "write `12,1-2`");
    assert_error("0 0 * * 6-0", Some(Field::DayOfWeek), 8, "write `6,0`");
    for split in ["0 22-23,0-2 * * *", "0 0 * * 5-6,0-1", "0 0 1 12,1-2 *", "0 0 * * 6,0"] {
        assert!(CronExpr::parse(split).is_ok(), "{split}");
    }
}

#[test]
fn lists_have_no_empty_items() {
    assert_error("1,,5 * * * *", Some(Field::Minute), 2, "remove the extra comma");
    assert_error(", * * * *", Some(Field::Minute), 0, "remove the extra comma");
    assert_error("0 0 * * 1,", Some(Field::DayOfWeek), 10, "remove the extra comma");
}

#[test]
fn names_belong_to_their_field_and_have_three_letters() {
    assert_error(
        "0 0 * * JAN",
        Some(Field::DayOfWeek),
        8,
        "`JAN` is a month name, not a day-of-week",
    );
    assert_error("0 0 MAR * *", Some(Field::DayOfMonth), 4, "`MAR` is a month name");
    assert_error(
        "MON 0 * * *",
        Some(Field::Minute),
        0,
        "`MON` is a day-of-week name, not a minute",
    );
    assert_error("0 0 * * monday", Some(Field::DayOfWeek), 8, "as in `MON`");
    assert_error("0 0 * JANUARY *", Some(Field::Month), 6, "as in `JAN`");
    assert_error("0 0 * * xyz", Some(Field::DayOfWeek), 8, "`xyz` is not a day-of-week");
}

#[test]
fn values_out_of_range_name_the_range() {
    assert_error("60 * * * *", Some(Field::Minute), 0, "`60` is out of range");
    assert_error("0 24 * * *", Some(Field::Hour), 2, "use 0-23");
    assert_error("0 0 0 * *", Some(Field::DayOfMonth), 4, "use 1-31");
    assert_error("0 0 1 13 *", Some(Field::Month), 6, "use 1-12 or JAN-DEC");
    assert_error("0 0 * * 1-8", Some(Field::DayOfWeek), 10, "0 and 7 are Sunday");
    assert_error("99999999999999999999 * * * *", Some(Field::Minute), 0, "use 0-59");
    assert_error("-5 * * * *", Some(Field::Minute), 0, "`-5` is not a value");
    assert_error("1- * * * *", Some(Field::Minute), 2, "a value is missing");
}

#[test]
fn question_marks_stand_alone_in_the_day_fields() {
    assert_error("? * * * *", Some(Field::Minute), 0, "write `*`");
    assert_error("0 0 * ? *", Some(Field::Month), 6, "the two day fields only");
    assert_error("0 0 ?,5 * *", Some(Field::DayOfMonth), 4, "stands alone");
    assert_error("0 0 * * ?/2", Some(Field::DayOfWeek), 8, "stands alone");
}

#[test]
fn invalid_characters_are_named_by_code_point() {
    assert_error("0\u{a0}0 * * *", None, 1, "U+00A0) is not ASCII");
    assert_error("\u{ff10} 0 * * *", None, 0, "U+FF10");
    assert_error("0 0 * * 😀", None, 8, "use ASCII");
    assert_error("0\n0 * * *", None, 1, "U+000A");
    assert_error("0 0 * * *\n", None, 9, "on one line");
}

#[test]
fn overlong_expressions_are_refused() {
    let longest = format!("0 0 * * *{}", " ".repeat(247));
    assert!(CronExpr::parse(&longest).is_ok());
    assert_error(&format!("{longest} "), None, 256, "use at most 256 bytes");
    let accents = "é".repeat(300);
    assert_eq!(CronExpr::parse(&accents).expect_err("too long").position, 256);
    let odd = format!("0{}", "é".repeat(300));
    assert!(odd.is_char_boundary(CronExpr::parse(&odd).expect_err("too long").position));
    let shown = parse_error(&format!("{} * * * *", "9".repeat(200))).to_string();
    assert!(shown.len() < 150, "{shown}");
}

#[test]
fn aliases_must_stand_alone_and_unknown_ones_list_the_known() {
    assert_error("@fortnightly", None, 0, "use @yearly");
    assert_error("@reboot", None, 0, "a queue never boots");
    assert_error("@every 5m", None, 0, "use the `every` option");
    assert_error("@daily 0 0 * * *", None, 7, "write the alias alone");
    assert_error("TZ=UTC 0 0 * * *", None, 0, "use the `tz` option");
    assert_error("CRON_TZ=UTC 0 0 * * *", None, 0, "use the `tz` option");
    assert_eq!(CronExpr::parse("@DAILY"), CronExpr::parse(" 0 0 * * * "));
}

#[test]
fn error_messages_are_one_lower_case_line() {
    assert_eq!(
        parse_error("0 0 * * 8").to_string(),
        "`8` is out of range at position 8 in the day-of-week field; \
         use 0-7 (0 and 7 are Sunday), SUN-SAT, `1#2` or `5L`"
    );
    assert_eq!(
        parse_error("*/15 * * * * *").to_string(),
        "6 fields instead of 5 at position 13; \
         6 fields: use `every` for seconds, `start_at` and `endDate` for years"
    );
}

#[test]
fn suggested_replacements_parse() {
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
                let hint = parse_error(&expression(&item)).hint;
                let replacement = hint.split('`').nth(1).expect("a replacement");
                assert!(CronExpr::parse(&expression(replacement)).is_ok(), "{item}: {hint}");
            }
        }
    }
}
