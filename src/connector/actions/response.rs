//! The result of a call: `{ status, headers, data }`, with `data` as exact as it came.

use crate::http::HttpResponse;
use crate::text::json::push_string;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use encoding_rs::{Encoding, UTF_8};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, SET_COOKIE};
use serde_json::value::RawValue;
use std::borrow::Cow;

/// JSON text of the result.
pub(super) fn result_json(answer: &HttpResponse) -> Box<str> {
    let mut text = format!("{{\"status\":{},\"headers\":", answer.status);
    push_headers(&mut text, &answer.headers);
    text.push_str(",\"data\":");
    let media_type = answer.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    push_data(&mut text, &answer.body, media_type);
    text.push('}');
    text.into()
}

/// Each name once, lower case; repeated ones joined by commas, but cookies, which hold commas.
fn push_headers(text: &mut String, headers: &HeaderMap) {
    text.push('{');
    for name in headers.keys() {
        if !text.ends_with('{') {
            text.push(',');
        }
        push_string(text, name.as_str());
        text.push(':');
        push_values(text, name, headers.get_all(name).iter());
    }
    text.push('}');
}

fn push_values<'a>(text: &mut String, name: &HeaderName, values: impl Iterator<Item = &'a HeaderValue>) {
    let values: Vec<Cow<'a, str>> = values.map(|value| String::from_utf8_lossy(value.as_bytes())).collect();
    if *name != SET_COOKIE {
        return push_string(text, &values.join(", "));
    }
    text.push('[');
    for (index, value) in values.iter().enumerate() {
        if index > 0 {
            text.push(',');
        }
        push_string(text, value);
    }
    text.push(']');
}

fn push_data(text: &mut String, body: &[u8], media_type: Option<&str>) {
    if body.is_empty() {
        return text.push_str("null");
    }
    let Some(decoded) = decode_text(body, media_type) else {
        push_string(text, &STANDARD.encode(body));
        return text.push_str(",\"encoding\":\"base64\"");
    };
    let is_json = media_type.is_some_and(|name| essence(name).ends_with("/json") || essence(name).ends_with("+json"));
    match serde_json::from_str::<&RawValue>(&decoded) {
        // As it is written: numbers keep their digits, members their order.
        Ok(json) if is_json => text.push_str(json.get()),
        // Also what says it is JSON and is not: the work was done, and another attempt would do it twice.
        _ => push_string(text, &decoded),
    }
}

/// The text that a body is; `None`: it is none.
fn decode_text<'a>(body: &'a [u8], media_type: Option<&str>) -> Option<Cow<'a, str>> {
    let Some(media_type) = media_type else {
        // Nobody said what it is.
        return std::str::from_utf8(body)
            .ok()
            .filter(|text| !text.contains('\0'))
            .map(Cow::Borrowed);
    };
    let named = charset(media_type).and_then(|name| Encoding::for_label(name.as_bytes()));
    if named.is_none() && !is_text(&essence(media_type)) {
        return None;
    }
    // A byte order mark goes before what is named.
    let (text, ..) = named.unwrap_or(UTF_8).decode(body);
    Some(text)
}

fn is_text(essence: &str) -> bool {
    const TEXTS: [&str; 8] = [
        "application/graphql",
        "application/javascript",
        "application/json",
        "application/jwt",
        "application/sql",
        "application/x-ndjson",
        "application/x-www-form-urlencoded",
        "application/yaml",
    ];
    essence.starts_with("text/")
        || ["/xml", "+xml", "+json", "+yaml", "/json", "/x-yaml"]
            .iter()
            .any(|end| essence.ends_with(end))
        || TEXTS.contains(&essence)
}

/// Type and subtype, lower case.
fn essence(media_type: &str) -> String {
    let name = media_type.split(';').next().unwrap_or_default();
    name.trim().to_ascii_lowercase()
}

fn charset(media_type: &str) -> Option<&str> {
    media_type.split(';').skip(1).find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim()
            .eq_ignore_ascii_case("charset")
            .then(|| value.trim().trim_matches('"'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(body: &[u8], media_type: &str) -> String {
        let mut headers = HeaderMap::new();
        if !media_type.is_empty() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_str(media_type).unwrap());
        }
        let answer = HttpResponse {
            status: 200,
            headers,
            body: body.to_vec(),
        };
        let text = result_json(&answer);
        serde_json::from_str::<&RawValue>(&text).unwrap();
        text.split_once("\"data\":").unwrap().1.trim_end_matches('}').to_owned()
    }

    #[test]
    fn json_data_is_returned_unchanged() {
        let body = b" [12345678901234567890,1.10,\"\\u00e9\",null]\n";
        for media_type in [
            "application/json",
            "application/problem+json; charset=utf-8",
            "TEXT/JSON",
        ] {
            assert_eq!(data(body, media_type), r#"[12345678901234567890,1.10,"\u00e9",null]"#);
        }
        assert_eq!(data(b"\xef\xbb\xbf[1]", "application/json"), "[1]");
        assert_eq!(data(b"[1]", "text/plain"), "\"[1]\"");
        assert_eq!(data(b"{\"a\":", "application/json"), r#""{\"a\":""#);
        let deep = "[".repeat(100_000);
        assert_eq!(data(deep.as_bytes(), "application/json"), format!("\"{deep}\""));
    }

    #[test]
    fn text_is_decoded_and_anything_else_is_base64() {
        let cases: [(&[u8], &str, &str); 9] = [
            (b"", "application/json", "null"),
            (b"", "", "null"),
            (b"caf\xe9", "text/plain; charset=iso-8859-1", "\"café\""),
            (b"caf\xe9", "Text/Plain; Charset=\"ISO-8859-1\"", "\"café\""),
            (b"\xffx", "text/plain", "\"\u{fffd}x\""),
            (b"hi", "", "\"hi\""),
            (b"\xff\x00", "", r#""/wA=","encoding":"base64""#),
            (b"hi", "application/octet-stream", r#""aGk=","encoding":"base64""#),
            (b"<a/>", "image/svg+xml", "\"<a/>\""),
        ];
        for (body, media_type, expected) in cases {
            assert_eq!(data(body, media_type), expected, "{media_type}");
        }
    }

    #[test]
    fn repeated_headers_are_joined_and_cookies_listed() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("vary", "a"),
            ("set-cookie", "a=1"),
            ("vary", "b"),
            ("set-cookie", "b=\"2\""),
        ] {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        let answer = HttpResponse {
            status: 204,
            headers,
            body: Vec::new(),
        };
        let expected = r#"{"status":204,"headers":{"vary":"a, b","set-cookie":["a=1","b=\"2\""]},"data":null}"#;
        assert_eq!(&*result_json(&answer), expected);
    }
}
