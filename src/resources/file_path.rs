//! Paths of files within a storage, safe against path traversal. Pure.
//!
//! Invariant: no name in a path is `.`, `..` or empty, contains a path separator of any platform or a control character, or
//! becomes such a name after percent-decoding, however often it was encoded.

use crate::text::percent;

/// Longest name of a file or folder, in bytes: the limit of common file systems.
const MAX_NAME_BYTES: usize = 255;
/// Longest path, in bytes.
const MAX_PATH_BYTES: usize = 1_024;
/// Deepest nesting of folders.
const MAX_FOLDER_DEPTH: usize = 32;
/// Rounds of percent-decoding; a name that still changes after them is refused.
const MAX_DECODE_ROUNDS: usize = 4;
/// Prefix of names that the package reserves for itself.
const RESERVED_PREFIX: &str = ".ductape";

/// A path below the root of a storage: folders, and for a file its name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FilePath(Vec<Box<str>>);

impl FilePath {
    /// Parses the path of a folder; empty: the root.
    ///
    /// # Errors
    /// Why it is not a valid path.
    pub fn folder(path: &str) -> Result<Self, String> {
        if path.is_empty() {
            return Ok(Self::default());
        }
        if path.len() > MAX_PATH_BYTES {
            return Err(format!("must have at most {MAX_PATH_BYTES} bytes"));
        }
        let names = path.strip_suffix('/').unwrap_or(path);
        if names.is_empty() || names.starts_with('/') {
            return Err("must be relative to the root of the storage, without a '/' at its beginning".to_owned());
        }
        let names: Vec<Box<str>> = names.split('/').map(Into::into).collect();
        if names.len() > MAX_FOLDER_DEPTH {
            return Err(format!("must have at most {MAX_FOLDER_DEPTH} folders in each other"));
        }
        match names.iter().find_map(|name| name_problem(name)) {
            Some(problem) => Err(format!("has a folder whose name {problem}")),
            None => Ok(Self(names)),
        }
    }

    /// Parses the path of a file: the folders before its last `/`, and its name.
    ///
    /// # Errors
    /// Why it is not a valid path.
    pub fn file(path: &str) -> Result<(Self, Box<str>), String> {
        let (folder, name) = match path.rsplit_once('/') {
            // A folder that ends with a slash is fine by itself, and here would be an empty name.
            Some((folder, _)) if folder.is_empty() || folder.ends_with('/') => {
                return Err(if folder.is_empty() {
                    "must be relative, without a '/' at its beginning".to_owned()
                } else {
                    "has a folder whose name is empty".to_owned()
                });
            }
            Some((folder, name)) => (Self::folder(folder)?, name),
            None => (Self::default(), path),
        };
        match name_problem(name) {
            Some(problem) => Err(problem),
            None => Ok((folder, name.into())),
        }
    }

    /// This folder inside `outer`.
    #[must_use]
    pub fn within(self, outer: &Self) -> Self {
        Self(outer.0.iter().cloned().chain(self.0).collect())
    }

    /// Names of the folders, from the root down.
    #[must_use]
    pub fn names(&self) -> &[Box<str>] {
        &self.0
    }

    /// The path as text.
    #[must_use]
    pub fn text(&self) -> String {
        self.0.join("/")
    }
}

/// Why a text is no valid name of a file or folder; `None`: it is valid.
#[must_use]
pub fn name_problem(name: &str) -> Option<String> {
    if name.is_empty() {
        return Some("is empty".to_owned());
    }
    if name.len() > MAX_NAME_BYTES {
        return Some(format!("has more than {MAX_NAME_BYTES} bytes"));
    }
    if name.len() >= RESERVED_PREFIX.len()
        && name.as_bytes()[..RESERVED_PREFIX.len()].eq_ignore_ascii_case(RESERVED_PREFIX.as_bytes())
    {
        return Some(format!(
            "begins with {RESERVED_PREFIX}, which is kept for the package's own files"
        ));
    }
    let mut plain = name.to_owned();
    for _ in 0..=MAX_DECODE_ROUNDS {
        if let Some(problem) = traversal_problem(&plain) {
            return Some(problem);
        }
        // Invalid UTF-8 becomes replacement characters, which are no separators.
        let decoded = String::from_utf8_lossy(&percent::decode(&plain)).into_owned();
        if decoded == plain {
            return windows_problem(&plain);
        }
        plain = decoded;
    }
    Some("is percent-encoded again and again".to_owned())
}

