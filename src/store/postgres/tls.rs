//! TLS to the server, as far as the address asks for it.
//!
//! Knows no SQL. Invariant: where the address asks for a checked certificate, none passes unchecked.

use super::address::Trust;
use crate::error::{Error, ErrorCode, Result};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use std::sync::Arc;
use tokio_postgres_rustls::MakeRustlsConnect;

/// Where systems keep the certificates they trust.
const SYSTEM_ROOTS: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// What makes TLS connections by this trust.
pub(super) fn connector(trust: &Trust) -> Result<MakeRustlsConnect> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|failure| unusable("TLS", &failure))?;
    let config = match trust {
        Trust::Anyone => builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Lenient::anyone(&provider)))
            .with_no_client_auth(),
        Trust::Signed { root, name } => {
            let roots = Arc::new(read_roots(root.as_deref())?);
            let verifier = WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(&provider))
                .build()
                .map_err(|failure| unusable("the certificates of `sslrootcert`", &failure))?;
            if *name {
                builder.with_webpki_verifier(verifier).with_no_client_auth()
            } else {
                builder
                    .dangerous()
                    .with_custom_certificate_verifier(Arc::new(Lenient::any_name(&provider, verifier)))
                    .with_no_client_auth()
            }
        }
    };
    Ok(MakeRustlsConnect::new(config))
}

fn read_roots(file: Option<&str>) -> Result<RootCertStore> {
    let system = || {
        SYSTEM_ROOTS
            .into_iter()
            .find(|path| std::path::Path::new(path).exists())
    };
    let path = match file {
        Some("system") | None => system().ok_or_else(|| {
            Error::new(
                ErrorCode::ConnectionError,
                "store: this system has no list of trusted certificates; name one by `sslrootcert`",
            )
        })?,
        Some(path) => path,
    };
    let mut roots = RootCertStore::empty();
    let certificates = CertificateDer::pem_file_iter(path)
        .map_err(|failure| unusable(&format!("the certificates in {path}"), &failure))?;
    for certificate in certificates {
        let certificate = certificate.map_err(|failure| unusable(&format!("a certificate in {path}"), &failure))?;
        // System lists hold certificates of forms that are no longer read.
        let _ = roots.add(certificate);
    }
    if roots.is_empty() {
        return Err(Error::new(
            ErrorCode::ConnectionError,
            format!("store: {path} holds no usable certificate; check `sslrootcert`"),
        ));
    }
    Ok(roots)
}

fn unusable(what: &str, failure: &dyn std::fmt::Display) -> Error {
    Error::new(
        ErrorCode::ConnectionError,
        format!("store: cannot use {what}: {failure}"),
    )
}

/// Checks less than a browser: `sslmode=require` takes any certificate, `verify-ca` any name.
#[derive(Debug)]
struct Lenient {
    algorithms: WebPkiSupportedAlgorithms,
    signed: Option<Arc<WebPkiServerVerifier>>,
}

impl Lenient {
    fn anyone(provider: &CryptoProvider) -> Self {
        Self {
            algorithms: provider.signature_verification_algorithms,
            signed: None,
        }
    }

    fn any_name(provider: &CryptoProvider, signed: Arc<WebPkiServerVerifier>) -> Self {
        Self {
            signed: Some(signed),
            ..Self::anyone(provider)
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
    ) -> std::result::Result<ServerCertVerified, rustls::Error> {
        let Some(signed) = &self.signed else {
            return Ok(ServerCertVerified::assertion());
        };
        match signed.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now) {
            Err(rustls::Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            other => other,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
