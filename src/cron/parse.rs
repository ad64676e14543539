//! From text to [`CronExpr`]: splitting into fields, aliases, and errors about the text as a whole.
//!
//! It must not know zones or instants; single list items are read by `item`. Invariant: any
//! text yields an expression or an error, in time linear in its length of at most 256 bytes.

use super::days::DayRule;
use super::error::quote_excerpt;
use super::item::{Item, read_item};
use super::{CronError, CronExpr, Field};

/// Longer texts are rejected without being parsed.
const MAX_EXPRESSION_BYTES: usize = 256;
const FIVE_FIELDS_HINT: &str = "write 5 fields: minute hour day-of-month month day-of-week, as in `0 9 * * MON-FRI`";
const ALIASES: [(&str, &str); 7] = [
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
    ("@monthly", "0 0 1 * *"),
    ("@weekly", "0 0 * * 0"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@hourly", "0 * * * *"),
];

impl CronExpr {
    /// Parses exactly five fields, or an alias such as `@daily`.
    ///
    /// # Errors
    ///
    /// [`CronError`] with the position of the first problem and what to write instead.
    pub fn parse(text: &str) -> Result<CronExpr, CronError> {
        check_length_and_characters(text)?;
        let first = words(text).next();
        let Some((position, word)) = first else {
            return Err(CronError::whole(
                0,
                "the expression is empty".to_owned(),
                FIVE_FIELDS_HINT,
            ));
        };
        if word.starts_with('@') {
            return parse_fields(expand_alias(text, position, word)?);
        }
        reject_zone_prefix(position, word)?;
        parse_fields(text)
    }
}

impl std::str::FromStr for CronExpr {
    type Err = CronError;

    fn from_str(text: &str) -> Result<CronExpr, CronError> {
        CronExpr::parse(text)
    }
}

fn parse_fields(text: &str) -> Result<CronExpr, CronError> {
    let mut found = words(text);
    let mut fields = [(0, ""); Field::ALL.len()];
    for (index, field) in fields.iter_mut().enumerate() {
        *field = found.next().ok_or_else(|| too_few_fields(text, index))?;
    }
    if let Some((position, _)) = found.next() {
        return Err(too_many_fields(position, Field::ALL.len() + 1 + found.count()));
    }
    let mut parsed = PartialExpr {
        bits: [0; 5],
        days: DayRule::NONE,
        interval: false,
    };
    for (field, (position, word)) in Field::ALL.into_iter().zip(fields) {
        parsed.read_field(field, position, word)?;
    }
    Ok(parsed.complete())
}

/// What has been read so far.
struct PartialExpr {
    /// Per field, bit n for value n.
    bits: [u64; 5],
    days: DayRule,
    interval: bool,
}

impl PartialExpr {
    fn read_field(&mut self, field: Field, position: usize, word: &str) -> Result<(), CronError> {
        if matches!(word, "*" | "?") {
            match field {
                Field::DayOfMonth => self.days.any_day = true,
                Field::DayOfWeek => self.days.any_weekday = true,
                _ => {}
            }
        }
        let alone = !word.contains(',');
        let mut start = position;
        for text in word.split(',') {
            self.add(field, read_item(field, start, text, alone)?);
            start += text.len() + 1;
        }
        Ok(())
    }

    fn add(&mut self, field: Field, item: Item) {
        match item {
            Item::Values { bits, star } => {
                if let Some(all) = self.bits.get_mut(field as usize) {
                    *all |= bits;
                }
                self.interval |= star && matches!(field, Field::Minute | Field::Hour);
            }
            Item::LastDay => self.days.last_day = true,
            Item::LastWorkday => self.days.last_workday = true,
            Item::NearWorkday(day) => self.days.near_workday |= 1 << day,
            Item::Nth { weekday, ordinal } => self.days.nth |= 1 << (8 * weekday + ordinal),
        }
    }

    fn complete(mut self) -> CronExpr {
        let [minutes, hours, days, months, weekdays] = self.bits;
        self.days.days = days as u32;
        // 7 is Sunday too.
        self.days.weekdays = (weekdays & 0x7f | weekdays >> 7) as u8;
        CronExpr::new(minutes, hours as u32, months as u32, self.days, self.interval)
    }
}

/// The words of a text and their positions; only spaces and tabs separate.
fn words(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut position = 0;
    text.split([' ', '\t']).filter_map(move |word| {
        let start = position;
        position += word.len() + 1;
        (!word.is_empty()).then_some((start, word))
    })
}

fn check_length_and_characters(text: &str) -> Result<(), CronError> {
    if text.len() > MAX_EXPRESSION_BYTES {
        let message = format!("the expression has {} bytes", text.len());
        let position = text.floor_char_boundary(MAX_EXPRESSION_BYTES);
        return Err(CronError::whole(position, message, "use at most 256 bytes"));
    }
    let invalid = text
        .char_indices()
        .find(|(_, character)| !matches!(character, ' '..='~' | '\t'));
    let Some((position, character)) = invalid else {
        return Ok(());
    };
    let code = u32::from(character);
    Err(if character.is_ascii() {
        let message = format!("character U+{code:04X} separates nothing");
        CronError::whole(position, message, "use spaces or tabs between the fields, on one line")
    } else {
        let message = format!("`{}` (U+{code:04X}) is not ASCII", character.escape_debug());
        CronError::whole(position, message, "use ASCII digits, letters, spaces and `* , - / ? #`")
    })
}

fn expand_alias(text: &str, position: usize, word: &str) -> Result<&'static str, CronError> {
    let known = ALIASES.into_iter().find(|(alias, _)| alias.eq_ignore_ascii_case(word));
    if let Some((_, fields)) = known {
        return match words(text).nth(1) {
            None => Ok(fields),
            Some((extra, _)) => Err(CronError::whole(
                extra,
                format!("{} is followed by more text", quote_excerpt(word)),
                "write the alias alone, or five fields instead of it",
            )),
        };
    }
    let hint = if word.eq_ignore_ascii_case("@reboot") {
        "a queue never boots; dispatch the job once when the process starts"
    } else if word.eq_ignore_ascii_case("@every") {
        "use the `every` option, in milliseconds"
    } else {
        "use @yearly, @annually, @monthly, @weekly, @daily, @midnight or @hourly"
    };
    Err(CronError::whole(
        position,
        format!("{} is not a known alias", quote_excerpt(word)),
        hint,
    ))
}

fn reject_zone_prefix(position: usize, word: &str) -> Result<(), CronError> {
    if word.starts_with("TZ=") || word.starts_with("CRON_TZ=") {
        let message = format!("{} sets a time zone inside the expression", quote_excerpt(word));
        return Err(CronError::whole(position, message, "use the `tz` option"));
    }
    Ok(())
}

fn too_few_fields(text: &str, found: usize) -> CronError {
    let missing = Field::ALL
        .get(found)
        .map_or(String::new(), |field| format!("{field} is missing, "));
    let fields = if found == 1 { "field" } else { "fields" };
    CronError::whole(
        text.len(),
        format!("{found} {fields} instead of 5"),
        format!("{missing}{FIVE_FIELDS_HINT}"),
    )
}

fn too_many_fields(position: usize, found: usize) -> CronError {
    let hint = match found {
        6 => "6 fields: use `every` for seconds, `start_at` and `endDate` for years",
        7 => "7 fields: drop seconds and year, which are `every`, `start_at` and `endDate` here",
        _ => FIVE_FIELDS_HINT,
    };
    CronError::whole(position, format!("{found} fields instead of 5"), hint)
}
