//! Actions: operations predefined in a definition, with placeholders `{{name}}` for values of the job.
//!
//! Invariant: what a job provides is only ever a value, never a name, an operator or Cypher.

use super::operation::Operation;
use super::{build, filter, request};
use crate::clock::{Clock, SystemClock};
use crate::connector::Failure;
use crate::connector::databases::json::Json;
use crate::engine::inputs::ExpressionResolver;
use crate::resources::{GraphAction, GraphKind, Placeholder, Text, refused_defaults};
use crate::text::spelling::{suggestion, truncated};

/// The texts of an action with its secrets and expressions resolved.
pub(super) struct Templates {
    template: Json,
    filter: Option<Json>,
    defaults: Option<Json>,
}

impl Templates {
    pub(super) async fn reveal(action: &GraphAction, expressions: &ExpressionResolver) -> Result<Self, Failure> {
        let now = SystemClock.now();
        let read = async |text: &Text| Json::read(&expressions.reveal_json(text.as_written(), now).await?);
        let optional = async |text: &Option<Text>| match text {
            Some(text) => read(text).await.map(Some),
            None => Ok(None),
        };
        Ok(Self {
            template: read(&action.template).await?,
            filter: optional(&action.filter).await?,
            defaults: optional(&action.defaults).await?,
        })
    }
}

/// Members of a template without which its operation means something, so that a job may leave their values out.
const OPTIONAL: [&str; 9] = [
    "limit",
    "skip",
    "offset",
    "direction",
    "detach",
    "minDepth",
    "directed",
    "maxDepth",
    "depth",
];

/// The operation of an action, with its placeholders filled from the job's input.
pub(super) fn operation(action: &GraphAction, templates: &Templates, input: &Json) -> Result<Operation, Failure> {
    let Json::Map(given) = input else {
        return Err(Failure::invalid(format!(
            "the input must be an object, got {}",
            input.kind()
        )));
    };
    reject_unused(given, templates)?;
    filled(
        action,
        templates,
        &Source {
            input,
            defaults: templates.defaults.as_ref(),
            checking: false,
        },
    )
}

/// The path of a member of the action, empty for the action itself, and what is wrong there.
type Problem = (String, String);

/// Checks a definition as jobs would use it: what holds no placeholder and no expression is known.
pub(super) fn check(action: &GraphAction, kind: GraphKind) -> Vec<Problem> {
    let read = |text: &Text| Json::read(text.as_written());
    let read = || {
        Ok::<_, Failure>(Templates {
            template: read(&action.template)?,
            filter: action.filter.as_ref().map(read).transpose()?,
            defaults: action.defaults.as_ref().map(read).transpose()?,
        })
    };
    let mut templates = match read() {
        Ok(templates) => templates,
        Err(failure) => return vec![(String::new(), failure.message)],
    };
    let mut found = wrong_defaults(&templates);
    let source = Source {
        input: &Json::Null,
        defaults: None,
        checking: true,
    };
    if let (Some(filter), None) = (&templates.filter, &action.query) {
        let read = source.fill(filter).and_then(|filter| filter::read(&filter));
        if let Err(failure) = read {
            found.push(("filterTemplate".to_owned(), failure.message));
            // The rest is checked with another one.
            templates.filter = Some(any_filter());
        }
    }
    if action.query.is_none() {
        filters_of(&mut templates.template, "template", &mut |path, filter| {
            let read = source.fill(filter).and_then(|filter| filter::read(&filter));
            if let Err(failure) = read {
                found.push((path, failure.message));
                *filter = any_filter();
            }
        });
    }
    let mut told: Vec<String> = Vec::new();
    loop {
        let checked = filled(action, &templates, &source).and_then(|operation| build::plan(&operation, kind));
        let Err(failure) = checked else { return found };
        let member = member_of(&failure.message).map(|(member, _)| member.to_owned());
        if member.as_ref().is_some_and(|member| told.contains(member)) {
            return found;
        }
        found.push(in_definition(action, failure.message));
        // What has been told is what a job gives from then on.
        let (Some(member), Json::Map(members)) = (member, &mut templates.template) else {
            return found;
        };
        match members.iter_mut().find(|(name, _)| **name == *member) {
            Some((_, value)) if action.query.is_none() => *value = Json::Any,
            _ => return found,
        }
        told.push(member);
    }
}

/// A filter that is sound.
fn any_filter() -> Json {
    Json::Map(vec![("id".into(), Json::Any)])
}

