//! Callbacks: one HTTP request for each job.
//!
//! Invariants: no value of an input can inject into another part of the request; a failure names the host and the status,
//! and nothing of what was sent or received.

use super::history::DeliveryOutcome;
use super::input::{Values, lookup, object_members, refuse_unknown, scalar_text};
use super::resolved::ResolvedCallback;
use crate::clock::{Clock, SystemClock};
use crate::connector::actions::{build_url, merge, method, put_header};
use crate::connector::limits::CALLBACK_TIMEOUT_MS;
use crate::connector::{Call, Failure, auth};
use crate::engine::inputs::ExpressionResolver;
use crate::http::{Client, ClientOptions};
use crate::resources::{Callback, OutboundRules, PathTemplate, Segment, Template};
use crate::text::json::{Object, push_string};
use crate::text::spelling::truncated;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, Url};
use serde_json::value::RawValue;
use std::collections::BTreeSet;
use std::time::Duration;

/// Name of the step that records a callback's outcome.
pub(super) const CALLBACK_STEP: &str = "callback";

/// Sends callbacks to one endpoint.
pub(super) struct CallbackClient {
    client: Client,
    method: Method,
    takes_body: bool,
    /// Scheme and host, without a trailing slash.
    base: String,
    host: String,
    resource: PathTemplate,
    /// Headers of every request, including credentials.
    headers: HeaderMap,
    /// Credentials that are parts of every request.
    auth: ResolvedCallback,
    /// The header that carries credentials, with them.
    credential: Option<(HeaderName, HeaderValue)>,
}

/// A prepared request, which can be sent repeatedly.
pub(super) struct CallbackRequest {
    url: Url,
    headers: HeaderMap,
    body: Option<String>,
}

impl CallbackClient {
    /// Resolves the secrets. Does not connect yet.
    pub(super) async fn open(
        callback: &Callback,
        outbound: OutboundRules,
        expressions: &ExpressionResolver,
    ) -> Result<Self, Failure> {
        let url = expressions.reveal(callback.url.as_written()).await?;
        let (base, resource) = split_url(&url)?;
        let host = Url::parse(&base)
            .ok()
            .and_then(|url| url.host_str().map(str::to_owned))
            .unwrap_or_default();
        let mut headers = HeaderMap::new();
        for (name, value) in &callback.headers {
            put_header(&mut headers, name, &expressions.reveal(value.as_written()).await?)?;
        }
        let credential = match &callback.auth {
            Some(credentials) => Some(auth::header(credentials, expressions).await?),
            None => None,
        };
        Ok(Self {
            credential,
            client: Client::open(ClientOptions::new(outbound)).await?,
            method: method(callback.method),
            takes_body: callback.method.takes_body(),
            base,
            host,
            resource,
            headers,
            auth: ResolvedCallback::resolve(&callback.auth_parts, expressions).await?,
        })
    }

    /// Builds a job's request: the message with the job's input merged into it.
    ///
    /// # Errors
    /// `VALIDATION_ERROR` for values that are missing or not valid in a request.
    pub(super) fn callback(
        &self,
        message: &ResolvedCallback,
        input: &RawValue,
        key: &str,
    ) -> Result<CallbackRequest, Failure> {
        const PATH: &str = "input.callback";
        let given = object_members(Some(input), PATH)?;
        refuse_unknown(&given, PATH, &["query", "headers", "params", "body"])?;
        self.refuse_credentials(&given)?;
        let request_part = |name: &str, template: &Option<String>, auth: &Option<String>| {
            let part = request_part(template.as_deref(), given.get(name).copied(), &format!("{PATH}.{name}"))?;
            Ok::<_, Failure>(match auth {
                Some(auth) => merge(&part, auth),
                None => part,
            })
        };
        let auth = &self.auth;
        let (query, params) = (
            request_part("query", &message.query, &auth.query)?,
            request_part("params", &message.params, &auth.params)?,
        );
        let (extra, body) = (
            request_part("headers", &message.headers, &None)?,
            request_part("body", &message.body, &auth.body)?,
        );
        let object = |text| Object::read(text).ok_or_else(|| Failure::invalid(format!("{PATH}: must hold objects")));
        let url = build_url(&self.base, &self.resource, &object(&params)?, &object(&query)?)?;
        let mut headers = self.headers.clone();
        put_header(&mut headers, "idempotency-key", key)?;
        // Credentials come last, since names of headers are the same in upper and lower case.
        for part in [extra.as_str(), auth.headers.as_deref().unwrap_or("{}")] {
            for (name, json) in object(part)?.iter() {
                let value: &RawValue = serde_json::from_str(json)
                    .map_err(|_| Failure::invalid(format!("{PATH}.headers: must hold texts")))?;
                put_header(&mut headers, name, &scalar_text(value, &format!("{PATH}.headers"))?)?;
            }
        }
        if let Some((name, value)) = &self.credential {
            headers.insert(name, value.clone());
        }
        let body = (self.takes_body || !object(&body)?.is_empty()).then_some(body);
        if body.is_some() && !headers.contains_key(CONTENT_TYPE) {
            put_header(&mut headers, "content-type", "application/json")?;
        }
        Ok(CallbackRequest { url, headers, body })
    }

