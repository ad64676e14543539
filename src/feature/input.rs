//! The input of a feature: what must be there, and what it is when it is not.

use crate::error::{Error, Problem, Result};
use crate::resources::FeatureInput;
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::fmt::Write;

/// The input with its defaults, once it has been checked.
///
/// # Errors
/// `VALIDATION_ERROR` with everything that is missing or of another type.
pub(super) fn validate_and_fill(declared: Option<&[FeatureInput]>, input: &str) -> Result<String> {
    let Some(declared) = declared else {
        return Ok(input.to_owned());
    };
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
            Some(value) if field.kind.admits(value) => {}
            Some(_) => {
                let message = format!("must be of the type '{}'", field.kind.name());
                problems.push(Problem::new(path(), message));
            }
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
        // What is declared and null stands there already, with its default.
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
