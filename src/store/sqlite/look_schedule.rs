//! When to look for commits of other processes, given signs of them.
//!
//! A sign comes when a commit is written, which is before it can be seen: so a look is followed by others. Pure; knows no file.
//! Invariants: looks that find nothing become rarer and end; however many commits there are, those that are of no use to this process
//! do not wake it more often than [`MAX_REST`].

use std::time::{Duration, Instant};

/// Until the second look after a sign: about as long as a small commit takes that is not synced.
const FIRST_PAUSE: Duration = Duration::from_micros(100);
/// Longest time from a sign to a look, and from one commit that was found to the next look.
pub(super) const MAX_REST: Duration = Duration::from_millis(20);
/// The same while this process writes between them: it had use for what it found.
const MAX_USEFUL_REST: Duration = Duration::from_millis(1);
/// For so long after the last sign there are looks.
const WATCH_TIME: Duration = Duration::from_secs(1);
/// How much longer each pause is than the one before: while a commit is awaited, and once one has been found. What is waited for then
/// is one that was written at the same time.
const AWAITED_FACTOR: u32 = 2;
const FOUND_FACTOR: u32 = 4;

/// What the looks of one process go by.
#[derive(Debug, Default)]
pub(super) struct LookSchedule {
    /// A sign has come since the last look.
    signed: bool,
    last_sign: Option<Instant>,
    /// The sign is that of a commit which has not been found so far.
    awaited: bool,
    /// No sign is a reason to look before.
    rests_until: Option<Instant>,
    rest: Duration,
    /// The next look without a sign, and how long after the one before it comes.
    next: Option<(Instant, Duration)>,
}

impl LookSchedule {
    /// Something was written.
    pub(super) fn sign(&mut self, now: Instant) {
        self.signed = true;
        self.last_sign = Some(now);
    }

    /// There is a commit that can be seen: nothing is to be waited for.
    pub(super) fn look_soon(&mut self, now: Instant) {
        let at = self.rests_until.map_or(now, |until| until.max(now));
        self.next = Some((at, FIRST_PAUSE));
    }

    /// Whether the next sign is a reason to look at once.
    pub(super) fn listens(&self, now: Instant) -> bool {
        !self.awaited && self.rests_until.is_none_or(|until| until <= now)
    }

    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.signed && self.listens(now) || self.next.is_some_and(|(at, _)| at <= now)
    }

    /// The time until the next look, if there is no sign before. `None`: none is due.
    pub(super) fn time_left(&self, now: Instant) -> Option<Duration> {
        if self.is_due(now) {
            return Some(Duration::ZERO);
        }
        self.next.map(|(at, _)| at.saturating_duration_since(now))
    }

    /// There was a look, which `found` a commit or none. `useful`: since the last commit that was found this process has written itself.
    pub(super) fn looked(&mut self, now: Instant, found: bool, useful: bool) {
        let signed = std::mem::take(&mut self.signed);
        if found {
            let was_quiet = is_past(self.rests_until, MAX_REST, now);
            let most = if useful { MAX_USEFUL_REST } else { MAX_REST };
            self.rest = if was_quiet {
                FIRST_PAUSE
            } else {
                (self.rest * 2).min(most)
            };
            self.awaited = false;
            self.rests_until = Some(now + self.rest);
            self.next = Some((now + self.rest, self.rest));
        } else if signed && !self.awaited {
            self.awaited = true;
            self.next = Some((now + FIRST_PAUSE, FIRST_PAUSE));
        } else {
            let (factor, most) = if self.awaited {
                (AWAITED_FACTOR, MAX_REST)
            } else {
                (FOUND_FACTOR, WATCH_TIME)
            };
            self.awaited &= !is_past(self.last_sign, WATCH_TIME, now);
            let pause = self.next.map(|(_, pause)| (pause * factor).min(most));
            self.next = pause
                .filter(|_| !is_past(self.last_sign, WATCH_TIME, now))
                .map(|pause| (now + pause, pause));
        }
    }
}

