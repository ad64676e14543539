//! Reads the channels of one environment.
//!
//! Texts without `$` are checked here, the others when the resource is opened.

use super::super::auth::read_auth;
use super::super::texts::headers;
use crate::api::fields::{Fields, truncated};
use crate::resources::{Callback, Channels, ExternalProvider, Method, Text};

/// Names of providers of text messages.
const SMS_PROVIDERS: [&str; 3] = ["twilio", "nexmo", "plivo"];
/// Names of providers of push notifications.
const PUSH_PROVIDERS: [&str; 2] = ["EXPO", "FIREBASE"];
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
        sms: read_foreign(env, "sms", "provider", &SMS_PROVIDERS),
        push_notifications: read_foreign(env, "push_notifications", "type", &PUSH_PROVIDERS),
        callbacks: env.object("callbacks").and_then(|mut callbacks| {
            let callback = read_callback(&mut callbacks);
            env.absorb(callbacks);
            callback
        }),
    }
}

/// Reads the name of a provider.
fn provider(channel: &mut Fields<'_>, member: &str, known: &[&'static str]) -> Option<&'static str> {
    let types: Vec<(&str, &'static str)> = known.iter().map(|name| (*name, *name)).collect();
    channel.server_type(member, &types, |_| false)
}

/// Reads a channel whose providers are all left to handlers, as are its other members.
fn read_foreign(
    env: &mut Fields<'_>,
    name: &str,
    member: &str,
    known: &'static [&'static str],
) -> Option<ExternalProvider> {
    let mut channel = env.object(name)?;
    let found = provider(&mut channel, member, known);
    env.absorb(channel);
    found.map(ExternalProvider)
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
    let auth = read_auth(callbacks);
    let headers = headers(callbacks, "headers");
    Some(Callback {
        url: url?,
        method,
        auth,
        headers,
    })
}

/// Reads a required text, which must not be empty.
pub(super) fn required(fields: &mut Fields<'_>, name: &str, what: &str) -> Option<Text> {
    if fields.raw(name).is_none() {
        fields.problem(name, format!("is missing; it must be {what}"));
        return None;
    }
    text(fields, name)
}

/// Reads an optional text, which must not be empty and have well-formed expressions.
pub(super) fn text(fields: &mut Fields<'_>, name: &str) -> Option<Text> {
    let value = super::super::texts::text(fields, name)?;
    if value.as_written().is_empty() {
        fields.problem(name, "must not be empty");
        return None;
    }
    Some(value)
}

pub(super) fn is_line(text: &str) -> bool {
    !text.chars().any(char::is_control)
}

pub(super) fn is_host(text: &str) -> bool {
    let address = text.parse::<std::net::IpAddr>().is_ok();
    address || (!text.contains(['/', '@', ':', '?', '#', ' ', '%', '[', ']']) && url::Host::parse(text).is_ok())
}

pub(super) fn url_problem(text: &str) -> Option<String> {
    match url::Url::parse(text) {
        Err(error) => Some(format!("is no URL: {error}")),
        Ok(url) if !matches!(url.scheme(), "http" | "https") => Some(format!(
            "must begin with https:// or http://, got '{}:'",
            truncated(url.scheme())
        )),
        Ok(url) if !url.username().is_empty() || url.password().is_some() => {
            Some("must hold no user name and password; give them in `auth`".to_owned())
        }
        Ok(_) => None,
    }
}
