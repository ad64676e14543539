//! The input of a feature: checks it and fills in defaults.

use crate::error::{Error, Problem, Result};
use crate::expr::unwrap_literal;
use crate::resources::FeatureInput;
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::fmt::Write;

/// Checks the input and returns it with its defaults filled in.
///
/// # Errors
/// `VALIDATION_ERROR` that lists every member that is missing or of the wrong type.
pub(super) fn validate_and_fill(declared: Option<&[FeatureInput]>, input: &str) -> Result<String> {
    let Some(declared) = declared else {
        return Ok(input.to_owned());
    };
    // An input that is a literal as a whole stays one.
    let inner = unwrap_literal(input.trim());
    if inner.len() < input.trim().len() {
        let filled = validate_and_fill(Some(declared), inner)?;
        return Ok(format!("{{\"$literal\":{filled}}}"));
    }
    let Ok(given) = serde_json::from_str::<BTreeMap<String, &RawValue>>(input) else {
        let problem = Problem::new("input", "must be an object");
        return Err(Error::invalid(vec![problem]));
    };
    let mut problems = Vec::new();
    let mut added = String::new();
    for field in declared {
        let path = || format!("input.{}", field.name);
        match given
            .get(&*field.name)
            .map(|value| value.get())
            .filter(|text| *text != "null")
        {
            Some(value) => problems.extend(
                field
                    .problem(unwrap_literal(value))
                    .map(|message| Problem::new(path(), message)),
            ),
            None if field.required => {
                let message = format!("is missing; it must be of the type '{}'", field.kind.name());
                problems.push(Problem::new(path(), message));
            }
            None => {
                let name = serde_json::to_string(&field.name).unwrap_or_default();
                let value = field.default.as_deref().unwrap_or("null");
                // Writing to a String cannot fail.
                let _ = write!(added, "{name}:{value},");
            }
        }
    }
    if !problems.is_empty() {
        return Err(Error::invalid(problems));
    }
    let is_declared = |name: &str| declared.iter().any(|field| *field.name == *name);
    let mut text = format!("{{{added}");
    for (name, value) in &given {
        // Members that are declared and null have been replaced by their defaults above.
        if value.get() != "null" || !is_declared(name) {
            let name = serde_json::to_string(name).unwrap_or_default();
            let _ = write!(text, "{name}:{},", value.get());
        }
    }
    if text.ends_with(',') {
        text.pop();
    }
    text.push('}');
    Ok(text)
}
