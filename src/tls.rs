//! TLS of clients by rustls: whose certificates are trusted.
//!
//! Invariant: where a certificate is to be checked, none passes unchecked.

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use std::path::Path;
use std::sync::Arc;

/// Where systems keep the certificates that they trust.
const SYSTEM_CA_FILES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// How far a server's certificate is checked, in the steps of libpq's `sslmode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CertificateCheck {
    /// Not at all: the connection is secret, but with whom is not known.
    Skip,
    /// It must be signed by one of the authorities; whose name it bears does not matter.
    Authority,
    /// It must also bear the name of the host.
    AuthorityAndName,
}

/// Clients that make their own settings find ring.
pub fn install_crypto_provider() {
    // Whoever came first has installed the same one.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// Settings by this trust. `authorities` is PEM or the path of such a file; `None` or `system`: the system's list.
///
/// # Errors
/// What is wrong with the certificates, to be put after the name of the setting that they came from.
pub fn client_config(trust: CertificateCheck, authorities: Option<&str>) -> Result<ClientConfig, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|failure| format!("TLS cannot be set up: {failure}"))?;
    let verifier = match trust {
        CertificateCheck::Skip => LenientVerifier::new(&provider, None),
        CertificateCheck::Authority => {
            let root_store = Arc::new(root_store(authorities)?);
            let strict = WebPkiServerVerifier::builder_with_provider(root_store, Arc::clone(&provider)).build();
            LenientVerifier::new(&provider, Some(strict.map_err(|failure| failure.to_string())?))
        }
        CertificateCheck::AuthorityAndName => {
            return Ok(builder
                .with_root_certificates(root_store(authorities)?)
                .with_no_client_auth());
        }
    };
    let builder = builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier));
    Ok(builder.with_no_client_auth())
}

fn root_store(authorities: Option<&str>) -> Result<RootCertStore, String> {
    let mut root_store = RootCertStore::empty();
    let unreadable = |failure: rustls::pki_types::pem::Error| format!("a certificate cannot be read: {failure}");
    // Lists of systems hold certificates of forms that nobody reads any more; at least one must be usable.
    match authorities {
        Some(pem) if pem.contains("-----BEGIN") => {
            for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
                let _ = root_store.add(certificate.map_err(unreadable)?);
            }
        }
        path => {
            let path = match path {
                None | Some("system") => SYSTEM_CA_FILES.into_iter().find(|path| Path::new(path).exists()),
                path => path,
            };
            let path = path.ok_or("this system has no list of trusted certificates; name a file")?;
            let read = CertificateDer::pem_file_iter(path).map_err(|failure| format!("cannot be read: {failure}"))?;
            for certificate in read {
                let _ = root_store.add(certificate.map_err(unreadable)?);
            }
        }
    }
    if root_store.is_empty() {
        return Err("there is no usable certificate in it; it must be PEM".to_owned());
    }
    Ok(root_store)
}

/// Checks less than a browser.
#[derive(Debug)]
struct LenientVerifier {
    algorithms: WebPkiSupportedAlgorithms,
    chain_verifier: Option<Arc<WebPkiServerVerifier>>,
}

impl LenientVerifier {
    fn new(provider: &CryptoProvider, chain_verifier: Option<Arc<WebPkiServerVerifier>>) -> Self {
        Self {
            algorithms: provider.signature_verification_algorithms,
            chain_verifier,
        }
    }
}

impl ServerCertVerifier for LenientVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let Some(chain_verifier) = &self.chain_verifier else {
            return Ok(ServerCertVerified::assertion());
        };
        match chain_verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now) {
            Err(rustls::Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            checked => checked,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
