//! TLS with certificates that a definition names; without them each client trusts the system's.

use crate::connector::Failure;
use crate::tls::{Trust, client};
use rustls::ClientConfig;

/// Settings that trust the certificates in this PEM, and no others.
///
/// # Errors
/// `VALIDATION_ERROR` when there is no usable certificate in it.
pub(super) fn trusting(pem: &str) -> Result<ClientConfig, Failure> {
    client(Trust::Named, Some(pem)).map_err(|why| Failure::invalid(format!("config.ca: {why}")))
}
