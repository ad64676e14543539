//! What can be told of a call before it is computed: the number of its arguments, and the kinds of constant ones.

use super::ast::Node;
use super::calendar::{Unit, is_date};
use super::compare::Comparison;
use super::signature::{ArgumentKind, Signature};

/// Checks the arguments of a call.
///
/// # Errors
/// The message for a wrong number of arguments, or for the first constant of a wrong kind.
pub(super) fn check_call(signature: &Signature, arguments: &[Node<'_>]) -> Result<(), String> {
    if !signature.accepts_count(arguments.len()) {
        return Err(format!(
            "${} does not take {} arguments; it is {}",
            signature.name,
            arguments.len(),
            signature.usage
        ));
    }
    for (index, argument) in arguments.iter().enumerate() {
        let kind = signature.kind(index);
        if !accepts(kind, argument) {
            return Err(signature.wrong_argument(index, kind, None));
        }
    }
    Ok(())
}

/// Whether a constant is of the kind; what references and calls yield is only known when they are computed.
fn accepts(kind: ArgumentKind, node: &Node<'_>) -> bool {
    match (kind, node) {
        (ArgumentKind::Any, _) | (_, Node::Reference { .. } | Node::Call { .. }) => true,
        (ArgumentKind::Number | ArgumentKind::Date, Node::Number(_))
        | (ArgumentKind::Text, Node::Text(_))
        | (ArgumentKind::List, Node::List(_)) => true,
        (ArgumentKind::Integer, Node::Number(number)) => number.as_integer().is_some(),
        (ArgumentKind::Date, Node::Text(text)) => is_date(text),
        (ArgumentKind::Unit, Node::Text(text)) => Unit::find(text).is_some(),
        (ArgumentKind::Comparison, Node::Text(text)) => Comparison::find(text).is_some(),
        _ => false,
    }
}