/// Whether it was so long ago, or never.
fn is_past(then: Option<Instant>, time: Duration, now: Instant) -> bool {
    then.is_none_or(|then| now.duration_since(then) >= time)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// Looks from `start` on until none is due or `until` is over, with a sign every `signs`; a look finds a commit when a sign is
    /// `visible_after` old that no look has found. Returns the times of the looks, and of those that found something.
    fn simulate(
        schedule: &mut LookSchedule,
        until: Duration,
        signs: Option<Duration>,
        visible_after: Option<Duration>,
        useful: bool,
    ) -> (Vec<Duration>, Vec<Duration>) {
        let start = Instant::now();
        let (mut looks, mut found) = (Vec::new(), Vec::new());
        let (mut now, mut next_sign) = (start, Some(start));
        let mut unseen: Vec<Instant> = Vec::new();
        loop {
            while let Some(sign) = next_sign.filter(|sign| *sign <= now) {
                schedule.sign(sign);
                unseen.push(sign);
                next_sign = signs.map(|pause| sign + pause);
            }
            if schedule.is_due(now) {
                let seen = unseen
                    .iter()
                    .filter(|sign| visible_after.is_some_and(|time| **sign + time <= now));
                let finds = seen.count();
                unseen.drain(..finds);
                looks.push(now - start);
                found.extend((finds > 0).then_some(now - start));
                schedule.looked(now, finds > 0, useful);
            }
            let timer = schedule.time_left(now).map(|left| now + left);
            let sign = next_sign.map(|sign| if schedule.listens(sign) { sign } else { sign.max(now) });
            let Some(then) = timer.into_iter().chain(sign).min() else {
                break;
            };
            if then > start + until {
                break;
            }
            now = then.max(now + Duration::from_micros(10));
        }
        (looks, found)
    }

    #[test]
    fn a_lone_commit_is_found_within_twice_the_time_it_takes() {
        for micros in [50, 300, 2_000, 15_000] {
            let visible = Duration::from_micros(micros);
            let (looks, found) = simulate(&mut LookSchedule::default(), 10_000 * MS, None, Some(visible), false);
            assert_eq!(looks[0], Duration::ZERO);
            assert!(
                found[0] <= (visible * 2).max(FIRST_PAUSE),
                "{found:?} after {micros} µs"
            );
            assert!(looks.len() < 20, "{looks:?}");
            assert!(*looks.last().unwrap() < 3_000 * MS, "looks end");
        }
    }

    #[test]
    fn a_slow_commit_is_looked_for_as_long_as_it_takes() {
        let (_, found) = simulate(&mut LookSchedule::default(), 10_000 * MS, None, Some(700 * MS), false);
        assert!(found[0] <= 700 * MS + MAX_REST, "{found:?}");
    }

    #[test]
    fn a_sign_of_nothing_costs_a_bounded_number_of_looks() {
        let mut schedule = LookSchedule::default();
        let (looks, _) = simulate(&mut schedule, 10_000 * MS, None, None, false);
        assert!(looks.len() < 65, "{}", looks.len());
        assert!(schedule.time_left(Instant::now()).is_none(), "quiet again");
    }

    #[test]
    fn commits_that_are_of_no_use_wake_as_seldom_as_a_poll() {
        for gap in [Duration::from_micros(20), Duration::from_micros(130), 3 * MS] {
            let (looks, _) = simulate(&mut LookSchedule::default(), 1_000 * MS, Some(gap), Some(gap), false);
            assert!(looks.len() < 150, "{} looks in a second", looks.len());
        }
    }

    #[test]
    fn commits_with_work_for_this_process_are_found_within_milliseconds() {
        let gap = 3 * MS;
        let visible = Duration::from_micros(80);
        let (looks, found) = simulate(&mut LookSchedule::default(), 1_000 * MS, Some(gap), Some(visible), true);
        assert!(found.len() > 300, "{} of 333", found.len());
        assert!(looks.len() < 1_500, "{}", looks.len());
    }

    #[test]
    fn a_commit_that_was_seen_twice_keeps_no_sign_from_being_heard() {
        let mut schedule = LookSchedule::default();
        let now = Instant::now();
        schedule.sign(now);
        schedule.looked(now, true, false);
        // Within a transaction it is seen again.
        schedule.look_soon(now);
        let then = now + schedule.time_left(now).unwrap();
        schedule.looked(then, false, true);
        assert!(schedule.listens(then + FIRST_PAUSE));
    }

    #[test]
    fn commits_that_come_one_by_one_are_found_at_once_each() {
        let visible = Duration::from_micros(80);
        let (_, found) = simulate(
            &mut LookSchedule::default(),
            2_000 * MS,
            Some(30 * MS),
            Some(visible),
            false,
        );
        assert!(found.len() >= 66, "{}", found.len());
        for (n, found) in found.iter().enumerate() {
            assert!(*found - 30 * MS * n as u32 <= MS, "{n}: {found:?}");
        }
    }
}
