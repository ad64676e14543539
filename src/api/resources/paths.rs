//! Reads the path of an action, as in `/orders/:id?expand=items`.

use crate::api::fields::truncated;
use crate::resources::{PathTemplate, Segment};

/// Longest path, bytes.
const MAX_PATH_BYTES: usize = 2_048;

/// Parses the path of an action, or says what is wrong with it.
pub(super) fn read_resource(text: &str) -> Result<PathTemplate, String> {
    if text.len() > MAX_PATH_BYTES {
        return Err(format!("must have at most {MAX_PATH_BYTES} bytes, got {}", text.len()));
    }
    let Some(rest) = text.strip_prefix('/') else {
        return Err(format!(
            "must begin with a slash, as in '/orders/:id', got '{}'",
            truncated(text)
        ));
    };
    if rest
        .chars()
        .any(|character| character.is_control() || matches!(character, '#' | '\\'))
    {
        return Err("must hold no fragment, no backslash and no control characters".to_owned());
    }
    let (path, query) = match rest.split_once('?') {
        Some((path, query)) => (path, (!query.is_empty()).then(|| query.into())),
        None => (rest, None),
    };
    let segments = path.split('/').map(read_segment).collect::<Result<Vec<_>, _>>()?;
    let resource = PathTemplate { segments, query };
    let mut seen: Vec<&str> = Vec::new();
    for name in resource.params() {
        if seen.contains(&name) {
            return Err(format!("names the parameter ':{name}' twice"));
        }
        seen.push(name);
    }
    Ok(resource)
}

fn read_segment(text: &str) -> Result<Segment, String> {
    // URLs treat `%2e` as a dot.
    if matches!(&*text.to_ascii_lowercase().replace("%2e", "."), "." | "..") {
        return Err("must hold no '.' and no '..' between slashes".to_owned());
    }
    let Some(rest) = text.strip_prefix(':') else {
        return Ok(Segment::Literal(text.into()));
    };
    let is_name = |character: char| character.is_ascii_alphanumeric() || character == '_';
    let end = rest.find(|character| !is_name(character)).unwrap_or(rest.len());
    let (name, suffix) = rest.split_at(end);
    if name.is_empty() {
        return Err("has a ':' without a name after it; a parameter is as ':id'".to_owned());
    }
    Ok(Segment::Param {
        name: name.into(),
        suffix: suffix.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_stand_at_the_start_of_a_segment() {
        let resource = read_resource("/v1/orders/:order_id.json/items/:id:cancel?expand=a:b").unwrap();
        assert_eq!(resource.params().collect::<Vec<_>>(), ["order_id", "id"]);
        assert_eq!(resource.query.as_deref(), Some("expand=a:b"));
        let last = resource.segments.last().unwrap();
        let expected = Segment::Param {
            name: "id".into(),
            suffix: ":cancel".into(),
        };
        assert_eq!(*last, expected);
        assert_eq!(read_resource("/things:batch").unwrap().params().count(), 0);
        assert_eq!(read_resource("/").unwrap().segments, [Segment::Literal("".into())]);
    }

    #[test]
    fn invalid_paths_are_refused() {
        for path in [
            "",
            "orders",
            "/a#b",
            "/a\\b",
            "/a\nb",
            "/../a",
            "/./a",
            "/%2E./a",
            "/:",
            "/:/a",
            "/:id/:id",
            &"/a".repeat(2_000),
        ] {
            assert!(read_resource(path).is_err(), "{path}");
        }
    }
}
