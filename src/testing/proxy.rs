//! A stand-in for the network between a client and its server, which tests break at will.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
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

/// What the server says, and what becomes of it, in as many bytes.
type Rewriting = (Vec<u8>, Vec<u8>);

#[derive(Default)]
struct Faults {
    rewriting: Option<Rewriting>,
    /// Counts up to end the connections there are.
    cut: watch::Sender<u64>,
    /// Bytes are taken and passed on no more; what was lost so stays lost.
    stalled: AtomicBool,
    /// New connections are ended at once.
    refusing: AtomicBool,
    connections: AtomicU64,
    /// Connections that are open now.
    open: watch::Sender<u64>,
    /// Bytes that were taken and not passed on.
    lost_bytes: AtomicU64,
    /// What clients have sent since this was asked for.
    heard: Mutex<Option<Vec<u8>>>,
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
        Self::with_rewriting(target, |_| None).await
    }

    /// The same before a Kafka at an address of version 4 of IP, which tells clients where it is: here it names the proxy.
    pub(crate) async fn to_kafka(target: &str) -> Self {
        let (host, port) = target.split_once(':').unwrap();
        let port: u16 = port.parse().unwrap();
        let named = |port: u16| {
            let length = u16::try_from(host.len()).unwrap().to_be_bytes();
            [&length[..], host.as_bytes(), &u32::from(port).to_be_bytes()].concat()
        };
        Self::with_rewriting(target, |own| Some((named(port), named(own)))).await
    }

    async fn with_rewriting(target: &str, rewriting: impl FnOnce(u16) -> Option<Rewriting>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let faults = Arc::new(Faults {
            rewriting: rewriting(port),
            ..Faults::default()
        });
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

    /// Ends all connections, and returns when they have ended.
    pub(crate) async fn cut_all(&self) {
        let mut open = self.faults.open.subscribe();
        self.cut();
        open.wait_for(|open| *open == 0).await.unwrap();
    }

    /// From now on nothing is passed on, in either direction.
    pub(crate) fn stall(&self, on: bool) {
        self.faults.stalled.store(on, Ordering::Relaxed);
    }

    /// From now on new connections are ended at once.
    pub(crate) fn refuse(&self, on: bool) {
        self.faults.refusing.store(on, Ordering::Relaxed);
    }

    /// From now on what clients send is kept.
    pub(crate) fn hear(&self) {
        *self.faults.heard.lock().unwrap() = Some(Vec::new());
    }

    /// What clients have sent since [`Self::hear`].
    pub(crate) fn heard(&self) -> Vec<u8> {
        self.faults.heard.lock().unwrap().clone().unwrap_or_default()
    }

    /// Connections that are open now.
    pub(crate) fn open(&self) -> u64 {
        *self.faults.open.borrow()
    }

    /// Bytes that were not passed on, because the proxy stalls.
    pub(crate) fn lost_bytes(&self) -> u64 {
        self.faults.lost_bytes.load(Ordering::Relaxed)
    }

    /// Connections that were asked for.
    pub(crate) fn connections(&self) -> u64 {
        self.faults.connections.load(Ordering::Relaxed)
    }
}

/// Counts a connection for as long as it is open.
struct Open<'a>(&'a Faults);

impl<'a> Open<'a> {
    fn new(faults: &'a Faults) -> Self {
        faults.open.send_modify(|open| *open += 1);
        Self(faults)
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.open.send_modify(|open| *open -= 1);
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
            let _open = Open::new(&faults);
            let Ok(server) = TcpStream::connect(&target).await else {
                return;
            };
            let _ = (client.set_nodelay(true), server.set_nodelay(true));
            let (from_client, to_client) = client.into_split();
            let (from_server, to_server) = server.into_split();
            tokio::select! {
                () = pass(from_client, to_server, &faults, true) => {}
                () = pass(from_server, to_client, &faults, false) => {}
                _ = ended.changed() => {}
            }
        });
    }
}

async fn pass(
    mut from: impl AsyncReadExt + Unpin,
    mut to: impl AsyncWriteExt + Unpin,
    faults: &Faults,
    is_of_client: bool,
) {
    let mut buffer = vec![0; 16_384];
    let mut lost = false;
    while let Ok(read) = from.read(&mut buffer).await {
        if is_of_client && let Some(heard) = &mut *faults.heard.lock().unwrap() {
            heard.extend_from_slice(&buffer[..read]);
        }
        // Half a conversation cannot be taken up again.
        lost |= faults.stalled.load(Ordering::Relaxed);
        if lost {
            faults.lost_bytes.fetch_add(read as u64, Ordering::Relaxed);
        }
        if !is_of_client && let Some((said, told)) = &faults.rewriting {
            // Answers that have it are small and come in one piece.
            for start in 0..(read + 1).saturating_sub(said.len()) {
                if buffer[start..].starts_with(said) {
                    buffer[start..start + told.len()].copy_from_slice(told);
                }
            }
        }
        if read == 0 || !lost && to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}
