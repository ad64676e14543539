//! `ductape.jobs.setWebhook`, `listWebhooks` and `deleteWebhook`: arguments and answers are JSON texts.
//!
//! Invariant: a secret goes in and never comes out.

use super::fields::{Fields, describe, nearest, truncated};
use super::jobs::to_json;
use crate::engine::{Engine, Level};
use crate::error::{Error, ErrorCode, Problem, Result};
use crate::model::{EventKind, EventMask, WebhookSecret};
use crate::resources::OutboundRules;
use crate::store::{NewWebhook, Webhook, WebhookSet};
use serde::Serialize;
use std::time::Duration;
use url::Url;
use uuid::Uuid;

/// Most webhooks of a store: each event is delivered to as many.
const MAX_WEBHOOKS: usize = 50;
/// Longest wait for the addresses of a host.
const RESOLVE_TIMEOUT: Duration = Duration::from_secs(2);
/// Longest URL, bytes.
const MAX_URL_BYTES: usize = 2_048;

#[derive(Serialize)]
struct WebhookView<'a> {
    id: &'a str,
    url: &'a str,
    events: Vec<&'static str>,
    secret: &'static str,
    status: &'static str,
    failed_count: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_delivered_at: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_failed_at: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_error: Option<&'a str>,
    created_at: i64,
    updated_at: i64,
}

impl<'a> WebhookView<'a> {
    fn new(webhook: &'a Webhook) -> Self {
        Self {
            id: &webhook.id,
            url: &webhook.url,
            events: webhook.events.kinds().map(EventKind::as_str).collect(),
            secret: webhook.secret.masked(),
            status: if webhook.disabled_at.is_some() {
                "disabled"
            } else {
                "enabled"
            },
            failed_count: webhook.failed_count,
            last_delivered_at: webhook.delivered_at,
            last_failed_at: webhook.failed_at,
            last_error: webhook.last_error.as_deref(),
            created_at: webhook.created_at,
            updated_at: webhook.updated_at,
        }
    }
}

/// `setWebhook({ url, events, secret })`.
///
/// # Errors
/// `VALIDATION_ERROR` with every problem; `CONFLICT` when there are too many.
pub async fn set(engine: &Engine, text: &str) -> Result<String> {
    let mut fields = Fields::read(text, "")?;
    fields.refuse_unknown(&["url", "events", "secret"]);
    let (url, events, secret) = (
        read_url(&mut fields, &engine.config.outbound),
        read_events(&mut fields),
        read_secret(&mut fields),
    );
    let (Some(url), Some(events), Some(secret), true) = (url, events, secret, fields.problems.is_empty()) else {
        return Err(Error::invalid(fields.problems));
    };
    if resolves_to_forbidden(&url, &engine.config.outbound).await {
        let host = Url::parse(&url).ok().and_then(|url| url.host_str().map(str::to_owned));
        let problem = Problem::new("url", forbidden_host(&host.unwrap_or_default()));
        return Err(Error::invalid(vec![problem]));
    }
    if let Some(weakness) = secret.weakness() {
        let host = Url::parse(&url).ok().and_then(|url| url.host_str().map(str::to_owned));
        let message = format!("webhook for {}: {weakness}", host.unwrap_or_default());
        engine.logger.log(Level::Warn, &message);
    }
    let webhook = NewWebhook {
        id: format!("wh_{}", Uuid::now_v7()).into(),
        url,
        events,
        secret,
    };
    match engine
        .store
        .set_webhook(webhook, MAX_WEBHOOKS, engine.clock.now())
        .await?
    {
        WebhookSet::Done(webhook) => to_json(&WebhookView::new(&webhook)),
        WebhookSet::Full => Err(Error::new(
            ErrorCode::Conflict,
            format!(
                "this store has {MAX_WEBHOOKS} webhooks, which is as many as there may be; take one away with `deleteWebhook`"
            ),
        )),
    }
}

/// `listWebhooks()`.
///
/// # Errors
/// What the store says.
pub async fn list(engine: &Engine) -> Result<String> {
    let webhooks = engine.store.webhooks().await?;
    to_json(&webhooks.iter().map(WebhookView::new).collect::<Vec<_>>())
}

/// `deleteWebhook(id or url)`.
///
/// # Errors
/// `NOT_FOUND`; `VALIDATION_ERROR` when it is no string.
pub async fn delete(engine: &Engine, text: &str) -> Result<String> {
    let which: String = serde_json::from_str(text).map_err(|_| {
        let message = format!("must be the id or the URL of a webhook, got {}", describe(text));
        Problem::new("id", message)
    })?;
    // A URL may be spelled as it was given, not only as it is listed.
    let url = Url::parse(&which).map(|url| canonical(url).to_string()).ok();
    if engine.store.delete_webhook(&which).await? {
        return Ok(String::new());
    }
    if let Some(url) = url.filter(|url| *url != which)
        && engine.store.delete_webhook(&url).await?
    {
        return Ok(String::new());
    }
    Err(Error::new(
        ErrorCode::NotFound,
        format!("there is no webhook {}; `listWebhooks` names all", truncated(&which)),
    ))
}

