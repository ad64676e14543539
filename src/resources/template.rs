//! Templates: texts with placeholders, as in `Hello {{name}}`, of which the value may be checked, as in
//! `{{name:string:1:80}}`. Pure.
//!
//! Invariants: filled-in values are never parsed as templates; the size of a filled text is bounded.

use super::feature::InputKind;
use crate::text::spelling::{suggestion, truncated};

/// Longest filled text, in bytes.
const MAX_FILLED_BYTES: usize = 10 << 20;

/// Parts of a placeholder after its name: `type:min:max:unique`.
const MAX_CHECKS: usize = 4;

/// Part of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    /// Literal text.
    Text(Box<str>),
    /// A placeholder: its name, and what is checked of its value.
    Name(Box<str>),
}

/// What stands between `{{` and `}}`: the name of a value, and what is checked of that.
#[derive(Clone, Debug, PartialEq)]
pub struct Placeholder<'t> {
    /// The name of the value.
    pub name: &'t str,
    kind: InputKind,
    /// Bounds of a number, or of the length of a text or a list.
    least: Option<f64>,
    most: Option<f64>,
}

impl<'t> Placeholder<'t> {
    /// The name alone, whatever stands behind it.
    #[must_use]
    pub fn name_in(text: &'t str) -> &'t str {
        text.split_once(':').map_or(text, |(name, _)| name).trim()
    }

    /// Reads `name` or `name:type:min:max:unique`, of which parts may be empty or left out. Whether a value is unique is for
    /// the database to say.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(text: &'t str) -> Result<Self, String> {
        let mut parts = text.split(':').map(str::trim);
        let name = parts.next().unwrap_or_default();
        if !is_name(name) {
            return Err(
                "its name must have letters, digits, '_', '-', and '.' between the names of nested values".into(),
            );
        }
        let checks: Vec<&str> = parts.collect();
        if checks.len() > MAX_CHECKS {
            return Err("it has too many parts; it may be {{name:type:min:max:unique}}".into());
        }
        let part = |at: usize| checks.get(at).copied().filter(|part| !part.is_empty());
        let kind = part(0).map_or(Ok(InputKind::Any), |name| {
            let names = InputKind::NAMES.map(|(name, _)| name);
            InputKind::named(name).ok_or_else(|| format!("'{name}' is no type; {}", suggestion(name, &names)))
        })?;
        let bound = |at: usize, what: &str| match part(at).map(str::parse::<f64>) {
            None => Ok(None),
            Some(Ok(bound)) if bound.is_finite() => Ok(Some(bound)),
            Some(_) => Err(format!("its {what} must be a number")),
        };
        let (least, most) = (bound(1, "min")?, bound(2, "max")?);
        if let (Some(least), Some(most)) = (least, most)
            && least > most
        {
            return Err(format!("its min, {least}, is more than its max, {most}"));
        }
        if let Some(unique) = part(3).filter(|part| !matches!(*part, "unique" | "true" | "false")) {
            return Err(format!("its fifth part must be 'unique', got '{unique}'"));
        }
        Ok(Self {
            name,
            kind,
            least,
            most,
        })
    }

    /// Why a value, given as JSON, is not what the placeholder takes.
    #[must_use]
    pub fn refusal(&self, json: &str) -> Option<String> {
        let json = json.trim();
        if !self.kind.admits(json) {
            return Some(format!("must be of the type '{}'", self.kind.name()));
        }
        let value: serde_json::Value = serde_json::from_str(json).ok()?;
        let (measure, what) = match &value {
            serde_json::Value::Number(number) => (number.as_f64()?, ""),
            serde_json::Value::String(text) => (text.chars().count() as f64, " characters"),
            serde_json::Value::Array(list) => (list.len() as f64, " entries"),
            _ => return None,
        };
        let (verb, got) = if what.is_empty() {
            ("be", String::new())
        } else {
            ("have", format!(", got {measure}"))
        };
        match (self.least, self.most) {
            (Some(least), _) if measure < least => Some(format!("must {verb} at least {least}{what}{got}")),
            (_, Some(most)) if measure > most => Some(format!("must {verb} at most {most}{what}{got}")),
            _ => None,
        }
    }
}

