//! Inputs of notification jobs: reads and checks them, and fills templates with them. Pure.
//!
//! Invariants: no error message contains a value of an input; filled-in values are never parsed as templates, and are
//! escaped in HTML.

use crate::connector::Failure;
use crate::resources::Template;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// Named values, as JSON texts.
pub(super) type Values<'a> = BTreeMap<String, &'a RawValue>;

/// Channels that an input may name, and the name of the notification again, which the documented type has.
const MEMBERS: [&str; 5] = ["email", "sms", "push_notification", "callback", "slug"];
/// What `input.sms` may have.
const SMS_MEMBERS: [&str; 2] = ["recipients", "body"];
/// What `input.push_notification` may have.
const PUSH_MEMBERS: [&str; 4] = ["device_tokens", "title", "body", "data"];
/// What `input.email` may have.
const EMAIL_MEMBERS: [&str; 3] = ["recipients", "subject", "template"];

/// An input with its expressions resolved: the channels that it names.
pub(super) struct Input<'a> {
    pub email: Option<&'a RawValue>,
    pub sms: Option<&'a RawValue>,
    pub push_notification: Option<&'a RawValue>,
    pub callback: Option<&'a RawValue>,
}

impl<'a> Input<'a> {
    /// Reads the JSON text of an input.
    pub(super) fn read(text: &'a str) -> Result<Self, Failure> {
        let members: Values<'a> =
            serde_json::from_str(text).map_err(|_| Failure::invalid("input: must be an object"))?;
        refuse_unknown(&members, "input", &MEMBERS)?;
        let channel = |name: &str| members.get(name).copied().filter(|value| value.get() != "null");
        Ok(Self {
            email: channel("email"),
            sms: channel("sms"),
            push_notification: channel("push_notification"),
            callback: channel("callback"),
        })
    }
}

/// Refuses members that are not among `known`.
pub(super) fn refuse_unknown(members: &Values<'_>, path: &str, known: &[&str]) -> Result<(), Failure> {
    match members.keys().find(|name| !known.contains(&name.as_str())) {
        Some(name) => Err(Failure::unknown_member(path, name, known)),
        None => Ok(()),
    }
}

/// The members of `input.email`. What mail programs have besides, and the input has not, is refused with its place.
pub(super) fn email_members<'a>(email: &'a RawValue) -> Result<Values<'a>, Failure> {
    const PATH: &str = "input.email";
    let mut members = object_members(Some(email), PATH)?;
    take_aliases(&mut members, PATH, "recipients", &["to"])?;
    for name in members.keys() {
        let remedy = match &*name.to_ascii_lowercase() {
            "cc" | "bcc" => {
                "each recipient gets an e-mail of its own that names no other; put the address into `recipients`"
            }
            "from" | "replyto" | "reply_to" | "reply-to" => {
                "the definition names the sender for all jobs: `from` and `replyTo` in `emails` of the environment"
            }
            "attachments" => "e-mail with attachments is not built in; put a link into the text",
            _ => continue,
        };
        return Err(Failure::invalid(format!(
            "{PATH}.{name}: is not an option of a job; {remedy}"
        )));
    }
    refuse_unknown(&members, PATH, &EMAIL_MEMBERS)?;
    Ok(members)
}

/// The members of `input.sms`.
pub(super) fn sms_members<'a>(sms: &'a RawValue) -> Result<Values<'a>, Failure> {
    const PATH: &str = "input.sms";
    let mut members = object_members(Some(sms), PATH)?;
    take_aliases(&mut members, PATH, "recipients", &["to", "phones", "phone"])?;
    take_aliases(&mut members, PATH, "body", &["message"])?;
    refuse_unknown(&members, PATH, &SMS_MEMBERS)?;
    Ok(members)
}

/// The members of `input.push_notification`.
pub(super) fn push_members<'a>(push: &'a RawValue) -> Result<Values<'a>, Failure> {
    const PATH: &str = "input.push_notification";
    let mut members = object_members(Some(push), PATH)?;
    take_aliases(&mut members, PATH, "device_tokens", &["device_token", "tokens"])?;
    refuse_unknown(&members, PATH, &PUSH_MEMBERS)?;
    Ok(members)
}

/// A text of a message: a string of the input is the text itself, an object fills the template.
pub(super) fn text_of(
    template: Option<&Template>,
    values: &Values<'_>,
    name: &str,
    path: &str,
) -> Result<Option<String>, Failure> {
    let value = values.get(name).copied();
    if let Some(text) = value.and_then(|value| serde_json::from_str(value.get()).ok()) {
        return Ok(Some(text));
    }
    let path = format!("{path}.{name}");
    let values = object_members(value, &path)?;
    template
        .map(|template| fill(template, &values, &path, Escaping::Text))
        .transpose()
}

