//! Kinds of columns, and values for drivers without typed parameters.
//!
//! Invariant: a value is never converted lossily: one that does not fit the kind of its column is refused here, where the
//! database would convert it silently (`'abc'` to 0, 2⁵³ + 1 to 2⁵³).

use super::dates::{self, TimestampStyle};
use super::json::Json;
use crate::connector::Failure;
use std::collections::HashMap;
use std::sync::Arc;

/// The kind of a column, as far as it matters for values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Kind {
    /// Unknown, or left to the database.
    #[default]
    Any,
    /// Integers.
    Integer,
    /// Exact decimals.
    Decimal,
    /// Decimals that are kept as floating point numbers, and are exact up to 15 digits.
    ShortDecimal,
    /// Floating point numbers.
    Float,
    /// 0 and 1.
    Bool,
    Text,
    /// One or several words of a list, and whether some of these are numbers. MySQL and MariaDB, which take a number, and digits
    /// that are no such word, for places in that list.
    Choice {
        of_numbers: bool,
    },
    Bytes,
    /// A year of MySQL and MariaDB, which guess the century of shorter ones.
    Year,
    Date,
    Time,
    /// A timestamp.
    Timestamp,
    /// A timestamp that is compared as milliseconds since 1970.
    Instant,
    Json,
    /// A list of values of one type.
    List,
}

impl Kind {
    /// What such a column holds, in messages.
    pub(super) fn contents(self) -> &'static str {
        match self {
            Self::Any => "values of any type",
            Self::Integer | Self::Decimal | Self::ShortDecimal | Self::Float => "numbers",
            Self::Bool => "booleans",
            Self::Text | Self::Choice { .. } => "text",
            Self::Bytes => "bytes",
            Self::Year => "years",
            Self::Date => "dates",
            Self::Time => "times",
            Self::Timestamp | Self::Instant => "points in time",
            Self::Json => "JSON",
            Self::List => "lists",
        }
    }
}

/// The columns of a table with their kinds; empty: unknown, and left to the database.
#[derive(Clone, Debug, Default)]
pub(super) struct Kinds {
    known: HashMap<String, Kind>,
    /// Whether there may be other columns too, which are left to the database.
    are_partial: bool,
}

impl Kinds {
    pub(super) fn new(columns: impl IntoIterator<Item = (String, Kind)>) -> Self {
        let lower = |(name, kind): (String, Kind)| (name.to_lowercase(), kind);
        Self {
            known: columns.into_iter().map(lower).collect(),
            are_partial: false,
        }
    }

    /// Some columns of a table that may have others.
    pub(super) fn partial(columns: impl IntoIterator<Item = (String, Kind)>) -> Self {
        Self {
            are_partial: true,
            ..Self::new(columns)
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// Whether a column that is not among them is not there.
    pub(super) fn are_all(&self) -> bool {
        !self.are_partial && !self.is_empty()
    }

    /// The kind of a column; names are case-insensitive.
    pub(super) fn get(&self, column: &str) -> Option<Kind> {
        self.known.get(&column.to_lowercase()).copied()
    }
}

/// A value for one parameter of a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BoundValue {
    pub(super) value: Json,
    pub(super) kind: Kind,
    /// Where it is in the input, for messages, as in `input.data.age`.
    pub(super) place: Option<Arc<str>>,
}

/// A value as drivers bind it.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Scalar {
    Null,
    Integer(i64),
    Unsigned(u64),
    Float(f64),
    Text(String),
    Bytes(Vec<u8>),
}

impl BoundValue {
    /// A parameter of the user's own SQL, with its number.
    pub(super) fn parameter((value, number): (Json, usize)) -> Self {
        Self {
            value,
            kind: Kind::Any,
            place: Some(format!("parameter ${number}").into()),
        }
    }

    /// The value to bind, with timestamps in this style. The failure says where it is.
    pub(super) fn scalar(&self, style: TimestampStyle) -> Result<Scalar, Failure> {
        self.converted(style).map_err(|failure| self.placed(failure))
    }

    /// A failure that is about this value, with its place.
    pub(super) fn placed(&self, failure: Failure) -> Failure {
        match &self.place {
            None => failure,
            Some(place) => Failure {
                message: format!("{place}: {}", failure.message),
                ..failure
            },
        }
    }

