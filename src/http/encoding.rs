//! Undoes the compression of responses: `gzip`, also of several members, and `deflate`, also without its header.
//!
//! Invariant: no more bytes are kept than the bound, however much a short text may become. What is compressed in another way is
//! refused by name, since it would be taken for text of another kind.

use super::Failure;
use flate2::write::MultiGzDecoder;
use flate2::{Decompress, FlushDecompress, Status};
use reqwest::header::{CONTENT_ENCODING, HeaderMap};
use std::io::{self, ErrorKind, Write};

/// What requests ask for, unless they say themselves.
pub(super) const ACCEPTED: &str = "gzip";
/// Codings that are known and not undone.
const REFUSED: [&str; 4] = ["br", "zstd", "compress", "x-compress"];
/// Bytes that are decompressed at once.
const PIECE_BYTES: usize = 16 * 1024;

/// How a body is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    Identity,
    Gzip,
    Deflate,
}

impl Coding {
    /// Reads `Content-Encoding`.
    ///
    /// # Errors
    /// For a coding that is not undone here. Another attempt would get the same.
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, Failure> {
        let mut names = Vec::new();
        for value in headers.get_all(CONTENT_ENCODING) {
            let value = String::from_utf8_lossy(value.as_bytes()).to_ascii_lowercase();
            let parts = value.split(',').map(|name| name.trim().to_owned());
            names.extend(parts.filter(|name| !name.is_empty() && name != "identity"));
        }
        let refused = |how: &str| {
            let message = format!(
                "the answer is compressed {how}, which is not undone here; ask for another form with the header 'accept-encoding'"
            );
            Failure::new("VALIDATION_ERROR", message)
        };
        match names.as_slice() {
            [] => Ok(Self::Identity),
            [name] => match name.as_str() {
                "gzip" | "x-gzip" => Ok(Self::Gzip),
                "deflate" => Ok(Self::Deflate),
                other => Err(match REFUSED.iter().find(|name| **name == other) {
                    Some(name) => refused(&format!("with '{name}'")),
                    // The server's text is in no message.
                    None => refused("in a way that is not known"),
                }),
            },
            _ => Err(refused("several times")),
        }
    }
}

/// A body that is being read.
pub(super) struct Body {
    decoder: Decoder,
    most: usize,
    received: usize,
}

enum Decoder {
    Identity(Kept),
    Gzip(Box<MultiGzDecoder<Kept>>),
    Deflate(Box<Inflate>),
}

impl Body {
    pub(super) fn new(coding: Coding, most: usize) -> Self {
        let kept = Kept {
            bytes: Vec::new(),
            most,
        };
        let decoder = match coding {
            Coding::Identity => Decoder::Identity(kept),
            Coding::Gzip => Decoder::Gzip(Box::new(MultiGzDecoder::new(kept))),
            Coding::Deflate => Decoder::Deflate(Box::new(Inflate::new(kept))),
        };
        Self {
            decoder,
            most,
            received: 0,
        }
    }

    /// Takes what was received next.
    ///
    /// # Errors
    /// When there are more bytes than the bound, or they are not what they should be.
    pub(super) fn push(&mut self, chunk: &[u8]) -> Result<(), Failure> {
        self.received = self.received.saturating_add(chunk.len());
        if self.received > self.most {
            return Err(Failure::too_large(self.most));
        }
        let written = match &mut self.decoder {
            Decoder::Identity(kept) => kept.write_all(chunk),
            Decoder::Gzip(gzip) => gzip.write_all(chunk),
            Decoder::Deflate(inflate) => inflate.push(chunk),
        };
        written.map_err(|error| self.failure(&error))
    }

    /// The whole body.
    ///
    /// # Errors
    /// When its end is missing.
    pub(super) fn finish(self) -> Result<Vec<u8>, Failure> {
        // A compressed body of no bytes: that of an answer without one.
        if self.received == 0 {
            return Ok(Vec::new());
        }
        let most = self.most;
        let kept = match self.decoder {
            Decoder::Identity(kept) => Ok(kept),
            Decoder::Gzip(gzip) => gzip.finish(),
            Decoder::Deflate(inflate) => inflate.finish(),
        };
        kept.map(|kept| kept.bytes).map_err(|error| failure(&error, most))
    }

    fn failure(&self, error: &io::Error) -> Failure {
        failure(error, self.most)
    }
}

fn failure(error: &io::Error, most: usize) -> Failure {
    if error.kind() == ErrorKind::FileTooLarge {
        return Failure::too_large(most);
    }
    Failure::new(
        "CONNECTION_ERROR",
        "the answer cannot be decompressed: it is cut off or damaged".to_owned(),
    )
}

/// Bytes up to a bound.
struct Kept {
    bytes: Vec<u8>,
    most: usize,
}

impl Write for Kept {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        if piece.len() > self.most - self.bytes.len() {
            return Err(ErrorKind::FileTooLarge.into());
        }
        self.bytes.extend_from_slice(piece);
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// `deflate`: in the format of zlib, as the standard says, or without its header, as some servers send it.
struct Inflate {
    kept: Kept,
    /// What decides about the format: the first two bytes.
    head: Vec<u8>,
    state: Option<Decompress>,
    ended: bool,
}

impl Inflate {
    fn new(kept: Kept) -> Self {
        Self {
            kept,
            head: Vec::with_capacity(2),
            state: None,
            ended: false,
        }
    }

