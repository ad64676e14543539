//! Makes the request of a call: what the action defines, with what the job brings merged into it.

use super::super::{Call, Failure};
use super::input::RequestParts;
use super::json::{JsonKind, kind, merge};
use super::{body, url};
use crate::resources::{self, Action, RequestType, Text, is_connection_header};
use crate::text::json::{Object, push_string};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, Url};

/// What is sent.
type BuiltRequest = (Url, HeaderMap, Option<Vec<u8>>);

/// The URL, the headers and the body.
///
/// # Errors
/// `VALIDATION_ERROR` for what is missing or has no place in a request; what the source of secrets says.
pub(super) async fn build(
    base: &str,
    common: &HeaderMap,
    action: &Action,
    parts: RequestParts<'_>,
    call: &Call<'_>,
) -> Result<BuiltRequest, Failure> {
    let params = revealed(action.params.as_ref(), call).await?;
    let query = revealed(action.query.as_ref(), call).await?;
    let template = match &action.body {
        Some(template) => Some(reveal(template, call).await?),
        None => None,
    };
    let url = url::build(
        base,
        &action.resource,
        &merge_over_template(&params, parts.params)?,
        &merge_over_template(&query, parts.query)?,
    )?;
    let mut headers = headers(common, action, &parts.headers, call).await?;
    put_trace(&mut headers, &parts.headers, call.attempt.trace.headers());
    let json = match (template, parts.body) {
        (Some(template), Some(input)) => Some(merge(&template, &input)),
        (template, input) => template.or(input.map(Into::into)),
    };
    let Some(json) = json else {
        return Ok((url, headers, None));
    };
    let body = body::write(&json, &action.request_type)?;
    // The boundary of a multipart body stands nowhere else.
    if action.request_type == RequestType::Multipart || !headers.contains_key(CONTENT_TYPE) {
        put_header(&mut headers, "content-type", &body.media_type)?;
    }
    Ok((url, headers, Some(body.bytes)))
}

async fn reveal(template: &Text, call: &Call<'_>) -> Result<String, Failure> {
    let now = call.attempt.started_at;
    Ok(call.expressions.reveal_json(template.as_written(), now).await?)
}

async fn revealed(template: Option<&Text>, call: &Call<'_>) -> Result<String, Failure> {
    match template {
        Some(template) => reveal(template, call).await,
        None => Ok("{}".to_owned()),
    }
}

/// The members of a template, and before them those of an input.
fn merge_over_template<'a>(template: &'a str, input: Object<'a>) -> Result<Object<'a>, Failure> {
    let mut object = Object::read(template).ok_or_else(|| Failure::invalid("a template of the action is no object"))?;
    object.extend(input);
    Ok(object)
}

async fn headers(
    common: &HeaderMap,
    action: &Action,
    input: &Object<'_>,
    call: &Call<'_>,
) -> Result<HeaderMap, Failure> {
    let mut headers = common.clone();
    put_header(&mut headers, "idempotency-key", &call.idempotency_key())?;
    for (name, value) in &action.headers {
        let value = if value.is_plain() {
            value.as_written().to_owned()
        } else {
            header_value(name, value, call).await?
        };
        put_header(&mut headers, name, &value)?;
    }
    for (name, json) in input.iter() {
        let place = header_path(name);
        match kind(json, &place)? {
            JsonKind::Scalar(value) => put_header(&mut headers, name, &value)?,
            // Takes away what the definition sets.
            JsonKind::Null => drop(headers.remove(name)),
            _ => {
                return Err(Failure::invalid(format!(
                    "{place}: must be a string, a number, true or false"
                )));
            }
        }
    }
    Ok(headers)
}

/// Sets the headers of a trace, unless the definition or the input says anything about one of them: they belong together.
fn put_trace(headers: &mut HeaderMap, input: &Object<'_>, trace: &[(Box<str>, Box<str>)]) {
    let is_given =
        |name: &str| headers.contains_key(name) || input.iter().any(|(given, _)| given.eq_ignore_ascii_case(name));
    if trace.iter().any(|(name, _)| is_given(name)) {
        return;
    }
    for (name, value) in trace {
        // What cannot be one is left out: no request fails for its trace.
        let _ = put_header(headers, name, value);
    }
}

/// What a text becomes; an expression may yield a number.
async fn header_value(name: &str, text: &Text, call: &Call<'_>) -> Result<String, Failure> {
    let mut quoted = String::new();
    push_string(&mut quoted, text.as_written());
    let json = call.expressions.reveal_json(&quoted, call.attempt.started_at).await?;
    match kind(&json, &header_path(name))? {
        JsonKind::Scalar(value) => Ok(value),
        _ => Err(Failure::invalid(format!(
            "{}: must be a text or a number",
            header_path(name)
        ))),
    }
}

fn header_path(name: &str) -> String {
    let name: String = name.chars().take(60).collect();
    format!("headers.{}", name.escape_debug())
}

/// Sets a header. Its value is in no message.
///
/// # Errors
/// `VALIDATION_ERROR` for a name or a value that is none, and for headers that are the connection's.
pub(in crate::connector) fn put_header(headers: &mut HeaderMap, name: &str, value: &str) -> Result<(), Failure> {
    let place = || header_path(name);
    let header = HeaderName::from_bytes(name.as_bytes())
        .map_err(|_| Failure::invalid(format!("{}: is no name of a header", place())))?;
    if is_connection_header(header.as_str()) {
        return Err(Failure::invalid(format!(
            "{}: is set by the connection itself",
            place()
        )));
    }
    let value = HeaderValue::from_bytes(value.as_bytes()).map_err(|_| {
        Failure::invalid(format!(
            "{}: must hold no line breaks and no other control characters",
            place()
        ))
    })?;
    headers.insert(header, value);
    Ok(())
}

/// The method of an action, as the client spells it.
pub(in crate::connector) fn method(method: resources::Method) -> Method {
    match method {
        resources::Method::Get => Method::GET,
        resources::Method::Head => Method::HEAD,
        resources::Method::Post => Method::POST,
        resources::Method::Put => Method::PUT,
        resources::Method::Patch => Method::PATCH,
        resources::Method::Delete => Method::DELETE,
        resources::Method::Options => Method::OPTIONS,
    }
}
