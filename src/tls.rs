//! Client-side TLS by rustls: which certificates are trusted.
//!
//! Invariant: a certificate that is to be checked never passes unchecked.

use crate::text_file::read_text_file;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WantsClientCert, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, ConfigBuilder, DigitallySignedStruct, RootCertStore, SignatureScheme};
use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;

/// Where operating systems keep their CA certificates.
const SYSTEM_CA_FILES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Largest file of certificates or with a key; the lists of systems have a quarter of a megabyte.
const MAX_PEM_BYTES: u64 = 16 << 20;

/// How a server's certificate is checked, in the levels of libpq's `sslmode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CertificateCheck {
    /// Not at all: the connection is encrypted, but the server is not authenticated.
    Skip,
    /// It must be signed by a trusted CA; its name is not checked.
    Authority,
    /// It must also match the host name.
    AuthorityAndName,
}

/// Makes ring the default provider, for libraries that build their own TLS configuration.
pub fn install_crypto_provider() {
    // Fails only if one is installed already, which is the same.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// The client configuration for a check. `authorities` is PEM or the path of such a file; `None` or `system`: the system's
/// CA certificates.
///
/// # Errors
/// What is wrong with the certificates, to be appended to the name of the setting they came from.
pub fn client_config(trust: CertificateCheck, authorities: Option<&str>) -> Result<ClientConfig, String> {
    Ok(client_builder(trust, authorities)?.with_no_client_auth())
}

/// As [`client_config`], without what the client shows of itself.
///
/// # Errors
/// As [`client_config`].
pub fn client_builder(
    trust: CertificateCheck,
    authorities: Option<&str>,
) -> Result<ConfigBuilder<ClientConfig, WantsClientCert>, String> {
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
            return Ok(builder.with_root_certificates(root_store(authorities)?));
        }
    };
    Ok(builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier)))
}

/// Shows the server a certificate, with those that lead to its authority behind it. Both are paths of PEM files; the key is not
/// encrypted.
///
/// # Errors
/// Which of them cannot be used, and why.
pub fn with_identity(
    builder: ConfigBuilder<ClientConfig, WantsClientCert>,
    certificate: &str,
    key: &str,
) -> Result<ClientConfig, String> {
    let certificates = CertificateDer::pem_slice_iter(read_pem(certificate)?.as_bytes())
        .collect::<Result<Vec<_>, _>>()
        .map_err(|failure| format!("{certificate} cannot be read: {failure}"))?;
    if certificates.is_empty() {
        return Err(format!("there is no certificate in {certificate}; it must be PEM"));
    }
    let key = PrivateKeyDer::from_pem_slice(read_pem(key)?.as_bytes())
        .map_err(|failure| format!("{key} cannot be read: {failure}; it must be PEM without a passphrase"))?;
    builder
        .with_client_auth_cert(certificates, key)
        .map_err(|failure| failure.to_string())
}

fn read_pem(path: &str) -> Result<String, String> {
    read_text_file(path.as_ref(), MAX_PEM_BYTES).map_err(|failure| format!("{path} cannot be read: {failure}"))
}

fn root_store(authorities: Option<&str>) -> Result<RootCertStore, String> {
    let file = |path: Option<&str>| {
        let path = path.ok_or("this system has no list of trusted certificates; name a file")?;
        read_text_file(path.as_ref(), MAX_PEM_BYTES).map_err(|failure| format!("cannot be read: {failure}"))
    };
    let pem = match authorities {
        Some(pem) if pem.contains("-----BEGIN") => Cow::Borrowed(pem),
        None | Some("system") => file(SYSTEM_CA_FILES.into_iter().find(|path| Path::new(path).exists()))?.into(),
        path => file(path)?.into(),
    };
    let mut root_store = RootCertStore::empty();
    // System lists contain certificates in obsolete formats; at least one must be usable.
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        let _ = root_store.add(certificate.map_err(|failure| format!("a certificate cannot be read: {failure}"))?);
    }
    if root_store.is_empty() {
        return Err("there is no usable certificate in it; it must be PEM".to_owned());
    }
    Ok(root_store)
}

/// Skips the check of the name, or without a chain verifier that of the whole certificate.
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
