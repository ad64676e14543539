//! Actions: operations predefined in a definition, with placeholders `{{name}}` for values of the job.
//!
//! Invariant: what a job provides is only ever a value, never an operator or SQL; it is the name of a column only where
//! the template has a placeholder in place of one, in `select` and `orderBy`.

mod check;
mod fill;
mod given;
mod parameters;

pub(super) use self::check::check;
use self::fill::{Values, bind_sql, fill, fill_optional, names};
use self::given::reject_unused;
use super::dialect::Dialect;
use super::json::Json;
use super::operation::{Operation, Raw};
use super::request::{self, ReadContext};
use crate::clock::{Clock, SystemClock};
use crate::connector::Failure;
use crate::engine::inputs::ExpressionResolver;
use crate::resources::{ActionVerb, DatabaseAction, Text};
use crate::text::spelling::truncated;

/// The texts of an action with its secrets and expressions resolved.
pub(super) struct Templates {
    template: Option<Json>,
    filter: Option<Json>,
    defaults: Option<Json>,
    options: Vec<(Box<str>, Json)>,
}

impl Templates {
    pub(super) async fn reveal(action: &DatabaseAction, expressions: &ExpressionResolver) -> Result<Self, Failure> {
        let now = SystemClock.now();
        let read = async |text: &Text| Json::read(&expressions.reveal_json(text.as_written(), now).await?);
        let mut templates = Self {
            template: None,
            filter: None,
            defaults: None,
            options: Vec::with_capacity(action.options.len()),
        };
        if let Some(text) = &action.template {
            // SQL uses `$` itself.
            templates.template = Some(if action.verb == ActionVerb::RawSql {
                Json::read(text.as_written())?
            } else {
                read(text).await?
            });
        }
        if let Some(text) = &action.filter {
            templates.filter = Some(read(text).await?);
        }
        if let Some(text) = &action.defaults {
            templates.defaults = Some(read(text).await?);
        }
        for (name, text) in &action.options {
            templates.options.push((name.clone(), read(text).await?));
        }
        Ok(templates)
    }

    /// The texts as they are written.
    fn unresolved(action: &DatabaseAction) -> Result<Self, Failure> {
        let read = |text: &Option<Text>| text.as_ref().map(|text| Json::read(text.as_written())).transpose();
        let options = action.options.iter();
        Ok(Self {
            template: read(&action.template)?,
            filter: read(&action.filter)?,
            defaults: read(&action.defaults)?,
            options: options
                .map(|(name, text)| Ok((name.clone(), Json::read(text.as_written())?)))
                .collect::<Result<_, Failure>>()?,
        })
    }
}

/// Parts that the input of a job may have beside values.
const PARTS: [&str; 3] = ["query", "data", "filter"];
/// The order in which they are searched for a value of a filter, and of everything else.
const OF_FILTERS: [&str; 3] = ["filter", "query", "data"];
const OF_DATA: [&str; 3] = ["data", "query", "filter"];
/// Members whose placeholders need no value.
const OPTIONAL: [&str; 5] = ["limit", "offset", "orderBy", "select", "fields"];
/// Members of the templates that describe a whole operation.
const AGGREGATE_MEMBERS: [&str; 7] = ["where", "operations", "groupBy", "having", "orderBy", "limit", "offset"];
const RECORDS_MEMBERS: [&str; 6] = [
    "records",
    "conflictColumns",
    "conflictKeys",
    "updateColumns",
    "onConflict",
    "returning",
];

/// Names of operations that a template may have as its only member, as in `{ insertOne: { … } }`, and the verbs they are of.
const NAMED: [(&str, ActionVerb); 8] = [
    ("find", ActionVerb::Query),
    ("findOne", ActionVerb::Query),
    ("insertOne", ActionVerb::Insert),
    ("insertMany", ActionVerb::Insert),
    ("updateOne", ActionVerb::Update),
    ("updateMany", ActionVerb::Update),
    ("deleteOne", ActionVerb::Delete),
    ("deleteMany", ActionVerb::Delete),
];

