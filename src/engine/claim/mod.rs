//! Which runs this process takes, and when: routes it serves, occurrences that are due, runs claimed ahead of a slot.

mod all_series;
pub mod claimer;
pub mod clock_jumps;
pub mod description;
mod direct;
pub mod gate;
pub mod incomputable;
mod pattern;
pub mod prefetch;
pub mod recurrence;
mod registrations;
pub mod round;
pub mod routes;
pub mod routing;
pub mod series_changes;
pub mod suspects;
pub mod timetable;
pub mod timezones;
mod worker_filter;
