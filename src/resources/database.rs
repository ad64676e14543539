//! A database and its actions.

use super::Text;

/// What a database speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DatabaseKind {
    /// PostgreSQL and what speaks its protocol.
    Postgresql,
    /// MySQL and MariaDB.
    Mysql,
    /// A SQLite file.
    Sqlite,
    /// MongoDB.
    Mongodb,
}

impl DatabaseKind {
    /// Whether this build of the package can speak to it.
    #[must_use]
    pub fn is_built_in(self) -> bool {
        match self {
            Self::Postgresql | Self::Sqlite => true,
            Self::Mysql => cfg!(feature = "mysql"),
            Self::Mongodb => false,
        }
    }
}

/// A database and its actions.
#[derive(Clone, Debug)]
pub struct Database {
    /// Its name within the product.
    pub tag: Box<str>,
    /// What it speaks.
    pub kind: DatabaseKind,
    /// The table of operations that name none.
    pub table: Option<Box<str>>,
    /// Whether jobs may bring SQL of their own.
    pub raw: bool,
    /// Where it is in each environment.
    pub envs: Vec<DatabaseEnv>,
    /// Operations that are written down in advance.
    pub actions: Vec<DatabaseAction>,
}

/// Where a database is in one environment.
#[derive(Clone, Debug)]
pub struct DatabaseEnv {
    /// Slug of the environment.
    pub slug: Box<str>,
    /// Address with credentials, or the path of a SQLite file.
    pub connection_url: Text,
    /// Certificates that the server's must be signed by: PEM, or the path of such a file.
    pub ca: Option<Text>,
    /// Most connections at once.
    pub max_connections: Option<usize>,
}

/// What an action does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ActionVerb {
    /// Reads rows.
    Query,
    /// Adds rows.
    Insert,
    /// Changes rows.
    Update,
    /// Deletes rows.
    Delete,
    /// Adds rows, or changes those that are there.
    Upsert,
    /// Computes over rows.
    Aggregate,
    /// Runs the SQL of the definition.
    RawSql,
}

/// An operation that is written down in advance, with places for what the job brings.
#[derive(Clone, Debug)]
pub struct DatabaseAction {
    /// Its name within the database.
    pub tag: Box<str>,
    /// The table, unless it is the database's.
    pub table: Option<Box<str>>,
    /// What it does.
    pub verb: ActionVerb,
    /// JSON of the data, of what is computed, or of the SQL text.
    pub template: Option<Text>,
    /// JSON of the filter.
    pub filter: Option<Text>,
    /// JSON object of the values of names that a job leaves out.
    pub defaults: Option<Text>,
    /// Further members of the operation, by name, as JSON.
    pub options: Vec<(Box<str>, Text)>,
}