    fn converted(&self, style: TimestampStyle) -> Result<Scalar, Failure> {
        // In JSON they are the object that names them: as bytes, SQLite would read them as JSON.
        if self.kind != Kind::Json
            && let Some(bytes) = self.value.bytes()
        {
            return bytes.map(Scalar::Bytes);
        }
        if let Some(json) = self.value.quoted() {
            return match self.kind {
                Kind::Json | Kind::Any => Ok(Scalar::Text(json.text())),
                _ => Err(self.type_mismatch()),
            };
        }
        let value = self.value.value();
        if self.kind == Kind::Json && *value != Json::Null {
            return Ok(Scalar::Text(value.text()));
        }
        match value {
            Json::Null => Ok(Scalar::Null),
            Json::Bool(flag) => self.flag(*flag),
            Json::Number(text) => self.number(text, style),
            Json::Text(text) => self.text(text, style),
            _ => Err(self.type_mismatch()),
        }
    }

    fn flag(&self, flag: bool) -> Result<Scalar, Failure> {
        match self.kind {
            Kind::Any | Kind::Bool => Ok(Scalar::Integer(flag.into())),
            _ => Err(self.type_mismatch()),
        }
    }

    fn number(&self, text: &str, style: TimestampStyle) -> Result<Scalar, Failure> {
        match self.kind {
            Kind::Timestamp | Kind::Instant => {
                let micros = dates::from_millis(text).ok_or_else(|| self.type_mismatch())?;
                self.timestamp(micros, style)
            }
            Kind::Date => {
                let micros = dates::from_millis(text).ok_or_else(|| self.type_mismatch())?;
                self.date(micros)
            }
            Kind::Text | Kind::Decimal => Ok(Scalar::Text(text.to_owned())),
            Kind::ShortDecimal => self.short_decimal(text),
            Kind::Integer | Kind::Bool => self.whole(text),
            Kind::Year => self.year(text),
            Kind::Bytes | Kind::Time | Kind::List | Kind::Choice { .. } => Err(self.type_mismatch()),
            Kind::Float => numeric(text).ok_or_else(|| self.type_mismatch()),
            Kind::Any | Kind::Json => match numeric(text) {
                Some(Scalar::Float(number)) if !is_kept(text, number) => Err(Failure::invalid(
                    "a number has more digits than the database keeps; give it as a string",
                )),
                Some(number) => Ok(number),
                None => Err(self.type_mismatch()),
            },
        }
    }

    fn text(&self, text: &str, style: TimestampStyle) -> Result<Scalar, Failure> {
        match self.kind {
            Kind::Timestamp | Kind::Instant => {
                let micros = dates::parse_timestamp(text).ok_or_else(|| self.type_mismatch())?;
                self.timestamp(micros, style)
            }
            Kind::Date => {
                let micros = dates::parse_timestamp(text).ok_or_else(|| self.type_mismatch())?;
                self.date(micros)
            }
            Kind::Integer | Kind::Bool => self.whole(text),
            Kind::Year => self.year(text),
            Kind::Choice { of_numbers: false } if numeric(text.trim()).is_some() => Err(self.type_mismatch()),
            Kind::ShortDecimal if numeric(text).is_some() => self.short_decimal(text),
            Kind::Decimal if numeric(text).is_some() => Ok(Scalar::Text(text.to_owned())),
            Kind::Float => numeric(text).ok_or_else(|| self.type_mismatch()),
            Kind::Decimal | Kind::ShortDecimal | Kind::Bytes | Kind::List => Err(self.type_mismatch()),
            _ => Ok(Scalar::Text(text.to_owned())),
        }
    }

    fn year(&self, text: &str) -> Result<Scalar, Failure> {
        match text.len() == 4 && !text.starts_with('-') && is_whole(text) {
            true => self.whole(text),
            false => Err(self.type_mismatch()),
        }
    }

    fn whole(&self, text: &str) -> Result<Scalar, Failure> {
        match numeric(text) {
            Some(whole @ (Scalar::Integer(_) | Scalar::Unsigned(_))) => Ok(whole),
            _ if is_whole(text) => Err(Failure::invalid(
                "a whole number has more than the 64 bits of its column; keep it as a decimal or as text",
            )),
            _ => Err(self.type_mismatch()),
        }
    }

    fn short_decimal(&self, text: &str) -> Result<Scalar, Failure> {
        if is_short_decimal(text) {
            return Ok(Scalar::Text(text.to_owned()));
        }
        Err(Failure::invalid(
            "a decimal has more than 15 digits, which SQLite does not keep; use a column of type TEXT, or INTEGER for whole numbers such as cents",
        ))
    }

