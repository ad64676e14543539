//! A connection that hands on one line at a time, and no answer without end.
//!
//! Before `STARTTLS` has its answer, nothing may be read ahead: whoever sits on the way could send answers in the clear
//! that would be taken for the server's once the connection is secure. What follows the line stays here, and is read as
//! part of the handshake, which fails on it.

use lettre::transport::smtp::client::AsyncTokioStream;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// Bytes that are read at once.
const READ_CHUNK_BYTES: usize = 4_096;
/// Most bytes that are read without anything being said in between: no answer, and no handshake, is longer.
const MAX_UNANSWERED_BYTES: usize = 256 * 1024;

/// See the module.
#[derive(Debug)]
pub(super) struct LineStream {
    stream: TcpStream,
    buffer: Box<[u8; READ_CHUNK_BYTES]>,
    from: usize,
    to: usize,
    /// Bytes read since something was said.
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
