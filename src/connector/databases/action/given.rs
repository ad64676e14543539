//! What a job gives to an action, and what of it is taken.
//!
//! Invariant: every value of a job is part of the operation, or the job is refused.

use super::fill::{Place, members as entries_of, names};
use super::{Input, OF_DATA, OF_FILTERS, PARTS, Templates, members, named, takes_data, takes_filter};
use crate::connector::Failure;
use crate::connector::databases::json::Json;
use crate::resources::DatabaseAction;
use crate::text::spelling::{suggestion, truncated};

/// Refuses values that no placeholder takes, and parts that stand for nothing.
pub(super) fn reject_unused(action: &DatabaseAction, templates: &Templates, input: &Input<'_>) -> Result<(), Failure> {
    let texts = texts(action, templates)?;
    let (of_filters, of_data) = (
        input.values(OF_FILTERS, templates, false),
        input.values(OF_DATA, templates, false),
    );
    let mut known: Vec<&str> = Vec::new();
    let mut taken: Vec<Place<'_>> = Vec::new();
    for (is_filter, text) in &texts.placeholders {
        let values = if *is_filter { &of_filters } else { &of_data };
        names(text, &mut |name| {
            known.push(name);
            taken.extend(values.given(name).map(|(place, _)| place));
        });
    }
    let found = Given { known, taken };
    // A part that is the filter, or the data, of an action without one.
    let filter = input.filter().map(|(part, _)| part).filter(|_| texts.lacks_filter);
    let data = texts.lacks_data.then_some("data");
    for (key, value) in input.all {
        let Some(part) = PARTS.into_iter().find(|part| **key == **part) else {
            found.check(None, key)?;
            continue;
        };
        if [filter, data].contains(&Some(part)) || found.taken.contains(&(None, part)) {
            continue;
        }
        match value.value() {
            Json::Null => {}
            inner => match entries_of(inner) {
                Some(entries) => entries.iter().try_for_each(|(key, _)| found.check(Some(part), key))?,
                None => {
                    return Err(Failure::invalid(format!(
                        "input.{part}: must be an object of values for the action's placeholders, got {}",
                        inner.kind()
                    )));
                }
            },
        }
    }
    Ok(())
}

/// The texts of an action in which a job's values may stand.
struct Texts<'t> {
    /// Each with whether it is a filter.
    placeholders: Vec<(bool, &'t Json)>,
    /// Whether the filter is the job's, and the data.
    lacks_filter: bool,
    lacks_data: bool,
}

fn texts<'t>(action: &DatabaseAction, templates: &'t Templates) -> Result<Texts<'t>, Failure> {
    let template = templates.template.as_ref();
    let described = match named(action.verb, template)? {
        Some((_, member)) => vec![member],
        None => members(action.verb, template),
    };
    let options = templates.options.iter().map(|(name, option)| (&**name, option));
    let mut placeholders: Vec<(bool, &Json)> = described
        .iter()
        .copied()
        .chain(options)
        .map(|(name, text)| (matches!(name, "where" | "having"), text))
        .collect();
    if described.is_empty() {
        placeholders.extend(template.map(|text| (false, text)));
    }
    placeholders.extend(templates.filter.as_ref().map(|text| (true, text)));
    Ok(Texts {
        placeholders,
        lacks_filter: takes_filter(action.verb)
            && templates.filter.is_none()
            && !described.iter().any(|(name, _)| *name == "where"),
        lacks_data: takes_data(action.verb) && template.is_none(),
    })
}

/// The names of an action's placeholders, and what fills them.
struct Given<'a> {
    known: Vec<&'a str>,
    taken: Vec<Place<'a>>,
}

impl Given<'_> {
    /// Refuses a value that fills nothing.
    fn check(&self, part: Option<&'static str>, key: &str) -> Result<(), Failure> {
        if self.taken.contains(&(part, key)) {
            return Ok(());
        }
        let path = |part: Option<&str>| match part {
            Some(part) => format!("input.{part}.{}", truncated(key)),
            None => format!("input.{}", truncated(key)),
        };
        if let Some((other, _)) = self.taken.iter().find(|(_, name)| *name == key) {
            return Err(Failure::invalid(format!(
                "{}: the placeholder takes {}; give one of the two",
                path(part),
                path(*other)
            )));
        }
        let mut known = self.known.clone();
        if part.is_none() {
            known.extend(PARTS);
        }
        known.sort_unstable();
        known.dedup();
        let said = match known.as_slice() {
            [] => "it has none".to_owned(),
            known => suggestion(key, known),
        };
        Err(Failure::invalid(format!(
            "{}: the action has no such placeholder; {said}",
            path(part)
        )))
    }
}
