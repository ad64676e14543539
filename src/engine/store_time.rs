//! Asks the store for its time, by which all processes that share it go.

use super::handler::{Level, Logger};
use crate::clock::{Clock, Millis, StoreClock, TimeSample};
use crate::error::Result;
use crate::store::Store;

/// How often a store is asked before its first time is taken as it came.
const MAX_FIRST_SAMPLES: usize = 3;

/// Before anything goes by the clock: sets it by that of the store, if both have to do with each other. Says so when the machine's
/// own clock is wrong.
///
/// # Errors
/// What the store says.
pub async fn set_clock(store: &dyn Store, clock: &dyn Clock, logger: &dyn Logger) -> Result<()> {
    let Some(clock) = clock.store_clock() else {
        return Ok(());
    };
    for _ in 0..MAX_FIRST_SAMPLES {
        match sample(store, clock).await? {
            Some(sample) if !sample.is_good() => {}
            _ => break,
        }
    }
    warn_of_skew(clock, logger);
    Ok(())
}

/// Compares the clock with that of the store; without an answer it goes on as it is.
pub(super) async fn keep_clock(store: &dyn Store, clock: &StoreClock, logger: &dyn Logger) {
    if sample(store, clock).await.is_ok() {
        warn_of_skew(clock, logger);
    }
}

async fn sample(store: &dyn Store, clock: &StoreClock) -> Result<Option<TimeSample>> {
    let asked = clock.boot();
    let Some(time) = store.server_time().await? else {
        clock.follow_machine();
        return Ok(None);
    };
    let sample = TimeSample {
        asked,
        time,
        answered: clock.boot(),
    };
    clock.take(sample);
    Ok(Some(sample))
}

/// Says so once when the machine's own clock is wrong.
pub(super) fn warn_of_skew(clock: &StoreClock, logger: &dyn Logger) {
    if let Some(skew) = clock.skew_to_tell() {
        logger.log(Level::Warn, &skew_message(skew));
    }
}

/// What is the matter with a machine whose clock is ahead by `skew` ms (behind: negative).
#[must_use]
pub fn skew_message(skew: Millis) -> String {
    let direction = if skew > 0 { "ahead of" } else { "behind" };
    format!(
        "the clock of this machine is {} {direction} that of the database server, which jobs go by; have both set by NTP",
        length(skew)
    )
}

/// A length of time in words, in whole seconds.
pub(super) fn length(ms: Millis) -> String {
    let seconds = (ms.unsigned_abs() + 500) / 1_000;
    let (minutes, hours) = (seconds / 60, seconds / 3_600);
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{minutes} min {} s", seconds % 60),
        3_600..86_400 => format!("{hours} h {} min", minutes % 60),
        _ => format!("{} d {} h", hours / 24, hours % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_say_how_much_and_which_way() {
        let ahead = "the clock of this machine is 10 min 2 s ahead of that of the database server, which jobs go by; have both set by NTP";
        assert_eq!(skew_message(602_400), ahead);
        assert!(skew_message(-1_500).contains("is 2 s behind that of"));
        assert_eq!(length(-90_000_000), "1 d 1 h");
        assert_eq!(length(3_660_000), "1 h 1 min");
    }
}
