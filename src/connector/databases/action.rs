//! Actions: operations that a definition writes down, with places `{{name}}` for what a job brings.
//!
//! Invariant: what a job brings is only ever a value: never a column, an operator or SQL.

use super::Dialect;
use super::json::Json;
use super::name::shortened;
use super::operation::Operation;
use super::request::{self, ReadContext};
use crate::clock::{Clock, SystemClock};
use crate::connector::Failure;
use crate::engine::inputs::ExpressionResolver;
use crate::resources::{ActionVerb, DatabaseAction};

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
        // SQL has a use of its own for `$`.
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

/// The operation of an action, with what the job brings in its places.
pub(super) fn operation(
    action: &DatabaseAction,
    templates: &Templates,
    input: &Json,
    context: ReadContext<'_>,
) -> Result<Operation, Failure> {
    let Json::Map(entries) = input else {
        return Err(Failure::invalid(format!(
            "the input must be an object, got {}",
            input.kind()
        )));
    };
    const PARTS: [&str; 3] = ["query", "data", "filter"];
    if let Some((key, _)) = entries.iter().find(|(key, _)| !PARTS.contains(&&**key)) {
        return Err(Failure::invalid(format!(
            "input.{}: is not known here; {}",
            shortened(key),
            super::name::suggestion(key, &PARTS)
        )));
    }
    let part = |name: &str| entries.iter().find(|(key, _)| **key == *name).map(|(_, value)| value);
    let source = |order: [&'static str; 3]| ValueSource {
        parts: order.into_iter().filter_map(|name| Some((name, part(name)?))).collect(),
        defaults: templates.defaults.as_ref(),
    };
    let (values, filters) = (source(["data", "query", "filter"]), source(["filter", "query", "data"]));
    // Of the definition: what the job may decide by `raw` is none of its business.
    let context = ReadContext {
        table: action.table.as_deref().or(context.table),
        raw: true,
        ..context
    };
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
        // Where names of columns stand, a job has no say.
        let takes_values = matches!(&**name, "limit" | "offset" | "having");
        let option = if takes_values {
            fill_template(option, &values)?
        } else {
            option.clone()
        };
        request.push((name.clone(), option));
    }
    let is_there = |json: &&Json| !matches!(json.value(), Json::Null);
    let takes_filter = matches!(
        action.verb,
        ActionVerb::Query | ActionVerb::Update | ActionVerb::Delete | ActionVerb::Aggregate
    );
    if takes_filter {
        // Without a template the job says which rows it means.
        let own = || {
            part("filter")
                .filter(is_there)
                .or_else(|| part("query").filter(is_there))
                .cloned()
        };
        let filter = match &templates.filter {
            Some(template) => Some(fill_template(template, &filters)?),
            None => own(),
        };
        request.extend(filter.map(|filter| ("where".into(), filter)));
    }
    match action.verb {
        ActionVerb::Insert | ActionVerb::Update | ActionVerb::Upsert => {
            let data = match &templates.template {
                Some(template) => Some(fill_template(template, &values)?),
                None => part("data").cloned(),
            };
            request.extend(data.map(|data| ("data".into(), data)));
        }
        ActionVerb::Aggregate => {
            request.extend(templates.template.clone().map(|what| ("aggregate".into(), what)));
        }
        _ => {}
    }
    let several = request
        .iter()
        .any(|(key, value)| **key == *"data" && matches!(value.value(), Json::List(_)));
    let name = match action.verb {
        ActionVerb::Query | ActionVerb::RawSql => "query",
        ActionVerb::Insert if several => "insertMany",
        ActionVerb::Insert => "insert",
        ActionVerb::Update => "update",
        ActionVerb::Delete => "delete",
        ActionVerb::Upsert => "upsert",
        ActionVerb::Aggregate => "aggregate",
    };
    request::read(name, &Json::Map(request), context)
}

impl ValueSource<'_> {
    /// The value of a name: `name`, `a.b`, or `data.name` for the one of that part.
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
                shortened(name)
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

/// A template with its places filled.
fn fill_template(template: &Json, source: &ValueSource<'_>) -> Result<Json, Failure> {
    Ok(match template {
        Json::Text(text) if text.contains("{{") => {
            let pieces = split_template(text);
            // A value that is one place keeps its type.
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

/// SQL of a definition, with its places bound.
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
