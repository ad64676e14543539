//! Verifies signed tokens (JWT in compact form) with the key of a session resource, and issues them.
//!
//! Knows keys and tokens, but no store, no job and no clock: `now` is passed in. The algorithm is that of the resource,
//! never the token's: a token that names another one is rejected before its signature is checked, and `none` does not
//! exist. Messages never contain any part of a token or key.

mod der;
mod jwk;
mod key;
mod signing;
mod token;

pub use key::VerifyingKey;
pub use signing::SigningKey;
pub use token::{TokenPayload, check_validity_period, issue, read_unverified, verify};

use crate::error::{Error, ErrorCode, Problem};

/// The error for a rejected token; `why` begins with a verb.
pub fn unauthorized(why: impl std::fmt::Display) -> Error {
    let problem = Problem::new("session.token", why.to_string());
    Error::invalid(vec![problem.with_code(ErrorCode::Unauthorized)])
}

/// The error for an unusable key.
fn key_error(why: impl std::fmt::Display) -> Error {
    Error::new(ErrorCode::ValidationError, why.to_string())
}

#[cfg(test)]
mod tests;
