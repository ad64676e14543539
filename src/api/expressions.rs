//! What a dispatch says about expressions: whether its input has any, and whether they can be read.

use super::dispatch::Defaults;
use super::fields::Fields;
use crate::model::JobOptions;

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
