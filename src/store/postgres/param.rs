//! Parameters of statements, with their PostgreSQL types.
//!
//! Invariant: the type follows from the Rust type alone, so that the server need not describe a statement first.

use crate::store::{InstanceId, JobSeq, RouteId, RouteMark, Token};
use std::borrow::Cow;
use tokio_postgres::types::{ToSql, Type};
use uuid::Uuid;

/// A value that can be bound.
pub(super) trait Param: ToSql + Send + Sync {
    /// Its type in PostgreSQL.
    fn sql_type(&self) -> Type;
    /// The value in the form that the driver takes.
    fn as_sql(&self) -> &(dyn ToSql + Sync);
}

/// A Rust type with a fixed PostgreSQL type.
pub(super) trait Typed {
    const SQL_TYPE: Type;
    const SQL_ARRAY_TYPE: Type;
}

macro_rules! typed {
    ($($rust:ty => $sql_type:ident, $list:ident;)*) => { $(
        impl Typed for $rust {
            const SQL_TYPE: Type = Type::$sql_type;
            const SQL_ARRAY_TYPE: Type = Type::$list;
        }
        impl Param for $rust {
            fn sql_type(&self) -> Type { Type::$sql_type }
            fn as_sql(&self) -> &(dyn ToSql + Sync) { self }
        }
    )* };
}

typed! {
    i64 => INT8, INT8_ARRAY;
    JobSeq => INT8, INT8_ARRAY;
    RouteId => INT8, INT8_ARRAY;
    RouteMark => INT8, INT8_ARRAY;
    InstanceId => INT8, INT8_ARRAY;
    Token => INT8, INT8_ARRAY;
    i32 => INT4, INT4_ARRAY;
    bool => BOOL, BOOL_ARRAY;
    String => TEXT, TEXT_ARRAY;
    Box<str> => TEXT, TEXT_ARRAY;
    &str => TEXT, TEXT_ARRAY;
    Cow<'_, str> => TEXT, TEXT_ARRAY;
    Uuid => UUID, UUID_ARRAY;
}

impl<T: Typed + ToSql + Send + Sync> Param for Option<T> {
    fn sql_type(&self) -> Type {
        T::SQL_TYPE
    }
    fn as_sql(&self) -> &(dyn ToSql + Sync) {
        self
    }
}

impl<T: Typed + ToSql + Send + Sync> Param for Vec<T> {
    fn sql_type(&self) -> Type {
        T::SQL_ARRAY_TYPE
    }
    fn as_sql(&self) -> &(dyn ToSql + Sync) {
        self
    }
}

impl Param for Option<Vec<RouteId>> {
    fn sql_type(&self) -> Type {
        Type::INT8_ARRAY
    }
    fn as_sql(&self) -> &(dyn ToSql + Sync) {
        self
    }
}

impl<T: Typed + ToSql + Send + Sync> Param for Vec<Option<T>> {
    fn sql_type(&self) -> Type {
        T::SQL_ARRAY_TYPE
    }
    fn as_sql(&self) -> &(dyn ToSql + Sync) {
        self
    }
}

/// Text without U+0000, which PostgreSQL cannot store.
pub(super) fn storable(text: &str) -> Cow<'_, str> {
    if text.contains('\0') {
        Cow::Owned(text.replace('\0', "\u{fffd}"))
    } else {
        Cow::Borrowed(text)
    }
}

/// A number of rows as a parameter.
pub(super) fn rows(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// A small number as a parameter.
pub(super) fn to_i32(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

/// Parameters of a deferred statement.
macro_rules! params {
    ($($value:expr),* $(,)?) => { vec![$(Box::new($value) as Box<dyn crate::store::postgres::param::Param>),*] };
}
pub(super) use params;
