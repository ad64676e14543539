//! Reads the channels of one environment.
//!
//! Texts without `$` are checked here, the others when the resource is opened.

use super::super::auth::read_auth;
use super::super::texts::{headers, object_template};
use super::checks::{required, url_problem};
use crate::api::fields::Fields;
use crate::resources::{Callback, CallbackMessage, Channels, Method};

pub(super) fn read(env: &mut Fields<'_>, slug: Box<str>) -> Channels {
    env.refuse_unknown(&[
        "slug",
        "emails",
        "sms",
        "push_notifications",
        "callbacks",
        "description",
    ]);
    Channels {
        slug,
        emails: env.object("emails").and_then(|mut emails| {
            let provider = super::emails::read(&mut emails);
            env.absorb(emails);
            provider
        }),
        sms: env.object("sms").and_then(|mut sms| {
            let provider = super::sms::read(&mut sms);
            env.absorb(sms);
            provider
        }),
        push_notifications: env.object("push_notifications").and_then(|mut push| {
            let provider = super::push::read(&mut push);
            env.absorb(push);
            provider
        }),
        callbacks: env.object("callbacks").and_then(|mut callbacks| {
            let callback = read_callback(&mut callbacks);
            env.absorb(callbacks);
            callback
        }),
    }
}

fn read_callback(callbacks: &mut Fields<'_>) -> Option<Callback> {
    callbacks.refuse_unknown(&["url", "method", "auth", "headers"]);
    let url = required(callbacks, "url", "where to call, as in 'https://example.com/hooks/:id'");
    if let Some(url) = url.as_ref().filter(|url| url.is_plain())
        && let Some(message) = url_problem(url.as_written())
    {
        callbacks.problem("url", message);
    }
    let method = callbacks.one_of("method", &Method::NAMES).unwrap_or(Method::Post);
    let auth_parts = read_auth_parts(callbacks);
    let auth = match auth_parts {
        Some(_) => None,
        None => read_auth(callbacks),
    };
    let headers = headers(callbacks, "headers");
    Some(Callback {
        url: url?,
        method,
        auth,
        auth_parts: auth_parts.unwrap_or_default(),
        headers,
    })
}

/// Reads `auth` that has no type: parts of each request. `None`: it is something else.
fn read_auth_parts(callbacks: &mut Fields<'_>) -> Option<CallbackMessage> {
    const PARTS: [&str; 4] = ["headers", "body", "query", "params"];
    let auth = callbacks.raw("auth").filter(|json| json.starts_with('{'))?;
    let is_parts = Fields::read(auth, "")
        .is_ok_and(|auth| auth.raw("type").is_none() && PARTS.iter().any(|part| auth.raw(part).is_some()));
    if !is_parts {
        return None;
    }
    let mut auth = callbacks.object("auth")?;
    auth.refuse_unknown(&PARTS);
    // The names and values of headers are checked like those of others.
    headers(&mut auth, "headers");
    let parts = CallbackMessage {
        query: object_template(&mut auth, "query"),
        headers: object_template(&mut auth, "headers"),
        params: object_template(&mut auth, "params"),
        body: object_template(&mut auth, "body"),
    };
    callbacks.absorb(auth);
    Some(parts)
}
