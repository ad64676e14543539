//! Reads features that are declared as data, and checks the references in their expressions.
//!
//! Invariant: each reference is to a declared input or to an earlier event, and nesting of features ends.

use super::members::{members, required_tag};
use super::sequences::{self, Place};
use crate::api::fields::{Fields, MAX_SAFE_INTEGER, describe, nearest, truncated};
use crate::error::Problem;
use crate::expr::{self, Limits};
use crate::model::Namespace;
use crate::resources::{Feature, FeatureEvent, FeatureInput, FeatureSequence, InputKind, Resources};

/// Most events of a feature; each is a step, and a run may have a thousand of these.
const MAX_EVENTS: usize = 200;
/// Deepest nesting of features.
const MAX_NESTING: usize = 8;
/// Most retries of an event.
const MAX_RETRIES: i64 = 1_000;

/// Values of `type`, and the namespaces of their targets.
const EVENT_TYPES: [(&str, Namespace); 14] = [
    ("action", Namespace::Actions),
    ("app", Namespace::Actions),
    ("notification", Namespace::Notifications),
    ("storage", Namespace::Storage),
    ("publish", Namespace::Events),
    ("event", Namespace::Events),
    ("database_action", Namespace::DatabaseActions),
    ("db_action", Namespace::DatabaseActions),
    ("database", Namespace::Databases),
    ("graph_action", Namespace::GraphActions),
    ("graph", Namespace::Graphs),
    ("feature", Namespace::Features),
    ("workflow", Namespace::Features),
    ("job", Namespace::Features),
];

pub(super) fn read(feature: &mut Fields<'_>, product: &str, resources: &mut Resources) {
    feature.refuse_unknown(&[
        "tag",
        "name",
        "description",
        "input_type",
        "input",
        "sequence",
        "output",
    ]);
    if feature
        .string("input_type")
        .is_some_and(|form| !form.eq_ignore_ascii_case("json"))
    {
        feature.problem("input_type", "must be 'JSON': there is no other form of inputs");
    }
    let tag = required_tag(feature);
    let input = read_input(feature);
    let mut known = KnownReferences {
        inputs: input
            .as_ref()
            .map(|all| all.iter().map(|field| field.name.clone()).collect()),
        events: Vec::new(),
    };
    let sequence = read_sequences(feature, &mut known);
    let output: Option<Box<str>> = feature.raw("output").map(Into::into);
    if let Some(output) = &output {
        known.check(feature, "output", output);
    }
    let Some(tag) = tag else { return };
    let read = Feature {
        tag: tag.as_ref().into(),
        input,
        sequence,
        output,
    };
    if !resources.features.add(product, &tag, read) {
        feature.problem("tag", format!("'{tag}' is the tag of another feature of the product"));
    }
}

/// Reads `{ name: { type, required, default } }`.
fn read_input(feature: &mut Fields<'_>) -> Option<Vec<FeatureInput>> {
    let mut object = feature.object("input")?;
    let mut all = Vec::new();
    for name in object.names() {
        let Some(mut field) = object.object(&name) else {
            continue;
        };
        field.take_aliases(&[("minLength", "minlength"), ("maxLength", "maxlength")]);
        field.refuse_unknown(&["type", "required", "default", "description", "minlength", "maxlength"]);
        let kind = read_kind(&mut field).unwrap_or(InputKind::Any);
        let mut length = |name| {
            let most = field.integer(name, 0, MAX_SAFE_INTEGER)?;
            usize::try_from(most).ok()
        };
        let length = (length("minlength"), length("maxlength"));
        let required = field.boolean("required").unwrap_or(false);
        let default: Option<Box<str>> = field.raw("default").map(Into::into);
        if required && default.is_some() {
            field.problem("default", "is never used: the input is `required`");
        }
        let read = FeatureInput {
            name: name.into(),
            kind,
            length,
            required,
            default,
        };
        if let Some(default) = &read.default
            && let Some(problem) = read.problem(default)
        {
            let got = if read.kind.admits(default) {
                String::new()
            } else {
                format!(", got {}", describe(default))
            };
            field.problem("default", format!("{problem}{got}"));
        }
        object.absorb(field);
        all.push(read);
    }
    feature.absorb(object);
    Some(all)
}

