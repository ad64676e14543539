//! The syntax tree of an expression.

use super::number::Number;
use super::operators::Operator;
use super::references::Reference;
use std::borrow::Cow;

/// One key of a reference's path.
pub(super) type Key<'a> = Cow<'a, str>;

/// A node of the tree; `'a` is the lifetime of the text it was parsed from.
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
        /// The reference as the user wrote it, for messages.
        source_text: &'a str,
    },
    Call {
        operator: &'static Operator,
        arguments: Vec<Node<'a>>,
    },
}
