//! Results of the events of a run, as `$Sequence{…}` sees them.

use crate::resources::Feature;
use std::fmt::Write;

/// Results so far, by sequence and event in the order of the feature.
pub(super) struct Results(Vec<(Box<str>, Vec<EventResult>)>);

struct EventResult {
    tag: Box<str>,
    /// `None`: it has not ended.
    result: Option<Option<Box<str>>>,
}

impl Results {
    /// None has ended.
    pub(super) fn of(feature: &Feature) -> Self {
        let events = |sequence: &crate::resources::FeatureSequence| {
            let tags = sequence.events.iter().map(|event| event.tag.clone());
            tags.map(|tag| EventResult { tag, result: None }).collect()
        };
        let sequences = feature.sequence.iter();
        Self(
            sequences
                .map(|sequence| (sequence.tag.clone(), events(sequence)))
                .collect(),
        )
    }

    /// An event has ended with this result, by its place.
    pub(super) fn set(&mut self, (sequence, event): (usize, usize), result: Option<Box<str>>) {
        let found = self.0.get_mut(sequence).and_then(|(_, events)| events.get_mut(event));
        if let Some(found) = found {
            found.result = Some(result);
        }
    }

    /// What the feature yields if it says nothing else: the result of the last event that is to be returned, else of the last one.
    pub(super) fn returned(self, feature: &Feature) -> Option<Box<str>> {
        let returns: Vec<bool> = feature.events().map(|(_, event)| event.returns).collect();
        let all: Vec<EventResult> = self.0.into_iter().flat_map(|(_, events)| events).collect();
        let wanted = returns
            .iter()
            .rposition(|returns| *returns)
            .unwrap_or(all.len().saturating_sub(1));
        all.into_iter().nth(wanted)?.result?
    }

    /// The JSON of what has ended.
    pub(super) fn text(&self) -> String {
        let mut text = String::from("{");
        for (tag, events) in &self.0 {
            let mut opened = false;
            for EventResult { tag: event, result } in events {
                let Some(result) = result else { continue };
                if opened {
                    text.push(',');
                } else {
                    let between = if text.len() > 1 { "," } else { "" };
                    // Writing to a String cannot fail.
                    let _ = write!(text, "{between}{}:{{", json_string(tag));
                    opened = true;
                }
                let _ = write!(text, "{}:{}", json_string(event), result.as_deref().unwrap_or("null"));
            }
            if opened {
                text.push('}');
            }
        }
        text.push('}');
        text
    }
}

fn json_string(text: &str) -> String {
    serde_json::to_string(text).unwrap_or_default()
}
