//! Fuzzes what a graph sends: whatever bytes a message holds, reading ends without a panic, and a value that was read is JSON.
#![no_main]

use ductape::graph_fuzzing::json_of;
use libfuzzer_sys::fuzz_target;
use serde_json::value::RawValue;

fuzz_target!(|bytes: &[u8]| {
    if let Some(json) = json_of(bytes) {
        serde_json::from_str::<&RawValue>(&json).unwrap_or_else(|error| panic!("{error}: {json}"));
    }
});
