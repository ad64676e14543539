//! Expressions in a job's input: `$Input{user}{name}`, `$DateAdd($Now(), -30, 'days')`.
//!
//! A pure module: a JSON text, a [`Scope`] and [`Limits`] go in, a JSON text or a refusal comes out. It must not know
//! jobs, stores, connectors or the clock; it does no I/O and runs no code.
//!
//! Invariants: what holds no expression comes back byte for byte, and an input without `$` costs one search and no
//! allocation; what an expression yields is never read as an expression again; depth, steps and output are bounded.
//!
//! The way of a text: [`document`] finds the strings that may matter, [`template`] finds the expressions in one,
//! [`parse`] reads an expression, [`evaluate`] computes it with the [`operators`].

mod arguments;
mod ast;
mod compare;
mod cursor;
mod dates;
mod document;
mod error;
mod evaluate;
mod json;
mod limits;
mod lists;
mod number;
mod operators;
mod parse;
mod references;
mod scope;
mod strings;
mod template;
mod value;

pub use document::{InputReferences, check, resolve};
pub use error::ExpressionError;
pub use evaluate::unwrap_literal;
pub use limits::Limits;
pub use operators::{Operator, operators};
pub use references::{Reference, references};
pub use scope::{Claims, FeatureScope, Scope, SecretValues, Variables};

#[cfg(test)]
mod tests;
