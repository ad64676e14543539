//! An expression as it was read.

use super::number::Number;
use super::operators::Operator;
use super::references::Reference;
use std::borrow::Cow;

/// A key of a path.
pub(super) type Key<'a> = Cow<'a, str>;

/// A part of an expression.
#[derive(Debug)]
pub(super) enum Node<'a> {
    Null,
    Bool(bool),
    Number(Number<'a>),
    Text(Cow<'a, str>),
    List(Vec<Node<'a>>),
    Object(Vec<(Cow<'a, str>, Node<'a>)>),
    Reference {
        reference: Reference,
        path: Vec<Key<'a>>,
        /// As it was written.
        source_text: &'a str,
    },
    Call {
        operator: &'static Operator,
        arguments: Vec<Node<'a>>,
    },
}
