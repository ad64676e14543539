//! Numbers that a store gives, each a type of its own, so that none is taken for another.
//!
//! In both databases they are 64-bit integers.

use rusqlite::types::{FromSql, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use serde::{Deserialize, Serialize};
use std::error::Error;
use std::fmt::{self, Display, Formatter};
use tokio_postgres::types::private::BytesMut;
use tokio_postgres::types::{FromSql as FromPostgres, IsNull, ToSql as ToPostgres, Type};

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

        impl FromSql for $name {
            fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
                i64::column_result(value).map(Self)
            }
        }

        impl ToSql for $name {
            fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
                ToSql::to_sql(&self.0)
            }
        }

        impl<'a> FromPostgres<'a> for $name {
            fn from_sql(from: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
                <i64 as FromPostgres>::from_sql(from, raw).map(Self)
            }

            fn accepts(of: &Type) -> bool {
                <i64 as FromPostgres>::accepts(of)
            }
        }

        impl ToPostgres for $name {
            fn to_sql(&self, to: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
                <i64 as ToPostgres>::to_sql(&self.0, to, out)
            }

            fn accepts(to: &Type) -> bool {
                <i64 as ToPostgres>::accepts(to)
            }

            tokio_postgres::types::to_sql_checked!();
        }
    )*};
}

ids! {
    /// Number of a job inside one store; grows with the order of dispatch.
    JobSeq;
    /// Number of a route inside one store.
    RouteId;
    /// Number of a process's registration in one store; never given twice.
    InstanceId;
    /// Fencing token of one claim: unique together with its instance.
    Token;
}
