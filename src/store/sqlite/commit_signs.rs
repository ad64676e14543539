//! Waits for messages and, at the same time, for signs that another process commits: writes to the log of the store.
//!
//! On Linux by inotify, in the very thread that waits for messages, so that a write of this process wakes nobody; elsewhere there are
//! no signs. Knows nothing of what is written. Invariant: a message is heard whose sender rings the bell afterwards.

#[cfg(target_os = "linux")]
pub(super) use self::linux::{Bell, Signs};
#[cfg(not(target_os = "linux"))]
pub(super) use self::none::{Bell, Signs};

#[cfg(target_os = "linux")]
mod linux {
    use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
    use rustix::fd::OwnedFd;
    use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
    use rustix::io::{Errno, read, write};
    use std::mem::MaybeUninit;
    use std::path::Path;
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicBool, Ordering, fence};
    use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError};
    use std::time::Duration;

    /// Longest wait where the system refuses to wait for both.
    const MAX_WAIT: Duration = Duration::from_millis(20);

    /// Wakes the thread that waits for messages and signs.
    #[derive(Debug, Default)]
    pub(in crate::store::sqlite) struct Bell {
        /// The thread waits for the bell, or is about to.
        waits: AtomicBool,
        event: OnceLock<OwnedFd>,
    }

    impl Bell {
        /// To be called after a message was sent. A system call only while the thread waits for the bell.
        pub(in crate::store::sqlite) fn ring(&self) {
            // The message is there before this looks; the thread says that it waits before it looks for messages.
            fence(Ordering::SeqCst);
            if self.waits.load(Ordering::Relaxed)
                && self.waits.swap(false, Ordering::AcqRel)
                && let Some(event) = self.event.get()
            {
                let _ = write(event, &1_u64.to_ne_bytes());
            }
        }

        fn open(&self) -> Result<(), Errno> {
            if self.event.get().is_none() {
                let flags = EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC;
                let _ = self.event.set(eventfd(0, flags)?);
            }
            Ok(())
        }
    }

    /// The writes to one file.
    #[derive(Debug)]
    pub(in crate::store::sqlite) struct Signs {
        events: OwnedFd,
        /// The file is not watched any more.
        over: bool,
    }

    impl Signs {
        /// `None`: they cannot be had, for which there are many reasons, such as that each user may have so many watchers.
        pub(in crate::store::sqlite) fn of(file: &Path, bell: &Bell) -> Option<Self> {
            bell.open().ok()?;
            let events = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC).ok()?;
            inotify::add_watch(&events, file, WatchFlags::MODIFY).ok()?;
            Some(Self { events, over: false })
        }

        /// Takes the signs that have come. Whether there were any.
        pub(in crate::store::sqlite) fn take(&mut self) -> bool {
            let mut buffer = [MaybeUninit::uninit(); 1_024];
            let mut reader = Reader::new(&self.events, &mut buffer);
            let mut any = false;
            while let Ok(event) = reader.next() {
                any = true;
                self.over |= event.events().contains(ReadFlags::IGNORED);
                // What comes meanwhile is a sign of its own.
                if reader.is_buffer_empty() {
                    break;
                }
            }
            any
        }

        /// Whether there will be no more.
        pub(in crate::store::sqlite) fn are_over(&self) -> bool {
            self.over
        }

        /// Waits for a message, at most so long, or until there is a sign if `for_signs`. Without a message it is a timeout.
        pub(in crate::store::sqlite) fn receive<T>(
            &self,
            inbox: &Receiver<T>,
            bell: &Bell,
            (for_signs, time): (bool, Option<Duration>),
        ) -> Result<T, RecvTimeoutError> {
            bell.waits.store(true, Ordering::Relaxed);
            fence(Ordering::SeqCst);
            let message = match (inbox.try_recv(), bell.event.get()) {
                (Err(TryRecvError::Empty), Some(event)) => {
                    let waited = self.wait(event, for_signs, time);
                    waited.map_or_else(
                        |_| inbox.recv_timeout(MAX_WAIT),
                        |()| inbox.try_recv().map_err(RecvTimeoutError::from_try),
                    )
                }
                (received, _) => received.map_err(RecvTimeoutError::from_try),
            };
            bell.waits.store(false, Ordering::Relaxed);
            message
        }

        fn wait(&self, bell: &OwnedFd, for_signs: bool, time: Option<Duration>) -> Result<(), Errno> {
            let time = time.and_then(|time| Timespec::try_from(time).ok());
            let mut watched = [
                PollFd::new(bell, PollFlags::IN),
                PollFd::new(&self.events, PollFlags::IN),
            ];
            let count = if for_signs { 2 } else { 1 };
            match poll(&mut watched[..count], time.as_ref()) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error),
            }
            if watched[0].revents().contains(PollFlags::IN) {
                let _ = read(bell, &mut [0_u8; 8]);
            }
            Ok(())
        }
    }

    trait FromTry {
        fn from_try(error: TryRecvError) -> Self;
    }

    impl FromTry for RecvTimeoutError {
        fn from_try(error: TryRecvError) -> Self {
            match error {
                TryRecvError::Empty => Self::Timeout,
                TryRecvError::Disconnected => Self::Disconnected,
            }
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod none {
    use std::path::Path;
    use std::sync::mpsc::{Receiver, RecvTimeoutError};
    use std::time::Duration;

    /// Nobody waits for it.
    #[derive(Debug, Default)]
    pub(in crate::store::sqlite) struct Bell;

    impl Bell {
        pub(in crate::store::sqlite) fn ring(&self) {}
    }

    /// There are none.
    #[derive(Debug)]
    pub(in crate::store::sqlite) enum Signs {}

    impl Signs {
        pub(in crate::store::sqlite) fn of(_file: &Path, _bell: &Bell) -> Option<Self> {
            None
        }

        pub(in crate::store::sqlite) fn take(&mut self) -> bool {
            match *self {}
        }

        pub(in crate::store::sqlite) fn are_over(&self) -> bool {
            match *self {}
        }

        pub(in crate::store::sqlite) fn receive<T>(
            &self,
            _inbox: &Receiver<T>,
            _bell: &Bell,
            _until: (bool, Option<Duration>),
        ) -> Result<T, RecvTimeoutError> {
            match *self {}
        }
    }
}
