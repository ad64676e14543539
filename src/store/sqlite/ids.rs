//! The numbers of [`crate::store`] as SQLite's integers.

use crate::store::{InstanceId, JobSeq, RouteId, RouteMark, Token};
use rusqlite::types::{FromSql, FromSqlResult, ToSql, ToSqlOutput, ValueRef};

macro_rules! integers {
    ($($id:ident),*) => {$(
        impl FromSql for $id {
            fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
                i64::column_result(value).map(Self::new)
            }
        }

        impl ToSql for $id {
            fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
                Ok(ToSqlOutput::from(self.get()))
            }
        }
    )*};
}

integers!(JobSeq, RouteId, RouteMark, InstanceId, Token);
