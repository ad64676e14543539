//! What a dispatch says about expressions: whether its input has any, and whether they can be read.

use super::dispatch::Defaults;
use super::fields::Fields;
use super::storage;
use crate::model::{JobOptions, Namespace};
use std::borrow::Cow;

/// The input as it is stored: names of files are text, which users of the program choose, unless the caller says that the
/// whole input holds expressions.
pub(super) fn marked<'a>(fields: &Fields<'_>, namespace: Namespace, input: &'a str) -> Cow<'a, str> {
    if namespace != Namespace::Storage || fields.raw("expressions").is_some() {
        return Cow::Borrowed(input);
    }
    storage::with_literal_names(input)
}

/// Whether `input` has expressions. Notes what is wrong with them, and whether the job wants its input as it is.
pub(super) fn check(fields: &mut Fields<'_>, input: &str, options: &mut JobOptions, defaults: &Defaults) -> bool {
    options.plain = fields.boolean("expressions") == Some(false);
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