/// Calls `each` with the filters of a template and their paths.
fn filters_of(template: &mut Json, path: &str, each: &mut dyn FnMut(String, &mut Json)) {
    let Json::Map(members) = template else { return };
    for (name, member) in members {
        let path = format!("{path}.{name}");
        match &**name {
            "where" | "filter" => each(path, member),
            "nodeFilter" | "relationshipFilter" => filters_of(member, &path, each),
            _ => {}
        }
    }
}

/// Defaults that their own placeholders forbid. What an expression will yield is not known.
fn wrong_defaults(templates: &Templates) -> Vec<Problem> {
    let Some(defaults) = &templates.defaults else {
        return Vec::new();
    };
    let mut all: Vec<&str> = Vec::new();
    placeholders(&templates.template, &mut all);
    templates
        .filter
        .iter()
        .for_each(|filter| placeholders(filter, &mut all));
    refused_defaults(&all, |name| value_at(defaults, name).map(Json::text))
}

/// The member of an input that a message speaks of, and what follows its name.
fn member_of(message: &str) -> Option<(&str, &str)> {
    let path = message.strip_prefix("input.")?;
    let end = path.find([':', '.', '[']).unwrap_or(path.len());
    Some(path.split_at(end))
}

/// What is wrong, with its path in the definition in place of that in an input.
fn in_definition(action: &GraphAction, message: String) -> Problem {
    let Some((member, rest)) = member_of(&message) else {
        let place = if action.query.is_some() { "" } else { "template" };
        return (place.to_owned(), message);
    };
    let (within, why) = rest.split_once(": ").unwrap_or(("", rest));
    let place = match (&action.query, &action.filter) {
        (Some(_), _) => member.to_owned(),
        (None, Some(_)) if member == "where" => "filterTemplate".to_owned(),
        _ => format!("template.{member}"),
    };
    (format!("{place}{within}"), why.to_owned())
}

/// The operation of an action, with the values of a source.
fn filled(action: &GraphAction, templates: &Templates, source: &Source<'_>) -> Result<Operation, Failure> {
    // `raw` restricts queries of jobs; the text of an action comes from the definition.
    let read = |request| request::read(action.verb.operation(), &Json::Map(request), true);
    if let Some(query) = &action.query {
        let params = source.fill(&templates.template)?;
        return read(vec![
            ("query".into(), Json::Text(query.clone())),
            ("params".into(), params),
        ]);
    }
    let Json::Map(members) = &templates.template else {
        return Err(Failure::invalid("the template of the action is no object"));
    };
    let mut request: Vec<(Box<str>, Json)> = Vec::with_capacity(members.len() + 1);
    for (name, template) in members {
        let text = template.as_text().unwrap_or_default();
        let left_out = !source.checking
            && OPTIONAL.contains(&&**name)
            && only_name(text).is_some_and(|name| source.find(name).is_none());
        if !left_out {
            request.push((name.clone(), source.fill(template)?));
        }
    }
    if let Some(filter) = &templates.filter {
        request.retain(|(name, _)| !matches!(&**name, "where" | "filter"));
        request.push(("where".into(), source.fill(filter)?));
    }
    read(request)
}

/// Refuses members of an input that no placeholder names: one that is misspelt would leave its default in force.
fn reject_unused(given: &[(Box<str>, Json)], templates: &Templates) -> Result<(), Failure> {
    let mut known: Vec<&str> = Vec::new();
    names(&templates.template, &mut known);
    templates.filter.iter().for_each(|filter| names(filter, &mut known));
    let Some((unused, _)) = given.iter().find(|(key, _)| !known.contains(&&**key)) else {
        return Ok(());
    };
    known.sort_unstable();
    known.dedup();
    let hint = if known.is_empty() {
        "it has none".to_owned()
    } else {
        suggestion(unused, &known)
    };
    Err(Failure::invalid(format!(
        "input.{}: the action has no such placeholder; {hint}",
        truncated(unused)
    )))
}

/// Adds the names of the placeholders in a template, and the members of the input that they begin with.
fn names<'t>(template: &'t Json, all: &mut Vec<&'t str>) {
    let mut texts = Vec::new();
    placeholders(template, &mut texts);
    for name in texts.into_iter().map(Placeholder::name_in) {
        all.push(name);
        all.push(name.split_once('.').map_or(name, |(first, _)| first));
    }
}

/// Adds the placeholders in a template as they are written.
fn placeholders<'t>(template: &'t Json, all: &mut Vec<&'t str>) {
    match template {
        Json::Text(text) => {
            let pieces = text.split("{{").skip(1);
            all.extend(
                pieces
                    .filter_map(|piece| piece.split_once("}}"))
                    .map(|(name, _)| name.trim()),
            );
        }
        Json::List(list) => list.iter().for_each(|part| placeholders(part, all)),
        Json::Map(entries) => entries.iter().for_each(|(_, part)| placeholders(part, all)),
        _ => {}
    }
}