/// The input of one job.
struct Input<'a> {
    /// Objects and other values by the name of their part.
    parts: Vec<(&'static str, &'a Json)>,
    /// All members, which are values too.
    all: &'a [(Box<str>, Json)],
}

impl<'a> Input<'a> {
    fn read(input: &'a Json) -> Result<Self, Failure> {
        let Json::Map(entries) = input else {
            return Err(Failure::invalid(format!(
                "the input must be an object, got {}",
                input.kind()
            )));
        };
        let part = |name: &'static str| {
            let found = entries.iter().find(|(key, _)| **key == *name);
            found.map(|(_, value)| (name, value))
        };
        Ok(Self {
            parts: PARTS.into_iter().filter_map(part).collect(),
            all: entries,
        })
    }

    /// The part of this name, unless it is `null`.
    fn part(&self, name: &str) -> Option<&'a Json> {
        let found = self.parts.iter().find(|(part, _)| *part == name);
        found
            .map(|(_, value)| *value)
            .filter(|json| !matches!(json.value(), Json::Null))
    }

    /// The part that is the filter of an action without one, and its name.
    fn filter(&self) -> Option<(&'static str, &'a Json)> {
        let part = |name: &'static str| self.part(name).map(|filter| (name, filter));
        part("filter").or_else(|| part("query"))
    }

    /// Looks values up in the parts in this order, then in the input, then in the defaults.
    fn values(&self, order: [&'static str; 3], templates: &'a Templates, checking: bool) -> Values<'a> {
        let part = |name: &'static str| self.parts.iter().find(|(part, _)| *part == name).copied();
        Values {
            parts: order.into_iter().filter_map(part).collect(),
            flat: self.all,
            defaults: templates.defaults.as_ref(),
            checking,
        }
    }
}

/// The operation of an action, with its placeholders filled from the job's input.
pub(super) fn operation(
    action: &DatabaseAction,
    templates: &Templates,
    input: &Json,
    context: ReadContext<'_>,
) -> Result<Operation, Failure> {
    let input = Input::read(input)?;
    reject_unused(action, templates, &input)?;
    match assembled(action, templates, &input, context, false)? {
        Assembled::Sql(raw) => Ok(Operation::Raw(raw)),
        Assembled::Request(request) => request
            .read()
            .map_err(|failure| in_input(failure, action.verb, templates)),
    }
}

/// A failure of a member that the action has, with the name of the job's value that fills it.
fn in_input(failure: Failure, verb: ActionVerb, templates: &Templates) -> Failure {
    let Some((member, rest)) = failure
        .message
        .strip_prefix("input.")
        .and_then(|path| path.split_once(':'))
    else {
        return failure;
    };
    let of_template = members(verb, templates.template.as_ref());
    let of_options = templates.options.iter().map(|(name, option)| (&**name, option));
    let mut known: Vec<&str> = Vec::new();
    for (_, template) in of_template
        .into_iter()
        .chain(of_options)
        .filter(|(name, _)| *name == member && OPTIONAL.contains(name))
    {
        names(template, &mut |name| known.push(name));
    }
    known.dedup();
    match known.as_slice() {
        [name] => Failure {
            message: format!("input.{}:{rest} (for `{member}` of the action)", truncated(name)),
            ..failure
        },
        _ => failure,
    }
}

/// What a template and values make.
enum Assembled<'a> {
    /// SQL.
    Sql(Raw),
    Request(Request<'a>),
}

/// An operation by its name and the members of its input.
#[derive(Clone)]
struct Request<'a> {
    name: &'static str,
    members: Vec<(Box<str>, Json)>,
    context: ReadContext<'a>,
}

impl Request<'_> {
    fn read(self) -> Result<Operation, Failure> {
        request::read(self.name, &Json::Map(self.members), self.context)
    }
}

