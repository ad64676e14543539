//! Signed tokens (JWT, compact form): checked against the one algorithm and key of a session resource, and issued.
//!
//! Knows keys and tokens; no store, no job and no clock: `now` is passed in. The algorithm is the resource's, never the
//! token's: a token that names another is refused before its signature is looked at, and there is no `none`.
//! Messages never hold a part of a token or a key.

mod der;
mod jwk;
mod key;
mod signing;
mod token;

pub use key::VerifyingKey;
pub use signing::SigningKey;
pub use token::{TokenPayload, check_validity_period, issue, read_unverified, verify};

use crate::error::{Error, ErrorCode, Problem};

/// A token that is refused; `why` begins with a verb.
pub fn unauthorized(why: impl std::fmt::Display) -> Error {
    let problem = Problem::new("session.token", why.to_string());
    Error::invalid(vec![problem.with_code(ErrorCode::Unauthorized)])
}

/// A key that is of no use.
fn key_error(why: impl std::fmt::Display) -> Error {
    Error::new(ErrorCode::ValidationError, why.to_string())
}

#[cfg(test)]
mod tests;
