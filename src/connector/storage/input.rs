//! Inputs of storage jobs: reads and checks them. Pure.
//!
//! Invariant: no error message contains the content or the name of a file.

use super::media::is_media_type;
use super::operand::{Access, FileName, Listing, Source};
use crate::connector::Failure;
use crate::connector::limits::{DEFAULT_LIST_LIMIT, DEFAULT_SOURCE_BYTES, MAX_LIST_LIMIT, MAX_UPLOAD_BYTES};
use crate::resources::{FilePath, StorageOperation};
use crate::text::json::{self, Object};
use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use reqwest::Url;
use std::time::Duration;

/// Base64 with optional padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// What an input may have; each operation reads what it needs.
const MEMBERS: [&str; 11] = [
    "fileName",
    "buffer",
    "path",
    "mimeType",
    "limit",
    "cursor",
    "prefix",
    "continuationToken",
    "action",
    "expiresIn",
    "file",
];
/// For how long a URL grants access if the job does not say, s.
const DEFAULT_URL_SECONDS: i64 = 3_600;
/// The longest that all providers grant, s.
const MAX_URL_SECONDS: i64 = 7 * 24 * 3_600;
/// Longest path of a file, in bytes: what object stores take.
const MAX_KEY_BYTES: usize = 1_024;

/// An input with its expressions resolved.
pub(super) struct Input<'a>(Object<'a>);

impl<'a> Input<'a> {
    /// Reads the JSON text of an input.
    pub(super) fn read(text: &'a str) -> Result<Self, Failure> {
        let object = Object::read(text).ok_or_else(|| Failure::invalid("input: must be an object"))?;
        if let Some((name, _)) = object.iter().find(|(name, _)| !MEMBERS.contains(name)) {
            return Err(Failure::unknown_member("input", name, &MEMBERS));
        }
        Ok(Self(object))
    }

    /// Refuses members that belong to other operations: here they would have no effect.
    pub(super) fn refuse_members_of_others(&self, operation: StorageOperation) -> Result<(), Failure> {
        let known = members_of(operation, self.names_file());
        let given = self.0.iter().filter(|(_, json)| *json != "null");
        let Some((other, _)) = given.into_iter().find(|(name, _)| !known.contains(name)) else {
            return Ok(());
        };
        if operation == StorageOperation::Stats && self.names_file() {
            return Err(Failure::invalid(format!(
                "input.{other}: has no meaning beside `fileName`; `stats` is of one file, or of those that `prefix` and `path` name"
            )));
        }
        let takes = |(_, operation): &(&str, StorageOperation)| {
            [true, false]
                .iter()
                .any(|names_file| members_of(*operation, *names_file).contains(&other))
        };
        let name_of =
            |wanted: StorageOperation| StorageOperation::NAMES.into_iter().find(|(_, known)| *known == wanted);
        let of: Vec<String> = StorageOperation::NAMES
            .iter()
            .filter(|named| takes(named))
            .map(|(name, _)| format!("`{name}`"))
            .collect();
        Err(Failure::invalid(format!(
            "input.{other}: has no meaning for `{}`; it is of {}, and this takes {}",
            name_of(operation).map_or("it", |(name, _)| name),
            of.join(", "),
            known.join(", ")
        )))
    }

    fn text(&self, name: &str) -> Result<Option<String>, Failure> {
        let Some(json) = self.0.get_present(name) else {
            return Ok(None);
        };
        text_at(&format!("input.{name}"), json).map(Some)
    }

    /// An integer from 1.
    fn integer(&self, name: &str, most: i64) -> Result<Option<i64>, Failure> {
        let Some(json) = self.0.get_present(name) else {
            return Ok(None);
        };
        match serde_json::from_str::<i64>(json) {
            Ok(number) if (1..=most).contains(&number) => Ok(Some(number)),
            _ => Err(Failure::invalid(format!(
                "input.{name}: must be an integer from 1 to {most}"
            ))),
        }
    }

