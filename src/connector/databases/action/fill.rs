//! Placeholders `{{name}}`, and the values that fill them.
//!
//! Invariant: what fills a placeholder is a literal value.

use crate::connector::Failure;
use crate::connector::databases::dialect::Dialect;
use crate::connector::databases::json::Json;
use crate::resources::Placeholder;
use crate::text::spelling::truncated;

/// Where values of names are looked up.
pub(super) struct Values<'a> {
    /// Parts of a job's input, in the order in which they are searched.
    pub(super) parts: Vec<(&'static str, &'a Json)>,
    /// The input itself, whose members are values too.
    pub(super) flat: &'a [(Box<str>, Json)],
    pub(super) defaults: Option<&'a Json>,
    /// While a definition is checked, every name has a value.
    pub(super) checking: bool,
}

/// Where a job gives a value: the part, unless it is beside the parts, and the name of the member.
pub(super) type Place<'a> = (Option<&'static str>, &'a str);

impl<'a> Values<'a> {
    /// Looks up a placeholder by its name: `name`, `a.b`, or `data.name` for a value of that part. `None`: there is no value.
    pub(super) fn find(&self, placeholder: &str) -> Option<Json> {
        if self.checking {
            return Some(Json::Any);
        }
        let name = Placeholder::name_in(placeholder);
        let found = self
            .given(name)
            .map(|(_, value)| value)
            .or_else(|| value_at(members(self.defaults?)?, name));
        found.cloned()
    }

    /// The value that a job gives for a name, and where.
    pub(super) fn given(&self, name: &str) -> Option<(Place<'a>, &'a Json)> {
        let of_part = self.parts.iter().find_map(|(part, json)| {
            let rest = name.strip_prefix(part)?.strip_prefix('.')?;
            placed_at(Some(part), members(json)?, rest)
        });
        let within = |(part, json): &(&'static str, &'a Json)| placed_at(Some(part), members(json)?, name);
        of_part
            .or_else(|| self.parts.iter().find_map(within))
            .or_else(|| placed_at(None, self.flat, name))
    }

    /// The same for one that must have a value, which is what the placeholder says.
    fn value(&self, placeholder: &str) -> Result<Json, Failure> {
        let name = truncated(Placeholder::name_in(placeholder));
        let Some(value) = self.find(placeholder) else {
            return Err(Failure::invalid(format!(
                "the input has no value for {{{{{name}}}}}; give it in the input, or as one of the action's `defaults`"
            )));
        };
        if placeholder.contains(':')
            && value != Json::Any
            && let Ok(read) = Placeholder::read(placeholder)
            && let Some(why) = read.refusal(&value.text())
        {
            return Err(Failure::invalid(format!("input.{name}: {why}")));
        }
        Ok(value)
    }
}

pub(super) fn members(json: &Json) -> Option<&[(Box<str>, Json)]> {
    match json.value() {
        Json::Map(entries) => Some(entries),
        _ => None,
    }
}

pub(super) fn value_at<'j>(entries: &'j [(Box<str>, Json)], path: &str) -> Option<&'j Json> {
    placed_at(None, entries, path).map(|(_, value)| value)
}

/// The same with its place.
fn placed_at<'j>(
    part: Option<&'static str>,
    entries: &'j [(Box<str>, Json)],
    path: &str,
) -> Option<(Place<'j>, &'j Json)> {
    if let Some((key, value)) = entries.iter().find(|(key, _)| **key == *path) {
        return Some(((part, key), value));
    }
    let (first, rest) = path.split_once('.')?;
    let (key, value) = entries.iter().find(|(key, _)| **key == *first)?;
    Some(((part, key), value_at(members(value)?, rest)?))
}

/// A part of a template: text, or a placeholder as it is written.
pub(super) enum Piece<'t> {
    Text(&'t str),
    Name(&'t str),
}

pub(super) fn split(template: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        let Some((name, after)) = after.split_once("}}") else {
            break;
        };
        if !before.is_empty() {
            pieces.push(Piece::Text(before));
        }
        pieces.push(Piece::Name(name.trim()));
        rest = after;
    }
    if !rest.is_empty() {
        pieces.push(Piece::Text(rest));
    }
    pieces
}

