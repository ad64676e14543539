//! The table of operators: how each is written, and the function that computes it.

use super::arguments::{Arguments, OperatorResult};
use super::signature::{ArgumentKind, Signature};
use super::{dates, lists, strings};

type Apply = for<'a> fn(&mut Arguments<'_, 'a>) -> OperatorResult<'a>;

/// An operator.
pub(super) struct Operator {
    pub(super) signature: Signature,
    pub(super) apply: Apply,
}

impl std::fmt::Debug for Operator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.signature.usage)
    }
}

const fn operator(
    name: &'static str,
    usage: &'static str,
    about: &'static str,
    parameters: &'static [ArgumentKind],
    required: usize,
    apply: Apply,
) -> Operator {
    Operator {
        signature: Signature {
            name,
            usage,
            about,
            parameters,
            required,
            variadic: false,
            braces: false,
        },
        apply,
    }
}

const fn variadic(mut operator: Operator) -> Operator {
    operator.signature.variadic = true;
    operator
}

const fn braces(mut operator: Operator) -> Operator {
    operator.signature.braces = true;
    operator
}

const DATE_FORMAT: &[ArgumentKind] = &[ArgumentKind::Date, ArgumentKind::Text];
const SEARCH: &[ArgumentKind] = &[ArgumentKind::List, ArgumentKind::Comparison, ArgumentKind::Any];

#[rustfmt::skip]
static OPERATORS: [Operator; 18] = [
    variadic(operator("Add", "$Add(number, number, …)", "the sum", &[ArgumentKind::Number, ArgumentKind::Number], 2, strings::add)),
    variadic(operator("Subtract", "$Subtract(number, number, …)", "the first minus the others", &[ArgumentKind::Number, ArgumentKind::Number], 2, strings::subtract)),
    operator("Concat", "$Concat([values], delimiter?)", "the values as one text, the delimiter (default none) between them", &[ArgumentKind::List, ArgumentKind::Text], 1, lists::concat),
    operator("Join", "$Join(list, delimiter?)", "the same; the delimiter is a comma by default", &[ArgumentKind::List, ArgumentKind::Text], 1, lists::join),
    operator("Substring", "$Substring(text, start, end?)", "the characters from start up to, not including, end; negative ones count from the end", &[ArgumentKind::Text, ArgumentKind::Integer, ArgumentKind::Integer], 2, strings::substring),
    operator("Trim", "$Trim(text)", "without white space at both ends", &[ArgumentKind::Text], 1, strings::trim),
    operator("Split", "$Split(text, delimiter)", "the list of parts; an empty delimiter gives the characters", &[ArgumentKind::Text, ArgumentKind::Text], 2, strings::split),
    operator("Pick", "$Pick(list, index)", "the element at the index, from 0; a negative one counts from the end", &[ArgumentKind::List, ArgumentKind::Integer], 2, lists::pick),
    operator("Uppercase", "$Uppercase(text)", "in upper case", &[ArgumentKind::Text], 1, strings::uppercase),
    operator("Lowercase", "$Lowercase(text)", "in lower case", &[ArgumentKind::Text], 1, strings::lowercase),
    operator("Dateformat", "$Dateformat(date, format)", "the date as text", DATE_FORMAT, 2, dates::format),
    operator("Format", "$Format(date, format)", "the same as $Dateformat", DATE_FORMAT, 2, dates::format),
    operator("DateAdd", "$DateAdd(date, count, unit)", "the date `count` units later (earlier if negative), in ms", &[ArgumentKind::Date, ArgumentKind::Integer, ArgumentKind::Unit], 3, dates::add),
    operator("Replace", "$Replace(text, search, replacement)", "with every occurrence replaced", &[ArgumentKind::Text, ArgumentKind::Text, ArgumentKind::Text], 3, strings::replace),
    operator("Filter", "$Filter(list, comparison, value)", "the elements for which the comparison holds", SEARCH, 3, lists::filter),
    operator("Find", "$Find(list, comparison, value)", "the first of them, else null", SEARCH, 3, lists::find),
    braces(operator("Size", "$Size{reference}", "the number of elements of a list, entries of an object, or bytes of a text", &[ArgumentKind::Any], 1, lists::size)),
    braces(operator("Length", "$Length{reference}", "the same, but the characters of a text", &[ArgumentKind::Any], 1, lists::length)),
];

/// The signatures of all operators, in the order of the documentation.
pub fn operators() -> impl Iterator<Item = &'static Signature> {
    OPERATORS.iter().map(|operator| &operator.signature)
}

/// Looks an operator up by its name, without the dollar.
pub(super) fn find(name: &str) -> Option<&'static Operator> {
    OPERATORS.iter().find(|operator| operator.signature.name == name)
}
