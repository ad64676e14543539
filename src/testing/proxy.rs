//! A stand-in for the network between a client and its server, which tests break at will.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::AbortHandle;

/// Passes bytes on to a server until it is told otherwise. Ends when it is dropped.
pub(crate) struct Proxy {
    port: u16,
    faults: Arc<Faults>,
    listening: AbortHandle,
}

#[derive(Default)]
struct Faults {
    /// Counts up to end the connections there are.
    cut: watch::Sender<u64>,
    /// Bytes are taken and passed on no more; what was lost so stays lost.
    stalled: AtomicBool,
    /// New connections are ended at once.
    refusing: AtomicBool,
    connections: AtomicU64,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.listening.abort();
        self.cut();
    }
}

impl Proxy {
    /// Before the server at `host:port`.
    pub(crate) async fn to(target: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let faults = Arc::<Faults>::default();
        let listening = tokio::spawn(listen(listener, target.to_owned(), Arc::clone(&faults))).abort_handle();
        Self {
            port,
            faults,
            listening,
        }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Ends all connections.
    pub(crate) fn cut(&self) {
        self.faults.cut.send_modify(|count| *count += 1);
    }

    /// From now on nothing is passed on, in either direction.
    pub(crate) fn stall(&self, on: bool) {
        self.faults.stalled.store(on, Ordering::Relaxed);
    }

    /// From now on new connections are ended at once.
    pub(crate) fn refuse(&self, on: bool) {
        self.faults.refusing.store(on, Ordering::Relaxed);
    }

    /// Connections that were asked for.
    pub(crate) fn connections(&self) -> u64 {
        self.faults.connections.load(Ordering::Relaxed)
    }
}

async fn listen(listener: TcpListener, target: String, faults: Arc<Faults>) {
    while let Ok((client, _)) = listener.accept().await {
        faults.connections.fetch_add(1, Ordering::Relaxed);
        if faults.refusing.load(Ordering::Relaxed) {
            continue;
        }
        let mut ended = faults.cut.subscribe();
        let (target, faults) = (target.clone(), Arc::clone(&faults));
        tokio::spawn(async move {
            let Ok(server) = TcpStream::connect(&target).await else {
                return;
            };
            let _ = (client.set_nodelay(true), server.set_nodelay(true));
            let (from_client, to_client) = client.into_split();
            let (from_server, to_server) = server.into_split();
            tokio::select! {
                () = pass(from_client, to_server, &faults.stalled) => {}
                () = pass(from_server, to_client, &faults.stalled) => {}
                _ = ended.changed() => {}
            }
        });
    }
}

async fn pass(mut from: impl AsyncReadExt + Unpin, mut to: impl AsyncWriteExt + Unpin, stalled: &AtomicBool) {
    let mut buffer = vec![0; 16_384];
    let mut lost = false;
    while let Ok(read) = from.read(&mut buffer).await {
        // Half a conversation cannot be taken up again.
        lost |= stalled.load(Ordering::Relaxed);
        if read == 0 || !lost && to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}
