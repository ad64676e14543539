//! The numbers of [`crate::store`] as PostgreSQL's `bigint`.

use crate::store::{InstanceId, JobSeq, RouteId, RouteMark, Token};
use std::error::Error;
use tokio_postgres::types::private::BytesMut;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};

macro_rules! bigints {
    ($($id:ident),*) => {$(
        impl<'a> FromSql<'a> for $id {
            fn from_sql(from: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
                i64::from_sql(from, raw).map(Self::new)
            }

            fn accepts(of: &Type) -> bool {
                <i64 as FromSql>::accepts(of)
            }
        }

        impl ToSql for $id {
            fn to_sql(&self, to: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
                self.get().to_sql(to, out)
            }

            fn accepts(to: &Type) -> bool {
                <i64 as ToSql>::accepts(to)
            }

            to_sql_checked!();
        }
    )*};
}

bigints!(JobSeq, RouteId, RouteMark, InstanceId, Token);
