//! Checks a definition as jobs would use it: all that can be known without their values, each problem at its path.
//!
//! Invariant: a problem that follows from another one is not told.

use super::fill::{names, placeholders, value_at};
use super::parameters::Parameters;
use super::{Assembled, Input, Request, Templates, assembled, members, named};
use crate::connector::Failure;
use crate::connector::databases::definition::{self, Refused};
use crate::connector::databases::dialect::Dialect;
use crate::connector::databases::filter;
use crate::connector::databases::json::Json;
use crate::connector::databases::operation::Operation;
use crate::connector::databases::request::ReadContext;
use crate::resources::{ActionVerb, DatabaseAction, refused_defaults};
use crate::text::spelling::{suggestion, truncated};

/// The path of a member of the action, empty for the action itself, and what is wrong there.
pub(in crate::connector::databases) type Problem = (String, String);

/// Checks a definition as far as it can be checked without a job.
pub(in crate::connector::databases) fn check(action: &DatabaseAction, context: ReadContext<'_>) -> Vec<Problem> {
    let templates = match Templates::unresolved(action) {
        Ok(templates) => templates,
        Err(failure) => return vec![(String::new(), failure.message)],
    };
    let mut found = wrong_defaults(&templates);
    found.extend(unknown_defaults(&templates));
    found.extend(without_effect(action));
    if action.verb == ActionVerb::RawSql && context.dialect.raw_is_text() {
        found.extend(wrong_parameters(templates.template.as_ref(), context.dialect));
    }
    // What the job gives in place of a template.
    let filter = any_filter();
    let input = Input {
        parts: vec![("data", &Json::Any), ("filter", &filter)],
        all: &[],
    };
    let definition = Definition {
        action,
        templates: &templates,
    };
    match assembled(action, &templates, &input, context, true) {
        Err(failure) => found.push(definition.placed(failure)),
        Ok(Assembled::Sql(raw)) => found.extend(definition.of_operation(&Operation::Raw(raw), context)),
        Ok(Assembled::Request(request)) => found.extend(definition.of_request(request, context)),
    }
    found
}

/// A filter that is sound on every database.
fn any_filter() -> Json {
    Json::Map(vec![("id".into(), Json::Any)])
}

/// Defaults that no placeholder takes.
fn unknown_defaults(templates: &Templates) -> Vec<Problem> {
    let Some(Json::Map(defaults)) = &templates.defaults else {
        return Vec::new();
    };
    let options = templates.options.iter().map(|(_, option)| option);
    let texts = [&templates.template, &templates.filter].into_iter().flatten();
    let mut known: Vec<&str> = Vec::new();
    for template in texts.chain(options) {
        names(template, &mut |name| known.push(name));
    }
    known.sort_unstable();
    known.dedup();
    let is_taken = |key: &str| {
        let mut names = known.iter();
        names.any(|name| *name == key || name.split_once('.').is_some_and(|(first, _)| first == key))
    };
    let unknown = defaults.iter().filter(|(key, _)| !is_taken(key));
    unknown
        .map(|(key, _)| {
            let said = match known.as_slice() {
                [] => "it has none".to_owned(),
                known => suggestion(key, known),
            };
            let why = format!("the action has no such placeholder; {said}");
            (format!("defaults.{}", truncated(key)), why)
        })
        .collect()
}

/// Members of the action that its operation does not have.
fn without_effect(action: &DatabaseAction) -> Vec<Problem> {
    let mut found = Vec::new();
    let (filter, others) = match action.verb {
        ActionVerb::RawSql => (
            Some("RAW_SQL has no filter; write it into the SQL, with {{…}} for values"),
            true,
        ),
        ActionVerb::Insert => (Some("INSERT has no filter"), false),
        ActionVerb::Upsert => (Some("UPSERT has no filter; it finds a row by `conflictColumns`"), false),
        _ => (None, false),
    };
    if let (Some(why), Some(_)) = (filter, &action.filter) {
        found.push(("filterTemplate".to_owned(), why.to_owned()));
    }
    if others {
        let why = "RAW_SQL has none; write it into the SQL";
        found.extend(
            action
                .options
                .iter()
                .map(|(name, _)| (name.to_string(), why.to_owned())),
        );
    }
    found
}

/// Parameters of SQL that no values are bound to, or not that many.
fn wrong_parameters(template: Option<&Json>, dialect: Dialect) -> Option<Problem> {
    let member = |name: &str| match template {
        Some(Json::Map(entries)) => entries.iter().find(|(key, _)| **key == *name).map(|(_, value)| value),
        _ => None,
    };
    let (place, text) = match template {
        Some(Json::Map(_)) => ("template.query", member("query")),
        text => ("template", text),
    };
    let text = text.and_then(Json::as_text).unwrap_or_default();
    let found = Parameters::of(text, dialect);
    let takes = match found.count {
        1 => "1 parameter".to_owned(),
        count => format!("{count} parameters"),
    };
    let Some(params) = member("params") else {
        let why = match (found.are_none(), text.contains("{{")) {
            (true, _) => return None,
            (false, true) => "has parameters of its own beside {{…}}; use one of them",
            (false, false) => "has parameters, and nothing is bound to them; write {{name}}, or give { query, params }",
        };
        return Some((place.to_owned(), why.to_owned()));
    };
    match params {
        Json::List(values) if !found.are_named && values.len() != found.count => Some((
            "template.params".to_owned(),
            format!("has {} values, and the SQL takes {takes}", values.len()),
        )),
        _ => None,
    }
}