fn assembled<'a>(
    action: &'a DatabaseAction,
    templates: &Templates,
    input: &Input<'_>,
    context: ReadContext<'a>,
    checking: bool,
) -> Result<Assembled<'a>, Failure> {
    let values = input.values(OF_DATA, templates, checking);
    if action.verb == ActionVerb::RawSql {
        if !context.dialect.raw_is_text() {
            return Err(Failure::invalid(format!(
                "operation: RAW_SQL is SQL, which {} does not take; use another operation, or `raw` in a dispatch",
                context.dialect.name()
            )));
        }
        let (text, params) = sql(templates.template.as_ref(), context.dialect, &values)?;
        return Ok(Assembled::Sql(Raw::Statement {
            text: text.into(),
            params,
        }));
    }
    let for_filter = input.values(OF_FILTERS, templates, checking);
    let mut request: Vec<(Box<str>, Json)> = Vec::new();
    let named = named(action.verb, templates.template.as_ref())?;
    let members = match named {
        Some((_, member)) => vec![member],
        None => members(action.verb, templates.template.as_ref()),
    };
    for (name, template) in members
        .iter()
        .copied()
        .chain(templates.options.iter().map(|(name, option)| (&**name, option)))
    {
        let filled = match name {
            name if OPTIONAL.contains(&name) => fill_optional(template, &values)?,
            "where" | "having" => Some(fill(template, &for_filter)?),
            "data" | "records" => Some(fill(template, &values)?),
            _ => Some(without_places(name, template)?.clone()),
        };
        request.extend(filled.map(|filled| (name.into(), filled)));
    }
    if takes_filter(action.verb) {
        let filter = match &templates.filter {
            Some(template) => Some(fill(filter_in(template, named.is_some()), &for_filter)?),
            None if request.iter().any(|(name, _)| **name == *"where") => None,
            None => input.filter().map(|(_, filter)| filter.clone()),
        };
        request.extend(filter.map(|filter| ("where".into(), filter)));
    }
    if takes_data(action.verb) && templates.template.is_none() {
        let data = input.part("data");
        request.extend(data.map(|data| ("data".into(), data.marked())));
    }
    let context = ReadContext {
        table: action.table.as_deref().or(context.table),
        // `raw` restricts SQL of jobs; the text of an action comes from the definition.
        raw: true,
        ..context
    };
    let name = match named {
        Some((name, _)) => name,
        None => operation_name(action.verb, &request),
    };
    Ok(Assembled::Request(Request {
        name,
        members: request,
        context,
    }))
}

fn takes_filter(verb: ActionVerb) -> bool {
    !matches!(verb, ActionVerb::Insert | ActionVerb::Upsert | ActionVerb::RawSql)
}

fn takes_data(verb: ActionVerb) -> bool {
    matches!(verb, ActionVerb::Insert | ActionVerb::Update | ActionVerb::Upsert)
}

/// A member of an operation's input.
type Member<'t> = (&'t str, &'t Json);

/// The operation that a template names, and the member of its input that it gives.
fn named<'t>(verb: ActionVerb, template: Option<&'t Json>) -> Result<Option<(&'static str, Member<'t>)>, Failure> {
    let Some(Json::Map(entries)) = template else {
        return Ok(None);
    };
    let [(key, value)] = entries.as_slice() else {
        return Ok(None);
    };
    let Some((name, of)) = NAMED.iter().find(|(name, _)| **key == **name) else {
        return Ok(None);
    };
    if *of != verb {
        return Err(Failure::invalid(format!(
            "template: `{name}` belongs to an action with another `operation`: {}",
            match of {
                ActionVerb::Insert => "INSERT",
                ActionVerb::Update => "UPDATE",
                ActionVerb::Delete => "DELETE",
                _ => "QUERY",
            }
        )));
    }
    let member = match verb {
        ActionVerb::Insert => ("data", value),
        ActionVerb::Update => match value {
            Json::Map(changes) => match changes.as_slice() {
                [(set, changes)] if **set == *"set" => ("data", changes),
                _ => ("data", value),
            },
            _ => ("data", value),
        },
        _ => ("where", value),
    };
    Ok(Some((name, member)))
}