/// Renames a member that goes by another name.
pub(super) fn take_aliases(members: &mut Values<'_>, path: &str, name: &str, aliases: &[&str]) -> Result<(), Failure> {
    for alias in aliases {
        let Some(value) = members.remove(*alias) else { continue };
        if members.insert(name.to_owned(), value).is_some() {
            return Err(Failure::invalid(format!(
                "{path}.{alias}: is the same as `{name}`; give one of them"
            )));
        }
    }
    Ok(())
}

/// The members of an object; none if it is absent.
pub(super) fn object_members<'a>(value: Option<&'a RawValue>, path: &str) -> Result<Values<'a>, Failure> {
    let Some(value) = value.filter(|value| value.get() != "null") else {
        return Ok(Values::new());
    };
    serde_json::from_str(value.get()).map_err(|_| Failure::invalid(format!("{path}: must be an object")))
}

/// Reads a list of strings; a string alone is one of them.
pub(super) fn string_list(value: Option<&&RawValue>, path: &str) -> Result<Vec<String>, Failure> {
    let Some(value) = value else {
        return Err(Failure::invalid(format!("{path}: is missing")));
    };
    if let Ok(one) = serde_json::from_str::<String>(value.get()) {
        return Ok(vec![one]);
    }
    serde_json::from_str(value.get()).map_err(|_| Failure::invalid(format!("{path}: must be a list of strings")))
}

/// How a value is inserted into a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Escaping {
    /// Verbatim.
    Text,
    /// Verbatim, and must be a single line.
    Line,
    /// Escaped for HTML.
    Html,
}

/// Fills a template with the values of one part of an input.
pub(super) fn fill(
    template: &Template,
    values: &Values<'_>,
    path: &str,
    escaping: Escaping,
) -> Result<String, Failure> {
    let filled = template.fill(|name| {
        let Some(value) = find(values, name) else {
            return Ok(format!("{{{{{name}}}}}"));
        };
        if let Some(why) = template.refusal(name, value.get()) {
            return Err(Failure::invalid(format!("{path}.{name}: {why}")).into());
        }
        let text = scalar_text(value, &format!("{path}.{name}"))?;
        match escaping {
            Escaping::Text => Ok(text),
            Escaping::Line if text.chars().any(char::is_control) => Err(FillError::Failed(Failure::invalid(format!(
                "{path}.{name}: must be on one line, without control characters"
            )))),
            Escaping::Line => Ok(text),
            Escaping::Html => Ok(escape_html(&text)),
        }
    });
    filled.map_err(|problem| problem.into_failure(path))
}

/// The same, where each name must have a value.
pub(super) fn fill_required(template: &Template, values: &Values<'_>, path: &str) -> Result<String, Failure> {
    for name in template.names() {
        lookup(values, name, path)?;
    }
    fill(template, values, path, Escaping::Text)
}

/// Why a template cannot be filled.
enum FillError {
    Failed(Failure),
    Text(String),
}

impl FillError {
    fn into_failure(self, path: &str) -> Failure {
        match self {
            Self::Failed(failure) => failure,
            Self::Text(why) => Failure::invalid(format!("{path}: the text {why}")),
        }
    }
}

impl From<String> for FillError {
    fn from(why: String) -> Self {
        Self::Text(why)
    }
}

impl From<Failure> for FillError {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// Looks up a name that must have a value.
pub(super) fn lookup<'a>(values: &Values<'a>, name: &str, path: &str) -> Result<&'a RawValue, Failure> {
    find(values, name)
        .ok_or_else(|| Failure::invalid(format!("{path}.{name}: is missing; the message has a place for it")))
}

/// Looks up a name: a member of that name, or a nested member by its dotted path. `null` is no value.
fn find<'a>(values: &Values<'a>, name: &str) -> Option<&'a RawValue> {
    let there = |value: &&'a RawValue| value.get() != "null";
    if let Some(value) = values.get(name) {
        return Some(*value).filter(there);
    }
    let (first, rest) = name.split_once('.')?;
    let mut found = *values.get(first)?;
    for part in rest.split('.') {
        let inner: Values<'a> = serde_json::from_str(found.get()).ok()?;
        found = inner.get(part).copied()?;
    }
    Some(found).filter(there)
}

/// A string, number or boolean as text.
pub(super) fn scalar_text(value: &RawValue, path: &str) -> Result<String, Failure> {
    let text = value.get();
    match text.as_bytes().first() {
        Some(b'"') => serde_json::from_str(text).map_err(|_| Failure::invalid(format!("{path}: is no text"))),
        Some(b'{' | b'[' | b'n') | None => Err(Failure::invalid(format!(
            "{path}: must be a string, a number or a truth value"
        ))),
        Some(_) => Ok(text.to_owned()),
    }
}

