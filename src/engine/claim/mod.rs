//! Which runs this process takes, and when: routes it serves, occurrences that are due, runs claimed ahead of a slot.

pub mod claimer;
pub mod gate;
mod pattern;
pub mod prefetch;
pub mod recurrence;
mod registrations;
pub mod routes;
pub mod routing;
pub mod suspects;
pub mod timetable;
pub mod timezones;
