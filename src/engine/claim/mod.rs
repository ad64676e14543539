//! Which runs this process takes, and when: routes it serves, occurrences that are due, runs claimed ahead of a slot.

pub mod claimer;
pub mod gate;
pub mod prefetch;
pub mod recurrence;
pub mod routes;
pub mod routing;
pub mod timezones;
