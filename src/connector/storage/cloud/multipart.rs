//! Uploads in parts, of which nothing is seen before all are there.
//!
//! Invariants: what is in memory is bounded, however large the file; parts of an upload that failed or was given up are removed.

use super::trouble::{tell, told};
use crate::connector::Failure;
use crate::connector::storage::content::Content;
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use object_store::{Attributes, MultipartUpload, ObjectStore, PutMultipartOptions, PutPayload, PutResult};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::task::JoinSet;

/// Files of this size and more are uploaded in parts, which are at least so large, bytes.
pub(super) const PART_BYTES: u64 = 8 << 20;
/// Most parts that providers take.
const MAX_PARTS: u64 = 10_000;
/// How much is on its way at once, bytes.
const BYTES_IN_FLIGHT: u64 = 32 << 20;
/// How long removing the parts of an upload may take.
const ABORT_TIMEOUT: Duration = Duration::from_secs(30);
/// How long after it a part that was on its way may still arrive.
const STRAGGLER_DELAY: Duration = Duration::from_secs(1);

/// Removals of parts that nobody waits for.
#[derive(Clone, Debug, Default)]
pub(super) struct Removals(Arc<Mutex<JoinSet<()>>>);

impl Removals {
    fn add(&self, mut upload: Box<dyn MultipartUpload>) {
        // Without a runtime the process ends, and the server's own rules clean up.
        if tokio::runtime::Handle::try_current().is_err() {
            return;
        }
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while all.try_join_next().is_some() {}
        all.spawn(async move {
            let _ = tokio::time::timeout(ABORT_TIMEOUT, upload.abort()).await;
            tokio::time::sleep(STRAGGLER_DELAY).await;
            let _ = tokio::time::timeout(ABORT_TIMEOUT, upload.abort()).await;
        });
    }

    /// Waits for all.
    pub(super) async fn finish(&self) {
        let mut all = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        while all.join_next().await.is_some() {}
    }
}

/// An upload whose parts are removed when it is dropped, unless it was completed.
struct Unfinished<'a> {
    upload: Option<Box<dyn MultipartUpload>>,
    removals: &'a Removals,
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        if let Some(upload) = self.upload.take() {
            self.removals.add(upload);
        }
    }
}

/// How large the parts of a file are that has at most so many bytes.
pub(super) fn part_bytes(most: u64) -> u64 {
    let needed = most.div_ceil(MAX_PARTS).next_multiple_of(1 << 20);
    needed.max(PART_BYTES)
}

/// Uploads what begins with `first` and goes on with `content`. Returns what the server says of it, the time that it tells, and
/// how many bytes there were.
pub(super) async fn upload(
    store: &dyn ObjectStore,
    path: &object_store::path::Path,
    attributes: Attributes,
    (first, content): (Bytes, &mut Content),
    part_bytes: u64,
    removals: &Removals,
) -> Result<(PutResult, Option<i64>, u64), Failure> {
    let options = PutMultipartOptions {
        attributes,
        ..PutMultipartOptions::default()
    };
    let mut unfinished = Unfinished {
        upload: Some(tell(store.put_multipart_opts(path, options)).await?),
        removals,
    };
    let Some(upload) = unfinished.upload.as_mut() else {
        return Err(Failure::unavailable("the upload has ended"));
    };
    let at_once = usize::try_from((BYTES_IN_FLIGHT / part_bytes).max(1)).unwrap_or(1);
    let mut size = 0;
    let mut parts = FuturesUnordered::new();
    let mut next = first;
    while !next.is_empty() {
        size += next.len() as u64;
        parts.push(tell(upload.put_part(PutPayload::from_bytes(next))));
        while parts.len() >= at_once {
            if let Some(done) = parts.next().await {
                done?;
            }
        }
        next = content.next_part(part_bytes).await?;
    }
    while let Some(done) = parts.next().await {
        done?;
    }
    drop(parts);
    let (result, time) = told(upload.complete()).await?;
    unfinished.upload = None;
    Ok((result, time, size))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_large_enough_for_the_file_and_not_larger() {
        assert_eq!(part_bytes(1), PART_BYTES);
        assert_eq!(part_bytes(PART_BYTES * MAX_PARTS), PART_BYTES);
        let large = PART_BYTES * MAX_PARTS + 1;
        assert_eq!(part_bytes(large), PART_BYTES + (1 << 20));
        assert!(part_bytes(large) * MAX_PARTS >= large);
    }
}
