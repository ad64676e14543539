//! What the inputs of jobs may refer to: secrets, sessions, caches and expressions.
//!
//! One part each for who needs it: [`SecretStore`] with its [`Masker`], [`ExpressionResolver`], [`SessionVerifier`] and
//! [`ResultCache`]. [`resolve`] puts them together for one attempt. Knows no connector and no handler.

mod canonical_json;
mod entry_space;
mod escapes;
mod expression_resolver;
mod masker;
mod resolve;
mod result_cache;
mod secret_store;
mod session_verifier;

pub use entry_space::entry_space;
pub use expression_resolver::ExpressionResolver;
pub use masker::Masker;
pub use resolve::{ResolvedInput, needs_resolving, resolve};
pub use result_cache::{CacheLookup, Leader, ResultCache, SingleFlight, cache_space};
pub use secret_store::{SecretSource, SecretStore};
pub use session_verifier::{SessionCheck, SessionKeys, SessionVerifier, revocation_key};