/// A text with placeholders.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Template(Vec<Piece>);

impl Template {
    /// Parses a text. `{{name}}` is a placeholder, and `{{name:type:min:max}}` one that says what its value must be; names
    /// have letters, digits, `_`, `-`, and `.` between the names of nested values.
    ///
    /// # Errors
    /// Names a `{{` that begins no valid placeholder.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("{{") {
            let inner = after.split_once("}}").map(|(inner, _)| inner.trim());
            let begin: String = after.chars().take(20).collect();
            let Some(inner) = inner.filter(|inner| is_name(Placeholder::name_in(inner))) else {
                let why = if inner.is_none() {
                    "has no }} behind it"
                } else {
                    "is no place to fill"
                };
                return Err(format!(
                    "'{{{{{begin}' {why}; only {{{{name}}}} is known, without loops and conditions"
                ));
            };
            if !before.is_empty() {
                pieces.push(Piece::Text(before.into()));
            }
            Placeholder::read(inner).map_err(|why| format!("'{{{{{begin}' is no place to fill: {why}"))?;
            pieces.push(Piece::Name(inner.into()));
            rest = after.split_once("}}").map_or("", |(_, rest)| rest);
        }
        if !rest.is_empty() {
            pieces.push(Piece::Text(rest.into()));
        }
        Ok(Self(pieces))
    }

    /// The names of its placeholders, with repetitions.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Name(name) => Some(Placeholder::name_in(name)),
            Piece::Text(_) => None,
        })
    }

    /// Why a value, given as JSON, is not what the placeholders of this name take.
    #[must_use]
    pub fn refusal(&self, name: &str, json: &str) -> Option<String> {
        self.0.iter().find_map(|piece| match piece {
            Piece::Name(text) if Placeholder::name_in(text) == name => Placeholder::read(text).ok()?.refusal(json),
            _ => None,
        })
    }

    /// The name of the placeholder, if the whole text is a single one.
    #[must_use]
    pub fn only_name(&self) -> Option<&str> {
        match self.0.as_slice() {
            [Piece::Name(name)] => Some(Placeholder::name_in(name)),
            _ => None,
        }
    }

    /// Replaces each placeholder with the `value` of its name.
    ///
    /// # Errors
    /// Those of `value`; a result that is too large.
    pub fn fill<E: From<String>>(&self, mut value: impl FnMut(&str) -> Result<String, E>) -> Result<String, E> {
        let mut filled = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => filled.push_str(text),
                Piece::Name(name) => filled.push_str(&value(Placeholder::name_in(name))?),
            }
            if filled.len() > MAX_FILLED_BYTES {
                return Err(format!("becomes longer than {MAX_FILLED_BYTES} bytes").into());
            }
        }
        Ok(filled)
    }
}

fn is_name(name: &str) -> bool {
    let sound = |part: &str| {
        !part.is_empty()
            && part
                .chars()
                .all(|character| character.is_alphanumeric() || matches!(character, '_' | '-'))
    };
    name.len() <= 255 && name.split('.').all(sound)
}

