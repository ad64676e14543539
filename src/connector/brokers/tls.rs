//! TLS with certificates that a definition names; without them each client trusts the system's.

use crate::connector::Failure;
use crate::tls::{CertificateCheck, client_config};
use rustls::ClientConfig;

/// Settings that trust the certificates in this PEM, and no others.
///
/// # Errors
/// `VALIDATION_ERROR` when there is no usable certificate in it.
pub(super) fn client_config_for_ca(pem: &str) -> Result<ClientConfig, Failure> {
    client_config(CertificateCheck::AuthorityAndName, Some(pem))
        .map_err(|why| Failure::invalid(format!("config.ca: {why}")))
}
