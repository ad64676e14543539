//! Amazon's services: credentials, signatures and requests, which all of them share.
//!
//! Knows no service by itself. Invariant: no failure contains a credential.

mod chain;
#[cfg(any(feature = "dynamodb", feature = "sqs", feature = "ses"))]
mod credentials;
#[cfg(any(feature = "dynamodb", feature = "sqs"))]
mod json_service;

#[cfg(feature = "cloud-storage")]
pub(in crate::connector) use chain::{Chain, SEARCH_TIMEOUT};
#[cfg(feature = "ses")]
pub(in crate::connector) use credentials::Credentials;
#[cfg(any(feature = "dynamodb", feature = "sqs", feature = "ses"))]
pub(in crate::connector) use credentials::{Account, GivenKey};
#[cfg(any(feature = "dynamodb", feature = "sqs"))]
pub(in crate::connector) use json_service::{JsonService, Place};
