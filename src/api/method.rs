//! The methods that JavaScript calls by name, and their arguments.
//!
//! Invariant: a name that is not in the table is an error, whatever it begins with.

use crate::error::{Error, ErrorCode, Problem, Result};
use crate::model::Action;
use serde_json::value::RawValue;
use std::str::FromStr;

/// A method of an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// `start()`
    Start,
    /// `drain(options)`
    Drain,
    /// `close(options)`
    Close,
    /// `backup(path)`
    Backup,
    /// `health(options)`
    Health,
    /// `metrics(options)`
    OpenMetrics,
    /// `restore(options)`
    Restore,
    /// `move(options)`
    Move,
    /// `moveProgress()`
    MoveProgress,
    /// `stopWork()`: what a signal does before the end
    StopWork,
    /// `statement(namespace, input)`
    Statement,
    /// What is wrong with a list of dispatches that JSON cannot hold as it is: for the package's JavaScript
    Refusal,
    /// `resources.check(options)`
    CheckResources,
    /// Looks at jobs, or at webhooks.
    Jobs(JobsMethod),
    /// Changes the job of an id.
    Change(Action),
    /// Changes the jobs that a filter admits.
    ChangeMany(Action),
    /// Moves the manual clock.
    Clock(ClockMethod),
    /// `ductape.sessions`
    Sessions(SessionsMethod),
    /// `ductape.caches`
    Caches(CachesMethod),
    /// Steps of an attempt: for the package's JavaScript, not for its users.
    Steps(StepsMethod),
}

/// A method of `ductape.jobs` that changes no job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobsMethod {
    Get,
    List,
    Stats,
    Metrics,
    Processes,
    Steps,
    Targets,
    Audit,
    AddAudit,
    History,
    Explain,
    Logs,
    Wait,
    Preview,
    SetWebhook,
    ListWebhooks,
    DeleteWebhook,
}

/// A method of `ductape.clock`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClockMethod {
    Advance,
    Set,
}

/// A method of `ductape.sessions`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionsMethod {
    Start,
    Verify,
    Refresh,
    Revoke,
}

/// A method of `ductape.caches`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CachesMethod {
    Get,
    Set,
    Clear,
    ClearAll,
}

/// What JavaScript asks about the steps of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepsMethod {
    Recall,
    Record,
    Undo,
    Forget,
}

/// Every method by the name JavaScript has for it.
const METHODS: [(&str, Method); 58] = [
    ("start", Method::Start),
    ("drain", Method::Drain),
    ("close", Method::Close),
    ("stopWork", Method::StopWork),
    ("backup", Method::Backup),
    ("health", Method::Health),
    ("metrics", Method::OpenMetrics),
    ("restore", Method::Restore),
    ("move", Method::Move),
    ("moveProgress", Method::MoveProgress),
    ("statement", Method::Statement),
    ("refusal", Method::Refusal),
    ("resources.check", Method::CheckResources),
    ("jobs.get", Method::Jobs(JobsMethod::Get)),
    ("jobs.list", Method::Jobs(JobsMethod::List)),
    ("jobs.getStats", Method::Jobs(JobsMethod::Stats)),
    ("jobs.metrics", Method::Jobs(JobsMethod::Metrics)),
    ("jobs.processes", Method::Jobs(JobsMethod::Processes)),
    // For the package's JavaScript, which knows what the tags mean.
    ("jobs.steps", Method::Jobs(JobsMethod::Steps)),
    ("jobs.targets", Method::Jobs(JobsMethod::Targets)),
    ("jobs.audit", Method::Jobs(JobsMethod::Audit)),
    // For the package's JavaScript.
    ("audit.add", Method::Jobs(JobsMethod::AddAudit)),
    ("jobs.getHistory", Method::Jobs(JobsMethod::History)),
    ("jobs.explain", Method::Jobs(JobsMethod::Explain)),
    ("jobs.logs", Method::Jobs(JobsMethod::Logs)),
    ("jobs.wait", Method::Jobs(JobsMethod::Wait)),
    ("jobs.preview", Method::Jobs(JobsMethod::Preview)),
    ("jobs.setWebhook", Method::Jobs(JobsMethod::SetWebhook)),
    ("jobs.listWebhooks", Method::Jobs(JobsMethod::ListWebhooks)),
    ("jobs.deleteWebhook", Method::Jobs(JobsMethod::DeleteWebhook)),
    ("jobs.cancel", Method::Change(Action::Cancel)),
    ("jobs.cancelRun", Method::Change(Action::CancelRun)),
    ("jobs.pause", Method::Change(Action::Pause)),
    ("jobs.resume", Method::Change(Action::Resume)),
    ("jobs.reschedule", Method::Change(Action::Reschedule)),
    ("jobs.retry", Method::Change(Action::Retry)),
    ("jobs.runNow", Method::Change(Action::RunNow)),
    ("jobs.skipNext", Method::Change(Action::SkipNext)),
    ("jobs.delete", Method::Change(Action::Delete)),
    ("jobs.cancelMany", Method::ChangeMany(Action::Cancel)),
    ("jobs.pauseMany", Method::ChangeMany(Action::Pause)),
    ("jobs.resumeMany", Method::ChangeMany(Action::Resume)),
    ("jobs.retryMany", Method::ChangeMany(Action::Retry)),
    ("jobs.deleteMany", Method::ChangeMany(Action::Delete)),
    ("clock.advance", Method::Clock(ClockMethod::Advance)),
    ("clock.set", Method::Clock(ClockMethod::Set)),
    ("sessions.start", Method::Sessions(SessionsMethod::Start)),
    ("sessions.verify", Method::Sessions(SessionsMethod::Verify)),
    ("sessions.refresh", Method::Sessions(SessionsMethod::Refresh)),
    ("sessions.revoke", Method::Sessions(SessionsMethod::Revoke)),
    ("caches.get", Method::Caches(CachesMethod::Get)),
    ("caches.set", Method::Caches(CachesMethod::Set)),
    ("caches.clear", Method::Caches(CachesMethod::Clear)),
    ("caches.clearAll", Method::Caches(CachesMethod::ClearAll)),
    ("steps.recall", Method::Steps(StepsMethod::Recall)),
    ("steps.record", Method::Steps(StepsMethod::Record)),
    ("steps.undo", Method::Steps(StepsMethod::Undo)),
    ("steps.forget", Method::Steps(StepsMethod::Forget)),
];

