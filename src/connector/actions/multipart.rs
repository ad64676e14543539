//! `multipart/form-data`: fields, and files given as `{ filename, content, contentType }`.
//!
//! Written as bytes, not as a stream, so that its length is known and a redirect can repeat it.

use super::super::Failure;
use super::body::decode_base64;
use super::json::{JsonKind, kind};
use crate::text::json::{Object, list};
use uuid::Uuid;

/// What parts are divided by: random, so that no field can hold it.
pub(super) fn boundary() -> String {
    format!("ductape-{}{}", Uuid::now_v7().simple(), Uuid::now_v7().simple())
}

/// Writes all fields; lists as several parts of one name.
///
/// # Errors
/// `VALIDATION_ERROR` for files that are none.
pub(super) fn write(fields: &Object<'_>, boundary: &str) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    for (name, json) in fields.iter() {
        let place = format!("body.{}", name.chars().take(60).collect::<String>());
        if kind(json, &place)? == JsonKind::List {
            for element in list(json).unwrap_or_default() {
                part(&mut bytes, boundary, name, element, &place)?;
            }
        } else {
            part(&mut bytes, boundary, name, json, &place)?;
        }
    }
    bytes.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    Ok(bytes)
}

fn part(bytes: &mut Vec<u8>, boundary: &str, name: &str, json: &str, place: &str) -> Result<(), Failure> {
    let name = quoted(name);
    let (head, content) = match kind(json, place)? {
        JsonKind::Null => return Ok(()),
        JsonKind::Scalar(text) => (format!("name=\"{name}\""), text.into_bytes()),
        JsonKind::Object => match file(json, place)? {
            Some(file) => {
                let filename = quoted(&file.name);
                let media_type = file.media_type;
                let head = format!("name=\"{name}\"; filename=\"{filename}\"\r\nContent-Type: {media_type}");
                (head, file.content)
            }
            None => as_json(&name, json),
        },
        JsonKind::List => as_json(&name, json),
    };
    bytes.extend_from_slice(format!("--{boundary}\r\nContent-Disposition: form-data; {head}\r\n\r\n").as_bytes());
    bytes.extend_from_slice(&content);
    bytes.extend_from_slice(b"\r\n");
    Ok(())
}

fn as_json(name: &str, json: &str) -> (String, Vec<u8>) {
    let head = format!("name=\"{name}\"\r\nContent-Type: application/json");
    (head, json.as_bytes().to_vec())
}

struct File {
    name: String,
    media_type: String,
    content: Vec<u8>,
}

/// The file that an object is; `None`: it has no `filename`, and is JSON.
fn file(json: &str, place: &str) -> Result<Option<File>, Failure> {
    let object = Object::read(json)
        .ok_or_else(|| Failure::invalid(format!("{place}: must have names that are valid Unicode")))?;
    if object.get("filename").is_none() {
        return Ok(None);
    }
    let text = |member: &str| match object.get(member).map(|json| kind(json, place)).transpose()? {
        None | Some(JsonKind::Null) => Ok(None),
        Some(JsonKind::Scalar(text)) => Ok(Some(text)),
        Some(_) => Err(Failure::invalid(format!("{place}.{member}: must be a string"))),
    };
    let missing = |member: &str| {
        Failure::invalid(format!(
            "{place}.{member}: is missing; a file is {{ filename, content }}"
        ))
    };
    let name = text("filename")?.ok_or_else(|| missing("filename"))?;
    let content = text("content")?.ok_or_else(|| missing("content"))?;
    let media_type = text("contentType")?.unwrap_or_else(|| "application/octet-stream".to_owned());
    if !media_type.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        return Err(Failure::invalid(format!("{place}.contentType: must be a media type")));
    }
    Ok(Some(File {
        name,
        media_type,
        content: decode_base64(&content, &format!("{place}.content"))?,
    }))
}

/// A text between quotes, as browsers write it.
fn quoted(text: &str) -> String {
    text.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(json: &str) -> Result<String, String> {
        let object = Object::read(json).unwrap();
        write(&object, "B")
            .map(|bytes| String::from_utf8(bytes).unwrap().replace("\r\n", "|"))
            .map_err(|failure| failure.message)
    }

    #[test]
    fn multipart_body_has_a_part_per_field_and_file() {
        let file = r#"{"filename":"a\"b\r\n.txt","content":"aGk=","contentType":"text/plain"}"#;
        let json = format!(r#"{{"t":"x","n":1.0,"z":null,"l":["1",{file}],"o":{{"a":1}},"q\"\n":true}}"#);
        let expected = [
            r#"--B|Content-Disposition: form-data; name="t"||x|"#,
            r#"--B|Content-Disposition: form-data; name="n"||1.0|"#,
            r#"--B|Content-Disposition: form-data; name="l"||1|"#,
            r#"--B|Content-Disposition: form-data; name="l"; filename="a%22b%0D%0A.txt"|Content-Type: text/plain||hi|"#,
            r#"--B|Content-Disposition: form-data; name="o"|Content-Type: application/json||{"a":1}|"#,
            r#"--B|Content-Disposition: form-data; name="q%22%0A"||true|"#,
            "--B--|",
        ];
        assert_eq!(written(&json).unwrap(), expected.concat());
    }

    #[test]
    fn invalid_file_error_names_its_path() {
        let cases = [
            (r#"{"f":{"filename":"a"}}"#, "body.f.content"),
            (r#"{"f":{"filename":"a","content":"*"}}"#, "body.f.content"),
            (r#"{"f":{"filename":["a"],"content":""}}"#, "body.f.filename"),
            (
                r#"{"f":[{"filename":"a","content":"","contentType":"a\r\nb: c"}]}"#,
                "body.f.contentType",
            ),
        ];
        for (json, place) in cases {
            assert!(written(json).unwrap_err().starts_with(place), "{json}");
        }
    }

    #[test]
    fn multipart_boundaries_are_random() {
        assert_ne!(boundary(), boundary());
        assert!(boundary().len() <= 70 + 8);
    }
}
