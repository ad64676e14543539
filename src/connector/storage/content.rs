//! What an upload writes, read in parts.

use crate::connector::Failure;
use bytes::Bytes;

/// The content of an upload.
#[derive(Debug)]
pub(super) enum Content {
    /// Bytes of the input, or what is left of them.
    Bytes(Bytes),
}

impl Content {
    /// At most so many bytes are in it.
    pub(super) fn most_bytes(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
        }
    }

    /// The next bytes, fewer than asked for only at the end.
    pub(super) async fn next_part(&mut self, bytes: u64) -> Result<Bytes, Failure> {
        match self {
            Self::Bytes(left) => {
                let next = usize::try_from(bytes).unwrap_or(usize::MAX).min(left.len());
                Ok(left.split_to(next))
            }
        }
    }
}
