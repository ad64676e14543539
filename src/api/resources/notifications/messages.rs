//! Reads messages: their content for each channel.

use super::super::texts::{object_template, text};
use crate::api::fields::Fields;
use crate::resources::{CallbackMessage, EmailMessage, Message, PushMessage, Template, Text};

pub(super) fn read(message: &mut Fields<'_>, tag: Box<str>) -> Message {
    message.refuse_unknown(&[
        "tag",
        "email",
        "sms",
        "push_notification",
        "callback",
        "name",
        "description",
    ]);
    let channels = ["email", "sms", "push_notification", "callback"];
    if channels.iter().all(|name| message.raw(name).is_none()) {
        message.problem(
            "email",
            "is missing, and so are sms, push_notification and callback; give one of them",
        );
    }
    let mut part = |name: &str| message.object(name);
    let (mut email, mut push, mut callback) = (part("email"), part("push_notification"), part("callback"));
    let read = Message {
        tag,
        email: email.as_mut().and_then(read_mail),
        sms: template(message, "sms"),
        push_notification: push.as_mut().map(read_push),
        callback: callback.as_mut().map(read_callback),
    };
    for part in [email, push, callback].into_iter().flatten() {
        message.absorb(part);
    }
    read
}

fn read_mail(email: &mut Fields<'_>) -> Option<EmailMessage> {
    email.refuse_unknown(&["subject", "template", "text"]);
    for (name, example) in [("subject", "Hello {{name}}"), ("template", "<p>Hello {{name}}</p>")] {
        if email.raw(name).is_none() {
            email.problem(name, format!("is missing; it must be a text, as in '{example}'"));
        }
    }
    let subject = template(email, "subject");
    if let Some(subject) = &subject
        && subject.as_written().chars().any(char::is_control)
    {
        email.problem("subject", "must be on one line");
    }
    let html = template(email, "template");
    let text = template(email, "text");
    Some(EmailMessage {
        subject: subject?,
        template: html?,
        text,
    })
}

fn read_push(push: &mut Fields<'_>) -> PushMessage {
    push.refuse_unknown(&["title", "body", "data"]);
    PushMessage {
        title: template(push, "title"),
        body: template(push, "body"),
        data: object_template(push, "data"),
    }
}

fn read_callback(callback: &mut Fields<'_>) -> CallbackMessage {
    callback.refuse_unknown(&["query", "headers", "params", "body"]);
    let mut part = |name: &str| {
        let text = object_template(callback, name)?;
        check_strings(callback, name, text.as_written());
        Some(text)
    };
    CallbackMessage {
        query: part("query"),
        headers: part("headers"),
        params: part("params"),
        body: part("body"),
    }
}

/// Reads a template.
fn template(fields: &mut Fields<'_>, name: &str) -> Option<Text> {
    let text = text(fields, name)?;
    if let Err(message) = Template::parse(text.as_written()) {
        fields.problem(name, message);
        return None;
    }
    Some(text)
}

/// Checks the strings of a JSON text, which are templates.
fn check_strings(fields: &mut Fields<'_>, name: &str, json: &str) {
    let Ok(value) = serde_json::from_str::<serde_json::Value>(json) else {
        fields.problem(name, "is nested too deeply");
        return;
    };
    let mut waiting = vec![&value];
    while let Some(value) = waiting.pop() {
        match value {
            serde_json::Value::String(text) => {
                if let Err(message) = Template::parse(text) {
                    fields.problem(name, message);
                }
            }
            serde_json::Value::Array(items) => waiting.extend(items),
            serde_json::Value::Object(items) => waiting.extend(items.values()),
            _ => {}
        }
    }
}