    /// What a URL is to grant, and for how long.
    pub(super) fn access(&self) -> Result<(Access, Duration), Failure> {
        let access = match self.text("action")?.as_deref() {
            None | Some("read") => Access::Read,
            Some("write") => Access::Write,
            Some(_) => return Err(Failure::invalid("input.action: must be 'read' or 'write'")),
        };
        let seconds = self
            .integer("expiresIn", MAX_URL_SECONDS)?
            .unwrap_or(DEFAULT_URL_SECONDS);
        Ok((access, Duration::from_secs(seconds.unsigned_abs())))
    }

    /// A text that has two names.
    fn text_of(&self, names: [&'static str; 2]) -> Result<Option<(&'static str, String)>, Failure> {
        let [one, other] = names;
        match (self.text(one)?, self.text(other)?) {
            (Some(_), Some(_)) => Err(Failure::invalid(format!(
                "input.{other}: is the same as `{one}`; give one of them"
            ))),
            (Some(text), None) => Ok(Some((one, text))),
            (None, Some(text)) => Ok(Some((other, text))),
            (None, None) => Ok(None),
        }
    }

    /// The folder that `path` names, inside that of the event.
    fn folder(&self, outer: &FilePath) -> Result<FilePath, Failure> {
        let path = self.text("path")?.unwrap_or_default();
        let inner = FilePath::folder(&path).map_err(|why| Failure::invalid(format!("input.path: {why}")))?;
        Ok(inner.within(outer))
    }

    /// The file: `fileName` in the folder that `path` names, inside that of the event.
    pub(super) fn file(&self, outer: &FilePath) -> Result<FileName, Failure> {
        let folder = self.folder(outer)?;
        let given = self
            .text("fileName")?
            .ok_or_else(|| Failure::invalid("input.fileName: is missing"))?;
        let (inner, name) = FilePath::file(&given).map_err(|problem| {
            Failure::invalid(format!(
                "input.fileName: must be the name of a file, with folders before it if it is in any, and {problem}"
            ))
        })?;
        let folder = inner.within(&folder);
        let bytes = folder.names().iter().map(|name| name.len() + 1).sum::<usize>() + name.len();
        if bytes > MAX_KEY_BYTES {
            return Err(Failure::invalid(format!(
                "input.fileName: must have at most {MAX_KEY_BYTES} bytes with its folders, got {bytes}"
            )));
        }
        Ok(FileName { folder, name })
    }

    /// Whether it names a file.
    pub(super) fn names_file(&self) -> bool {
        self.0.get_present("fileName").is_some()
    }

    /// Where the content of an upload is, at most `most` bytes of it if the event says how many.
    pub(super) fn content(&self, most: Option<u64>) -> Result<Source, Failure> {
        match (self.0.get_present("buffer"), self.0.get_present("file")) {
            (Some(_), Some(_)) => Err(Failure::invalid(
                "input.file: is in the place of `buffer`; give one of them",
            )),
            (None, None) => Err(Failure::invalid(
                "input.buffer: is missing; it is what is written, or `file` says where that is",
            )),
            (Some(_), None) => {
                let most = most.map_or(MAX_UPLOAD_BYTES, |most| usize::try_from(most).unwrap_or(usize::MAX));
                Ok(Source::Bytes(self.bytes(most.min(MAX_UPLOAD_BYTES))?.into()))
            }
            (None, Some(json)) => file_source(json, most.unwrap_or(DEFAULT_SOURCE_BYTES)),
        }
    }

    fn bytes(&self, most: usize) -> Result<Vec<u8>, Failure> {
        let text = self.text("buffer")?.unwrap_or_default();
        let too_large =
            |size: usize| Failure::invalid(format!("input.buffer: must have at most {most} bytes, got {size}"));
        if text.len() / 4 * 3 > most.saturating_add(2) {
            return Err(too_large(text.len() / 4 * 3));
        }
        let bytes = BASE64
            .decode(text)
            .map_err(|_| Failure::invalid("input.buffer: is no base64; give a Buffer, a Uint8Array or base64 text"))?;
        if bytes.len() > most {
            return Err(too_large(bytes.len()));
        }
        Ok(bytes)
    }

    /// The media type, if one is given.
    pub(super) fn mime_type(&self) -> Result<Option<String>, Failure> {
        let given = self.text("mimeType")?;
        match &given {
            Some(text) if !is_media_type(text) => Err(Failure::invalid(
                "input.mimeType: must be a media type, as in 'image/png'",
            )),
            _ => Ok(given),
        }
    }

    /// Which part of which folder is listed.
    pub(super) fn listing(&self, outer: &FilePath) -> Result<Listing, Failure> {
        let folder = self.folder(outer)?;
        let (member, given) = self.text_of(["fileName", "prefix"])?.unwrap_or_default();
        let refused = |why: &str| {
            Failure::invalid(format!(
                "input.{member}: must be what names begin with, with folders before it if it is in any, and {why}"
            ))
        };
        let (inner, prefix) = match given.rsplit_once('/') {
            Some((inner, _)) if inner.is_empty() || inner.ends_with('/') => {
                return Err(refused("has a folder whose name is empty"));
            }
            Some((inner, prefix)) => (FilePath::folder(inner).map_err(|why| refused(&why))?, prefix),
            None => (FilePath::default(), &*given),
        };
        if prefix.contains('\\') || prefix.chars().any(char::is_control) {
            return Err(refused("holds a '\\' or a control character"));
        }
        let limit = self.integer("limit", MAX_LIST_LIMIT)?;
        let limit = limit.and_then(|limit| usize::try_from(limit).ok());
        Ok(Listing {
            folder: inner.within(&folder),
            prefix: prefix.into(),
            after: self
                .text_of(["cursor", "continuationToken"])?
                .map(|(_, text)| text.into()),
            limit: limit.unwrap_or(DEFAULT_LIST_LIMIT),
        })
    }
}

/// What an operation takes; `stats` of one file less than that of several.
fn members_of(operation: StorageOperation, names_file: bool) -> &'static [&'static str] {
    match operation {
        StorageOperation::Upload => &["fileName", "path", "buffer", "file", "mimeType"],
        StorageOperation::Download | StorageOperation::Remove => &["fileName", "path"],
        StorageOperation::Stats if names_file => &["fileName", "path"],
        StorageOperation::Stats => &["prefix", "path", "cursor", "continuationToken"],
        StorageOperation::ListFiles => &["prefix", "fileName", "path", "limit", "cursor", "continuationToken"],
        StorageOperation::GetSignedUrl => &["fileName", "path", "action", "expiresIn"],
    }
}

