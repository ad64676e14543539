//! How many files a local folder and those in it have, a bounded number of entries at a time.
//!
//! Entries are walked in the order of their names. Where a walk ends is a path: of the last file that was counted, or, with a
//! `/` at its end, of a folder of which nothing has been seen yet.

use super::error::FileSystemError;
use super::operand::Listing;
use super::result::Counted;
use super::sandbox::{Folder, Kind};
use crate::connector::limits::MAX_COUNTED_FILES;
use crate::resources::name_problem;
use std::collections::BinaryHeap;

/// Deepest nesting that is walked into; deeper folders cannot be named by jobs.
const MAX_DEPTH: usize = 64;

/// Counts what is in a folder.
pub(super) fn count(folder: &Folder, listing: &Listing) -> Result<Counted, FileSystemError> {
    let mut walk = Walk {
        prefix: &listing.prefix,
        left: MAX_COUNTED_FILES,
        counted: Counted::default(),
        last: String::new(),
    };
    let is_over = walk.folder(folder, "", listing.after.as_deref(), 0)?;
    let Walk { mut counted, last, .. } = walk;
    counted.continue_at((!is_over).then_some(last));
    Ok(counted)
}

struct Walk<'a> {
    /// What names in the outermost folder begin with.
    prefix: &'a str,
    /// Entries that may still be looked at.
    left: usize,
    counted: Counted,
    /// The last entry that was looked at.
    last: String,
}

impl Walk<'_> {
    /// Walks through a folder at `path`, from after the path `after` in it; `false`: there is more.
    fn folder(
        &mut self,
        folder: &Folder,
        path: &str,
        after: Option<&str>,
        depth: usize,
    ) -> Result<bool, FileSystemError> {
        let (mut from, inside) =
            match after.map(|after| after.split_once('/').map_or((after, None), |(a, b)| (a, Some(b)))) {
                Some((name, inside)) => (Some(name.to_owned()), inside),
                None => (None, None),
            };
        if let (Some(name), Some(inside)) = (&from, inside) {
            let inside = Some(inside).filter(|inside| !inside.is_empty());
            if !self.subfolder(folder, &format!("{path}{name}/"), name, inside, depth)? {
                return Ok(false);
            }
        }
        loop {
            let names = self.names_after(folder, from.as_deref(), depth == 0)?;
            let Some(last) = names.last().cloned() else {
                return Ok(true);
            };
            for name in names {
                let status = match folder.status(&name) {
                    Ok(status) => status,
                    // Removed meanwhile.
                    Err(error) if error.is_not_found() => continue,
                    Err(error) => return Err(error),
                };
                if !matches!(status.kind, Kind::File | Kind::Folder) {
                    continue;
                }
                if self.left == 0 {
                    return Ok(false);
                }
                self.left -= 1;
                if status.kind == Kind::File {
                    self.counted.add(&name, status.size);
                    self.last = format!("{path}{name}");
                } else {
                    let inner = format!("{path}{name}/");
                    self.last.clone_from(&inner);
                    if !self.subfolder(folder, &inner, &name, None, depth)? {
                        return Ok(false);
                    }
                }
            }
            from = Some(last.into());
        }
    }

    fn subfolder(
        &mut self,
        folder: &Folder,
        path: &str,
        name: &str,
        after: Option<&str>,
        depth: usize,
    ) -> Result<bool, FileSystemError> {
        if depth == MAX_DEPTH {
            return Ok(true);
        }
        match folder.enter(name, false) {
            Ok(inner) => self.folder(&inner, path, after, depth + 1),
            // Removed or replaced meanwhile.
            Err(FileSystemError::Link | FileSystemError::Kind(_)) => Ok(true),
            Err(error) if error.is_not_found() => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// The next names in order, a bounded number of them.
    fn names_after(
        &self,
        folder: &Folder,
        after: Option<&str>,
        is_outermost: bool,
    ) -> Result<Vec<Box<str>>, FileSystemError> {
        let most = self.left + 1;
        let prefix = if is_outermost { self.prefix } else { "" };
        // A max-heap keeps the first names in order, with bounded memory.
        let mut first: BinaryHeap<Box<str>> = BinaryHeap::new();
        folder.entries(|name, _| {
            let wanted = name.starts_with(prefix)
                && after.is_none_or(|after| name > after)
                && (first.len() < most || first.peek().is_some_and(|last| name < &**last))
                && name_problem(name).is_none();
            if wanted {
                first.push(name.into());
                if first.len() > most {
                    first.pop();
                }
            }
        })?;
        Ok(first.into_sorted_vec())
    }
}
