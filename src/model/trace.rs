//! The trace that a job was dispatched in, as W3C Trace Context writes it.
//!
//! Invariant: a text that was read is a right `traceparent`, alone or with a `tracestate` behind a space, of bounded length and
//! of printable ASCII.

use serde::{Deserialize, Serialize};

/// Bytes that one may have.
pub const MAX_TRACE_BYTES: usize = 1024;
/// Bytes of a `traceparent` of the version that is written.
const PARENT_BYTES: usize = 55;

/// Where in a trace a dispatch was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TraceContext(Box<str>);

impl TraceContext {
    /// Reads `traceparent` or `traceparent tracestate`. A `tracestate` that is too long or wrong is left out, which the
    /// standard allows; without a right `traceparent` there is none.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (parent, state) = match text.split_once(' ') {
            Some((parent, state)) => (parent, state.trim()),
            None => (text, ""),
        };
        if !is_parent(parent) {
            return None;
        }
        let fits = !state.is_empty() && parent.len() + 1 + state.len() <= MAX_TRACE_BYTES;
        let is_printable = state.bytes().all(|byte| matches!(byte, b' '..=b'~'));
        Some(Self(if fits && is_printable {
            format!("{parent} {state}").into()
        } else {
            parent.into()
        }))
    }

    /// Both, with a space between them.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Version, trace, span and flags, of which neither id is all zeros.
fn is_parent(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let [version, trace, span, flags] = parts.as_slice() else {
        return false;
    };
    let is_hex = |text: &str, digits: usize| {
        text.len() == digits && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    let is_id = |text: &str, digits: usize| is_hex(text, digits) && text.bytes().any(|byte| byte != b'0');
    text.len() == PARENT_BYTES
        && is_hex(version, 2)
        && *version != "ff"
        && is_id(trace, 32)
        && is_id(span, 16)
        && is_hex(flags, 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn parsed(text: &str) -> Option<String> {
        TraceContext::parse(text).map(|trace| trace.as_str().to_owned())
    }

    #[test]
    fn a_parent_alone_or_with_a_state_is_read() {
        assert_eq!(parsed(PARENT).as_deref(), Some(PARENT));
        let both = format!("{PARENT} a=1,b=2 3");
        assert_eq!(parsed(&both), Some(both));
    }

    #[test]
    fn what_is_no_parent_is_none() {
        for wrong in [
            "",
            " ",
            "a=1",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-x",
            "00-0af7651916cd43dd8448eb211c80319cb-7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319ü-b7ad6b716920333-01",
        ] {
            assert_eq!(parsed(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_state_that_is_wrong_or_too_long_is_left_out() {
        let longest = "s".repeat(MAX_TRACE_BYTES - PARENT_BYTES - 1);
        assert_eq!(parsed(&format!("{PARENT} {longest}")).unwrap().len(), MAX_TRACE_BYTES);
        for state in [
            format!("{longest}s"),
            "a=\u{7f}".to_owned(),
            "a=ü".to_owned(),
            "a=1\n".to_owned() + "b=2",
        ] {
            assert_eq!(
                parsed(&format!("{PARENT} {state}")).as_deref(),
                Some(PARENT),
                "{state:?}"
            );
        }
    }

    #[test]
    fn options_without_one_are_written_as_before() {
        let options = crate::model::JobOptions::default();
        assert_eq!(serde_json::to_string(&options).unwrap(), "{}");
        let options = crate::model::JobOptions {
            trace: TraceContext::parse(PARENT),
            ..options
        };
        let text = serde_json::to_string(&options).unwrap();
        assert_eq!(text, format!("{{\"trace\":\"{PARENT}\"}}"));
        assert_eq!(
            serde_json::from_str::<crate::model::JobOptions>(&text).unwrap(),
            options
        );
    }
}
