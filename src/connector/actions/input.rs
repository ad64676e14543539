//! Which part of a request each field of an input is for.

use super::super::Failure;
use super::json::{JsonKind, kind};
use crate::resources::Action;
use crate::text::json::Object;
use std::borrow::Cow;

/// The parts of a request that an input gives.
#[derive(Debug, Default)]
pub(super) struct RequestParts<'a> {
    /// After the question mark.
    pub(super) query: Object<'a>,
    /// Of the path.
    pub(super) params: Object<'a>,
    /// Headers.
    pub(super) headers: Object<'a>,
    /// JSON text of the body, if there is one.
    pub(super) body: Option<Cow<'a, str>>,
}

/// Sorts the fields of an input: those in `query`, `params`, `headers` and `body`, those with the prefixes of these
/// names, and others by what the action has a place for.
///
/// # Errors
/// `VALIDATION_ERROR` for what is no input.
pub(super) fn read<'a>(input: &'a str, action: &Action) -> Result<RequestParts<'a>, Failure> {
    let fields = Object::read(input)
        .ok_or_else(|| Failure::invalid("input: must be an object whose names are valid Unicode"))?;
    let mut parts = RequestParts::default();
    let mut loose = Object::default();
    let mut whole = None;
    for (name, json) in fields.iter() {
        match name {
            "query" => parts.query.extend(object_section(name, json)?),
            "params" => parts.params.extend(object_section(name, json)?),
            "headers" => parts.headers.extend(object_section(name, json)?),
            // Also what dispatches take for no body: a list, a text.
            "body" | "body:" => whole = (kind(json, "input.body")? != JsonKind::Null).then_some(json),
            _ => match name.split_once(':').filter(|(_, rest)| !rest.is_empty()) {
                Some(("query", rest)) => parts.query.put(rest.to_owned(), json),
                Some(("params", rest)) => parts.params.put(rest.to_owned(), json),
                Some(("headers", rest)) => parts.headers.put(rest.to_owned(), json),
                Some(("body", rest)) => loose.put(rest.to_owned(), json),
                _ if action.resource.params().any(|param| param == name) => parts.params.put(name.to_owned(), json),
                _ if action.method.takes_body() => loose.put(name.to_owned(), json),
                _ => parts.query.put(name.to_owned(), json),
            },
        }
    }
    parts.body = body(whole, loose)?;
    Ok(parts)
}

fn object_section<'a>(name: &str, json: &'a str) -> Result<Object<'a>, Failure> {
    match kind(json, name)? {
        JsonKind::Null => Ok(Object::default()),
        JsonKind::Object => Object::read(json)
            .ok_or_else(|| Failure::invalid(format!("input.{name}: must be an object whose names are valid Unicode"))),
        _ => Err(Failure::invalid(format!(
            "input.{name}: must be an object; a field of that name is written with its place, as in 'body:{name}' or 'query:{name}'"
        ))),
    }
}

/// The body of these fields, or this one with these fields in it.
fn body<'a>(whole: Option<&'a str>, loose: Object<'a>) -> Result<Option<Cow<'a, str>>, Failure> {
    let Some(json) = whole else {
        return Ok((!loose.is_empty()).then(|| Cow::Owned(loose.to_json())));
    };
    if loose.is_empty() {
        return Ok(Some(Cow::Borrowed(json)));
    }
    let mut object = Object::read(json).ok_or_else(|| {
        Failure::invalid(
            "input.body: must be an object where other fields go to the body too; a field of that name is written 'body:body'",
        )
    })?;
    object.extend(loose);
    Ok(Some(Cow::Owned(object.to_json())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resources::{Method, PathTemplate, RequestType, Segment};

    fn action(method: Method) -> Action {
        let param = Segment::Param {
            name: "id".into(),
            suffix: "".into(),
        };
        Action {
            tag: "a".into(),
            method,
            resource: PathTemplate {
                segments: vec![param],
                query: None,
            },
            request_type: RequestType::Json("application/json".into()),
            timeout: None,
            headers: Vec::new(),
            query: None,
            params: None,
            body: None,
        }
    }

    fn sorted(input: &str, method: Method) -> String {
        match read(input, &action(method)) {
            Ok(parts) => format!(
                "{} {} {} {}",
                parts.query.to_json(),
                parts.params.to_json(),
                parts.headers.to_json(),
                parts.body.as_deref().unwrap_or("-")
            ),
            Err(failure) => format!("{} {}", failure.code, failure.message.split(':').next().unwrap_or("")),
        }
    }

    #[test]
    fn input_fields_are_sorted_into_request_parts() {
        let cases = [
            ("{}", "{} {} {} -", "{} {} {} -"),
            (
                r#"{"query":{"q":1},"params":{"id":2},"headers":{"h":3},"body":{"b":4}}"#,
                r#"{"q":1} {"id":2} {"h":3} {"b":4}"#,
                r#"{"q":1} {"id":2} {"h":3} {"b":4}"#,
            ),
            (
                r#"{"id":7,"x":[1]}"#,
                r#"{} {"id":7} {} {"x":[1]}"#,
                r#"{"x":[1]} {"id":7} {} -"#,
            ),
            (
                r#"{"query:a":1,"params:id":2,"headers:h":3,"body:id":4}"#,
                r#"{"a":1} {"id":2} {"h":3} {"id":4}"#,
                r#"{"a":1} {"id":2} {"h":3} {"id":4}"#,
            ),
            (r#"{"body":"text"}"#, r#"{} {} {} "text""#, r#"{} {} {} "text""#),
            (r#"{"body":null,"query":null}"#, "{} {} {} -", "{} {} {} -"),
            (
                r#"{"body":{"a":1,"b":1},"b":2}"#,
                r#"{} {} {} {"a":1,"b":2}"#,
                r#"{"b":2} {} {} {"a":1,"b":1}"#,
            ),
            (
                r#"{"other:x":1,"query:":2}"#,
                r#"{} {} {} {"other:x":1,"query:":2}"#,
                r#"{"other:x":1,"query:":2} {} {} -"#,
            ),
            (r#"{"body:":[1,2]}"#, "{} {} {} [1,2]", "{} {} {} [1,2]"),
            (
                r#"{"query":"x"}"#,
                "VALIDATION_ERROR input.query",
                "VALIDATION_ERROR input.query",
            ),
            ("[]", "VALIDATION_ERROR input", "VALIDATION_ERROR input"),
        ];
        for (input, post, get) in cases {
            assert_eq!(sorted(input, Method::Post), post, "{input}");
            assert_eq!(sorted(input, Method::Get), get, "{input}");
        }
        assert_eq!(
            sorted(r#"{"body":"x","y":1}"#, Method::Put),
            "VALIDATION_ERROR input.body"
        );
    }
}
