//! The outcome of a whole notification: success, or one failure that describes all channels. Pure.

use super::history::DeliveryOutcome;
use crate::connector::Failure;
use crate::connector::limits::MAX_NAMED_PARTS;
use crate::error::ErrorCode;
use crate::model::RetryPolicy;

/// One part of a channel and its outcome.
#[derive(Clone, Debug)]
pub(super) struct PartOutcome {
    /// Its path in the input, such as `email.recipients[3]`.
    pub place: String,
    /// Its outcome.
    pub outcome: DeliveryOutcome,
}

/// The parts of one channel.
#[derive(Clone, Debug)]
pub(super) struct ChannelOutcome {
    /// Its name in the input.
    pub name: &'static str,
    /// Its parts.
    pub parts: Vec<PartOutcome>,
}

impl ChannelOutcome {
    fn is_sent(&self) -> bool {
        self.parts.iter().all(|part| part.outcome == DeliveryOutcome::Sent)
    }

    /// `email: 2 of 3 failed: …`
    fn describe(&self, policy: &RetryPolicy) -> String {
        let unsent: Vec<&PartOutcome> = self
            .parts
            .iter()
            .filter(|part| part.outcome != DeliveryOutcome::Sent)
            .collect();
        let mut descriptions: Vec<String> = unsent
            .iter()
            .filter(|part| part.outcome != DeliveryOutcome::NotAttempted)
            .take(MAX_NAMED_PARTS)
            .map(|part| part.describe(policy))
            .collect();
        let left = unsent.len() - descriptions.len();
        if left > 0 {
            let untried = unsent
                .iter()
                .filter(|part| part.outcome == DeliveryOutcome::NotAttempted)
                .count();
            descriptions.push(if untried == left {
                format!("{left} more not tried")
            } else {
                format!("{left} more")
            });
        }
        let count = match self.parts.len() {
            1 => String::new(),
            all => format!("{} of {all} failed: ", unsent.len()),
        };
        format!("{}: {count}{}", self.name, descriptions.join(", "))
    }
}

impl PartOutcome {
    fn describe(&self, policy: &RetryPolicy) -> String {
        let place = if self.place.is_empty() {
            String::new()
        } else {
            format!("{}: ", self.place)
        };
        match &self.outcome {
            DeliveryOutcome::Refused(why) => format!("{place}{why} (not retried)"),
            DeliveryOutcome::Failed(failure) if policy.retries_error(&failure.code) => {
                format!("{place}{} (retried)", failure.message)
            }
            DeliveryOutcome::Failed(failure) => format!("{place}{} (not retried)", failure.message),
            DeliveryOutcome::Sent | DeliveryOutcome::NotAttempted => self.place.clone(),
        }
    }
}