/// The text of a member.
fn text_at(place: &str, json: &str) -> Result<String, Failure> {
    match json::string(json) {
        Some(text) => Ok(text.into_owned()),
        None if json.starts_with('"') => Err(Failure::invalid(format!(
            "{place}: is no valid Unicode (it has half a surrogate pair); take that out, as `toWellFormed()` does"
        ))),
        None => Err(Failure::invalid(format!("{place}: must be a string"))),
    }
}

/// Reads `file`: a file of this machine, or a URL.
fn file_source(json: &str, most: u64) -> Result<Source, Failure> {
    const MEMBERS: [&str; 2] = ["path", "url"];
    let object = Object::read(json).ok_or_else(|| Failure::invalid("input.file: must be { path } or { url }"))?;
    if let Some((name, _)) = object.iter().find(|(name, _)| !MEMBERS.contains(name)) {
        return Err(Failure::unknown_member("input.file", name, &MEMBERS));
    }
    let text = |name: &str| match object.get_present(name) {
        None => Ok(None),
        Some(json) => text_at(&format!("input.file.{name}"), json).map(Some),
    };
    match (text("path")?, text("url")?) {
        (Some(path), None) => {
            let (folder, name) = FilePath::file(&path).map_err(|why| {
                Failure::invalid(format!(
                    "input.file.path: must be the path of a file in the folder that `sources` names, and {why}"
                ))
            })?;
            Ok(Source::File(FileName { folder, name }, most))
        }
        (None, Some(url)) => {
            let url =
                Url::parse(&url).map_err(|error| Failure::invalid(format!("input.file.url: is no URL: {error}")))?;
            let has_user = !url.username().is_empty() || url.password().is_some();
            if !matches!(url.scheme(), "http" | "https") || has_user {
                return Err(Failure::invalid(
                    "input.file.url: must be a URL of http or https without a user",
                ));
            }
            Ok(Source::Url(url, most))
        }
        _ => Err(Failure::invalid("input.file: must have either `path` or `url`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_member_is_refused_by_name() {
        assert!(Input::read(r#"{"fileName":"a","buffer":"","path":"","mimeType":"text/plain"}"#).is_ok());
        assert!(Input::read(r#"{"fileName":"a","limit":1,"cursor":"a"}"#).is_ok());
        let failure = Input::read(r#"{"fileName":"a","acl":"private"}"#).err().unwrap();
        assert_eq!(&*failure.code, "VALIDATION_ERROR");
        assert!(
            failure.message.starts_with("input.acl: is not known here"),
            "{failure:?}"
        );
    }

    #[test]
    fn member_of_another_operation_is_refused_with_the_one_that_takes_it() {
        use StorageOperation::{Download, GetSignedUrl, ListFiles, Remove, Stats, Upload};
        for (operation, input, said) in [
            (
                GetSignedUrl,
                r#"{"fileName":"a","mimeType":"text/plain"}"#,
                "input.mimeType: has no meaning for `getSignedUrl`; it is of `upload`",
            ),
            (
                Upload,
                r#"{"fileName":"a","buffer":"","prefix":"b"}"#,
                "input.prefix: has no meaning for `upload`; it is of `listFiles`, `stats`",
            ),
            (
                Download,
                r#"{"fileName":"a","buffer":""}"#,
                "input.buffer: has no meaning for `download`; it is of `upload`",
            ),
            (Remove, r#"{"fileName":"a","expiresIn":5}"#, "it is of `getSignedUrl`"),
            (ListFiles, r#"{"action":"read"}"#, "it is of `getSignedUrl`"),
            (Stats, r#"{"prefix":"a","limit":5}"#, "it is of `listFiles`"),
            (
                Stats,
                r#"{"fileName":"a","prefix":"b"}"#,
                "input.prefix: has no meaning beside `fileName`",
            ),
        ] {
            let refused = Input::read(input)
                .unwrap()
                .refuse_members_of_others(operation)
                .unwrap_err();
            assert!(
                &*refused.code == "VALIDATION_ERROR" && refused.message.contains(said),
                "{input}: {refused:?}"
            );
        }
        for (operation, input) in [
            (Upload, r#"{"fileName":"a","buffer":"","mimeType":null,"prefix":null}"#),
            (ListFiles, r#"{"fileName":"a","limit":5,"cursor":"b"}"#),
            (Stats, r#"{"prefix":"a","cursor":"b"}"#),
            (Stats, "{}"),
            (GetSignedUrl, r#"{"fileName":"a","action":"write","expiresIn":5}"#),
        ] {
            assert_eq!(
                Input::read(input).unwrap().refuse_members_of_others(operation),
                Ok(()),
                "{input}"
            );
        }
    }

    #[test]
    fn half_a_surrogate_pair_is_named_as_that() {
        let input = Input::read(r#"{"fileName":"a\ud83d"}"#).unwrap();
        let refused = input.file(&FilePath::default()).err().unwrap();
        assert!(
            refused.message.starts_with("input.fileName: is no valid Unicode")
                && refused.message.contains("toWellFormed"),
            "{refused:?}"
        );
    }
}
