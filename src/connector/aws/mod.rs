//! Amazon's services: credentials, signatures and requests, which all of them share.
//!
//! Knows no service by itself. Invariant: no failure contains a credential.

mod credentials;
mod json_service;

pub(in crate::connector) use credentials::{Account, GivenKey};
pub(in crate::connector) use json_service::{JsonService, Place};
