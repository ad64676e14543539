//! Opens databases by their kind.

use super::backend::{Backend, Documents};
use super::settings::Settings;
use super::sql::SqlDatabase;
use super::{postgres, sqlite};
use crate::connector::Failure;
use crate::resources::DatabaseKind;
use std::sync::Arc;

/// A database, as far as it is opened: nothing is connected yet.
pub(super) enum Opened {
    /// Operations become SQL.
    Sql(SqlDatabase),
    /// The database runs operations itself.
    #[cfg_attr(
        not(any(feature = "mongodb", feature = "dynamodb")),
        allow(dead_code, reason = "made by the features of such databases")
    )]
    Documents(Arc<dyn Documents>),
}

/// The backend for a kind of database; does not connect yet.
pub(super) fn open(kind: DatabaseKind, settings: &Settings<'_>) -> Result<Opened, Failure> {
    let Settings {
        url, ca, connections, ..
    } = *settings;
    match kind {
        DatabaseKind::Postgresql => Ok(sql(postgres::Postgres::new(url, ca, connections)?)),
        DatabaseKind::Sqlite => Ok(sql(sqlite::Sqlite::new(url, connections)?)),
        #[cfg(feature = "mysql")]
        DatabaseKind::Mysql => Ok(sql(super::mysql::MySql::new(url, ca, connections)?)),
        #[cfg(feature = "mongodb")]
        DatabaseKind::Mongodb => Ok(Opened::Documents(Arc::new(super::mongodb::MongoDb::new(
            url,
            ca,
            connections,
        )?))),
        #[cfg(feature = "dynamodb")]
        DatabaseKind::Dynamodb => Ok(Opened::Documents(Arc::new(super::dynamodb::DynamoDb::new(settings)?))),
        _ => Err(Failure::not_built_in("databases", kind.name())),
    }
}

fn sql(backend: impl Backend + 'static) -> Opened {
    Opened::Sql(SqlDatabase::new(Arc::new(backend)))
}