    fn push(&mut self, mut chunk: &[u8]) -> io::Result<()> {
        if self.state.is_none() {
            let missing = (2 - self.head.len()).min(chunk.len());
            self.head.extend_from_slice(&chunk[..missing]);
            chunk = &chunk[missing..];
            let [first, second] = *self.head.as_slice() else {
                return Ok(());
            };
            let is_zlib = first & 0x0f == 8 && u16::from_be_bytes([first, second]).is_multiple_of(31);
            self.state = Some(Decompress::new(is_zlib));
            self.inflate(&[first, second])?;
        }
        self.inflate(chunk)
    }

    /// Bytes after the end are passed over.
    fn inflate(&mut self, mut input: &[u8]) -> io::Result<()> {
        let Some(state) = &mut self.state else { return Ok(()) };
        let mut piece = [0; PIECE_BYTES];
        while !self.ended {
            let (before_in, before_out) = (state.total_in(), state.total_out());
            let status = state.decompress(input, &mut piece, FlushDecompress::None)?;
            let taken = usize::try_from(state.total_in() - before_in).unwrap_or(input.len());
            let made = usize::try_from(state.total_out() - before_out).unwrap_or(0);
            self.kept.write_all(&piece[..made])?;
            input = &input[taken..];
            self.ended = status == Status::StreamEnd;
            // What it holds back may fill the next piece without anything of the input.
            let has_all = input.is_empty() && made < PIECE_BYTES;
            if has_all || (taken == 0 && made == 0) {
                return Ok(());
            }
        }
        Ok(())
    }

    fn finish(self) -> io::Result<Kept> {
        if self.ended {
            Ok(self.kept)
        } else {
            Err(ErrorKind::UnexpectedEof.into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
    use reqwest::header::HeaderValue;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn zlib(text: &[u8]) -> Vec<u8> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn deflate(text: &[u8]) -> Vec<u8> {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn decoded(coding: Coding, bytes: &[u8], piece: usize) -> Result<String, Failure> {
        let mut body = Body::new(coding, 100_000);
        for chunk in bytes.chunks(piece) {
            body.push(chunk)?;
        }
        Ok(String::from_utf8(body.finish()?).unwrap())
    }

    #[test]
    fn bodies_are_decompressed_in_whatever_pieces_they_come() {
        let text = "hello ".repeat(5_000);
        for (coding, bytes) in [
            (Coding::Identity, text.as_bytes().to_vec()),
            (Coding::Gzip, gzip(text.as_bytes())),
            (
                Coding::Gzip,
                [gzip(&text.as_bytes()[..7]), gzip(b""), gzip(&text.as_bytes()[7..])].concat(),
            ),
            (Coding::Deflate, zlib(text.as_bytes())),
            (Coding::Deflate, deflate(text.as_bytes())),
        ] {
            for piece in [1, 2, 3, 1_000, bytes.len()] {
                assert!(decoded(coding, &bytes, piece).unwrap() == text, "{coding:?} by {piece}");
            }
        }
        for coding in [Coding::Gzip, Coding::Deflate] {
            assert_eq!(decoded(coding, b"", 1).unwrap(), "");
        }
    }

    #[test]
    fn what_is_cut_off_damaged_or_too_large_is_refused() {
        let text = b"hello hello hello hello";
        for (coding, bytes) in [
            (Coding::Gzip, gzip(text)),
            (Coding::Deflate, zlib(text)),
            (Coding::Deflate, deflate(text)),
        ] {
            for end in [1, bytes.len() / 2, bytes.len() - 1] {
                let failure = decoded(coding, &bytes[..end], 4).unwrap_err();
                assert_eq!(failure.code, "CONNECTION_ERROR", "{coding:?} {end}");
            }
            assert!(decoded(coding, b"hello, I am text", 4).is_err(), "{coding:?}");
        }
        let large = vec![0; 100_001];
        for (coding, bytes) in [
            (Coding::Gzip, gzip(&large)),
            (Coding::Deflate, zlib(&large)),
            (Coding::Deflate, deflate(&large)),
            (Coding::Identity, large),
        ] {
            assert_eq!(
                decoded(coding, &bytes, 50).unwrap_err(),
                Failure::too_large(100_000),
                "{coding:?}"
            );
        }
    }

    #[test]
    fn codings_are_read_or_refused_by_name() {
        let of = |values: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(CONTENT_ENCODING, HeaderValue::from_static(value));
            }
            Coding::of(&headers)
        };
        assert_eq!(of(&[]), Ok(Coding::Identity));
        assert_eq!(of(&["identity"]), Ok(Coding::Identity));
        assert_eq!(of(&["X-Gzip"]), Ok(Coding::Gzip));
        assert_eq!(of(&["identity", " gzip"]), Ok(Coding::Gzip));
        assert_eq!(of(&["deflate"]), Ok(Coding::Deflate));
        for (values, named) in [
            (&["br"][..], "'br'"),
            (&["zstd"], "'zstd'"),
            (&["gzip, gzip"], "several times"),
            (&["gzip", "br"], "several times"),
            (&["hunter2"], "not known"),
        ] {
            let failure = of(values).unwrap_err();
            assert_eq!(failure.code, "VALIDATION_ERROR", "{values:?}");
            assert!(failure.message.contains(named), "{values:?}: {}", failure.message);
            assert!(!failure.message.contains("hunter2"));
        }
    }
}
