//! What is told of jobs within this process: to listeners of events, and to callers that wait for a job.

pub mod announcer;
pub mod completion_events;
pub mod job_watchers;
pub mod public_event;
pub mod scheduled_events;
pub mod shown_error;
