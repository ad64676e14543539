//! What a notification came to: its result, or one failure that tells of all channels. Pure.

use super::memory::Fate;
use crate::connector::Failure;
use crate::error::ErrorCode;
use crate::model::RetryPolicy;

/// Parts of one channel that a message names; the rest is counted.
const NAMED: usize = 5;

/// One part of a channel and what became of it.
#[derive(Clone, Debug)]
pub(super) struct Part {
    /// Where in the input it is, as in `email.recipients[3]`.
    pub place: String,
    /// What became of it.
    pub fate: Fate,
}

/// The parts of one channel.
#[derive(Clone, Debug)]
pub(super) struct Channel {
    /// Its name in the input.
    pub name: &'static str,
    /// Its parts.
    pub parts: Vec<Part>,
}

impl Channel {
    fn is_done(&self) -> bool {
        self.parts.iter().all(|part| part.fate == Fate::Done)
    }

    /// `email: 2 of 3 failed: …`
    fn told(&self, policy: &RetryPolicy) -> String {
        let missed: Vec<&Part> = self.parts.iter().filter(|part| part.fate != Fate::Done).collect();
        let mut told: Vec<String> = missed
            .iter()
            .filter(|part| part.fate != Fate::Untried)
            .take(NAMED)
            .map(|part| part.told(policy))
            .collect();
        let left = missed.len() - told.len();
        if left > 0 {
            let untried = missed.iter().filter(|part| part.fate == Fate::Untried).count();
            told.push(if untried == left {
                format!("{left} more not tried")
            } else {
                format!("{left} more")
            });
        }
        let count = match self.parts.len() {
            1 => String::new(),
            all => format!("{} of {all} failed: ", missed.len()),
        };
        format!("{}: {count}{}", self.name, told.join(", "))
    }
}

impl Part {
    fn told(&self, policy: &RetryPolicy) -> String {
        let place = if self.place.is_empty() {
            String::new()
        } else {
            format!("{}: ", self.place)
        };
        match &self.fate {
            Fate::Refused(why) => format!("{place}{why} (not retried)"),
            Fate::Failed(failure) if policy.retries_error(&failure.code) => {
                format!("{place}{} (retried)", failure.message)
            }
            Fate::Failed(failure) => format!("{place}{} (not retried)", failure.message),
            Fate::Done | Fate::Untried => self.place.clone(),
        }
    }
}

/// Succeeds when all parts of all channels did. The failure is one that is retried if any is.
///
/// # Errors
/// See above.
pub(super) fn judge(channels: &[Channel], policy: &RetryPolicy) -> Result<(), Failure> {
    let failed: Vec<&Channel> = channels.iter().filter(|channel| !channel.is_done()).collect();
    if failed.is_empty() {
        return Ok(());
    }
    let failures = || {
        failed
            .iter()
            .flat_map(|channel| &channel.parts)
            .filter_map(|part| match &part.fate {
                Fate::Failed(failure) => Some(failure),
                _ => None,
            })
    };
    let retried = failures().find(|failure| policy.retries_error(&failure.code));
    let code = retried
        .or_else(|| failures().next())
        .map_or(ErrorCode::ValidationError.as_str(), |failure| &failure.code);
    let told: Vec<String> = failed.iter().map(|channel| channel.told(policy)).collect();
    let done = channels.len() > failed.len()
        || failed
            .iter()
            .any(|channel| channel.parts.iter().any(|part| part.fate == Fate::Done));
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
        message: format!("{}{rest}", told.join("; ")),
        retry_after: asked,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn channel(name: &'static str, fates: Vec<Fate>) -> Channel {
        let several = fates.len() > 1;
        let part = |(index, fate)| Part {
            place: if several {
                format!("recipients[{index}]")
            } else {
                String::new()
            },
            fate,
        };
        Channel {
            name,
            parts: fates.into_iter().enumerate().map(part).collect(),
        }
    }

    fn judged(channels: &[Channel]) -> (String, String) {
        let failure = judge(channels, &RetryPolicy::default()).unwrap_err();
        (failure.code.into(), failure.message)
    }

    #[test]
    fn all_parts_must_be_done() {
        let done = channel("email", vec![Fate::Done, Fate::Done]);
        assert_eq!(
            judge(
                &[done.clone(), channel("callback", vec![Fate::Done])],
                &RetryPolicy::default()
            ),
            Ok(())
        );
        let failed = channel("callback", vec![Fate::Failed(Failure::not_found("HTTP 404"))]);
        let expected = "callback: HTTP 404 (not retried); the rest is sent";
        assert_eq!(judged(&[done, failed]), ("NOT_FOUND".into(), expected.into()));
    }

    #[test]
    fn a_failure_that_is_retried_goes_before_one_that_is_not() {
        let mixed = channel(
            "email",
            vec![
                Fate::Refused("550 no".into()),
                Fate::Failed(Failure::unauthorized("wrong password")),
                Fate::Failed(Failure::unavailable("451 later")),
                Fate::Untried,
            ],
        );
        let expected = "email: 4 of 4 failed: recipients[0]: 550 no (not retried), recipients[1]: wrong password (not \
                        retried), recipients[2]: 451 later (retried), 1 more not tried";
        assert_eq!(judged(&[mixed]), ("SERVICE_UNAVAILABLE".into(), expected.into()));
    }

    #[test]
    fn what_is_refused_for_good_is_no_reason_to_retry() {
        let refused = channel("email", vec![Fate::Refused("550 no".into()), Fate::Done]);
        let (code, message) = judged(&[refused]);
        assert_eq!(code, "VALIDATION_ERROR");
        assert_eq!(
            message,
            "email: 1 of 2 failed: recipients[0]: 550 no (not retried); the rest is sent"
        );
    }

    #[test]
    fn the_message_is_bounded_and_the_longest_delay_is_asked_for() {
        let later = |ms| {
            Fate::Failed(Failure {
                retry_after: Some(ms),
                ..Failure::unavailable("later")
            })
        };
        let many = channel("email", (0..1_000).map(later).collect());
        let failure = judge(&[many], &RetryPolicy::default()).unwrap_err();
        assert_eq!(failure.retry_after, Some(999));
        assert!(failure.message.len() < 400 && failure.message.contains("995 more"));
    }

    #[test]
    fn the_jobs_own_list_of_codes_says_what_is_retried() {
        let policy = RetryPolicy {
            retryable_errors: Some(vec!["NOT_FOUND".into()]),
            ..RetryPolicy::default()
        };
        let failed = channel("callback", vec![Fate::Failed(Failure::not_found("HTTP 404"))]);
        assert!(judge(&[failed], &policy).unwrap_err().message.contains("(retried)"));
    }
}
