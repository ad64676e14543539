//! What tests of several modules are written with: servers of their own, certificates, a network that breaks at will.
#![cfg_attr(
    not(feature = "connectors"),
    allow(dead_code, reason = "fewer connectors have fewer tests")
)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

pub(crate) mod api_server;
pub(crate) mod authority;
#[cfg(any(feature = "dynamodb", feature = "ses"))]
pub(crate) mod aws_signature;
pub(crate) mod eventually;
pub(crate) mod proxy;
#[cfg(feature = "rabbitmq")]
pub(crate) mod rabbitmq;
pub(crate) mod servers;
pub(crate) mod skipped;
pub(crate) mod test_server;
pub(crate) mod tls_terminator;
