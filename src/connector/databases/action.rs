//! Actions: operations predefined in a definition, with placeholders `{{name}}` for values of the job.
//!
//! Invariant: what a job provides is only ever a value, never a column, an operator or SQL.

use super::dialect::Dialect;
use super::json::Json;
use super::operation::Operation;
use super::request::{self, ReadContext};
use crate::clock::{Clock, SystemClock};
use crate::connector::Failure;
use crate::engine::inputs::ExpressionResolver;
use crate::resources::{ActionVerb, DatabaseAction};
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
        // SQL uses `$` itself.
        let is_sql = action.verb == ActionVerb::RawSql;
        let read = async |text: &crate::resources::Text, plain: bool| {
            if plain {
                return Json::read(text.as_written());
            }
            Json::read(&expressions.reveal_json(text.as_written(), now).await?)
        };
        let mut templates = Self {
            template: None,
            filter: None,
            defaults: None,
            options: Vec::with_capacity(action.options.len()),
        };
        if let Some(text) = &action.template {
            templates.template = Some(read(text, is_sql).await?);
        }
        if let Some(text) = &action.filter {
            templates.filter = Some(read(text, false).await?);
        }
        if let Some(text) = &action.defaults {
            templates.defaults = Some(read(text, false).await?);
        }
        for (name, text) in &action.options {
            templates.options.push((name.clone(), read(text, false).await?));
        }
        Ok(templates)
    }
}

/// Where values of names are looked up.
struct ValueSource<'a> {
    parts: Vec<(&'static str, &'a Json)>,
    defaults: Option<&'a Json>,
}

/// Members that the input of a job may have.
const PARTS: [&str; 3] = ["query", "data", "filter"];
/// Options whose templates may have placeholders; the others contain column names, which a job must not choose.
const VALUE_OPTIONS: [&str; 3] = ["limit", "offset", "having"];

/// The parts of the input of one job.
struct Parts<'a>(&'a [(Box<str>, Json)]);

impl<'a> Parts<'a> {
    fn read(input: &'a Json) -> Result<Self, Failure> {
        let Json::Map(entries) = input else {
            return Err(Failure::invalid(format!(
                "the input must be an object, got {}",
                input.kind()
            )));
        };
        match entries.iter().find(|(key, _)| !PARTS.contains(&&**key)) {
            Some((key, _)) => Err(Failure::unknown_member("input", key, &PARTS)),
            None => Ok(Self(entries)),
        }
    }

    fn get(&self, name: &str) -> Option<&'a Json> {
        let entries = self.0.iter();
        entries.filter(|(key, _)| **key == *name).map(|(_, value)| value).next()
    }

    /// The part of this name, unless it is `null`.
    fn present(&self, name: &str) -> Option<&'a Json> {
        self.get(name).filter(|json| !matches!(json.value(), Json::Null))
    }

    /// Looks values up in the parts in this order, then in the defaults.
    fn source(&self, order: [&'static str; 3], templates: &'a Templates) -> ValueSource<'a> {
        ValueSource {
            parts: order
                .into_iter()
                .filter_map(|name| Some((name, self.get(name)?)))
                .collect(),
            defaults: templates.defaults.as_ref(),
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
    let parts = Parts::read(input)?;
    let values = parts.source(["data", "query", "filter"], templates);
    if action.verb == ActionVerb::RawSql {
        let sql = templates.template.as_ref().and_then(Json::as_text).unwrap_or_default();
        let (sql, params) = bind_sql(sql, context.dialect, &values)?;
        return Ok(Operation::Raw {
            sql: sql.into(),
            params,
        });
    }
    let mut request: Vec<(Box<str>, Json)> = Vec::new();
    for (name, option) in &templates.options {
        let option = if VALUE_OPTIONS.contains(&&**name) {
            fill_template(option, &values)?
        } else {
            option.clone()
        };
        request.push((name.clone(), option));
    }
    let filter = filter_of(action.verb, templates, &parts)?;
    request.extend(filter.map(|filter| ("where".into(), filter)));
    request.extend(content_of(action.verb, templates, &parts, &values)?);
    let context = ReadContext {
        table: action.table.as_deref().or(context.table),
        // `raw` restricts SQL of jobs; the text of an action comes from the definition.
        raw: true,
        ..context
    };
    request::read(operation_name(action.verb, &request), &Json::Map(request), context)
}

/// The filter of an action; without a template, that of the job.
fn filter_of(verb: ActionVerb, templates: &Templates, parts: &Parts<'_>) -> Result<Option<Json>, Failure> {
    let takes_filter = matches!(
        verb,
        ActionVerb::Query | ActionVerb::Update | ActionVerb::Delete | ActionVerb::Aggregate
    );
    if !takes_filter {
        return Ok(None);
    }
    match &templates.filter {
        Some(template) => {
            let values = parts.source(["filter", "query", "data"], templates);
            fill_template(template, &values).map(Some)
        }
        None => Ok(parts.present("filter").or_else(|| parts.present("query")).cloned()),
    }
}

/// The data or aggregates of an action, with the name of their field.
fn content_of(
    verb: ActionVerb,
    templates: &Templates,
    parts: &Parts<'_>,
    values: &ValueSource<'_>,
) -> Result<Option<(Box<str>, Json)>, Failure> {
    match verb {
        ActionVerb::Insert | ActionVerb::Update | ActionVerb::Upsert => {
            let data = match &templates.template {
                Some(template) => Some(fill_template(template, values)?),
                None => parts.get("data").cloned(),
            };
            Ok(data.map(|data| ("data".into(), data)))
        }
        ActionVerb::Aggregate => Ok(templates.template.clone().map(|what| ("aggregate".into(), what))),
        ActionVerb::Query | ActionVerb::Delete | ActionVerb::RawSql => Ok(None),
    }
}

fn operation_name(verb: ActionVerb, request: &[(Box<str>, Json)]) -> &'static str {
    let is_list = |(key, value): &(Box<str>, Json)| **key == *"data" && matches!(value.value(), Json::List(_));
    match verb {
        ActionVerb::Query | ActionVerb::RawSql => "query",
        ActionVerb::Insert if request.iter().any(is_list) => "insertMany",
        ActionVerb::Insert => "insert",
        ActionVerb::Update => "update",
        ActionVerb::Delete => "delete",
        ActionVerb::Upsert => "upsert",
        ActionVerb::Aggregate => "aggregate",
    }
}

