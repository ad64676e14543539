//! Media types by file extension. Pure.

/// File extensions and their media types.
const MEDIA_TYPES: [(&str, &str); 40] = [
    ("7z", "application/x-7z-compressed"),
    ("avif", "image/avif"),
    ("bmp", "image/bmp"),
    ("css", "text/css"),
    ("csv", "text/csv"),
    ("doc", "application/msword"),
    (
        "docx",
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    ),
    ("epub", "application/epub+zip"),
    ("gif", "image/gif"),
    ("gz", "application/gzip"),
    ("htm", "text/html"),
    ("html", "text/html"),
    ("ico", "image/vnd.microsoft.icon"),
    ("ics", "text/calendar"),
    ("jpeg", "image/jpeg"),
    ("jpg", "image/jpeg"),
    ("js", "text/javascript"),
    ("json", "application/json"),
    ("md", "text/markdown"),
    ("mov", "video/quicktime"),
    ("mp3", "audio/mpeg"),
    ("mp4", "video/mp4"),
    ("odt", "application/vnd.oasis.opendocument.text"),
    ("ogg", "audio/ogg"),
    ("pdf", "application/pdf"),
    ("png", "image/png"),
    ("ppt", "application/vnd.ms-powerpoint"),
    (
        "pptx",
        "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    ),
    ("rtf", "application/rtf"),
    ("svg", "image/svg+xml"),
    ("tar", "application/x-tar"),
    ("tiff", "image/tiff"),
    ("txt", "text/plain"),
    ("wav", "audio/wav"),
    ("webm", "video/webm"),
    ("webp", "image/webp"),
    ("xls", "application/vnd.ms-excel"),
    (
        "xlsx",
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ),
    ("xml", "application/xml"),
    ("zip", "application/zip"),
];

/// The most likely media type of a file with this name.
pub(super) fn media_type(name: &str) -> Option<&'static str> {
    let (_, end) = name.rsplit_once('.')?;
    let end = end.to_ascii_lowercase();
    MEDIA_TYPES
        .iter()
        .find(|(known, _)| *known == end)
        .map(|(_, media_type)| *media_type)
}

/// What kind of content a file has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Category {
    Image,
    Video,
    Audio,
    Document,
    Archive,
    Other,
}

/// The likely category of a file with this name.
pub(super) fn category(name: &str) -> Category {
    let Some(media_type) = media_type(name) else {
        return Category::Other;
    };
    match media_type.split_once('/') {
        Some(("image", _)) => Category::Image,
        Some(("video", _)) => Category::Video,
        Some(("audio", _)) => Category::Audio,
        Some((_, "zip" | "gzip" | "x-tar" | "x-7z-compressed")) => Category::Archive,
        _ => Category::Document,
    }
}

/// Whether a text is a media type, such as `image/png` or `text/plain; charset=utf-8`.
pub(super) fn is_media_type(text: &str) -> bool {
    let token = |part: &str| {
        !part.is_empty()
            && part
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"!#$&^_.+-".contains(&byte))
    };
    let (essence, parameters) = text.split_once(';').unwrap_or((text, ""));
    let sound = parameters.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    text.len() <= 255
        && sound
        && essence
            .trim()
            .split_once('/')
            .is_some_and(|(kind, sub)| token(kind) && token(sub))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_type_is_known_by_file_extension() {
        assert_eq!(media_type("a.b.PNG"), Some("image/png"));
        assert_eq!(
            (media_type("png"), media_type("a."), media_type("a.unknown")),
            (None, None, None)
        );
    }

    #[test]
    fn files_are_sorted_by_category() {
        for (name, expected) in [
            ("a.png", Category::Image),
            ("a.webm", Category::Video),
            ("a.mp3", Category::Audio),
            ("a.pdf", Category::Document),
            ("a.csv", Category::Document),
            ("a.tar.gz", Category::Archive),
            ("a.zip", Category::Archive),
            ("a", Category::Other),
        ] {
            assert_eq!(category(name), expected, "{name}");
        }
    }

    #[test]
    fn invalid_media_type_is_rejected() {
        for sound in ["image/png", "text/plain; charset=utf-8", "application/vnd.x+json"] {
            assert!(is_media_type(sound), "{sound}");
        }
        for wrong in [
            "",
            "png",
            "a/",
            "/b",
            "a/b/c",
            "a/b\r\nx: y",
            "a b/c",
            "text/plain;\u{0}",
        ] {
            assert!(!is_media_type(wrong), "{wrong:?}");
        }
    }
}