    fn timestamp(&self, micros: i64, style: TimestampStyle) -> Result<Scalar, Failure> {
        in_years(micros)?;
        Ok(if self.kind == Kind::Instant {
            Scalar::Integer(micros.div_euclid(1_000))
        } else {
            Scalar::Text(dates::format_timestamp(micros, style))
        })
    }

    fn date(&self, micros: i64) -> Result<Scalar, Failure> {
        in_years(micros)?;
        Ok(Scalar::Text(dates::format_date(dates::day_of(micros))))
    }

    /// The message does not show the value, which may be a secret.
    fn type_mismatch(&self) -> Failure {
        let wanted = match self.kind {
            Kind::Any => "a string, a number, a boolean, null, or bytes as { $bytes: base64 }",
            Kind::Integer => "a whole number, as a number or as a string of digits",
            Kind::Decimal | Kind::ShortDecimal | Kind::Float => "a number, as a number or as a string of digits",
            Kind::Bool => "true or false",
            Kind::Text => "a string",
            Kind::Choice { .. } => "one of its words as a string, not its number",
            Kind::Year => "a year of four digits",
            Kind::Bytes => "bytes as { $bytes: base64 }",
            Kind::Date => "a date, as 'YYYY-MM-DD' or in milliseconds",
            Kind::Time => "a time, as 'HH:MM:SS'",
            Kind::Timestamp | Kind::Instant => "a point in time, in ISO 8601 or in milliseconds",
            Kind::Json => "JSON",
            Kind::List => "a list",
        };
        let got = self.value.kind();
        Failure::invalid(match self.kind {
            Kind::Any => format!("the value must be {wanted}; got {got}"),
            _ => format!("a value does not fit its column, which takes {wanted}; got {got}"),
        })
    }
}

/// Refuses a date whose year the databases without types of parameters cannot compare: SQLite would find it by no filter,
/// and MySQL would compare it as text.
fn in_years(micros: i64) -> Result<(), Failure> {
    match dates::year_of(micros) {
        0..=9_999 => Ok(()),
        year => Err(Failure::invalid(format!(
            "a date must be in the years 0 to 9999, got one in the year {year}; keep others as numbers, such as milliseconds, in a column of integers"
        ))),
    }
}

/// A number without loss; `None`: not a number.
fn numeric(text: &str) -> Option<Scalar> {
    if let Ok(number) = text.parse() {
        return Some(Scalar::Integer(number));
    }
    if let Ok(number) = text.parse() {
        return Some(Scalar::Unsigned(number));
    }
    // Not what only Rust parses as a number.
    let digits = text
        .bytes()
        .all(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'-' | b'+' | b'e' | b'E'));
    let number: f64 = text.parse().ok().filter(|_| digits)?;
    number.is_finite().then_some(Scalar::Float(number))
}

