//! Expressions in a job's input: `$Input{user}{name}`, `$DateAdd($Now(), -30, 'days')`.
//!
//! A pure module: a JSON text, a [`Scope`] and [`Limits`] go in, a JSON text or an error comes out. It must not know
//! jobs, stores, connectors or the clock; it does no I/O and runs no code.
//!
//! Invariants: a text without expressions comes back byte for byte, and an input without `$` costs one search and no
//! allocation; the value of an expression is never evaluated again; depth, steps and output are bounded.
//!
//! The path of an input: [`document`] goes through its [`substitution`]s, [`template`] finds the expressions in a string,
//! [`parse`] makes a syntax tree ([`ast`]) of each and checks its calls ([`check_call`]), [`evaluate`] computes it with
//! the functions of the [`operators`].

mod arguments;
mod ast;
mod calendar;
mod check_call;
mod compare;
mod cursor;
mod dates;
mod document;
mod error;
mod evaluate;
mod index;
mod json;
mod limits;
mod lists;
mod marked;
mod number;
mod operators;
mod parse;
mod references;
mod scope;
mod signature;
mod strings;
mod substitution;
mod template;
mod value;

pub use document::{InputReferences, check, resolve, resolve_with};
pub use error::ExpressionError;
pub use limits::Limits;
pub use marked::{Unmarked, mark_bytes, without_marks};
pub use operators::operators;
pub use references::{Reference, references};
pub use scope::{Claims, FeatureScope, Scope, SecretValues, Variables};
pub use signature::Signature;
pub use substitution::{Literals, unwrap_literal};

#[cfg(test)]
mod tests;