/// Defaults that their own placeholders forbid, each with its path and why; `value_of` has the default of a name as text. What an
/// expression will yield is not known.
#[must_use]
pub fn refused_defaults(placeholders: &[&str], value_of: impl Fn(&str) -> Option<String>) -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = Vec::new();
    for text in placeholders {
        let Ok(placeholder) = Placeholder::read(text) else {
            continue;
        };
        let why = value_of(placeholder.name)
            .filter(|value| !value.contains('$'))
            .and_then(|value| placeholder.refusal(&value));
        let path = format!("defaults.{}", truncated(placeholder.name));
        if let Some(why) = why
            && !found.iter().any(|(known, _)| *known == path)
        {
            found.push((path, format!("{why}, as its placeholder says")));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(text: &str) -> Result<String, String> {
        Template::parse(text)?.fill(|name| Ok::<_, String>(format!("<{name}>")))
    }

    #[test]
    fn template_placeholders_are_filled() {
        assert_eq!(
            fill("Hello {{name}}, {{ user.first-name }}!"),
            Ok("Hello <name>, <user.first-name>!".into())
        );
        for untouched in ["", "plain", "{ {a} }", "}}", "a { b } {", "p { color: red }", "żółć 🎉"] {
            assert_eq!(fill(untouched), Ok(untouched.into()));
        }
        assert_eq!(fill("{{a}}{{b}}"), Ok("<a><b>".into()));
        assert_eq!(fill("{{größe}}"), Ok("<größe>".into()));
        assert_eq!(
            Template::parse("{{a}} {{b}} {{a}}")
                .unwrap()
                .names()
                .collect::<Vec<_>>(),
            ["a", "b", "a"]
        );
    }

    #[test]
    fn placeholder_checks_type_and_bounds_of_its_value() {
        assert_eq!(
            fill("{{name:string:1:80:unique}} {{ n : integer }}"),
            Ok("<name> <n>".into())
        );
        for (placeholder, json, expected) in [
            ("n", "{}", None),
            ("n:number", "\"5\"", Some("type 'number'")),
            ("n:INTEGER:1:10", "10", None),
            ("n:integer:1:10", "11", Some("must be at most 10")),
            ("n:integer:1:10", "0", Some("must be at least 1")),
            ("n:integer::10", "-5", None),
            ("s:string:2:3", "\"żó\"", None),
            ("s:string:2:3", "\"żółć\"", Some("at most 3 characters, got 4")),
            ("s::2", "\"a\"", Some("at least 2 characters, got 1")),
            ("a:array:1", "[]", Some("at least 1 entries, got 0")),
            ("a:string:1:5:unique", "null", Some("type 'string'")),
        ] {
            let refusal = Placeholder::read(placeholder).unwrap().refusal(json);
            match expected {
                None => assert_eq!(refusal, None, "{placeholder} {json}"),
                Some(said) => assert!(
                    refusal.as_ref().is_some_and(|text| text.contains(said)),
                    "{placeholder} {json}: {refusal:?}"
                ),
            }
        }
        for (wrong, said) in [
            ("{{n:strin}}", "`string`"),
            ("{{n:string:x}}", "min must be a number"),
            ("{{n:string:5:1}}", "more than its max"),
            ("{{n:string:1:2:unique:x}}", "too many parts"),
            ("{{n:string:1:2:often}}", "'unique'"),
            ("{{:string}}", "no place to fill"),
            ("{{n:string", "no }} behind it"),
        ] {
            let why = Template::parse(wrong).unwrap_err();
            assert!(why.contains(said), "{wrong}: {why}");
        }
    }

    #[test]
    fn filled_values_are_not_parsed_as_templates() {
        let template = Template::parse("{{a}} {{b}}").unwrap();
        let filled = template.fill(|_| Ok::<_, String>("{{b}}".to_owned()));
        assert_eq!(filled, Ok("{{b}} {{b}}".into()));
    }

    #[test]
    fn syntax_of_other_template_languages_is_refused() {
        for text in [
            "{{#if a}}",
            "{{/if}}",
            "{{{raw}}}",
            "{{",
            "{{a",
            "{{}}",
            "{{a b}}",
            "{{a..b}}",
            "{{.a}}",
            "{{a\n}}}",
        ] {
            // A line break inside the braces is whitespace around the name.
            if text != "{{a\n}}}" {
                assert!(Template::parse(text).is_err(), "{text}");
            }
        }
        assert_eq!(fill("{{a\n}}}"), Ok("<a>}".into()));
    }

    #[test]
    fn filled_template_size_is_bounded() {
        let template = Template::parse(&"{{a}}".repeat(100)).unwrap();
        let value = "x".repeat(1 << 20);
        let filled = template.fill(|_| Ok::<_, String>(value.clone()));
        assert!(filled.unwrap_err().contains("longer than"));
    }
}
