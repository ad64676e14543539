//! Texts of channels, and what is wrong with them.

use crate::api::fields::{Fields, truncated};
use crate::resources::Text;

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