/// Where values of names are looked up.
struct Source<'a> {
    input: &'a Json,
    defaults: Option<&'a Json>,
    /// Whether a definition is checked, in which everything may yet get a value.
    checking: bool,
}

impl Source<'_> {
    /// Looks up `name` or `a.b` in the input, then in the defaults.
    fn find(&self, placeholder: &str) -> Option<&Json> {
        let name = Placeholder::name_in(placeholder);
        value_at(self.input, name).or_else(|| self.defaults.and_then(|defaults| value_at(defaults, name)))
    }

    fn value(&self, placeholder: &str) -> Result<&Json, Failure> {
        let name = truncated(Placeholder::name_in(placeholder));
        let Some(value) = self.find(placeholder) else {
            return Err(Failure::invalid(format!(
                "the input has no value for {{{{{name}}}}}; give it there, or as one of the action's `defaults`"
            )));
        };
        if placeholder.contains(':')
            && let Ok(read) = Placeholder::read(placeholder)
            && let Some(why) = read.refusal(&value.text())
        {
            return Err(Failure::invalid(format!("input.{name}: {why}")));
        }
        Ok(value)
    }

    /// Fills the placeholders of a template.
    fn fill(&self, template: &Json) -> Result<Json, Failure> {
        Ok(match template {
            // A secret, a time, a text around a value: known when the job runs.
            Json::Text(text) if self.checking && (text.contains("{{") || text.contains('$')) => Json::Any,
            Json::Text(text) if text.contains("{{") => match only_name(text) {
                // A string that is a single placeholder becomes the value itself, with its type.
                Some(name) => Json::Literal(Box::new(self.value(name)?.clone())),
                None => Json::Literal(Box::new(Json::Text(self.text(text)?.into()))),
            },
            Json::List(list) => Json::List(list.iter().map(|part| self.fill(part)).collect::<Result<_, _>>()?),
            Json::Map(entries) => {
                let filled = entries.iter().map(|(key, value)| Ok((key.clone(), self.fill(value)?)));
                Json::Map(filled.collect::<Result<_, Failure>>()?)
            }
            other => other.clone(),
        })
    }

    fn text(&self, template: &str) -> Result<String, Failure> {
        let mut filled = String::new();
        let mut rest = template;
        while let Some((before, after)) = rest.split_once("{{") {
            let Some((name, after)) = after.split_once("}}") else {
                break;
            };
            filled.push_str(before);
            match self.value(name.trim())?.value() {
                Json::Text(text) => filled.push_str(text),
                Json::Null => {}
                other => filled.push_str(&other.text()),
            }
            rest = after;
        }
        filled.push_str(rest);
        Ok(filled)
    }
}

/// The name of the placeholder that a whole text is.
fn only_name(text: &str) -> Option<&str> {
    let name = text.strip_prefix("{{")?.strip_suffix("}}")?;
    (!name.contains("{{") && !name.contains("}}")).then(|| name.trim())
}

fn value_at<'j>(json: &'j Json, path: &str) -> Option<&'j Json> {
    let Json::Map(entries) = json.value() else { return None };
    if let Some((_, value)) = entries.iter().find(|(key, _)| **key == *path) {
        return Some(value);
    }
    let (first, rest) = path.split_once('.')?;
    let (_, value) = entries.iter().find(|(key, _)| **key == *first)?;
    value_at(value, rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_of_an_input_that_no_placeholder_names_are_refused() {
        let read = |text: &str| Json::read(text).unwrap();
        let templates = Templates {
            template: read(r#"{"properties":{"name":"{{ name }}","at":["{{user.city}}: {{n}}"]},"limit":"{{limit}}"}"#),
            filter: Some(read(r#"{"id":"{{id}}"}"#)),
            defaults: Some(read(r#"{"n":1}"#)),
        };
        let refused = |input: &str| {
            let Json::Map(given) = read(input) else { unreachable!() };
            reject_unused(&given, &templates).err().map(|failure| failure.message)
        };
        for input in [
            r#"{"name":1,"user":{"city":2},"n":3,"limit":4,"id":5}"#,
            "{}",
            r#"{"user.city":"x"}"#,
        ] {
            assert_eq!(refused(input), None, "{input}");
        }
        assert_eq!(
            refused(r#"{"nn":5}"#).unwrap(),
            "input.nn: the action has no such placeholder; did you mean `n`?"
        );
        assert!(refused(r#"{"city":5}"#).unwrap().contains("known are"));
    }
}
