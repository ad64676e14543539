//! The URL of a request: path with its parameters, and query.

use super::super::Failure;
use super::json::{JsonKind, kind};
use crate::connector::limits::{MAX_QUERY_NESTING, MAX_URL_BYTES};
use crate::resources::{PathTemplate, Segment};
use crate::text::json::{Object, list};
use crate::text::percent;
use reqwest::Url;

/// The URL of a resource below a base that ends without a slash.
///
/// # Errors
/// `VALIDATION_ERROR` for a parameter that is missing or would change the path, and for a query that cannot be written.
pub(in crate::connector) fn build(
    base: &str,
    resource: &PathTemplate,
    params: &Object<'_>,
    query: &Object<'_>,
) -> Result<Url, Failure> {
    let mut text = base.to_owned();
    for segment in &resource.segments {
        text.push('/');
        match segment {
            Segment::Literal(literal) => text.push_str(literal),
            Segment::Param { name, suffix } => {
                let value = path_param(name, params)?;
                let whole = format!("{value}{suffix}");
                if matches!(&*whole, "." | "..") {
                    return Err(Failure::invalid(format!("params.{name}: must not be '.' or '..'")));
                }
                percent::encode_into(&mut text, &value);
                text.push_str(suffix);
            }
        }
    }
    let mut url = Url::parse(&text).map_err(|error| Failure::invalid(format!("no URL: {error}")))?;
    let mut search = resource.query.as_deref().unwrap_or_default().to_owned();
    push_pairs(&mut search, query, "query")?;
    url.set_query((!search.is_empty()).then_some(&search));
    if url.as_str().len() > MAX_URL_BYTES {
        return Err(Failure::invalid(format!(
            "the URL would be longer than {MAX_URL_BYTES} bytes"
        )));
    }
    Ok(url)
}

fn path_param(name: &str, params: &Object<'_>) -> Result<String, Failure> {
    let place = format!("params.{name}");
    let json = params
        .get(name)
        .ok_or_else(|| Failure::invalid(format!("{place}: is missing; the path of the action holds ':{name}'")))?;
    match kind(json, &place)? {
        JsonKind::Scalar(value) if !value.is_empty() => Ok(value),
        JsonKind::Scalar(_) | JsonKind::Null => Err(Failure::invalid(format!("{place}: must not be empty"))),
        _ => Err(Failure::invalid(format!(
            "{place}: must be a string, a number, true or false"
        ))),
    }
}

/// Appends `name=value` pairs, as queries and forms have them: lists as repetitions, objects as `name[member]`; `null` is
/// left out.
///
/// # Errors
/// `VALIDATION_ERROR` for what is nested too deep.
pub(super) fn push_pairs(text: &mut String, fields: &Object<'_>, part: &str) -> Result<(), Failure> {
    for (name, json) in fields.iter() {
        push(text, name, json, part, 0)?;
    }
    Ok(())
}

