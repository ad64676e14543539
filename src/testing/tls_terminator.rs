//! TLS in front of a server that has none, as load balancers do it.

use super::authority::Authority;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::sync::Arc;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;
use tokio_rustls::TlsAcceptor;

/// Ends when it is dropped.
pub(crate) struct TlsTerminator {
    pub(crate) port: u16,
    listening: AbortHandle,
}

impl Drop for TlsTerminator {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

impl TlsTerminator {
    /// Before the server at `host:port`, with the authority's certificate.
    pub(crate) async fn to(target: &str, authority: &Authority) -> Self {
        crate::tls::install_crypto_provider();
        let certificate = CertificateDer::from_pem_slice(authority.certificate.as_bytes()).unwrap();
        let key = PrivateKeyDer::from_pem_slice(authority.key.as_bytes()).unwrap();
        let config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let target = target.to_owned();
        let listening = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (acceptor, target) = (acceptor.clone(), target.clone());
                tokio::spawn(async move {
                    let Ok(mut client) = acceptor.accept(client).await else {
                        return;
                    };
                    if let Ok(mut server) = TcpStream::connect(&target).await {
                        let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
                    }
                });
            }
        });
        Self {
            port,
            listening: listening.abort_handle(),
        }
    }
}
