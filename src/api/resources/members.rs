//! What the sections of a product have in common: lists of objects, each with a tag, and texts in files.

use crate::api::fields::{Fields, describe};
use crate::text::spelling::truncated;
use crate::text_file::read_text_file;
use serde_json::value::RawValue;

/// Largest file that is accepted, in bytes.
const MAX_FILE_BYTES: u64 = 16 << 20;

/// Reads a file that holds JSON; else why it cannot be used.
pub(super) fn read_file(path: &str) -> Result<String, String> {
    let text = read_text_file(path.as_ref(), MAX_FILE_BYTES).map_err(|error| error.to_string())?;
    serde_json::from_str::<&RawValue>(&text).map_err(|error| format!("it is no JSON: {error}"))?;
    Ok(text.trim().to_owned())
}

/// Reads a list of objects.
pub(in crate::api) fn members<'a>(fields: &mut Fields<'a>, name: &str) -> Vec<Fields<'a>> {
    let Some(text) = fields.raw(name) else {
        return Vec::new();
    };
    let Ok(list) = serde_json::from_str::<Vec<&'a RawValue>>(text) else {
        fields.problem(name, format!("must be a list, got {}", describe(text)));
        return Vec::new();
    };
    let mut read = Vec::with_capacity(list.len());
    for (index, member) in list.into_iter().enumerate() {
        match Fields::read(member.get(), &fields.path(&format!("{name}[{index}]"))) {
            Ok(member) => read.push(member),
            Err(problem) => fields.problems.push(problem),
        }
    }
    read
}

/// Reads the required `tag`.
pub(in crate::api) fn required_tag<'a>(fields: &mut Fields<'a>) -> Option<std::borrow::Cow<'a, str>> {
    if fields.raw("tag").is_none() {
        fields.problem("tag", "is missing; it must be a string");
        return None;
    }
    fields.tag("tag")
}

/// The tag of an action without that of its resource before a colon. Before any other colon an event names its resource, which
/// would be another one.
pub(super) fn own_tag(action: &mut Fields<'_>, kind: &str, resource: Option<&str>, tag: &str) -> Option<Box<str>> {
    let own = |resource: &str| tag.strip_prefix(resource)?.strip_prefix(':');
    let local = resource.and_then(own).filter(|local| !local.is_empty()).unwrap_or(tag);
    if let (Some((named, _)), Some(resource)) = (local.split_once(':'), resource) {
        action.problem(
            "tag",
            format!(
                "has a colon, before which an event names its {kind}: '{}' would be looked for in the {kind} '{}'; use another \
                 character, or '{resource}:' before the tag",
                truncated(local),
                truncated(named)
            ),
        );
        return None;
    }
    Some(local.into())
}
