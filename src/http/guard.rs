//! Refuses requests to hosts and addresses that are not allowed: checks the host of each URL and the addresses that it
//! resolves to.
//!
//! Invariant: addresses are checked after resolution and before connecting, so that DNS rebinding cannot get around the
//! rules.

use super::Failure;
use crate::resources::OutboundRules;
use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::error::Error;
use std::fmt;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;

/// Checks URLs and addresses against the rules.
#[derive(Clone, Debug)]
pub(super) struct OutboundGuard(Arc<OutboundRules>);

impl OutboundGuard {
    pub(super) fn new(outbound: OutboundRules) -> Self {
        Self(Arc::new(outbound))
    }

    /// Checks the host of a URL. The addresses of a host name are checked when it is resolved.
    pub(super) fn check_url(&self, url: &Url) -> Result<(), Failure> {
        let Some(host) = url.host_str().filter(|_| matches!(url.scheme(), "http" | "https")) else {
            return Err(Failure::new(
                "VALIDATION_ERROR",
                "the URL is not one of http or https".to_owned(),
            ));
        };
        if !self.0.admits_host(host) {
            let message = format!("the host {host} is not among `outbound.hosts` of the constructor");
            return Err(Failure::new("FORBIDDEN", message));
        }
        if !self.0.admits_literal(host) {
            return Err(Failure::new("FORBIDDEN", NoAllowedAddress(host.to_owned()).to_string()));
        }
        Ok(())
    }

    /// A resolver that returns only allowed addresses; `None`: all are allowed.
    pub(super) fn resolver(&self) -> Option<GuardedResolver> {
        (!self.0.private_addresses).then(|| GuardedResolver(Arc::clone(&self.0)))
    }
}

/// The system's resolver, without addresses that are not allowed.
pub(super) struct GuardedResolver(Arc<OutboundRules>);

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let outbound = Arc::clone(&self.0);
        Box::pin(async move {
            let host = name.as_str().to_owned();
            let found = tokio::task::spawn_blocking(move || {
                let found: Vec<SocketAddr> = (host.as_str(), 0).to_socket_addrs()?.collect();
                Ok::<_, std::io::Error>((host, found))
            });
            let (host, found) = found.await??;
            let admitted: Vec<SocketAddr> = found
                .into_iter()
                .filter(|address| outbound.admits_address(address.ip()))
                .collect();
            if admitted.is_empty() {
                return Err(Box::new(NoAllowedAddress(host)) as Box<dyn Error + Send + Sync>);
            }
            Ok(Box::new(admitted.into_iter()) as Addrs)
        })
    }
}

/// A host without any allowed address.
#[derive(Debug)]
pub(super) struct NoAllowedAddress(String);

impl fmt::Display for NoAllowedAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = &self.0;
        write!(
            f,
            "the host {host} has a private address, which `outbound` of the constructor forbids"
        )
    }
}

impl Error for NoAllowedAddress {}