impl FromStr for Method {
    type Err = Error;

    /// The method of that name.
    ///
    /// # Errors
    /// `NOT_FOUND`.
    fn from_str(name: &str) -> Result<Self> {
        let found = METHODS.iter().find(|(known, _)| *known == name);
        found
            .map(|(_, method)| *method)
            .ok_or_else(|| Error::new(ErrorCode::NotFound, format!("there is no method {name}")))
    }
}

/// The arguments of a call, each of them unread JSON.
#[derive(Debug)]
pub(super) struct Arguments<'a>(Vec<&'a RawValue>);

impl<'a> Arguments<'a> {
    /// Reads the JSON list of the arguments.
    pub(super) fn read(text: &'a str) -> Result<Self> {
        let list = serde_json::from_str(text).map_err(|_| Problem::new("", "arguments must be a list"))?;
        Ok(Self(list))
    }

    /// The JSON of an argument; `null` when it is not given.
    pub(super) fn json(&self, index: usize) -> &'a str {
        self.0.get(index).map_or("null", |raw| raw.get())
    }

    /// The JSON of an object of options; `{}` when it is not given.
    pub(super) fn options(&self, index: usize) -> &'a str {
        match self.json(index) {
            "null" => "{}",
            text => text,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::path::Path;

    /// What stands in quotes in the JavaScript of the package.
    fn quoted_in_javascript() -> BTreeSet<String> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let folders = [root.to_owned(), root.join("lib"), root.join("lib/dashboard")];
        let entries = folders
            .iter()
            .filter_map(|folder| std::fs::read_dir(folder).ok())
            .flatten();
        let paths = entries.map(|entry| entry.unwrap().path());
        let scripts = paths.filter(|path| path.extension().is_some_and(|extension| extension == "js"));
        let mut quoted = BTreeSet::new();
        for script in scripts.filter(|path| !path.ends_with("native.js")) {
            let text = std::fs::read_to_string(script).unwrap();
            for line in text.lines() {
                quoted.extend(line.split('\'').skip(1).step_by(2).map(str::to_owned));
            }
        }
        quoted
    }

    #[test]
    fn every_method_that_javascript_names_is_known() {
        let groups = ["jobs.", "clock.", "sessions.", "caches.", "steps.", "resources."];
        let quoted = quoted_in_javascript();
        let named = quoted.iter().filter(|name| {
            groups.iter().any(|group| {
                name.strip_prefix(group)
                    .is_some_and(|rest| rest.chars().all(char::is_alphabetic))
            })
        });
        let named: Vec<&String> = named.collect();
        assert!(named.len() > 30, "{named:?}");
        for name in named {
            assert!(name.parse::<Method>().is_ok(), "{name}");
        }
    }

    #[test]
    fn every_method_is_named_by_javascript() {
        let quoted = quoted_in_javascript();
        for (name, _) in METHODS {
            assert!(quoted.contains(name), "{name}");
        }
    }

    #[test]
    fn unknown_names_are_refused() {
        for name in [
            "",
            "jobs",
            "jobs.",
            "jobs.none",
            "steps.none",
            "sessions.none",
            "caches.none",
            "clock.none",
            "jobs.cancelRunMany",
            "jobs.rescheduleMany",
            "Close",
            "close ",
        ] {
            let error = name.parse::<Method>().unwrap_err();
            assert_eq!(error.code, ErrorCode::NotFound, "{name}");
            assert_eq!(error.message, format!("there is no method {name}"));
        }
    }
}
