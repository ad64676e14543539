//! What a NATS server says beside its answers: which rights a user lacks, and that the connection has ended.

use crate::connector::Failure;
use async_nats::{Event, ServerError};
use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// How long what was refused is not tried again.
const FORBIDDEN_FOR: Duration = Duration::from_secs(2);
/// Subjects of which it is known that they may be published to.
const MAX_REMEMBERED_SUBJECTS: usize = 1_000;

/// What the server says beside answers.
#[derive(Default)]
pub(super) struct ServerNotices {
    notice_state: Mutex<NoticeState>,
    changed: Notify,
    /// How subjects of answers begin, in lower case.
    inbox_prefix: String,
}

/// Something that the server has refused.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Violation {
    /// Else it was a subscription.
    is_publish: bool,
    /// In lower case, as the client tells it.
    subject: String,
}

impl Violation {
    /// Reads `Permissions Violation for Publish to "subject"`, and the same for `Subscription`.
    fn read(text: &str) -> Option<Self> {
        let text = text.to_lowercase();
        let (_, what) = text.split_once("permissions violation for ")?;
        let (kind, subject) = what.split_once(" to \"")?;
        let (subject, _) = subject.rsplit_once('"')?;
        Some(Self {
            is_publish: kind == "publish",
            subject: subject.to_owned(),
        })
    }
}

#[derive(Default)]
struct NoticeState {
    /// What may not be done, and when the server said so: rights may be given later.
    forbidden: HashMap<Violation, Instant>,
    /// Subjects that were published to without such words.
    allowed: HashSet<String>,
    is_closed: bool,
}

impl ServerNotices {
    /// Nothing was said yet. `inbox_prefix`: how subjects of answers begin.
    pub(super) fn new(inbox_prefix: &str) -> Self {
        Self {
            inbox_prefix: inbox_prefix.to_lowercase(),
            ..Self::default()
        }
    }

    /// Whether the connection has ended.
    pub(super) fn is_closed(&self) -> bool {
        self.notice_state().is_closed
    }

    /// The connection is to be used no more.
    pub(super) fn close(&self) {
        self.notice_state().is_closed = true;
    }

    fn notice_state(&self) -> MutexGuard<'_, NoticeState> {
        self.notice_state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn handle_event(&self, event: &Event) {
        match event {
            Event::ServerError(ServerError::Other(text)) => {
                let Some(violation) = Violation::read(text) else { return };
                let mut notice_state = self.notice_state();
                if notice_state.forbidden.len() >= MAX_REMEMBERED_SUBJECTS {
                    notice_state.forbidden.clear();
                }
                notice_state.allowed.remove(&violation.subject);
                notice_state.forbidden.insert(violation, Instant::now());
            }
            Event::Disconnected | Event::Closed => self.notice_state().is_closed = true,
            _ => return,
        }
        self.changed.notify_waiters();
    }

    /// What was said against publishing to this subject, or against hearing of the answer.
    pub(super) fn permission_failure(&self, subject: &str) -> Option<Failure> {
        let mut notice_state = self.notice_state();
        notice_state.forbidden.retain(|_, said| said.elapsed() < FORBIDDEN_FOR);
        let asked = Violation {
            is_publish: true,
            subject: subject.to_lowercase(),
        };
        if notice_state.forbidden.contains_key(&asked) {
            return Some(Failure::forbidden(format!("the user may not publish to '{subject}'")));
        }
        // Only answers are subscribed to, and only questions after messages are published to inboxes.
        let mut others = notice_state.forbidden.keys();
        let inbox = others.any(|violation| !violation.is_publish || violation.subject.starts_with(&self.inbox_prefix));
        inbox.then(|| {
            Failure::forbidden(
                "the user may not use the subjects that acknowledgements arrive on; allow it to publish and subscribe to `_INBOX.>`, or set `inboxPrefix`",
            )
        })
    }

    /// Ends when there is an objection.
    pub(super) async fn permission_denied(&self, subject: &str) -> Failure {
        loop {
            let changed = self.changed.notified();
            if let Some(failure) = self.permission_failure(subject) {
                return failure;
            }
            changed.await;
        }
    }

    pub(super) fn is_allowed(&self, subject: &str) -> bool {
        self.notice_state().allowed.contains(&subject.to_lowercase())
    }

    pub(super) fn mark_allowed(&self, subject: &str) {
        let mut notice_state = self.notice_state();
        if notice_state.allowed.len() >= MAX_REMEMBERED_SUBJECTS {
            notice_state.allowed.clear();
        }
        notice_state.allowed.insert(subject.to_lowercase());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_read_from_the_server_s_words() {
        let read = |text: &str| Violation::read(text).map(|violation| (violation.is_publish, violation.subject));
        for (text, expected) in [
            (
                "Permissions Violation for Publish to \"orders.Subscription\"",
                Some((true, "orders.subscription")),
            ),
            (
                "permissions violation for subscription to \"_inbox.x.*\"",
                Some((false, "_inbox.x.*")),
            ),
            ("maximum payload exceeded", None),
            ("permissions violation", None),
        ] {
            assert_eq!(
                read(text),
                expected.map(|(kind, subject)| (kind, subject.to_owned())),
                "{text}"
            );
        }
    }

    #[test]
    fn what_was_refused_is_about_its_subject_and_is_forgotten() {
        let notices = ServerNotices::new("_INBOX");
        let say = |text: &str| notices.handle_event(&Event::ServerError(ServerError::Other(text.to_owned())));
        notices.mark_allowed("orders.subscription");
        say("permissions violation for publish to \"orders.subscription\"");
        assert!(notices.permission_failure("orders.subscription").is_some());
        assert!(!notices.is_allowed("orders.subscription"));
        assert_eq!(notices.permission_failure("orders"), None);
        assert_eq!(notices.permission_failure(""), None);
        let long_ago = Instant::now().checked_sub(FORBIDDEN_FOR).unwrap();
        notices
            .notice_state()
            .forbidden
            .values_mut()
            .for_each(|said| *said = long_ago);
        assert_eq!(notices.permission_failure("orders.subscription"), None);
        say("permissions violation for publish to \"_inbox.abc\"");
        assert!(
            notices
                .permission_failure("orders")
                .unwrap()
                .message
                .contains("acknowledgements")
        );
    }
}