fn push(text: &mut String, name: &str, json: &str, part: &str, depth: usize) -> Result<(), Failure> {
    let shown = || {
        let name: String = name.chars().take(60).collect();
        format!("{part}.{name}")
    };
    if depth > MAX_QUERY_NESTING {
        return Err(Failure::invalid(format!(
            "{}: more than {MAX_QUERY_NESTING} levels",
            shown()
        )));
    }
    match kind(json, &shown())? {
        JsonKind::Null => {}
        JsonKind::Scalar(value) => {
            if !text.is_empty() {
                text.push('&');
            }
            percent::encode_into(text, name);
            text.push('=');
            percent::encode_into(text, &value);
        }
        JsonKind::List => {
            for (index, element) in list(json).unwrap_or_default().into_iter().enumerate() {
                match kind(element, &shown())? {
                    // Members of one object must not be taken for those of the next.
                    JsonKind::Object | JsonKind::List => {
                        push(text, &format!("{name}[{index}]"), element, part, depth + 1)?
                    }
                    _ => push(text, name, element, part, depth + 1)?,
                }
            }
        }
        JsonKind::Object => {
            let object = Object::read(json)
                .ok_or_else(|| Failure::invalid(format!("{}: must have names that are valid Unicode", shown())))?;
            for (member, json) in object.iter() {
                push(text, &format!("{name}[{member}]"), json, part, depth + 1)?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resource() -> PathTemplate {
        let path_param = |name: &str, suffix: &str| Segment::Param {
            name: name.into(),
            suffix: suffix.into(),
        };
        PathTemplate {
            segments: vec![
                Segment::Literal("a".into()),
                path_param("id", ""),
                path_param("file", ".x"),
            ],
            query: Some("fixed=1".into()),
        }
    }

    fn made(params: &str, query: &str) -> Result<String, String> {
        let (params, query) = (Object::read(params).unwrap(), Object::read(query).unwrap());
        build("http://h/v1", &resource(), &params, &query)
            .map(|url| url.to_string())
            .map_err(|failure| failure.message)
    }

    #[test]
    fn path_parameter_cannot_leave_its_segment() {
        let made = |id: &str| made(&format!("{{\"id\":{id},\"file\":\"f\"}}"), "{}");
        let cases = [
            ("7", "7"),
            ("12345678901234567890", "12345678901234567890"),
            ("true", "true"),
            ("\"a/b\"", "a%2Fb"),
            ("\"../../admin\"", "..%2F..%2Fadmin"),
            ("\"%2e%2e\"", "%252e%252e"),
            ("\"a?b=c#d&e\"", "a%3Fb%3Dc%23d%26e"),
            ("\"\\r\\nx: y\"", "%0D%0Ax%3A%20y"),
            ("\"é😀\"", "%C3%A9%F0%9F%98%80"),
            ("\"\\u0000\"", "%00"),
            ("\"@evil.test\"", "%40evil.test"),
            ("\"\\\\\"", "%5C"),
        ];
        for (id, encoded) in cases {
            assert_eq!(
                made(id).unwrap(),
                format!("http://h/v1/a/{encoded}/f.x?fixed=1"),
                "{id}"
            );
        }
        for id in ["\"\"", "null", "\".\"", "\"..\"", "[1]", "{}", "\"\\ud800\""] {
            assert!(made(id).unwrap_err().starts_with("params.id: "), "{id}");
        }
        assert!(
            super::tests::made("{\"id\":1}", "{}")
                .unwrap_err()
                .contains("holds ':file'")
        );
        assert_eq!(
            super::tests::made("{\"id\":1,\"file\":\".\"}", "{}").unwrap(),
            "http://h/v1/a/1/..x?fixed=1"
        );
    }

    #[test]
    fn query_repeats_lists_and_uses_brackets_for_objects() {
        let made = |query: &str| {
            let url = made("{\"id\":1,\"file\":1}", query)?;
            Ok::<_, String>(
                url.split_once("fixed=1")
                    .unwrap()
                    .1
                    .replace("%5B", "[")
                    .replace("%5D", "]"),
            )
        };
        let cases = [
            ("{}", ""),
            (
                r#"{"a":1.50,"b":"x y&z","c":true,"d":null,"e":""}"#,
                "&a=1.50&b=x%20y%26z&c=true&e=",
            ),
            (r#"{"a":[1,"2",null,[]]}"#, "&a=1&a=2"),
            (
                r#"{"f":{"s":"open","t":[1,2],"u":{"v":1}}}"#,
                "&f[s]=open&f[t]=1&f[t]=2&f[u][v]=1",
            ),
            (r#"{"i":[{"s":1,"n":2},{"s":3}]}"#, "&i[0][s]=1&i[0][n]=2&i[1][s]=3"),
            (r##"{"a b#":"\r\n"}"##, "&a%20b%23=%0D%0A"),
        ];
        for (query, expected) in cases {
            assert_eq!(made(query).unwrap(), expected, "{query}");
        }
        let deep = format!("{}1{}", "{\"a\":".repeat(50_000), "}".repeat(50_000));
        assert!(made(&deep).unwrap_err().contains("levels"));
        let long = format!("{{\"a\":\"{}\"}}", "x".repeat(40_000));
        assert!(made(&long).unwrap_err().contains("longer than"));
    }
}
