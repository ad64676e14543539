//! The body of a request, in the form that the action says.

use super::super::Failure;
use super::json::{JsonKind, kind};
use super::multipart;
use super::url::push_pairs;
use crate::resources::RequestType;
use crate::text::json::Object;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// A body and its media type.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Body {
    /// For `Content-Type`.
    pub(super) media_type: String,
    /// What is sent.
    pub(super) bytes: Vec<u8>,
}

/// Writes JSON text in the form that is wanted.
///
/// # Errors
/// `VALIDATION_ERROR` for what has no such form.
pub(super) fn write(json: &str, form: &RequestType) -> Result<Body, Failure> {
    let (media_type, bytes) = match form {
        RequestType::Json(name) => (name.to_string(), json.as_bytes().to_vec()),
        RequestType::Form => {
            let mut text = String::new();
            push_pairs(&mut text, &object(json)?, "body")?;
            ("application/x-www-form-urlencoded".to_owned(), text.into_bytes())
        }
        RequestType::Multipart => {
            let boundary = multipart::boundary();
            let bytes = multipart::write(&object(json)?, &boundary)?;
            (format!("multipart/form-data; boundary={boundary}"), bytes)
        }
        RequestType::Raw(name) => (with_charset(name), raw_bytes(json)?),
    };
    Ok(Body { media_type, bytes })
}

fn object(json: &str) -> Result<Object<'_>, Failure> {
    Object::read(json).ok_or_else(|| Failure::invalid("body: must be an object, for the action sends a form"))
}

/// Text is sent as UTF-8, which not every receiver assumes.
fn with_charset(name: &str) -> String {
    if name.starts_with("text/") && !name.contains(';') {
        format!("{name}; charset=utf-8")
    } else {
        name.to_owned()
    }
}

/// A text, or `{ content }`, or `{ content, encoding: 'base64' }` for bytes.
fn raw_bytes(json: &str) -> Result<Vec<u8>, Failure> {
    let wanted = || {
        Failure::invalid(
            "body: must be { content: 'text' }, or { content, encoding: 'base64' } for bytes, since the action sends neither JSON nor a form",
        )
    };
    match kind(json, "body")? {
        JsonKind::Scalar(text) if json.starts_with('"') => Ok(text.into_bytes()),
        JsonKind::Object => {
            let object = Object::read(json).ok_or_else(wanted)?;
            let json = object
                .get("content")
                .filter(|json| json.starts_with('"'))
                .ok_or_else(wanted)?;
            let JsonKind::Scalar(content) = kind(json, "body.content")? else {
                return Err(wanted());
            };
            match object.get("encoding") {
                None => Ok(content.into_bytes()),
                Some("\"base64\"") => decode_base64(&content, "body.content"),
                Some(_) => Err(wanted()),
            }
        }
        _ => Err(wanted()),
    }
}

/// Bytes of a text in base64.
pub(super) fn decode_base64(text: &str, place: &str) -> Result<Vec<u8>, Failure> {
    STANDARD
        .decode(text)
        .map_err(|_| Failure::invalid(format!("{place}: must be base64")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(json: &str, form: &RequestType) -> Result<(String, String), String> {
        write(json, form)
            .map(|body| (body.media_type, String::from_utf8(body.bytes).unwrap()))
            .map_err(|failure| failure.message)
    }

    #[test]
    fn json_body_is_sent_unchanged() {
        let form = RequestType::Json("application/vnd.api+json".into());
        let json = r#"{"n":12345678901234567890,"x":1.10}"#;
        assert_eq!(
            sent(json, &form).unwrap(),
            ("application/vnd.api+json".into(), json.into())
        );
    }

    #[test]
    fn form_body_is_url_encoded_pairs() {
        let (_, text) = sent(r#"{"a":"1&2=3","b":[1,2],"c":null}"#, &RequestType::Form).unwrap();
        assert_eq!(text, "a=1%262%3D3&b=1&b=2");
        assert!(sent("[1]", &RequestType::Form).is_err() && sent("\"a=1\"", &RequestType::Form).is_err());
    }

    #[test]
    fn raw_body_is_text_or_base64_bytes() {
        let text = RequestType::Raw("text/plain".into());
        let expected = ("text/plain; charset=utf-8".into(), "é\n".into());
        assert_eq!(sent("\"é\\n\"", &text).unwrap(), expected);
        assert_eq!(sent("{\"content\":\"é\\n\"}", &text).unwrap(), expected);
        let bytes = RequestType::Raw("application/octet-stream".into());
        let made = write(r#"{"content":"AP8=","encoding":"base64"}"#, &bytes).unwrap();
        assert_eq!(made.bytes, [0, 255]);
        for json in [
            "1",
            "null",
            "[]",
            "{}",
            r#"{"content":1}"#,
            r#"{"content":"AP8=","encoding":"hex"}"#,
            r#"{"content":"***","encoding":"base64"}"#,
        ] {
            assert!(sent(json, &bytes).unwrap_err().starts_with("body"), "{json}");
        }
    }
}
