//! Panics on demand, for the tests of what happens when a service dies. Release builds have none.

/// Names a place, and the how many-eth pass through it panics: `claimer:20`. For processes that a test starts.
#[cfg(debug_assertions)]
const VARIABLE: &str = "DUCTAPE_FAILPOINTS";

/// Names of places that are to panic, each with the number of times that it is to be passed before.
#[derive(Clone, Debug, Default)]
pub struct Failpoints {
    #[cfg(debug_assertions)]
    armed: std::sync::Arc<std::sync::Mutex<Vec<(String, u32)>>>,
}

#[cfg(debug_assertions)]
impl Failpoints {
    /// The one that the environment names.
    #[must_use]
    pub fn from_environment() -> Self {
        let failpoints = Self::default();
        let text = std::env::var(VARIABLE).unwrap_or_default();
        if let Some((name, pass)) = text.rsplit_once(':') {
            let passes_before = pass.parse().unwrap_or(1_u32).saturating_sub(1);
            failpoints.armed().push((name.to_owned(), passes_before));
        }
        failpoints
    }

    /// The place with this name panics, once, when it is passed next.
    pub fn arm(&self, name: &str) {
        self.armed().push((name.to_owned(), 0));
    }

    /// Whether the place has not panicked yet.
    #[must_use]
    pub fn is_armed(&self, name: &str) -> bool {
        self.armed().iter().any(|(armed, _)| armed == name)
    }

    #[allow(clippy::panic, reason = "to panic is what it is for")]
    pub(crate) fn pass(&self, name: &str) {
        let mut armed = self.armed();
        let Some(at) = armed.iter().position(|(armed, _)| armed == name) else {
            return;
        };
        if let Some((_, passes_before)) = armed.get_mut(at)
            && *passes_before > 0
        {
            *passes_before -= 1;
            return;
        }
        armed.remove(at);
        drop(armed);
        panic!("failpoint '{name}'");
    }

    fn armed(&self) -> std::sync::MutexGuard<'_, Vec<(String, u32)>> {
        self.armed.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[cfg(not(debug_assertions))]
impl Failpoints {
    /// None.
    #[must_use]
    pub fn from_environment() -> Self {
        Self::default()
    }

    #[allow(clippy::unused_self, reason = "as in debug builds")]
    pub(crate) fn pass(&self, _: &str) {}
}