/// The filter of a `filterTemplate`; beside a template that names its operation it may be `{ where: … }`.
fn filter_in(template: &Json, is_named: bool) -> &Json {
    match template {
        Json::Map(entries) if is_named => match entries.as_slice() {
            [(name, filter @ Json::Map(_))] if **name == *"where" => filter,
            _ => template,
        },
        _ => template,
    }
}

/// A member that jobs have no part in.
fn without_places<'t>(name: &str, template: &'t Json) -> Result<&'t Json, Failure> {
    let mut has_places = false;
    names(template, &mut |_| has_places = true);
    if has_places {
        return Err(Failure::invalid(format!(
            "input.{}: takes no places {{{{…}}}}: a job brings values only",
            truncated(name)
        )));
    }
    Ok(template)
}

/// What a template describes: members of the operation's input.
fn members(verb: ActionVerb, template: Option<&Json>) -> Vec<(&str, &Json)> {
    let Some(template) = template else { return Vec::new() };
    let described = |known: &[&str], needed: Option<&str>| match template {
        Json::Map(entries)
            if entries.iter().all(|(key, _)| known.contains(&&**key))
                && needed.is_none_or(|needed| entries.iter().any(|(key, _)| **key == *needed)) =>
        {
            Some(entries.iter().map(|(key, value)| (&**key, value)).collect())
        }
        _ => None,
    };
    match verb {
        ActionVerb::Query => match template {
            Json::Map(entries) => entries.iter().map(|(key, value)| (&**key, value)).collect(),
            _ => Vec::new(),
        },
        ActionVerb::Insert | ActionVerb::Upsert => {
            described(&RECORDS_MEMBERS, Some("records")).unwrap_or_else(|| vec![("data", template)])
        }
        ActionVerb::Aggregate => {
            described(&AGGREGATE_MEMBERS, Some("operations")).unwrap_or_else(|| vec![("aggregate", template)])
        }
        ActionVerb::Update => vec![("data", template)],
        ActionVerb::Delete | ActionVerb::RawSql => Vec::new(),
    }
}

/// The SQL of an action and its values: text with placeholders, or `{ query, params }`.
fn sql(template: Option<&Json>, dialect: Dialect, values: &Values<'_>) -> Result<(String, Vec<Json>), Failure> {
    let Some(Json::Map(entries)) = template else {
        let text = template.and_then(Json::as_text).unwrap_or_default();
        return bind_sql(text, dialect, values);
    };
    let member = |name: &str| entries.iter().find(|(key, _)| **key == *name).map(|(_, value)| value);
    let text = member("query").and_then(Json::as_text).unwrap_or_default();
    if member("params").is_none() {
        return bind_sql(text, dialect, values);
    }
    let params = match member("params") {
        None => Vec::new(),
        Some(template) => match fill(template, values)? {
            Json::List(list) => list,
            Json::Literal(filled) => match *filled {
                Json::List(list) => list,
                other => {
                    return Err(Failure::invalid(format!(
                        "the params of the action must be a list, got {}",
                        other.kind()
                    )));
                }
            },
            _ => Vec::new(),
        },
    };
    Ok((text.to_owned(), params))
}

fn operation_name(verb: ActionVerb, request: &[(Box<str>, Json)]) -> &'static str {
    let computes = |(key, _): &(Box<str>, Json)| matches!(&**key, "operations" | "aggregate");
    match verb {
        ActionVerb::Query if request.iter().any(computes) => "aggregate",
        ActionVerb::Query | ActionVerb::RawSql => "query",
        ActionVerb::Insert => "insert",
        ActionVerb::Update => "update",
        ActionVerb::Delete => "delete",
        ActionVerb::Upsert => "upsert",
        ActionVerb::Aggregate => "aggregate",
    }
}
