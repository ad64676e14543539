//! A database and its actions.

use super::Text;

/// The kind of a database server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DatabaseKind {
    /// PostgreSQL, or a server that speaks its protocol.
    Postgresql,
    /// MySQL and MariaDB.
    Mysql,
    /// A SQLite file.
    Sqlite,
    /// MongoDB.
    Mongodb,
    /// DynamoDB of AWS.
    Dynamodb,
    /// Cassandra, and servers that speak its protocol.
    Cassandra,
    /// SQL Server of Microsoft.
    Mssql,
    /// Oracle.
    Oracle,
}

impl DatabaseKind {
    /// All kinds, by the value of `type` in a definition.
    pub const NAMES: [(&'static str, Self); 9] = [
        ("postgresql", Self::Postgresql),
        ("mysql", Self::Mysql),
        ("mariadb", Self::Mysql),
        ("sqlite", Self::Sqlite),
        ("mongodb", Self::Mongodb),
        ("dynamodb", Self::Dynamodb),
        ("cassandra", Self::Cassandra),
        ("mssql", Self::Mssql),
        ("oracle", Self::Oracle),
    ];

    /// Its name in a definition.
    #[must_use]
    pub fn name(self) -> &'static str {
        let mut names = Self::NAMES.iter();
        names.find(|(_, kind)| *kind == self).map_or("", |(name, _)| name)
    }

    /// Whether this build has a connector for it. The jobs of others are left to handlers.
    #[must_use]
    pub fn is_built_in(self) -> bool {
        match self {
            Self::Postgresql | Self::Sqlite => true,
            Self::Mysql => cfg!(feature = "mysql"),
            Self::Mongodb => cfg!(feature = "mongodb"),
            Self::Dynamodb => cfg!(feature = "dynamodb"),
            Self::Cassandra | Self::Mssql | Self::Oracle => false,
        }
    }
}

/// A database and its actions.
#[derive(Clone, Debug)]
pub struct Database {
    /// Its name within the product.
    pub tag: Box<str>,
    /// Its kind.
    pub kind: DatabaseKind,
    /// Default table of operations.
    pub table: Option<Box<str>>,
    /// Whether jobs may run SQL of their own.
    pub raw: bool,
    /// Where it is in each environment.
    pub envs: Vec<DatabaseEnv>,
    /// Predefined operations.
    pub actions: Vec<DatabaseAction>,
}

/// Where a database is in one environment.
#[derive(Clone, Debug)]
pub struct DatabaseEnv {
    /// Slug of the environment.
    pub slug: Box<str>,
    /// Address with credentials, or the path of a SQLite file.
    pub connection_url: Text,
    /// CA certificates that must have signed the server's: PEM, or the path of such a file.
    pub ca: Option<Text>,
    /// Address of a server in place of the region's own. DynamoDB only.
    pub endpoint: Option<Text>,
    /// Most simultaneous connections.
    pub max_connections: Option<usize>,
}

/// What an action does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ActionVerb {
    /// Reads rows.
    Query,
    /// Inserts rows.
    Insert,
    /// Updates rows.
    Update,
    /// Deletes rows.
    Delete,
    /// Inserts rows, or updates existing ones.
    Upsert,
    /// Computes aggregates.
    Aggregate,
    /// Runs the SQL of the definition.
    RawSql,
}

/// A predefined operation, with placeholders for values of the job.
#[derive(Clone, Debug)]
pub struct DatabaseAction {
    /// Its path in the options, as in `resources.products[0].databases[0].actions[0]`.
    pub path: Box<str>,
    /// Its name within the database.
    pub tag: Box<str>,
    /// The table; `None`: the database's default table.
    pub table: Option<Box<str>>,
    /// What it does.
    pub verb: ActionVerb,
    /// JSON of the data, of the aggregates, or of the SQL text.
    pub template: Option<Text>,
    /// JSON of the filter.
    pub filter: Option<Text>,
    /// JSON object with values for placeholders that a job leaves out.
    pub defaults: Option<Text>,
    /// Other members of the operation, by name, as JSON.
    pub options: Vec<(Box<str>, Text)>,
}
