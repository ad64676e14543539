//! Reads the HTTP credentials of a resource.

use super::texts::{check_text, header_name};
use crate::api::fields::Fields;
use crate::resources::{HttpAuth, Text};

#[derive(Clone, Copy)]
enum Kind {
    Basic,
    Bearer,
    Header,
}

/// Reads the member `auth` of a resource. `None`: absent or invalid.
pub(super) fn read_auth(resource: &mut Fields<'_>) -> Option<HttpAuth> {
    let mut auth = resource.object("auth")?;
    let kinds = [
        ("basic", Kind::Basic),
        ("bearer", Kind::Bearer),
        ("header", Kind::Header),
    ];
    if auth.raw("type").is_none() {
        auth.problem("type", "is missing; it must be 'basic', 'bearer' or 'header'");
    }
    let read = match auth.one_of("type", &kinds) {
        None => None,
        Some(Kind::Basic) => {
            auth.refuse_unknown(&["type", "username", "password"]);
            let (username, password) = (required(&mut auth, "username"), required(&mut auth, "password"));
            if username.as_ref().is_some_and(|name| name.as_written().contains(':')) {
                auth.problem("username", "must hold no colon, which ends the user in this scheme");
            }
            username
                .zip(password)
                .map(|(username, password)| HttpAuth::Basic { username, password })
        }
        Some(Kind::Bearer) => {
            auth.refuse_unknown(&["type", "token"]);
            required(&mut auth, "token").map(HttpAuth::Bearer)
        }
        Some(Kind::Header) => {
            auth.refuse_unknown(&["type", "name", "value"]);
            let name = required(&mut auth, "name");
            let name = name.and_then(|name| header_name(&mut auth, "name", name.as_written()));
            let value = required(&mut auth, "value");
            name.zip(value).map(|(name, value)| HttpAuth::Header { name, value })
        }
    };
    resource.absorb(auth);
    read
}

fn required(auth: &mut Fields<'_>, name: &str) -> Option<Text> {
    if auth.raw(name).is_none() {
        auth.problem(name, "is missing; it must be a string, as in '$Secret{KEY}'");
    }
    let text = auth.string(name)?;
    if text.chars().any(char::is_control) {
        auth.problem(name, "must hold no control characters");
        return None;
    }
    check_text(auth, name, &text);
    Some(Text::from(&*text))
}