/// Whether a text is digits alone, behind a sign.
fn is_whole(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether a decimal is exact as a floating point number of SQLite, or as a whole number of 64 bits.
fn is_short_decimal(text: &str) -> bool {
    if text.parse::<i64>().is_ok() {
        return true;
    }
    let mantissa = text.split(['e', 'E']).next().unwrap_or_default();
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    digits.trim_matches('0').len() <= 15
}

/// Whether a floating point number has all digits of its text, if that is a whole number. Fractions are rounded anyway.
fn is_kept(text: &str, number: f64) -> bool {
    !is_whole(text) || format!("{number:.0}") == text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scalar(json: &str, kind: Kind) -> Option<Scalar> {
        let value = Json::read(json).unwrap();
        let place = None;
        BoundValue { value, kind, place }.scalar(TimestampStyle::Plain).ok()
    }

    #[test]
    fn dates_whose_years_no_filter_finds_are_refused_with_their_place() {
        for kind in [Kind::Timestamp, Kind::Instant, Kind::Date] {
            for (json, year) in [
                ("\"+012000-01-01T00:00:00Z\"", "12000"),
                ("253402300800000", "10000"),
                ("\"-000001-12-31\"", "-1"),
            ] {
                let bound = BoundValue {
                    value: Json::read(json).unwrap(),
                    kind,
                    place: Some("input.data.at".into()),
                };
                let failure = bound.scalar(TimestampStyle::Plain).unwrap_err();
                assert_eq!(&*failure.code, "VALIDATION_ERROR");
                assert!(
                    failure
                        .message
                        .starts_with("input.data.at: a date must be in the years 0 to 9999")
                        && failure.message.contains(&format!("in the year {year};")),
                    "{}",
                    failure.message
                );
            }
            for json in ["\"0000-01-01T00:00:00Z\"", "253402300799999"] {
                assert!(scalar(json, kind).is_some(), "{json}");
            }
        }
    }

    #[test]
    fn value_not_fitting_its_column_is_refused() {
        let text = |text: &str| Some(Scalar::Text(text.to_owned()));
        for (json, kind, expected) in [
            (
                "9007199254740993",
                Kind::Integer,
                Some(Scalar::Integer(9_007_199_254_740_993)),
            ),
            (
                "\"9007199254740993\"",
                Kind::Integer,
                Some(Scalar::Integer(9_007_199_254_740_993)),
            ),
            (
                "\"18446744073709551615\"",
                Kind::Integer,
                Some(Scalar::Unsigned(u64::MAX)),
            ),
            ("\"abc\"", Kind::Integer, None),
            ("2.5", Kind::Integer, None),
            ("2.5", Kind::Bool, None),
            ("100000000000000000000", Kind::Any, Some(Scalar::Float(1e20))),
            ("100000000000000000001", Kind::Any, None),
            ("\"12345678901234.5\"", Kind::ShortDecimal, text("12345678901234.5")),
            ("\"12345678901234567.89\"", Kind::ShortDecimal, None),
            ("9007199254740993", Kind::ShortDecimal, text("9007199254740993")),
            ("\"9223372036854775808\"", Kind::ShortDecimal, None),
            (r#"{"$json":null}"#, Kind::Json, text("null")),
            (r#"{"$json":{"$inc":1}}"#, Kind::Json, text(r#"{"$inc":1}"#)),
            (r#"{"$json":1}"#, Kind::Integer, None),
            ("\"1 or 1=1\"", Kind::Integer, None),
            ("2026", Kind::Year, Some(Scalar::Integer(2026))),
            ("\"2026\"", Kind::Year, Some(Scalar::Integer(2026))),
            ("26", Kind::Year, None),
            ("\"26\"", Kind::Year, None),
            ("-202", Kind::Year, None),
            ("0", Kind::Year, None),
            ("2", Kind::Choice { of_numbers: false }, None),
            ("\"2\"", Kind::Choice { of_numbers: false }, None),
            ("\"two\"", Kind::Choice { of_numbers: false }, text("two")),
            ("2", Kind::Choice { of_numbers: true }, None),
            ("\"2\"", Kind::Choice { of_numbers: true }, text("2")),
            ("\"inf\"", Kind::Float, None),
            ("\"1.50\"", Kind::Decimal, text("1.50")),
            ("0", Kind::Text, text("0")),
            ("true", Kind::Text, None),
            ("true", Kind::Integer, None),
            ("true", Kind::Decimal, None),
            ("false", Kind::ShortDecimal, None),
            ("false", Kind::Float, None),
            ("false", Kind::Any, Some(Scalar::Integer(0))),
            ("true", Kind::Bool, Some(Scalar::Integer(1))),
            ("\"x\"", Kind::Bytes, None),
            (r#"{"$bytes":"AQI="}"#, Kind::Bytes, Some(Scalar::Bytes(vec![1, 2]))),
            (r#"{"$bytes":"%"}"#, Kind::Bytes, None),
            (r#"{"$bytes":"AQI="}"#, Kind::Json, text(r#"{"$bytes":"AQI="}"#)),
            ("1769850000123", Kind::Timestamp, text("2026-01-31 09:00:00.123")),
            (
                "\"2026-01-31T10:00:00+01:00\"",
                Kind::Timestamp,
                text("2026-01-31 09:00:00"),
            ),
            (
                "\"2026-01-31T09:00:00.123Z\"",
                Kind::Instant,
                Some(Scalar::Integer(1_769_850_000_123)),
            ),
            ("1769850000123", Kind::Date, text("2026-01-31")),
            ("\"now\"", Kind::Timestamp, None),
            ("\"a\"", Kind::Json, text("\"a\"")),
            (r#"{"a":1}"#, Kind::Json, text(r#"{"a":1}"#)),
            (r#"{"a":1}"#, Kind::Any, None),
            ("[1]", Kind::Text, None),
            ("null", Kind::Json, Some(Scalar::Null)),
        ] {
            assert_eq!(scalar(json, kind), expected, "{json} {kind:?}");
        }
    }
}
