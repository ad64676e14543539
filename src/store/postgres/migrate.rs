//! Migrates the schema to this code's version, under a lock shared by the processes of all machines.
//!
//! Invariant: a schema that is newer than this code, or belongs to another program, is left unchanged.

use super::address::Address;
use super::failure::{DbResult, Failure};
use super::move_record;
use super::session::{Session, in_schema};
use crate::error::{Error, ErrorCode};
use crate::model::schedule::{FNV1A_OFFSET_BASIS, fnv1a};
use tokio_postgres::error::SqlState;

/// The migrations, by number, each of one or more scripts.
const MIGRATIONS: [&[&str]; 8] = [
    &[
        include_str!("migrations/0001.sql"),
        include_str!("migrations/0001_insert.sql"),
        include_str!("migrations/0001_claim.sql"),
        include_str!("migrations/0001_steps.sql"),
        include_str!("migrations/0001_complete.sql"),
        include_str!("migrations/0001_dispatch.sql"),
    ],
    &[
        include_str!("migrations/0002.sql"),
        include_str!("migrations/0002_claim.sql"),
    ],
    &[include_str!("migrations/0003.sql")],
    &[
        include_str!("migrations/0004.sql"),
        include_str!("migrations/0004_search_path.sql"),
    ],
    &[include_str!("migrations/0005.sql")],
    &[include_str!("migrations/0006.sql")],
    &[include_str!("migrations/0007.sql")],
    &[include_str!("migrations/0008.sql")],
];
/// Tables of the store, but for `versions`, and the sequence.
pub(super) const TABLES: [&str; 28] = [
    "audit",
    "counters",
    "ended",
    "entries",
    "far",
    "figures",
    "gaps",
    "held",
    "instances",
    "job_numbers",
    "jobs",
    "keys",
    "logs",
    "marks",
    "occurrences",
    "outbox",
    "paused",
    "progress",
    "ready",
    "routes",
    "running",
    "runs",
    "scheduled",
    "series",
    "steps",
    "tags",
    "uniques",
    "webhooks",
];
/// Functions that this code calls.
const FUNCTIONS: [&str; 6] = [
    "check_routes_v1",
    "claim_v2",
    "complete_v1",
    "dispatch_v2",
    "free_v1",
    "insert_v1",
];
/// Names of missing parts that a message gives.
const MAX_NAMED_PARTS: usize = 5;
/// The oldest supported server version.
const OLDEST_SERVER_VERSION: i32 = 130_000;

const SELECT_SERVER_VERSION: &str = include_str!("sql/select_server_version.sql");
const SELECT_VERSIONS_TABLE_EXISTS: &str = include_str!("sql/select_versions_table_exists.sql");
const SELECT_SCHEMA_EXISTS: &str = include_str!("sql/select_schema_exists.sql");
const SELECT_MISSING_PARTS: &str = include_str!("sql/select_missing_parts.sql");
const SELECT_SETTINGS: &str = include_str!("sql/select_settings.sql");
const SELECT_SCHEMA_VERSION: &str = include_str!("sql/select_schema_version.sql");
const SELECT_VERSIONS: &str =
    "SELECT bool_or(number = $1), max(number) FILTER (WHERE number <> $1) FROM ductape.versions";
const LOCK_MIGRATIONS: &str = include_str!("sql/lock_migrations.sql");
const INSERT_VERSION: &str = include_str!("sql/insert_version.sql");

/// What to warn of in the settings of the database or the role.
pub(super) async fn warnings(session: &Session, synced: bool) -> DbResult<Vec<String>> {
    let mut warnings = Vec::new();
    let Some(row) = session.query_opt(SELECT_SETTINGS, &[]).await? else {
        return Ok(warnings);
    };
    let (encoding, commit): (&str, &str) = (row.try_get(0)?, row.try_get(1)?);
    if encoding != "UTF8" {
        warnings.push(format!(
            "the database of `store` has the encoding {encoding}: what holds other characters is refused, and a run whose result holds \
             them fails; use a database with the encoding UTF8"
        ));
    }
    if synced && commit == "off" {
        warnings.push(
            "`synchronous_commit` is off for the role or the database of `store`: a crash of the server loses dispatches that were \
             acknowledged, in spite of `durability: 'full'`; turn it on, or say `durability: 'relaxed'`"
                .to_owned(),
        );
    }
    Ok(warnings)
}

