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
const SYSTEM: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// How far a server's certificate is checked, in the steps of libpq's `sslmode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// Not at all: the connection is secret, but with whom is not known.
    Anyone,
    /// It must be signed by one of the authorities; whose name it bears does not matter.
    Signed,
    /// It must also bear the name of the host.
    Named,
}

/// Clients that make their own settings find ring.
pub fn prepare() {
    // Whoever came first has installed the same one.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// Settings by this trust. `authorities` is PEM or the path of such a file; `None` or `system`: the system's list.
///
/// # Errors
/// What is wrong with the certificates, to be put after the name of the setting that they came from.
pub fn client(trust: Trust, authorities: Option<&str>) -> Result<ClientConfig, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|failure| format!("TLS cannot be set up: {failure}"))?;
    let verifier = match trust {
        Trust::Anyone => Lenient::new(&provider, None),
        Trust::Signed => {
            let roots = Arc::new(roots(authorities)?);
            let strict = WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(&provider)).build();
            Lenient::new(&provider, Some(strict.map_err(|failure| failure.to_string())?))
        }
        Trust::Named => {
            return Ok(builder
                .with_root_certificates(roots(authorities)?)
                .with_no_client_auth());
        }
    };
    let builder = builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier));
    Ok(builder.with_no_client_auth())
}

fn roots(authorities: Option<&str>) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    let unreadable = |failure: rustls::pki_types::pem::Error| format!("a certificate cannot be read: {failure}");
    // Lists of systems hold certificates of forms that nobody reads any more; at least one must be usable.
    match authorities {
        Some(pem) if pem.contains("-----BEGIN") => {
            for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
                let _ = roots.add(certificate.map_err(unreadable)?);
            }
        }
        path => {
            let path = match path {
                None | Some("system") => SYSTEM.into_iter().find(|path| Path::new(path).exists()),
                path => path,
            };
            let path = path.ok_or("this system has no list of trusted certificates; name a file")?;
            let read = CertificateDer::pem_file_iter(path).map_err(|failure| format!("cannot be read: {failure}"))?;
            for certificate in read {
                let _ = roots.add(certificate.map_err(unreadable)?);
            }
        }
    }
    if roots.is_empty() {
        return Err("there is no usable certificate in it; it must be PEM".to_owned());
    }
    Ok(roots)
}

/// Checks less than a browser.
#[derive(Debug)]
struct Lenient {
    algorithms: WebPkiSupportedAlgorithms,
    signed: Option<Arc<WebPkiServerVerifier>>,
}

impl Lenient {
    fn new(provider: &CryptoProvider, signed: Option<Arc<WebPkiServerVerifier>>) -> Self {
        Self {
            algorithms: provider.signature_verification_algorithms,
            signed,
        }
    }
}

impl ServerCertVerifier for Lenient {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let Some(signed) = &self.signed else {
            return Ok(ServerCertVerified::assertion());
        };
        match signed.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now) {
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
