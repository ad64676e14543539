//! Dialects of SQL.

/// A dialect of SQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    Postgres,
    #[cfg_attr(
        not(feature = "mysql"),
        allow(dead_code, reason = "known to all, and used by its own feature")
    )]
    MySql,
    Sqlite,
}