fn read_kind(field: &mut Fields<'_>) -> Option<InputKind> {
    let name = field.string("type")?;
    let found = InputKind::named(&name);
    if found.is_none() {
        let known = InputKind::NAMES.map(|(name, _)| format!("'{name}'")).join(", ");
        field.problem("type", format!("must be one of {known}, got '{}'", truncated(&name)));
    }
    found
}

fn read_sequences(feature: &mut Fields<'_>, known: &mut KnownReferences) -> Vec<FeatureSequence> {
    if feature.raw("sequence").is_none() {
        feature.problem("sequence", "is missing; it is a list of `{ tag, events }`");
    }
    let mut sequences = members(feature, "sequence");
    let mut places: Vec<Place> = Vec::with_capacity(sequences.len());
    let mut tags: Vec<Option<Box<str>>> = Vec::with_capacity(sequences.len());
    let mut events: Vec<Vec<(Fields<'_>, Option<FeatureEvent>)>> = Vec::with_capacity(sequences.len());
    for sequence in &mut sequences {
        sequence.refuse_unknown(&["tag", "name", "description", "parents", "level", "events"]);
        let tag = read_tag(sequence, "tag");
        if let Some(tag) = tag
            .as_ref()
            .filter(|tag| tags.iter().flatten().any(|other| other == *tag))
        {
            sequence.problem("tag", format!("'{tag}' is the tag of another sequence of the feature"));
        }
        places.push(Place::read(sequence, tag.clone()));
        tags.push(tag);
        events.push(read_events(sequence));
    }
    let count: usize = events.iter().map(Vec::len).sum();
    if count > MAX_EVENTS {
        feature.problem(
            "sequence",
            format!("must have at most {MAX_EVENTS} events, got {count}; split the feature"),
        );
    }
    let after = sequences::order(&places, &mut sequences);
    // References are to what has ended, wherever it stands.
    let names: Vec<Vec<Box<str>>> = events.iter().map(|events| names_of(events)).collect();
    let named = |index: usize, most: usize| {
        let tag = tags.get(index).and_then(Option::clone);
        let events = names.get(index).into_iter().flatten().take(most);
        events.filter_map(move |event| Some((tag.clone()?, event.clone())))
    };
    for (index, (sequence, events)) in sequences.iter_mut().zip(&mut events).enumerate() {
        let ended = sequences::ancestors(&after, index);
        let ended: Vec<_> = ended.into_iter().flat_map(|other| named(other, usize::MAX)).collect();
        let mut before = 0;
        for (fields, event) in events {
            known.events.clone_from(&ended);
            known.events.extend(named(index, before));
            known.check(fields, "input", fields.raw("input").unwrap_or("{}"));
            before += usize::from(event.is_some());
            sequence.problems.append(&mut fields.problems);
        }
    }
    known.events = (0..names.len()).flat_map(|index| named(index, usize::MAX)).collect();
    sequences.into_iter().for_each(|sequence| feature.absorb(sequence));
    let all = tags.into_iter().zip(events).zip(after);
    all.filter_map(|((tag, events), after)| {
        Some(FeatureSequence {
            tag: tag?,
            events: events.into_iter().filter_map(|(_, event)| event).collect(),
            after,
        })
    })
    .collect()
}

fn names_of(events: &[(Fields<'_>, Option<FeatureEvent>)]) -> Vec<Box<str>> {
    let read = events.iter().filter_map(|(_, event)| event.as_ref());
    read.map(|event| event.tag.clone()).collect()
}

/// Reads the events of a sequence; their references are still to be checked.
fn read_events<'a>(sequence: &mut Fields<'a>) -> Vec<(Fields<'a>, Option<FeatureEvent>)> {
    let mut events: Vec<(Fields<'a>, Option<FeatureEvent>)> = Vec::new();
    for mut event in members(sequence, "events") {
        let read = read_event(&mut event);
        if let Some(read) = &read
            && events
                .iter()
                .any(|(_, other)| other.as_ref().is_some_and(|other| other.tag == read.tag))
        {
            let message = format!(
                "the sequence has an event '{}' already; give one of them another `tag`",
                read.tag
            );
            event.problem("tag", message);
        }
        events.push((event, read));
    }
    if sequence.raw("events").is_none_or(|text| text.trim() == "[]") {
        sequence.problem("events", "must have at least one event");
    }
    events
}

/// Reads a tag that is valid in the name of a step and in `$Sequence{…}`.
fn read_tag(fields: &mut Fields<'_>, name: &str) -> Option<Box<str>> {
    if fields.raw(name).is_none() {
        fields.problem(name, "is missing; it must be a string");
        return None;
    }
    let tag = fields.tag(name)?;
    if tag.chars().any(|c| matches!(c, '/' | '{' | '}')) {
        fields.problem(name, format!("'{}' must not hold any of / {{ }}", truncated(&tag)));
        return None;
    }
    Some(tag.as_ref().into())
}

fn read_event(event: &mut Fields<'_>) -> Option<FeatureEvent> {
    let namespace = read_type(event)?;
    let fields: Vec<&str> = match namespace {
        // The event names the feature to run.
        Namespace::Features => vec!["event"],
        other => other.target_fields().to_vec(),
    };
    let mut allowed = vec![
        "type",
        "tag",
        "name",
        "description",
        "input",
        "retries",
        "allow_fail",
        "cache",
        "return",
    ];
    allowed.extend(&fields);
    event.refuse_unknown(&allowed);
    let target = read_target(event, namespace, &fields);
    let tag = match event.raw("tag") {
        Some(_) => read_tag(event, "tag"),
        None => default_tag(event, target.as_deref()),
    };
    let input = event.raw("input").unwrap_or("{}");
    if !input.trim_start().starts_with('{') {
        event.problem("input", format!("must be an object, got {}", describe(input)));
    }
    let retries = event.integer("retries", 0, MAX_RETRIES).unwrap_or(0);
    let allow_fail = event.boolean("allow_fail").unwrap_or(false);
    Some(FeatureEvent {
        tag: tag?,
        namespace: namespace.as_str(),
        target: target?,
        input: input.into(),
        retries: u32::try_from(retries).unwrap_or(0),
        allow_fail,
        cache: event.tag("cache").map(|tag| tag.as_ref().into()),
        returns: event.boolean("return").unwrap_or(false),
    })
}

fn read_type(event: &mut Fields<'_>) -> Option<Namespace> {
    if event.raw("type").is_none() {
        event.problem(
            "type",
            "is missing; it says what the event is: 'action', 'notification', 'storage', 'publish', …",
        );
        return None;
    }
    let name = event.string("type")?;
    let found = EVENT_TYPES.iter().find(|(known, _)| *known == name);
    if found.is_none() {
        let names = EVENT_TYPES.map(|(name, _)| name);
        let message = match nearest(&name, &names) {
            Some(near) => format!("'{}' is not known; did you mean '{near}'?", truncated(&name)),
            None => format!("'{}' is not known; known are {}", truncated(&name), names.join(", ")),
        };
        event.problem("type", message);
    }
    found.map(|(_, namespace)| *namespace)
}

/// Reads the fields of the target. `event` may name both: `'resource:event'`.
fn read_target(event: &mut Fields<'_>, namespace: Namespace, names: &[&str]) -> Option<Vec<Box<str>>> {
    if let [resource, "event"] = names
        && namespace != Namespace::Actions
        && event.raw(resource).is_none()
        && event.raw("event").is_some_and(|text| text.contains(':'))
        && let Some(both) = event.tag("event")
        && let Some((resource, named)) = both.split_once(':')
        && !resource.is_empty()
        && !named.is_empty()
    {
        return Some(vec![resource.into(), named.into()]);
    }
    let mut target = Vec::with_capacity(names.len());
    for name in names {
        if event.raw(name).is_none() {
            event.problem(name, "is missing; it must be a string");
            continue;
        }
        target.extend(event.tag(name).map(|text| Box::from(text.as_ref())));
    }
    (target.len() == names.len()).then_some(target)
}

/// The name of an event without a tag: the last field of its target.
fn default_tag(event: &mut Fields<'_>, target: Option<&[Box<str>]>) -> Option<Box<str>> {
    let name = target?.last()?;
    if name.chars().any(|c| matches!(c, '/' | '{' | '}')) {
        let message = format!(
            "is missing: '{}' holds one of / {{ }} and cannot name the event",
            truncated(name)
        );
        event.problem("tag", message);
        return None;
    }
    Some(name.clone())
}

/// What expressions may refer to at this point.
struct KnownReferences {
    /// Declared inputs; `None`: any.
    inputs: Option<Vec<Box<str>>>,
    /// Events that have ended, by sequence and tag.
    events: Vec<(Box<str>, Box<str>)>,
}

impl KnownReferences {
    /// Parses the expressions of a text and notes problems.
    fn check(&self, fields: &mut Fields<'_>, name: &str, json: &str) {
        if !json.contains('$') {
            return;
        }
        let uses = match expr::check(json, &Limits::default()) {
            Ok(uses) => uses,
            Err(faults) => {
                let root = fields.path(name);
                fields.problems.extend(faults.into_iter().map(|fault| {
                    let inner = fault.problem.path.strip_prefix("input").unwrap_or_default();
                    Problem::new(format!("{root}{inner}"), fault.problem.message)
                }));
                return;
            }
        };
        for path in &uses.inputs {
            let (Some(inputs), Some(first)) = (&self.inputs, path.first()) else {
                continue;
            };
            if !inputs.iter().any(|input| **input == **first) {
                let names: Vec<&str> = inputs.iter().map(|input| &**input).collect();
                let hint = nearest(first, &names).map(|near| format!("; did you mean '{near}'?"));
                let message = format!(
                    "$Input{{{first}}} is not declared in `input`{}",
                    hint.unwrap_or_default()
                );
                fields.problem(name, message);
            }
        }
        for path in &uses.sequences {
            self.check_event(fields, name, path);
        }
    }

    fn check_event(&self, fields: &mut Fields<'_>, name: &str, path: &[String]) {
        let written: String = path.iter().map(|key| format!("{{{key}}}")).collect();
        let written = truncated(&written);
        let [sequence, event, ..] = path else {
            let message = format!(
                "$Sequence{written} must name a sequence and an event of it: $Sequence{{main}}{{charge}}{{id}}"
            );
            fields.problem(name, message);
            return;
        };
        let is_known = self
            .events
            .iter()
            .any(|(tag, name)| **tag == **sequence && **name == **event);
        if !is_known {
            let message = format!("$Sequence{written} refers to no event that has ended before");
            fields.problem(name, message);
        }
    }
}

/// Problems of nested features; call it once all features are known.
pub(super) fn nesting_problems(resources: &Resources) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (product, feature) in resources.features.iter() {
        let mut above = vec![&*feature.tag];
        if let Some(message) = nesting_problem(resources, product, feature, &mut above) {
            problems.push(Problem::new(format!("resources.features.{}", feature.tag), message));
        }
    }
    problems
}

fn nesting_problem<'a>(
    resources: &'a Resources,
    product: &str,
    feature: &'a Feature,
    above: &mut Vec<&'a str>,
) -> Option<String> {
    for (_, event) in feature.events() {
        if event.namespace != Namespace::Features.as_str() {
            continue;
        }
        // A feature that is not declared here may be a handler in code.
        let Some(inner) = event
            .target
            .first()
            .and_then(|tag| resources.features.get(product, tag))
        else {
            continue;
        };
        if above.contains(&&*inner.tag) {
            above.push(&inner.tag);
            return Some(format!("runs itself: {}", above.join(" → ")));
        }
        if above.len() >= MAX_NESTING {
            return Some(format!(
                "has features within features more than {MAX_NESTING} deep: {}",
                above.join(" → ")
            ));
        }
        above.push(&inner.tag);
        let found = nesting_problem(resources, product, inner, above);
        above.pop();
        if found.is_some() {
            return found;
        }
    }
    None
}