/// The name, if the template is one placeholder and nothing else.
pub(super) fn single_name(template: &Json) -> Option<&str> {
    match template {
        Json::Text(text) if text.contains("{{") => match split(text).as_slice() {
            [Piece::Name(name)] => Some(name),
            _ => None,
        },
        _ => None,
    }
}

/// Calls `each` with every name in a template, without what is checked of its value.
pub(super) fn names<'t>(template: &'t Json, each: &mut impl FnMut(&'t str)) {
    placeholders(template, &mut |placeholder| each(Placeholder::name_in(placeholder)));
}

/// The same with placeholders as they are written.
pub(super) fn placeholders<'t>(template: &'t Json, each: &mut dyn FnMut(&'t str)) {
    match template {
        Json::Text(text) => {
            for piece in split(text) {
                if let Piece::Name(placeholder) = piece {
                    each(placeholder);
                }
            }
        }
        Json::List(list) => list.iter().for_each(|part| placeholders(part, each)),
        Json::Map(entries) => entries.iter().for_each(|(_, part)| placeholders(part, each)),
        _ => {}
    }
}

/// Fills the placeholders of a template, each of which must have a value.
pub(super) fn fill(template: &Json, values: &Values<'_>) -> Result<Json, Failure> {
    if let Some(name) = single_name(template) {
        // The value itself, with its type.
        return Ok(match values.value(name)? {
            Json::Any => Json::Any,
            value => Json::Literal(Box::new(value)),
        });
    }
    Ok(match template {
        Json::Text(text) if text.contains("{{") => {
            let mut filled = String::new();
            for piece in split(text) {
                match piece {
                    Piece::Text(text) => filled.push_str(text),
                    Piece::Name(name) => match values.value(name)?.value() {
                        Json::Text(text) => filled.push_str(text),
                        Json::Null => {}
                        other => filled.push_str(&other.text()),
                    },
                }
            }
            Json::Literal(Box::new(Json::Text(filled.into())))
        }
        // A secret, a time: known when the job runs.
        Json::Text(text) if values.checking && text.starts_with('$') => Json::Any,
        Json::List(list) => Json::List(list.iter().map(|part| fill(part, values)).collect::<Result<_, _>>()?),
        Json::Map(entries) => {
            let filled = entries
                .iter()
                .map(|(key, value)| Ok((key.clone(), fill(value, values)?)));
            Json::Map(filled.collect::<Result<_, Failure>>()?)
        }
        other => other.clone(),
    })
}

/// The same where a value is not needed: a placeholder without one is left out, with the member or element that it is.
pub(super) fn fill_optional(template: &Json, values: &Values<'_>) -> Result<Option<Json>, Failure> {
    if single_name(template).is_some_and(|name| values.find(name).is_none()) {
        return Ok(None);
    }
    Ok(match template {
        Json::List(list) => {
            let mut filled = Vec::with_capacity(list.len());
            for part in list {
                filled.extend(fill_optional(part, values)?);
            }
            (!filled.is_empty()).then_some(Json::List(filled))
        }
        Json::Map(entries) => {
            let mut filled = Vec::with_capacity(entries.len());
            for (key, value) in entries {
                match fill_optional(value, values)? {
                    Some(value) => filled.push((key.clone(), value)),
                    // Without its column, an order is none.
                    None if matches!(&**key, "column" | "field") => return Ok(None),
                    None => {}
                }
            }
            Some(Json::Map(filled))
        }
        other => Some(fill(other, values)?),
    })
}

/// Binds the placeholders in the SQL of a definition.
pub(super) fn bind_sql(sql: &str, dialect: Dialect, values: &Values<'_>) -> Result<(String, Vec<Json>), Failure> {
    let mut text = String::new();
    let mut params = Vec::new();
    let mut names: Vec<&str> = Vec::new();
    for piece in split(sql) {
        match piece {
            Piece::Text(part) => text.push_str(part),
            Piece::Name(name) if dialect == Dialect::Postgres => {
                let number = match names.iter().position(|known| *known == name) {
                    Some(at) => at + 1,
                    None => {
                        params.push(values.value(name)?);
                        names.push(name);
                        names.len()
                    }
                };
                text.push_str(&format!("${number}"));
            }
            Piece::Name(name) => {
                params.push(values.value(name)?);
                text.push('?');
            }
        }
    }
    Ok((text, params))
}
