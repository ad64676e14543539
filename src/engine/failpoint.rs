//! Panics on demand, for the tests of what happens when a service dies. Release builds have none.

/// Names of places that are to panic when they are passed next.
#[derive(Clone, Debug, Default)]
pub struct Failpoints {
    #[cfg(debug_assertions)]
    armed: std::sync::Arc<std::sync::Mutex<Vec<&'static str>>>,
}

#[cfg(debug_assertions)]
impl Failpoints {
    /// The place with this name panics, once, when it is passed next.
    pub fn arm(&self, name: &'static str) {
        self.armed().push(name);
    }

    /// Whether the place has not panicked yet.
    #[must_use]
    pub fn is_armed(&self, name: &str) -> bool {
        self.armed().contains(&name)
    }

    #[allow(clippy::panic, reason = "to panic is what it is for")]
    pub(crate) fn pass(&self, name: &str) {
        let mut armed = self.armed();
        if let Some(at) = armed.iter().position(|armed| *armed == name) {
            armed.remove(at);
            drop(armed);
            panic!("failpoint '{name}'");
        }
    }

    fn armed(&self) -> std::sync::MutexGuard<'_, Vec<&'static str>> {
        self.armed.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[cfg(not(debug_assertions))]
impl Failpoints {
    #[allow(clippy::unused_self, reason = "as in debug builds")]
    pub(crate) fn pass(&self, _: &str) {}
}
