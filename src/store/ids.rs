//! Numbers that a store gives, each a type of its own, so that none is taken for another.
//!
//! In both databases they are 64-bit integers.

use serde::{Deserialize, Serialize};
use std::fmt::{self, Display, Formatter};

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(i64);

        impl $name {
            /// Below or at every number that is given.
            pub const MIN: Self = Self(i64::MIN);
            /// Above or at every number that is given.
            pub const MAX: Self = Self(i64::MAX);

            /// The number as the database has it.
            #[must_use]
            pub const fn new(number: i64) -> Self {
                Self(number)
            }

            /// The number for the database.
            #[must_use]
            pub const fn get(self) -> i64 {
                self.0
            }

            /// The number `count` behind this one.
            #[must_use]
            pub const fn plus(self, count: i64) -> Self {
                Self(self.0.saturating_add(count))
            }
        }

        impl Display for $name {
            fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
                Display::fmt(&self.0, f)
            }
        }
    )*};
}

ids! {
    /// Number of a job inside one store; grows with the order of dispatch.
    JobSeq;
    /// Number of a route inside one store.
    RouteId;
    /// When a route became known to one store; grows from one to the next.
    RouteMark;
    /// Number of a process's registration in one store; never given twice.
    InstanceId;
    /// Fencing token of one claim: unique together with its instance.
    Token;
}
