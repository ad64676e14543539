//! What a dispatch says about expressions: whether its input has any, and whether they can be read.

use super::dispatch::Defaults;
use super::fields::Fields;
use super::storage;
use crate::expr::{Unmarked, without_marks};
use crate::model::{JobOptions, Namespace};
use std::borrow::Cow;

/// An input whose marks are undone.
pub(super) struct Texts<'a> {
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
            input: Cow::Borrowed(input),
            plain: input.contains('$'),
        };
    };
    Texts {
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