/// Combines the outcomes of all channels.
///
/// # Errors
/// When any part of any channel failed. The failure is retryable if any of them is.
pub(super) fn overall_result(channels: &[ChannelOutcome], policy: &RetryPolicy) -> Result<(), Failure> {
    let failed: Vec<&ChannelOutcome> = channels.iter().filter(|channel| !channel.is_sent()).collect();
    if failed.is_empty() {
        return Ok(());
    }
    let failures = || {
        failed
            .iter()
            .flat_map(|channel| &channel.parts)
            .filter_map(|part| match &part.outcome {
                DeliveryOutcome::Failed(failure) => Some(failure),
                _ => None,
            })
    };
    let retried = failures().find(|failure| policy.retries_error(&failure.code));
    let code = retried
        .or_else(|| failures().next())
        .map_or(ErrorCode::ValidationError.as_str(), |failure| &failure.code);
    let descriptions: Vec<String> = failed.iter().map(|channel| channel.describe(policy)).collect();
    let done = channels.len() > failed.len()
        || failed
            .iter()
            .any(|channel| channel.parts.iter().any(|part| part.outcome == DeliveryOutcome::Sent));
    let rest = match (retried.is_some(), done) {
        (true, true) => "; a retry repeats only what is retried",
        (false, true) => "; the rest is sent",
        _ => "",
    };
    let asked = failures()
        .filter(|failure| policy.retries_error(&failure.code))
        .filter_map(|failure| failure.retry_after)
        .max();
    Err(Failure {
        code: code.into(),
        message: format!("{}{rest}", descriptions.join("; ")),
        retry_after: asked,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn channel(name: &'static str, outcomes: Vec<DeliveryOutcome>) -> ChannelOutcome {
        let several = outcomes.len() > 1;
        let part = |(index, outcome)| PartOutcome {
            place: if several {
                format!("recipients[{index}]")
            } else {
                String::new()
            },
            outcome,
        };
        ChannelOutcome {
            name,
            parts: outcomes.into_iter().enumerate().map(part).collect(),
        }
    }

    fn judged(channels: &[ChannelOutcome]) -> (String, String) {
        let failure = overall_result(channels, &RetryPolicy::default()).unwrap_err();
        (failure.code.into(), failure.message)
    }

    #[test]
    fn notification_succeeds_only_if_all_parts_were_sent() {
        let done = channel("email", vec![DeliveryOutcome::Sent, DeliveryOutcome::Sent]);
        assert_eq!(
            overall_result(
                &[done.clone(), channel("callback", vec![DeliveryOutcome::Sent])],
                &RetryPolicy::default()
            ),
            Ok(())
        );
        let failed = channel(
            "callback",
            vec![DeliveryOutcome::Failed(Failure::not_found("HTTP 404"))],
        );
        let expected = "callback: HTTP 404 (not retried); the rest is sent";
        assert_eq!(judged(&[done, failed]), ("NOT_FOUND".into(), expected.into()));
    }

    #[test]
    fn retryable_failure_takes_precedence() {
        let mixed = channel(
            "email",
            vec![
                DeliveryOutcome::Refused("550 no".into()),
                DeliveryOutcome::Failed(Failure::unauthorized("wrong password")),
                DeliveryOutcome::Failed(Failure::unavailable("451 later")),
                DeliveryOutcome::NotAttempted,
            ],
        );
        let expected = "email: 4 of 4 failed: recipients[0]: 550 no (not retried), recipients[1]: wrong password (not \
                        retried), recipients[2]: 451 later (retried), 1 more not tried";
        assert_eq!(judged(&[mixed]), ("SERVICE_UNAVAILABLE".into(), expected.into()));
    }

    #[test]
    fn permanent_refusal_is_not_retried() {
        let refused = channel(
            "email",
            vec![DeliveryOutcome::Refused("550 no".into()), DeliveryOutcome::Sent],
        );
        let (code, message) = judged(&[refused]);
        assert_eq!(code, "VALIDATION_ERROR");
        assert_eq!(
            message,
            "email: 1 of 2 failed: recipients[0]: 550 no (not retried); the rest is sent"
        );
    }

    #[test]
    fn failure_message_is_bounded_and_longest_retry_delay_wins() {
        let later = |ms| {
            DeliveryOutcome::Failed(Failure {
                retry_after: Some(ms),
                ..Failure::unavailable("later")
            })
        };
        let many = channel("email", (0..1_000).map(later).collect());
        let failure = overall_result(&[many], &RetryPolicy::default()).unwrap_err();
        assert_eq!(failure.retry_after, Some(999));
        assert!(failure.message.len() < 400 && failure.message.contains("995 more"));
    }

    #[test]
    fn job_retry_policy_decides_which_codes_are_retried() {
        let policy = RetryPolicy {
            retryable_errors: Some(vec!["NOT_FOUND".into()]),
            ..RetryPolicy::default()
        };
        let failed = channel(
            "callback",
            vec![DeliveryOutcome::Failed(Failure::not_found("HTTP 404"))],
        );
        assert!(
            overall_result(&[failed], &policy)
                .unwrap_err()
                .message
                .contains("(retried)")
        );
    }
}