/// Why a name would escape its folder.
fn traversal_problem(name: &str) -> Option<String> {
    if name == "." || name == ".." {
        return Some("is '.' or '..', which leads elsewhere".to_owned());
    }
    if name.contains(['/', '\\']) {
        return Some("holds a '/' or '\\', which separates folders".to_owned());
    }
    if name.chars().any(char::is_control) {
        return Some("holds a control character".to_owned());
    }
    None
}

/// Why a name is special on Windows: a drive, a stream, a device, or a trailing dot or space that is dropped.
fn windows_problem(name: &str) -> Option<String> {
    const DEVICES: [&str; 6] = ["con", "prn", "aux", "nul", "com", "lpt"];
    if !cfg!(windows) {
        return None;
    }
    let base = name.split('.').next().unwrap_or_default().to_lowercase();
    let device = DEVICES.contains(&base.trim_end_matches(|digit: char| digit.is_ascii_digit()));
    if device || name.contains(['<', '>', ':', '"', '|', '?', '*']) || name.ends_with(['.', ' ']) {
        return Some("means something else on Windows".to_owned());
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Names that escape a folder, or would on another platform or after decoding.
    const HOSTILE: [&str; 28] = [
        "",
        ".",
        "..",
        "../x",
        "..\\x",
        "a/b",
        "a\\b",
        "/etc",
        "\\\\host\\share",
        "a\0",
        "\0",
        "a\nb",
        "a\u{7f}b",
        "a\u{85}b",
        "%2e",
        "%2e%2e",
        "%2E.",
        ".%2e",
        "%2f",
        "a%2fb",
        "a%5cb",
        "%5C",
        "a%00",
        "%252e%252e",
        "%25%32%65%25%32%65",
        "%2525252525252e",
        ".ductape",
        ".Ductape-x",
    ];

    #[test]
    fn path_traversal_names_are_refused() {
        for name in HOSTILE {
            assert!(name_problem(name).is_some(), "{name:?}");
            if name != "a/b" {
                assert!(FilePath::folder(&format!("a/{name}/b")).is_err(), "{name:?}");
            }
        }
        assert!(name_problem(&"x".repeat(256)).is_some());
    }

    #[test]
    fn ordinary_names_are_accepted() {
        for name in [
            "a",
            "...",
            "..a",
            "a..",
            ".profile",
            "100%",
            "100%.txt",
            "50%off",
            "%zz",
            "naïve 🎉.pdf",
            "a b",
            "..%",
            "~",
            "-rf",
            "$(x)",
            "%E2%82%AC.txt",
            "%25.txt",
        ] {
            assert_eq!(name_problem(name), None, "{name:?}");
        }
        assert_eq!(name_problem(&"x".repeat(255)), None);
    }

    #[test]
    fn folder_must_be_a_plain_relative_path() {
        for path in [
            "/", "//", "/etc", "a//b", "a/", "..", "a/../b", "./a", "a/.", " /..", "\\a", "C:\\x",
        ] {
            let allowed = path == "a/";
            assert_eq!(FilePath::folder(path).is_ok(), allowed, "{path:?}");
        }
        assert_eq!(FilePath::folder("a/b/").unwrap().text(), "a/b");
        assert!(FilePath::folder("").unwrap().names().is_empty());
        assert!(FilePath::folder(&"a/".repeat(33)).is_err());
        assert!(FilePath::folder(&"a".repeat(2_000)).is_err());
        let (folder, name) = FilePath::file("a/b/c.txt").unwrap();
        assert_eq!((folder.text().as_str(), &*name), ("a/b", "c.txt"));
        assert_eq!(FilePath::file("c").unwrap(), (FilePath::default(), "c".into()));
        for path in [
            "", "/", "/a", "a/", "a//", "a//b", "//a", "a/../b", "../b", "a/..", "a/%2e%2e", "a%2fb", "a\\b", "./b",
        ] {
            assert!(FilePath::file(path).is_err(), "{path:?}");
        }
        let inner = FilePath::folder("c").unwrap().within(&FilePath::folder("a/b").unwrap());
        assert_eq!(inner.text(), "a/b/c");
    }
}