    /// Refuses members of an input in whose place the definition has credentials.
    fn refuse_credentials(&self, given: &Values<'_>) -> Result<(), Failure> {
        let auth = &self.auth;
        let parts = [
            ("headers", &auth.headers),
            ("query", &auth.query),
            ("params", &auth.params),
            ("body", &auth.body),
        ];
        for (part, credentials) in parts {
            let Some(given) = given.get(part).and_then(|given| Object::read(given.get())) else {
                continue;
            };
            let credentials = credentials.as_deref().and_then(Object::read).unwrap_or_default();
            let is_header = part == "headers";
            let same = |name: &str, own: &str| {
                if is_header {
                    own.eq_ignore_ascii_case(name)
                } else {
                    own == name
                }
            };
            let is_own = |name: &str| {
                let of_header = self.credential.as_ref().filter(|_| is_header);
                of_header.is_some_and(|(own, _)| same(name, own.as_str()))
                    || credentials.iter().any(|(own, json)| {
                        // Members of objects are merged, and those of the definition win.
                        same(name, own) && !json.starts_with('{')
                    })
            };
            if let Some((name, _)) = given.iter().find(|(name, _)| is_own(name)) {
                return Err(Failure::invalid(format!(
                    "input.callback.{part}.{}: holds credentials, which the definition gives (`auth`) and jobs cannot replace; leave it out",
                    truncated(name)
                )));
            }
        }
        Ok(())
    }

    /// Sends a request.
    pub(super) async fn call(&self, callback: &CallbackRequest, call: &Call<'_>) -> DeliveryOutcome {
        let mut request = self
            .client
            .request(self.method.clone(), callback.url.clone())
            .headers(callback.headers.clone());
        if let Some(body) = &callback.body {
            request = request.body(body.clone());
        }
        let timeout_ms = call
            .attempt
            .options
            .timeout
            .unwrap_or(CALLBACK_TIMEOUT_MS)
            .min(CALLBACK_TIMEOUT_MS);
        let deadline = Duration::from_millis(timeout_ms.unsigned_abs());
        match self.client.send(request, deadline, SystemClock.now()).await {
            Ok(()) => DeliveryOutcome::Sent,
            Err(failure) => {
                let mut failure = Failure::from(failure);
                failure.message = format!("{}: {}", self.host, failure.message);
                DeliveryOutcome::Failed(failure)
            }
        }
    }

    /// Sends a HEAD request to the host: any response, whatever its status, shows that it can be reached.
    pub(super) async fn check(&self) -> Result<(), Failure> {
        let url = Url::parse(&self.base).map_err(|_| Failure::invalid("callbacks.url is no URL"))?;
        let request = self.client.request(Method::HEAD, url);
        let deadline = Duration::from_millis(CALLBACK_TIMEOUT_MS.unsigned_abs());
        match self.client.send(request, deadline, SystemClock.now()).await {
            Err(failure) if failure.status.is_none() => {
                let mut failure = Failure::from(failure);
                failure.message = format!("{}: {}", self.host, failure.message);
                Err(failure)
            }
            _ => Ok(()),
        }
    }
}

/// Splits a URL into scheme and host, and the path template. Messages do not repeat the URL.
fn split_url(text: &str) -> Result<(String, PathTemplate), Failure> {
    let wrong = |why: &str| Failure::invalid(format!("callbacks.url {why}"));
    let url = Url::parse(text).map_err(|error| wrong(&format!("is no URL: {error}")))?;
    let has_user = !url.username().is_empty() || url.password().is_some();
    if !matches!(url.scheme(), "http" | "https") || has_user || url.fragment().is_some() {
        return Err(wrong(
            "must be a URL of http or https without a user and a fragment; give credentials as `auth`",
        ));
    }
    let base = url.origin().ascii_serialization();
    let resource = PathTemplate {
        segments: url.path().trim_start_matches('/').split('/').map(segment).collect(),
        query: url.query().filter(|query| !query.is_empty()).map(Into::into),
    };
    Ok((base, resource))
}

fn segment(text: &str) -> Segment {
    let is_name = |character: char| character.is_ascii_alphanumeric() || character == '_';
    let Some(rest) = text.strip_prefix(':').filter(|rest| rest.starts_with(is_name)) else {
        return Segment::Literal(text.into());
    };
    let end = rest.find(|character| !is_name(character)).unwrap_or(rest.len());
    let (name, suffix) = rest.split_at(end);
    Segment::Param {
        name: name.into(),
        suffix: suffix.into(),
    }
}