fn escape_html(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len() + text.len() / 8);
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(template: &str, values: &str, escaping: Escaping) -> Result<String, String> {
        let raw: &RawValue = serde_json::from_str(values).unwrap();
        let values = object_members(Some(raw), "input.x").unwrap();
        fill(&Template::parse(template).unwrap(), &values, "input.x", escaping).map_err(|failure| failure.message)
    }

    #[test]
    fn unknown_member_is_refused_by_name() {
        let read = |text: &str| Input::read(text).err().map(|failure| failure.message);
        assert_eq!(
            read(r#"{"email":{},"sms":{},"push_notification":{},"callback":{}}"#),
            None
        );
        assert!(Input::read(r#"{"email":null}"#).unwrap().email.is_none());
        let message = read(r#"{"email":{},"e_mail":{}}"#).unwrap();
        assert_eq!(message, "input.e_mail: is not known here; did you mean `email`?");
        for (name, part) in [
            ("cc", "put the address into `recipients`"),
            ("BCC", "put the address into `recipients`"),
            ("to", "`recipients`; give one of them"),
            ("from", "`from` and `replyTo` in `emails`"),
            ("replyTo", "`from` and `replyTo` in `emails`"),
            ("attachments", "put a link into the text"),
            ("headers", "known are recipients, subject, template"),
        ] {
            let text = format!(r#"{{"recipients":["a@b.example"],"{name}":"x@y.example"}}"#);
            let failure = email_members(serde_json::from_str(&text).unwrap()).err().unwrap();
            assert_eq!(&*failure.code, "VALIDATION_ERROR");
            assert!(
                failure.message.starts_with(&format!("input.email.{name}: is ")),
                "{failure:?}"
            );
            assert!(
                failure.message.contains(part) && !failure.message.contains("x@y"),
                "{failure:?}"
            );
        }
    }

    #[test]
    fn placeholder_that_says_what_its_value_must_be_is_checked() {
        let fill = |template, values| filled(template, values, Escaping::Text);
        assert_eq!(
            fill("{{n:integer:1:5}} for {{name:string::4}}", r#"{"n":5,"name":"ann"}"#),
            Ok("5 for ann".into())
        );
        assert_eq!(
            fill("{{n:integer:1:5}}", r#"{"n":6}"#),
            Err("input.x.n: must be at most 5".into())
        );
        let long = fill("{{name:string::4}}", r#"{"name":"s3cret"}"#).unwrap_err();
        assert_eq!(long, "input.x.name: must have at most 4 characters, got 6");
    }

    #[test]
    fn filled_values_are_escaped_only_in_html() {
        let values = r#"{"a":"<b>&\"'</b>","n":12345678901234567890.10,"t":true,"in":{"ner":{"x":"ü"}},"d.t":"dot"}"#;
        let text = "{{a}} {{n}} {{t}} {{in.ner.x}} {{d.t}}";
        assert_eq!(
            filled(text, values, Escaping::Text),
            Ok("<b>&\"'</b> 12345678901234567890.10 true ü dot".into())
        );
        assert_eq!(
            filled("<i>{{a}}</i>", values, Escaping::Html),
            Ok("<i>&lt;b&gt;&amp;&quot;&#39;&lt;/b&gt;</i>".into())
        );
    }

    #[test]
    fn place_without_a_value_stays_as_it_is_in_texts() {
        for name in ["b", "a.b", "nothing", "list.0", "in.x", "in.deep.x"] {
            let values = r#"{"a":"payload","nothing":null,"list":[1],"in":{"x":null}}"#;
            let text = format!("{{{{{name}}}}}");
            assert_eq!(filled(&text, values, Escaping::Text), Ok(text.clone()));
        }
    }

    #[test]
    fn missing_value_error_names_it_and_reveals_no_other_value() {
        for name in ["b", "a.b", "nothing", "list.0", "in.x", "in.deep.x"] {
            let values = r#"{"a":"payload","nothing":null,"list":[1],"in":{"x":null}}"#;
            let values = object_members(Some(serde_json::from_str(values).unwrap()), "input.x").unwrap();
            let template = Template::parse(&format!("{{{{{name}}}}}")).unwrap();
            let message = fill_required(&template, &values, "input.x").unwrap_err().message;
            assert!(message.starts_with(&format!("input.x.{name}: is missing")), "{message}");
            assert!(!message.contains("payload"));
        }
    }

    #[test]
    fn non_scalar_value_is_refused() {
        for value in ["[1]", "{}"] {
            let message = filled("{{a}}", &format!("{{\"a\":{value}}}"), Escaping::Text).unwrap_err();
            assert_eq!(message, "input.x.a: must be a string, a number or a truth value");
        }
    }

    #[test]
    fn single_line_value_cannot_contain_line_breaks() {
        for text in [
            "a\\r\\nBcc: x@y.z",
            "a\\nb",
            "a\\rb",
            "\\u0000",
            "\\u0085",
            "a\\u2028b\\n",
        ] {
            let answer = filled("{{a}}", &format!("{{\"a\":\"{text}\"}}"), Escaping::Line);
            assert!(
                answer.unwrap_err().starts_with("input.x.a: must be on one line"),
                "{text}"
            );
        }
        assert_eq!(
            filled("Hi {{a}}", r#"{"a":"żółć <b>"}"#, Escaping::Line),
            Ok("Hi żółć <b>".into())
        );
    }
}
