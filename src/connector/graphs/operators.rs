//! The operators of an update, named when a server says only that a value does not fit.
//!
//! Pure. Invariant: a message names properties and operators, and no value.

use super::failure::{MIXED_LIST, NO_FITTING_TYPE};
use super::operation::{Change, Operation};
use crate::connector::Failure;
use crate::text::spelling::truncated;

/// The failure of an operation, with the operators that it may mean.
pub(super) fn named(operation: &Operation, failure: Failure) -> Failure {
    let of_lists = failure.message.contains(MIXED_LIST);
    if !of_lists && !failure.message.contains(NO_FITTING_TYPE) {
        return failure;
    }
    let changes = match operation {
        Operation::UpdateNodes(_, changes) | Operation::UpdateRelationships(_, changes) => vec![changes],
        Operation::MergeNode { merge, .. } | Operation::MergeRelationship { merge, .. } => {
            vec![&merge.on_create, &merge.on_match]
        }
        _ => return failure,
    };
    let mut needs: Vec<String> = Vec::new();
    for (name, change) in changes.into_iter().flatten() {
        let Some((operator, need)) = need(change) else { continue };
        let told = format!("{operator} of '{}' needs {need}", truncated(name.as_str()));
        if (!of_lists || need == LIST) && !needs.contains(&told) {
            needs.push(told);
        }
    }
    if needs.is_empty() {
        return failure;
    }
    Failure {
        message: format!(
            "{}, and something else is stored there; set such a value first, or take it away by $unset ({})",
            needs.join(", or "),
            failure.message
        ),
        ..failure
    }
}

const LIST: &str = "a list of values of the same type";

/// An operator and what it needs.
fn need(change: &Change) -> Option<(&'static str, &'static str)> {
    const NUMBER: &str = "a number";
    const ORDERED: &str = "a value of the same type, which has an order";
    Some(match change {
        Change::Set(_) | Change::Unset => return None,
        Change::Increment(_) => ("$inc", NUMBER),
        Change::Decrement(_) => ("$dec", NUMBER),
        Change::Multiply(_) => ("$mul", NUMBER),
        Change::Least(_) => ("$min", ORDERED),
        Change::Greatest(_) => ("$max", ORDERED),
        Change::Push(_) => ("$push", LIST),
        Change::Pull(_) => ("$pull", LIST),
        Change::AddToSet(_) => ("$addToSet", LIST),
    })
}
