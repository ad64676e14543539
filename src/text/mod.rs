//! Rules on text that several modules share: JSON objects, percent-encoding, hexadecimal digits, names that were misspelt,
//! characters that nobody sees. Pure.
//!
//! Knows no other module. Invariant: work is linear in the text, or bounded.

pub mod hex;
pub mod json;
pub mod percent;
pub mod spelling;
pub mod visible;
