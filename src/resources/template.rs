//! Templates: texts with placeholders, as in `Hello {{name}}`. Pure.
//!
//! Invariants: filled-in values are never parsed as templates; the size of a filled text is bounded.

/// Longest filled text, in bytes.
const MAX_FILLED_BYTES: usize = 10 << 20;

/// Part of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    /// Literal text.
    Text(Box<str>),
    /// A placeholder with this name.
    Name(Box<str>),
}

/// A text with placeholders.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Template(Vec<Piece>);

impl Template {
    /// Parses a text. `{{name}}` is a placeholder; names have letters, digits, `_`, `-`, and `.` between the names of nested
    /// values.
    ///
    /// # Errors
    /// Names a `{{` that begins no valid placeholder.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("{{") {
            let name = after.split_once("}}").map(|(name, _)| name.trim());
            let Some(name) = name.filter(|name| is_name(name)) else {
                let begin: String = after.chars().take(20).collect();
                return Err(format!(
                    "'{{{{{begin}' is no place to fill; only {{{{name}}}} is known, without loops and conditions"
                ));
            };
            if !before.is_empty() {
                pieces.push(Piece::Text(before.into()));
            }
            pieces.push(Piece::Name(name.into()));
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
            Piece::Name(name) => Some(&**name),
            Piece::Text(_) => None,
        })
    }

    /// The name of the placeholder, if the whole text is a single one.
    #[must_use]
    pub fn only_name(&self) -> Option<&str> {
        match self.0.as_slice() {
            [Piece::Name(name)] => Some(name),
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
                Piece::Name(name) => filled.push_str(&value(name)?),
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