/// JSON text of one part of a request: its template, filled with the job's values and merged with those that the template
/// has no placeholder for.
pub(super) fn request_part(template: Option<&str>, given: Option<&RawValue>, path: &str) -> Result<String, Failure> {
    let given = given.filter(|given| given.get() != "null");
    let values = object_members(given, path)?;
    let Some(template) = template else {
        return Ok(given.map_or("{}", RawValue::get).to_owned());
    };
    let mut used_names = BTreeSet::new();
    let filled = fill_json(template, &values, path, &mut used_names)?;
    let given = given.map_or("{}", RawValue::get);
    let mut rest = Object::default();
    for (name, json) in Object::read(given).unwrap_or_default().iter() {
        if !used_names.contains(name) {
            rest.put(name.to_owned(), json);
        }
    }
    Ok(merge(&filled, &rest.to_json()))
}

/// Fills the strings of a JSON text. A string that is a single placeholder becomes the value itself, of any type.
fn fill_json(
    json: &str,
    values: &Values<'_>,
    path: &str,
    used_names: &mut BTreeSet<String>,
) -> Result<String, Failure> {
    match json.as_bytes().first() {
        Some(b'{') => {
            let object = Object::read(json).ok_or_else(|| unreadable(path))?;
            let mut text = String::from("{");
            for (name, json) in object.iter() {
                if text.len() > 1 {
                    text.push(',');
                }
                push_string(&mut text, name);
                text.push(':');
                text.push_str(&fill_json(json, values, path, used_names)?);
            }
            text.push('}');
            Ok(text)
        }
        Some(b'[') => {
            let list: Vec<&RawValue> = serde_json::from_str(json).map_err(|_| unreadable(path))?;
            let filled: Result<Vec<String>, Failure> = list
                .into_iter()
                .map(|json| fill_json(json.get(), values, path, used_names))
                .collect();
            Ok(format!("[{}]", filled?.join(",")))
        }
        Some(b'"') => {
            let text: String = serde_json::from_str(json).map_err(|_| unreadable(path))?;
            let template =
                Template::parse(&text).map_err(|why| Failure::invalid(format!("messages.callback: {why}")))?;
            let first = |name: &str| {
                let whole = values.contains_key(name);
                if whole {
                    name.to_owned()
                } else {
                    name.split('.').next().unwrap_or(name).to_owned()
                }
            };
            used_names.extend(template.names().map(first));
            if let Some(name) = template.only_name() {
                let value = lookup(values, name, path)?.get();
                if let Some(why) = template.refusal(name, value) {
                    return Err(Failure::invalid(format!("{path}.{name}: {why}")));
                }
                return Ok(value.to_owned());
            }
            let filled = super::input::fill_required(&template, values, path)?;
            let mut quoted = String::new();
            push_string(&mut quoted, &filled);
            Ok(quoted)
        }
        _ => Ok(json.to_owned()),
    }
}

fn unreadable(path: &str) -> Failure {
    Failure::invalid(format!("{path}: the message's template cannot be read"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(template: &str, given: &str) -> Result<String, String> {
        let given: &RawValue = serde_json::from_str(given).unwrap();
        request_part(Some(template), Some(given), "input.callback.body").map_err(|failure| failure.message)
    }

    #[test]
    fn template_is_filled_and_remaining_values_are_merged() {
        let template = r#"{"text":"Hi {{name}}","id":"{{id}}","deep":{"list":["{{user.mail}}",1.10]},"kind":"x"}"#;
        let given =
            r#"{"name":"<Ann> \"{{id}}\"","id":12345678901234567890,"user":{"mail":"a"},"kind":"y","more":null}"#;
        let expected = r#"{"text":"Hi <Ann> \"{{id}}\"","id":12345678901234567890,"deep":{"list":["a",1.10]},"kind":"y","more":null}"#;
        assert_eq!(made(template, given), Ok(expected.to_owned()));
    }

    #[test]
    fn missing_template_value_is_named() {
        let message = made(r#"{"a":["{{b}}"]}"#, r#"{"c":"payload"}"#).unwrap_err();
        assert!(message.starts_with("input.callback.body.b: is missing"), "{message}");
    }

    #[test]
    fn placeholder_that_says_what_its_value_must_be_is_checked_in_a_body() {
        let template = r#"{"n":"{{n:integer:1:5}}","text":"of {{name:string::4}}"}"#;
        assert_eq!(
            made(template, r#"{"n":5,"name":"ann"}"#).unwrap(),
            r#"{"n":5,"text":"of ann"}"#
        );
        for (given, said) in [
            (r#"{"n":6,"name":"ann"}"#, "n: must be at most 5"),
            (r#"{"n":5,"name":"annabel"}"#, "name: must have at most 4 characters"),
        ] {
            let message = made(template, given).unwrap_err();
            assert!(message.contains(said), "{message}");
        }
    }

    #[test]
    fn url_is_split_into_host_and_path_parameters() {
        let (base, resource) = split_url("https://api.example.com:8443/v1/:kind/:id.json?x=1").unwrap();
        assert_eq!(base, "https://api.example.com:8443");
        assert_eq!(resource.params().collect::<Vec<_>>(), ["kind", "id"]);
        assert_eq!(resource.query.as_deref(), Some("x=1"));
        for text in ["ftp://x/", "https://u:p@x/", "x", "https://x/#f"] {
            assert!(split_url(text).is_err(), "{text}");
        }
    }
}
