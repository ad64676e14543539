//! A stream that yields one line at a time and bounds the length of replies.
//!
//! Nothing may be read ahead of the reply to `STARTTLS`: an attacker in the middle could inject plain-text replies that
//! would be taken for the server's after the handshake. Bytes after the line stay in this buffer and are read as part of
//! the handshake, which then fails.

use lettre::transport::smtp::client::AsyncTokioStream;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// Bytes per read.
const READ_CHUNK_BYTES: usize = 4_096;
/// Most bytes that are read without a write in between: longer than any reply or handshake.
const MAX_UNANSWERED_BYTES: usize = 256 * 1024;

/// See the module.
#[derive(Debug)]
pub(super) struct LineStream {
    stream: TcpStream,
    buffer: Box<[u8; READ_CHUNK_BYTES]>,
    from: usize,
    to: usize,
    /// Bytes read since the last write.
    unanswered_bytes: usize,
}

impl LineStream {
    pub(super) fn new(stream: TcpStream) -> Self {
        Self {
            stream,
            buffer: Box::new([0; READ_CHUNK_BYTES]),
            from: 0,
            to: 0,
            unanswered_bytes: 0,
        }
    }
}

impl AsyncTokioStream for LineStream {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.stream.peer_addr()
    }
}

impl AsyncRead for LineStream {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.from == this.to {
            let mut chunk = ReadBuf::new(&mut this.buffer[..]);
            ready!(Pin::new(&mut this.stream).poll_read(context, &mut chunk))?;
            (this.from, this.to) = (0, chunk.filled().len());
            this.unanswered_bytes = this.unanswered_bytes.saturating_add(this.to);
            if this.unanswered_bytes > MAX_UNANSWERED_BYTES {
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, "the answer has no end")));
            }
        }
        let waiting = this.buffer.get(this.from..this.to).unwrap_or_default();
        let line = waiting
            .iter()
            .position(|byte| *byte == b'\n')
            .map_or(waiting.len(), |end| end + 1);
        let taken = line.min(into.remaining());
        into.put_slice(waiting.get(..taken).unwrap_or_default());
        this.from += taken;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for LineStream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.unanswered_bytes = 0;
        Pin::new(&mut this.stream).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}