/// Runs the missing migrations.
pub(super) async fn apply(session: &Session) -> DbResult<()> {
    refuse_old_server(session).await?;
    if version(session).await? == newest() {
        return refuse_incomplete(session).await;
    }
    session.begin().await?;
    let key = i64::from_ne_bytes(fnv1a(FNV1A_OFFSET_BASIS, &session.connector().address.schema).to_ne_bytes());
    session.query(LOCK_MIGRATIONS, &[&key]).await?;
    // Another process may have migrated meanwhile.
    let from = version(session).await?;
    if from == 0 {
        refuse_foreign_tables(session).await?;
        create_schema(session).await?;
    }
    let steps = (1..).zip(MIGRATIONS).filter(|(number, _)| *number > from);
    for (number, scripts) in steps {
        for script in scripts {
            run(session, script).await?;
        }
        session.execute(INSERT_VERSION, &[&number]).await?;
    }
    session.run("COMMIT").await?;
    session.mark_usable();
    Ok(())
}

/// The version that this package makes of a schema.
pub(super) fn newest() -> i32 {
    super::param::to_i32(MIGRATIONS.len())
}

/// Parts of the store that the schema lacks: tables and functions, or tables alone.
async fn missing_parts(session: &Session, functions: &[&'static str]) -> DbResult<Vec<String>> {
    let schema = session.connector().address.schema.clone();
    let rows = session
        .query(SELECT_MISSING_PARTS, &[&schema, &TABLES.to_vec(), &functions.to_vec()])
        .await?;
    rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
}

async fn refuse_incomplete(session: &Session) -> DbResult<()> {
    let missing = missing_parts(session, &FUNCTIONS).await?;
    if missing.is_empty() {
        return Ok(());
    }
    let named = missing
        .iter()
        .take(MAX_NAMED_PARTS)
        .map(String::as_str)
        .collect::<Vec<_>>()
        .join(", ");
    let more = match missing.len().saturating_sub(MAX_NAMED_PARTS) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    Err(incomplete(session, &format!("lacks {named}{more}")))
}

/// Refuses tables that are there although nothing says of which version they are.
async fn refuse_foreign_tables(session: &Session) -> DbResult<()> {
    let found = TABLES.len() - missing_parts(session, &[]).await?.len();
    if found == 0 {
        return Ok(());
    }
    if found > TABLES.len() / 2 {
        return Err(incomplete(
            session,
            "has tables of a store, and its table `versions` does not say of which version",
        ));
    }
    Err(foreign(session))
}

fn incomplete(session: &Session, how: &str) -> Failure {
    let Address { schema, .. } = &session.connector().address;
    let message = format!(
        "the schema {schema} {how}; restore it from a backup, or drop it (DROP SCHEMA {} CASCADE), so that it is made anew",
        session.connector().address.quoted_schema()
    );
    Error::new(ErrorCode::StoreCorrupt, message).into()
}

fn foreign(session: &Session) -> Failure {
    let schema = &session.connector().address.schema;
    let message = format!("the schema {schema} holds tables of another program; name another by `?schema=` in `store`");
    Error::new(ErrorCode::StoreError, message).into()
}

async fn refuse_old_server(session: &Session) -> DbResult<()> {
    let row = session.query_opt(SELECT_SERVER_VERSION, &[]).await?;
    let version: i32 = row.map_or(Ok(0), |row| row.try_get(0))?;
    if version >= OLDEST_SERVER_VERSION {
        return Ok(());
    }
    let message = format!(
        "store: the server is PostgreSQL {}, and 13 is the oldest that works; upgrade it",
        version / 10_000
    );
    Err(Error::new(ErrorCode::StoreError, message).into())
}

/// The version of the schema, whoever made it; 0: it does not exist.
pub(super) async fn found_version(session: &Session) -> DbResult<i32> {
    let schema = session.connector().address.schema.clone();
    if session
        .query(SELECT_VERSIONS_TABLE_EXISTS, &[&schema])
        .await?
        .is_empty()
    {
        return Ok(0);
    }
    let row = match session.query_opt(SELECT_SCHEMA_VERSION, &[]).await {
        Err(Failure::Database(failure)) if failure.code() == Some(&SqlState::UNDEFINED_COLUMN) => {
            return Err(foreign(session));
        }
        row => row?,
    };
    let version: Option<i32> = row.map_or(Ok(None), |row| row.try_get(0))?;
    Ok(version.unwrap_or(0))
}

/// The version of the schema, if this package knows it; 0: it does not exist.
async fn version(session: &Session) -> DbResult<i32> {
    let version = found_version(session).await?;
    if version <= newest() {
        return Ok(version);
    }
    if version == move_record::CLOSED
        && let Some(record) = move_record::record(session).await?
    {
        return Err(record.refusal(&session.connector().address.label()).into());
    }
    Err(newer(session, version).into())
}

/// Whether the schema holds a store, in whatever version.
pub(super) async fn exists(session: &Session) -> DbResult<bool> {
    let schema = session.connector().address.schema.clone();
    Ok(!session
        .query(SELECT_VERSIONS_TABLE_EXISTS, &[&schema])
        .await?
        .is_empty())
}

/// Whether the store takes no work, since it is an end of a move.
///
/// # Errors
/// `STORE_ERROR` for a schema that is newer than this code.
pub(super) async fn is_closed(session: &Session) -> DbResult<bool> {
    let row = session.query_opt(SELECT_VERSIONS, &[&move_record::CLOSED]).await?;
    let (closed, number): (Option<bool>, Option<i32>) = match row {
        Some(row) => (row.try_get(0)?, row.try_get(1)?),
        None => (None, None),
    };
    match number {
        Some(number) if number > newest() => Err(newer(session, number).into()),
        _ => Ok(closed.unwrap_or(false)),
    }
}

fn newer(session: &Session, version: i32) -> Error {
    let message = format!(
        "the schema {} has version {version}, made by a newer version of this package; this one knows {}; upgrade the package, or name another schema by `?schema=`",
        session.connector().address.schema,
        newest()
    );
    Error::new(ErrorCode::StoreError, message)
}

/// Refuses the version that another version of this package has given the schema since this process opened it.
pub(super) fn check_unchanged(found: i32, schema: &str) -> Result<(), Error> {
    if found == newest() {
        return Ok(());
    }
    if found == move_record::CLOSED {
        return Err(Error::new(
            ErrorCode::StoreError,
            format!(
                "the store in the schema {schema} takes no work any more, since it is moved to another one (`ductape move`); stop this \
                 process, and name the new store in `store`"
            ),
        ));
    }
    let message = format!(
        "the schema {schema} was migrated by another version of this package while it was open (it has version {found}, this \
         process writes {}), so nothing is read or written any more; restart this process with that version",
        newest()
    );
    Err(Error::new(ErrorCode::StoreError, message))
}

async fn create_schema(session: &Session) -> DbResult<()> {
    let schema = session.connector().address.schema.clone();
    // Checked first, since a user without the right to create schemas may use one that was created for it.
    if session.query(SELECT_SCHEMA_EXISTS, &[&schema]).await?.is_empty() {
        let quoted = session.connector().address.quoted_schema();
        session.run(&format!("CREATE SCHEMA {quoted}")).await?;
    }
    run(
        session,
        "CREATE TABLE IF NOT EXISTS ductape.versions (number integer PRIMARY KEY, applied timestamptz NOT NULL DEFAULT now())",
    )
    .await
}

async fn run(session: &Session, script: &str) -> DbResult<()> {
    let text = in_schema(script, &session.connector().address.quoted_schema());
    match session.run(&text).await {
        Err(Failure::Database(failure)) if failure.code() == Some(&SqlState::DUPLICATE_TABLE) => Err(foreign(session)),
        other => other,
    }
}