/// Defaults that their own placeholders forbid. What an expression will yield is not known.
fn wrong_defaults(templates: &Templates) -> Vec<Problem> {
    let Some(Json::Map(defaults)) = &templates.defaults else {
        return Vec::new();
    };
    let options = templates.options.iter().map(|(_, option)| option);
    let texts = [&templates.template, &templates.filter].into_iter().flatten();
    let mut all: Vec<&str> = Vec::new();
    for template in texts.chain(options) {
        placeholders(template, &mut |text| all.push(text));
    }
    refused_defaults(&all, |name| value_at(defaults, name).map(Json::text))
}

/// An action that is checked, and its texts.
struct Definition<'a> {
    action: &'a DatabaseAction,
    templates: &'a Templates,
}

impl Definition<'_> {
    /// What is wrong with an operation's input, each of its members once.
    fn of_request(&self, mut request: Request<'_>, context: ReadContext<'_>) -> Vec<Problem> {
        let mut found: Vec<Problem> = Vec::new();
        let is_filter = |(name, _): &(Box<str>, Json)| **name == *"where";
        if request.members.iter().filter(|member| is_filter(member)).count() > 1 {
            let why = "is in the place of the template's `where`; give one of them";
            found.push(("filterTemplate".to_owned(), why.to_owned()));
            let first = request.members.iter().position(is_filter);
            first.map(|at| request.members.remove(at));
        }
        for (name, filter) in &mut request.members {
            if matches!(&**name, "where" | "having")
                && let Err(failure) = filter::read(filter, context.dialect)
            {
                found.push((self.filter_place(name), failure.message));
                *filter = if **name == *"where" { any_filter() } else { Json::Null };
            }
        }
        let mut told: Vec<String> = Vec::new();
        loop {
            let failure = match request.clone().read() {
                Ok(operation) => {
                    found.extend(self.of_operation(&operation, context));
                    return found;
                }
                Err(failure) => failure,
            };
            let member = member_of(&failure.message).map(|(member, _)| member.to_owned());
            let Some(member) = member else {
                found.push(self.placed(failure));
                return found;
            };
            let times = told.iter().filter(|known| **known == member).count();
            if times == 0 {
                found.push(self.placed(failure));
            }
            let at = request.members.iter().position(|(name, _)| **name == *member);
            // What has been told is what a job gives from then on, or is not there.
            match (times, at) {
                (0, Some(at)) => {
                    if let Some((_, value)) = request.members.get_mut(at) {
                        *value = Json::Any;
                    }
                }
                (1, Some(at)) => {
                    request.members.remove(at);
                }
                _ => return found,
            }
            told.push(member);
        }
    }

    /// What the database cannot do of an operation.
    fn of_operation(&self, operation: &Operation, context: ReadContext<'_>) -> Vec<Problem> {
        let refused = definition::check(operation, context.dialect);
        let placed = |refused| match refused {
            Refused::Filter(failure) => (self.filter_place("where"), failure.message),
            Refused::Operation(failure) => self.placed(failure),
        };
        refused.into_iter().map(placed).collect()
    }

    fn is_option(&self, name: &str) -> bool {
        self.action.options.iter().any(|(option, _)| **option == *name)
    }

    /// Where a filter stands.
    fn filter_place(&self, name: &str) -> String {
        if name == "where" && self.action.filter.is_some() {
            return "filterTemplate".to_owned();
        }
        if self.is_option(name) {
            return name.to_owned();
        }
        match named(self.action.verb, self.templates.template.as_ref()) {
            Ok(Some((operation, _))) => format!("template.{operation}"),
            _ => format!("template.{name}"),
        }
    }

    /// A failure with its path in the definition in place of that in an input.
    fn placed(&self, failure: Failure) -> Problem {
        let message = failure.message;
        let Some((member, rest)) = member_of(&message) else {
            return match message.split_once(": ") {
                Some((place @ ("operation" | "template" | "filterTemplate" | "tableName"), why)) => {
                    (place.to_owned(), why.to_owned())
                }
                _ => (String::new(), message),
            };
        };
        let (within, why) = rest.split_once(": ").unwrap_or(("", rest));
        let place = match (member, &self.templates.template) {
            _ if self.is_option(member) => member.to_owned(),
            ("data" | "aggregate", Some(template)) => {
                let inner = if member == "data" { "records" } else { "operations" };
                let described = members(self.action.verb, Some(template));
                match named(self.action.verb, Some(template)) {
                    Ok(Some((operation, _))) => format!("template.{operation}"),
                    _ if described.iter().any(|(name, _)| *name == inner) => format!("template.{inner}"),
                    _ => "template".to_owned(),
                }
            }
            ("where", _) => self.filter_place("where"),
            (_, Some(_)) => format!("template.{member}"),
            // It is the job's, or missing.
            _ => member.to_owned(),
        };
        (format!("{place}{within}"), why.to_owned())
    }
}

/// The member of an input that a message speaks of, and what follows its name: `.n: must be …`.
fn member_of(message: &str) -> Option<(&str, &str)> {
    let path = message.strip_prefix("input.")?;
    let end = path.find([':', '.', '[']).unwrap_or(path.len());
    Some(path.split_at(end))
}