fn forbidden_host(host: &str) -> String {
    format!(
        "leads to the host {}, which `outbound` of the constructor forbids",
        truncated(host)
    )
}

/// Whether the host has addresses now and none of them may be reached, so that every delivery would be refused. Each delivery
/// resolves the host anew.
async fn resolves_to_forbidden(url: &str, outbound: &OutboundRules) -> bool {
    let Ok(url) = Url::parse(url) else { return false };
    let Some(host) = url.host_str().filter(|_| !outbound.private_addresses) else {
        return false;
    };
    match tokio::time::timeout(RESOLVE_TIMEOUT, tokio::net::lookup_host((host, 0))).await {
        Ok(Ok(found)) => {
            let mut found = found.peekable();
            found.peek().is_some() && !found.any(|address| outbound.admits_address(address.ip()))
        }
        _ => false,
    }
}

/// Without the fragment, which is not sent.
fn canonical(mut url: Url) -> Url {
    url.set_fragment(None);
    url
}

fn read_url(fields: &mut Fields<'_>, outbound: &OutboundRules) -> Option<Box<str>> {
    let text = required(fields, "url")?;
    match check_url(&text, outbound) {
        Ok(url) => Some(url),
        Err(message) => {
            fields.problem("url", message);
            None
        }
    }
}

fn check_url(text: &str, outbound: &OutboundRules) -> std::result::Result<Box<str>, String> {
    let wanted = "give one such as 'https://example.com/hooks'";
    // Not repeated in a message: a URL may hold a token.
    let url = Url::parse(text).map_err(|error| format!("is no URL ({error}); {wanted}"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(format!(
            "must begin with http:// or https://, got {}://; {wanted}",
            truncated(url.scheme())
        ));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("must not hold a user or a password, since URLs are listed and logged; the receiver checks the signature instead".to_owned());
    }
    let host = url.host_str().unwrap_or_default();
    if !outbound.admits_host(host) || !outbound.admits_literal(host) {
        return Err(forbidden_host(host));
    }
    let url = canonical(url).to_string();
    if url.len() > MAX_URL_BYTES {
        return Err(format!("must have at most {MAX_URL_BYTES} bytes, got {}", url.len()));
    }
    Ok(url.into())
}

fn read_events(fields: &mut Fields<'_>) -> Option<EventMask> {
    let known = EventKind::DELIVERED_TO_WEBHOOKS.map(EventKind::as_str);
    if fields.raw("events").is_none() {
        fields.problem("events", format!("is missing; list some of {}", known.join(", ")));
        return None;
    }
    let names = fields.tags("events", 100)?;
    if names.is_empty() {
        fields.problem(
            "events",
            format!("must not be empty; list some of {}", known.join(", ")),
        );
        return None;
    }
    let mut mask = EventMask::default();
    for (index, name) in names.iter().enumerate() {
        let kind = EventKind::DELIVERED_TO_WEBHOOKS
            .into_iter()
            .find(|kind| kind.as_str() == &**name);
        match (kind, nearest(name, &known)) {
            (Some(kind), _) => mask.0 |= kind.bit(),
            (None, Some(near)) => fields.problem(
                &format!("events[{index}]"),
                format!("'{}' is no event of webhooks; did you mean '{near}'?", truncated(name)),
            ),
            (None, None) => fields.problem(
                &format!("events[{index}]"),
                format!(
                    "'{}' is no event of webhooks; known are {}",
                    truncated(name),
                    known.join(", ")
                ),
            ),
        }
    }
    Some(mask)
}

fn read_secret(fields: &mut Fields<'_>) -> Option<WebhookSecret> {
    let text = required(fields, "secret")?;
    match WebhookSecret::parse(&text) {
        Ok(secret) => Some(secret),
        Err(message) => {
            fields.problem("secret", message);
            None
        }
    }
}

fn required(fields: &mut Fields<'_>, name: &str) -> Option<String> {
    if fields.raw(name).is_none() {
        fields.problem(name, "is missing");
    }
    fields.string(name).map(std::borrow::Cow::into_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_url(text: &str) -> std::result::Result<Box<str>, String> {
        super::check_url(text, &OutboundRules::default())
    }

    #[test]
    fn a_url_is_http_without_credentials() {
        assert_eq!(
            &*check_url("HTTPS://Example.com/a?b#c").unwrap(),
            "https://example.com/a?b"
        );
        for text in [
            "",
            "example.com/x",
            "/hooks",
            "ftp://example.com",
            "file:///etc/passwd",
            "https://",
            "http://u:p@example.com/",
            "https://tok@example.com",
        ] {
            assert!(check_url(text).is_err(), "{text}");
        }
        assert!(check_url(&format!("https://example.com/{}", "x".repeat(3_000))).is_err());
    }

    #[test]
    fn url_problems_do_not_repeat_the_url() {
        assert!(
            !check_url("https://u:hunter2@example.com/")
                .unwrap_err()
                .contains("hunter2")
        );
    }
}
