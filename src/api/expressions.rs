//! What a dispatch says about expressions: whether its input has any, and whether they can be read.

use super::dispatch::Defaults;
use super::fields::Fields;
use super::storage;
use crate::error::{Error, Result};
use crate::expr::{Unmarked, mark_bytes, without_marks};
use crate::model::{JobOptions, Namespace};
use std::borrow::Cow;

/// Refuses marks anywhere but in the input: there they mean nothing, and whoever saw one could write another.
pub(super) fn refuse_elsewhere(fields: &mut Fields<'_>, text: &str, defaults: &Defaults) -> Result<()> {
    let Some(mark) = defaults.mark.as_deref().filter(|mark| text.contains(*mark)) else {
        return Ok(());
    };
    let message = "must be written as it is: only texts of `input` can be expressions or literals";
    for name in fields.names() {
        if name.contains(mark) {
            fields.own_problem(message);
        } else if name != "input" && fields.raw(&name).is_some_and(|value| value.contains(mark)) {
            fields.problem(&name, message);
        }
    }
    if fields.problems.is_empty() {
        Ok(())
    } else {
        Err(Error::invalid(std::mem::take(&mut fields.problems)))
    }
}

/// An input whose marks are undone.
pub(super) struct Texts<'a> {
    /// Bytes of its JSON as it was written.
    pub(super) size: usize,
    /// Its JSON, as it is stored.
    pub(super) input: Cow<'a, str>,
    /// No text in it is an expression, whatever it looks like.
    pub(super) plain: bool,
}

/// The input as it is stored. Where the constructor asks for marks, nothing is an expression without one, unless the dispatch says
/// something else.
pub(super) fn texts<'a>(fields: &mut Fields<'_>, defaults: &Defaults, input: &'a str) -> Texts<'a> {
    let given = fields.boolean("expressions");
    let Some(mark) = &defaults.mark else {
        return Texts {
            size: input.len(),
            input: Cow::Borrowed(input),
            plain: given == Some(false),
        };
    };
    let unmarked = if given.is_some() {
        Unmarked::AsIs
    } else if input.contains(&**mark) {
        Unmarked::Literal
    } else {
        // Nothing to evaluate: it is stored as it is.
        return Texts {
            size: input.len(),
            input: Cow::Borrowed(input),
            plain: input.contains('$'),
        };
    };
    Texts {
        size: input.len() - mark_bytes(input, mark),
        input: without_marks(input, mark, unmarked),
        plain: given == Some(false),
    }
}

/// The same with the names of files marked as text, since users of the program choose them, unless the caller says that the
/// whole input holds expressions, or which texts of it do.
pub(super) fn with_names<'a>(
    fields: &Fields<'_>,
    namespace: Namespace,
    defaults: &Defaults,
    input: Cow<'a, str>,
) -> Cow<'a, str> {
    if namespace != Namespace::Storage || fields.raw("expressions").is_some() || defaults.mark.is_some() {
        return input;
    }
    match storage::with_literal_names(&input) {
        Cow::Borrowed(_) => input,
        Cow::Owned(marked) => Cow::Owned(marked),
    }
}

/// Whether `input` has expressions. Notes what is wrong with them.
pub(super) fn check(fields: &mut Fields<'_>, input: &str, options: &JobOptions, defaults: &Defaults) -> bool {
    if options.plain || !input.contains('$') {
        return false;
    }
    match defaults.expressions.check_input(input, options.session.is_some()) {
        Ok(references) => references.expressions > 0,
        Err(problems) => {
            fields.problems.extend(problems);
            false
        }
    }
}