impl ValueSource<'_> {
    /// Looks up a name: `name`, `a.b`, or `data.name` for a value of that part.
    fn value(&self, name: &str) -> Result<Json, Failure> {
        let found = self.parts.iter().find_map(|(part, json)| {
            let rest = name.strip_prefix(part)?.strip_prefix('.')?;
            value_at(json, rest)
        });
        let found = found.or_else(|| self.parts.iter().find_map(|(_, json)| value_at(json, name)));
        let found = found.or_else(|| self.defaults.and_then(|defaults| value_at(defaults, name)));
        found.cloned().ok_or_else(|| {
            Failure::invalid(format!(
                "the input has no value for {{{{{}}}}}; give it in data, query or filter, or as one of the action's `defaults`",
                truncated(name)
            ))
        })
    }
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

/// A part of a template: text, or a name.
enum Piece<'t> {
    Text(&'t str),
    Name(&'t str),
}

fn split_template(template: &str) -> Vec<Piece<'_>> {
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

/// Fills the placeholders of a template.
fn fill_template(template: &Json, source: &ValueSource<'_>) -> Result<Json, Failure> {
    Ok(match template {
        Json::Text(text) if text.contains("{{") => {
            let pieces = split_template(text);
            // A string that is a single placeholder becomes the value itself, with its type.
            if let [Piece::Name(name)] = pieces.as_slice() {
                return Ok(Json::Literal(Box::new(source.value(name)?)));
            }
            let mut filled = String::new();
            for piece in pieces {
                match piece {
                    Piece::Text(text) => filled.push_str(text),
                    Piece::Name(name) => match source.value(name)?.value() {
                        Json::Text(text) => filled.push_str(text),
                        Json::Null => {}
                        other => filled.push_str(&other.text()),
                    },
                }
            }
            Json::Literal(Box::new(Json::Text(filled.into())))
        }
        Json::List(list) => Json::List(
            list.iter()
                .map(|part| fill_template(part, source))
                .collect::<Result<_, _>>()?,
        ),
        Json::Map(entries) => {
            let filled = entries
                .iter()
                .map(|(key, value)| Ok((key.clone(), fill_template(value, source)?)));
            Json::Map(filled.collect::<Result<_, Failure>>()?)
        }
        other => other.clone(),
    })
}

/// Binds the placeholders in the SQL of a definition.
fn bind_sql(sql: &str, dialect: Dialect, source: &ValueSource<'_>) -> Result<(String, Vec<Json>), Failure> {
    let mut text = String::new();
    let mut params = Vec::new();
    let mut names: Vec<&str> = Vec::new();
    for piece in split_template(sql) {
        match piece {
            Piece::Text(part) => text.push_str(part),
            Piece::Name(name) if dialect == Dialect::Postgres => {
                let number = match names.iter().position(|known| *known == name) {
                    Some(at) => at + 1,
                    None => {
                        params.push(source.value(name)?);
                        names.push(name);
                        names.len()
                    }
                };
                text.push_str(&format!("${number}"));
            }
            Piece::Name(name) => {
                params.push(source.value(name)?);
                text.push('?');
            }
        }
    }
    Ok((text, params))
}
