//! Reads the channels of one environment.
//!
//! Texts without `$` are checked here, the others when the resource is opened.

use super::super::auth::read_auth;
use super::super::texts::headers;
use crate::api::fields::{Fields, truncated};
use crate::resources::{Callback, Channels, EmailProvider, ExternalProvider, Method, Smtp, SmtpSecurity, Text};

/// The provider that is built in.
const SMTP: &str = "smtp";
/// Names of e-mail providers.
const MAIL_PROVIDERS: [&str; 6] = [SMTP, "sendgrid", "mailgun", "postmark", "brevo", "aws_ses"];
/// Names of providers of text messages.
const SMS_PROVIDERS: [&str; 3] = ["twilio", "nexmo", "plivo"];
/// Names of providers of push notifications.
const PUSH_PROVIDERS: [&str; 2] = ["EXPO", "FIREBASE"];
/// Names of connection security modes.
const MAIL_SECURITY_MODES: [(&str, SmtpSecurity); 3] = [
    ("tls", SmtpSecurity::Tls),
    ("starttls", SmtpSecurity::StartTls),
    ("none", SmtpSecurity::None),
];
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
            let provider = read_mail(&mut emails);
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
    channel.server_type(member, &types, |name| name == SMTP)
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

fn read_mail(emails: &mut Fields<'_>) -> Option<EmailProvider> {
    let name = provider(emails, "provider", &MAIL_PROVIDERS)?;
    if name != SMTP {
        return Some(EmailProvider::External(ExternalProvider(name)));
    }
    emails.refuse_unknown(&[
        "provider", "host", "port", "security", "username", "password", "from", "replyTo", "ca",
    ]);
    let security = emails
        .one_of("security", &MAIL_SECURITY_MODES)
        .unwrap_or(SmtpSecurity::StartTls);
    let port = emails
        .integer("port", 1, 65_535)
        .and_then(|port| u16::try_from(port).ok());
    let host = required(emails, "host", "the mail server's name, as in 'smtp.example.com'");
    let from = required(emails, "from", "an address, as in 'Shop <shop@example.com>'");
    let credentials = read_credentials(emails);
    let reply_to = text(emails, "replyTo");
    let ca = text(emails, "ca");
    if let Some(host) = host
        .as_ref()
        .filter(|host| host.is_plain() && !is_host(host.as_written()))
    {
        let message = format!(
            "must be the name or address of a host, without a scheme, port or path, got '{}'",
            truncated(host.as_written())
        );
        emails.problem("host", message);
    }
    for (name, mailbox) in [("from", &from), ("replyTo", &reply_to)] {
        if let Some(mailbox) = mailbox.as_ref().filter(|text| text.is_plain())
            && !(mailbox.as_written().contains('@') && is_line(mailbox.as_written()))
        {
            emails.problem(name, "must be an address, as in 'Shop <shop@example.com>', on one line");
        }
    }
    if let Some(ca) = ca.as_ref().filter(|text| text.is_plain())
        && !ca.as_written().contains("-----BEGIN CERTIFICATE-----")
    {
        emails.problem("ca", "must be certificates in PEM (BEGIN CERTIFICATE)");
    }
    Some(EmailProvider::Smtp(Box::new(Smtp {
        host: host?,
        port: port.unwrap_or_else(|| security.port()),
        security,
        credentials,
        from: from?,
        reply_to,
        ca,
    })))
}

/// Reads user name and password: both or neither.
fn read_credentials(fields: &mut Fields<'_>) -> Option<(Text, Text)> {
    match (text(fields, "username"), text(fields, "password")) {
        (Some(username), Some(password)) => Some((username, password)),
        (Some(_), None) if fields.raw("password").is_none() => {
            fields.problem("password", "is missing; `username` goes with it");
            None
        }
        (None, Some(_)) if fields.raw("username").is_none() => {
            fields.problem("username", "is missing; `password` goes with it");
            None
        }
        _ => None,
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
fn required(fields: &mut Fields<'_>, name: &str, what: &str) -> Option<Text> {
    if fields.raw(name).is_none() {
        fields.problem(name, format!("is missing; it must be {what}"));
        return None;
    }
    text(fields, name)
}

/// Reads an optional text, which must not be empty and have well-formed expressions.
fn text(fields: &mut Fields<'_>, name: &str) -> Option<Text> {
    let value = super::super::texts::text(fields, name)?;
    if value.as_written().is_empty() {
        fields.problem(name, "must not be empty");
        return None;
    }
    Some(value)
}

fn is_line(text: &str) -> bool {
    !text.chars().any(char::is_control)
}

fn is_host(text: &str) -> bool {
    let address = text.parse::<std::net::IpAddr>().is_ok();
    address || (!text.contains(['/', '@', ':', '?', '#', ' ', '%', '[', ']']) && url::Host::parse(text).is_ok())
}

fn url_problem(text: &str) -> Option<String> {
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
