//! What reading and building must know of a kind of database.

/// A dialect of SQL, or the language of a database without SQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    Postgres,
    MySql,
    Sqlite,
    Mongo,
    Dynamo,
}

impl Dialect {
    /// Its name in messages.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Postgres => "PostgreSQL",
            Self::MySql => "MySQL",
            Self::Sqlite => "SQLite",
            Self::Mongo => "MongoDB",
            Self::Dynamo => "DynamoDB",
        }
    }

    /// Whether operations become SQL. If not, rows are documents, whose fields have paths such as `address.city`.
    pub(super) fn is_sql(self) -> bool {
        matches!(self, Self::Postgres | Self::MySql | Self::Sqlite)
    }

    /// Whether `raw` takes text: SQL, or DynamoDB's PartiQL.
    pub(super) fn raw_is_text(self) -> bool {
        self != Self::Mongo
    }
}
