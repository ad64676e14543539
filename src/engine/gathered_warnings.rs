//! Warnings that would come once for each of many jobs: the first is logged at once, the rest as one.

use super::handler::{Level, Logger};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long warnings are gathered after one that was logged.
const GATHER_TIME: Duration = Duration::from_secs(60);

/// Warnings of one kind.
#[derive(Default)]
pub struct GatheredWarnings {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Since when warnings are gathered.
    since: Option<Instant>,
    /// Those not logged.
    count: u64,
}

impl GatheredWarnings {
    /// Logs `message`, or counts it; what was counted is logged as `summary` of the count. Needs a tokio runtime.
    pub fn warn(self: &Arc<Self>, logger: &Arc<dyn Logger>, message: &str, summary: fn(u64) -> String) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(since) = state.since else {
            state.since = Some(Instant::now());
            drop(state);
            return logger.log(Level::Warn, message);
        };
        state.count += 1;
        if state.count == 1 {
            let (warnings, logger) = (Arc::clone(self), Arc::clone(logger));
            tokio::spawn(async move {
                tokio::time::sleep(GATHER_TIME.saturating_sub(since.elapsed())).await;
                let gathered = std::mem::take(&mut *warnings.state.lock().unwrap_or_else(PoisonError::into_inner));
                logger.log(Level::Warn, &summary(gathered.count));
            });
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[derive(Default)]
    struct Lines(Mutex<Vec<String>>);

    impl Logger for Lines {
        fn log(&self, _: Level, message: &str) {
            self.0.lock().unwrap().push(message.to_owned());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn first_warning_is_logged_at_once_and_the_rest_as_one() {
        let lines = Arc::new(Lines::default());
        let logger: Arc<dyn Logger> = Arc::clone(&lines) as Arc<dyn Logger>;
        let warnings = Arc::new(GatheredWarnings::default());
        let summary = |count| format!("{count} more");
        for number in 0..50 {
            warnings.warn(&logger, &format!("job {number}"), summary);
        }
        assert_eq!(*lines.0.lock().unwrap(), ["job 0"]);
        tokio::time::sleep(GATHER_TIME * 2).await;
        assert_eq!(*lines.0.lock().unwrap(), ["job 0", "49 more"]);
        warnings.warn(&logger, "job 50", summary);
        assert_eq!(*lines.0.lock().unwrap(), ["job 0", "49 more", "job 50"]);
    }
}
