//! Maps errors of PostgreSQL to failures of a job, by SQLSTATE.
//!
//! Invariant: a server's message is shown only if it contains nothing but names; one that may quote a value is left out,
//! and so is every DETAIL.

use crate::connector::Failure;
use crate::connector::databases::guards::Guards;
use crate::connector::databases::plan::{PATTERN, REGEX, Statement};
use crate::error::ErrorCode;
use crate::text::spelling::truncated;
use tokio_postgres::Error;
use tokio_postgres::error::{DbError, ErrorPosition};
use tokio_postgres::types::Type;

/// The failure that an error of the driver means.
pub(super) fn failure(error: &Error) -> Failure {
    match error.as_db_error() {
        Some(refused) => from_server(refused),
        None if error.is_closed() => Failure::connection("PostgreSQL: the connection was lost"),
        None => {
            // The cause is more specific than the driver's message, such as "connection refused".
            let cause = std::error::Error::source(error);
            let what = cause.map_or_else(|| error.to_string(), ToString::to_string);
            Failure::connection(format!("PostgreSQL: {what}"))
        }
    }
}

/// The failure of a statement that ran: of a value that the server could not read with its place in the input, and of
/// what an operator met with that operator.
pub(super) fn of_values(error: &Error, statement: &Statement, types: &[Type]) -> Failure {
    let Some(refused) = error.as_db_error() else {
        return failure(error);
    };
    let is_of_value = refused.code().code().starts_with("22");
    if let Some(at) = refused.where_().and_then(parameter).filter(|_| is_of_value)
        && let (Some(bound), Some(ty)) = (statement.values.get(at), types.get(at))
    {
        let placed = bound.placed(Failure::invalid(format!(
            "the value cannot be read as the type {} of PostgreSQL, got {} ({})",
            ty.name(),
            bound.value.kind(),
            refused.code().code()
        )));
        return match bound.place {
            Some(_) => placed,
            None => Failure::invalid(format!("parameter ${}: {}", at + 1, placed.message)),
        };
    }
    let failure = failure(error);
    match refused.code().code() {
        "2201B" => statement.at_operator(REGEX, failure),
        "22025" => statement.at_operator(PATTERN, failure),
        "22003" => statement.operators.out_of_range(failure),
        // A function of lists met something else.
        "22023" => {
            let is_single = refused.message().ends_with("scalar");
            let found = if is_single {
                "a single value, such as JSON null,"
            } else {
                "an object"
            };
            statement.operators.not_a_list(failure, Some(found))
        }
        _ => failure,
    }
}

/// The failure of a statement of ours that does not fit the types of its columns, with the one where the server saw it.
pub(super) fn of_columns(error: &Error, sql: &str, guards: &Guards) -> Failure {
    let failure = failure(error);
    let Some(refused) = error.as_db_error() else {
        return failure;
    };
    if refused.code().code() == "42883"
        && !guards.is_empty()
        && let Some(found) = summed_type(refused.message())
    {
        return guards.any_refused(found);
    }
    let position = match refused.position() {
        Some(ErrorPosition::Original(position)) if matches!(refused.code().code(), "42804" | "42883" | "42725") => {
            *position
        }
        _ => return failure,
    };
    match column_before(sql, position as usize) {
        Some(column) => Failure {
            message: format!("{}, at the column '{}'", failure.message, truncated(&column)),
            ..failure
        },
        None => failure,
    }
}

/// The type in `function sum(text) does not exist`.
fn summed_type(message: &str) -> Option<&str> {
    let rest = message
        .strip_prefix("function sum(")
        .or_else(|| message.strip_prefix("function avg("))?;
    rest.split_once(')').map(|(found, _)| found)
}

/// The last quoted name in SQL before this character, counted from 1.
fn column_before(sql: &str, position: usize) -> Option<String> {
    let before: String = sql.chars().take(position.saturating_sub(1)).collect();
    let mut last = None;
    let mut rest = before.as_str();
    while let Some((_, name)) = rest.split_once('"') {
        let (mut found, mut after) = (String::new(), name);
        loop {
            let (part, more) = after.split_once('"')?;
            found.push_str(part);
            match more.strip_prefix('"') {
                Some(more) => {
                    found.push('"');
                    after = more;
                }
                None => {
                    rest = more;
                    break;
                }
            }
        }
        last = Some(found);
    }
    last
}

/// The index of the parameter that a context speaks of, as in `unnamed portal parameter $1 = '...'`.
fn parameter(context: &str) -> Option<usize> {
    // The outermost comes last: before it may be what the value's own reader says.
    let line = context.lines().last()?;
    let (before, rest) = line.split_once('$')?;
    let number: String = rest.chars().take_while(char::is_ascii_digit).collect();
    // Not a value of the context of a function.
    let is_parameter = !before.contains(['\'', '"']);
    number.parse::<usize>().ok().filter(|_| is_parameter)?.checked_sub(1)
}

fn from_server(error: &DbError) -> Failure {
    let state = error.code().code();
    let (code, what) = meaning(state);
    let mut message = format!("PostgreSQL: {what}");
    if speaks_of_names(state) {
        message = format!("PostgreSQL: {}", error.message());
    } else {
        let named = [
            ("table", error.table()),
            ("column", error.column()),
            ("constraint", error.constraint()),
        ];
        for (kind, name) in named {
            if let Some(name) = name {
                message.push_str(&format!(", {kind} \"{name}\""));
            }
        }
    }
    Failure::new(code, format!("{message} ({state})"))
}

/// Whether messages of this SQLSTATE contain only names and no values.
fn speaks_of_names(state: &str) -> bool {
    matches!(
        state,
        // Undefined or ambiguous objects, type errors in a statement, missing privileges, refused logins, unknown
        // databases, and errors raised by functions of the database.
        "42P01"
            | "42703"
            | "42883"
            | "42702"
            | "42804"
            | "42P10"
            | "42P18"
            | "42725"
            | "42501"
            | "28000"
            | "28P01"
            | "3D000"
            | "3F000"
            | "42704"
            | "42803"
            | "P0001"
    )
}

fn meaning(state: &str) -> (ErrorCode, &'static str) {
    match state {
        "23505" => (ErrorCode::ValidationError, "a unique key is there already"),
        "23503" => (ErrorCode::ValidationError, "a foreign key is not met"),
        "23502" => (ErrorCode::ValidationError, "a column that needs a value has none"),
        "23514" => (ErrorCode::ValidationError, "a check is not met"),
        "42P01" | "3F000" => (ErrorCode::NotFound, "there is no such table"),
        "3D000" => (ErrorCode::NotFound, "there is no such database"),
        "28000" | "28P01" => (ErrorCode::Unauthorized, "the credentials were refused"),
        "42501" => (ErrorCode::Forbidden, "the user lacks the right"),
        "25006" => (ErrorCode::ServiceUnavailable, "the server takes no writes now"),
        "40001" | "40P01" => (ErrorCode::ServiceUnavailable, "another transaction was in the way"),
        "55P03" => (ErrorCode::ServiceUnavailable, "a lock was not free"),
        "57014" => (ErrorCode::Timeout, "the statement took too long, or was cancelled"),
        "57P01" | "57P02" | "57P05" => (ErrorCode::ConnectionError, "the server ended the connection"),
        "57P03" => (ErrorCode::ServiceUnavailable, "the server is starting or stopping"),
        "42601" => (ErrorCode::ValidationError, "the SQL cannot be read"),
        "42P05" | "26000" => (
            ErrorCode::ServiceUnavailable,
            "a pooler seems to share the connection with others; add `?pgbouncer=true` to connection_url",
        ),
        "22001" => (ErrorCode::ValidationError, "a text is longer than its column takes"),
        "22003" => (ErrorCode::ValidationError, "a number is beyond the range of its column"),
        "22012" => (ErrorCode::ValidationError, "the SQL divides by zero"),
        "22025" => (ErrorCode::ValidationError, "a pattern ends with the `\\` that escapes"),
        "2201B" => (ErrorCode::ValidationError, "the regular expression cannot be read"),
        _ => match state.get(..2) {
            Some("08") => (ErrorCode::ConnectionError, "the connection failed"),
            Some("22") => (ErrorCode::ValidationError, "a value does not fit its type"),
            Some("23") => (ErrorCode::ValidationError, "a constraint is not met"),
            Some("40" | "53" | "58" | "XX") => (ErrorCode::ServiceUnavailable, "the server cannot do it now"),
            _ => (ErrorCode::ValidationError, "the statement was refused"),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameter_is_read_from_the_context_of_the_server_alone() {
        for (context, expected) in [
            ("unnamed portal parameter $1 = '...'", Some(0)),
            ("unnamed portal parameter $12", Some(11)),
            ("portal \"p\" parameter $2", None),
            ("unnamed portal parameter $0", None),
            ("PL/pgSQL function f('$1') line 1", None),
            ("JSON data, line 1: x\nunnamed portal parameter $3 = '...'", Some(2)),
            ("", None),
        ] {
            assert_eq!(parameter(context), expected, "{context}");
        }
    }

    #[test]
    fn column_is_the_last_name_before_the_position() {
        let sql = r#"SELECT "id" FROM "t" WHERE "é""x" LIKE $1 AND "b" = $2"#;
        let at = |word: &str| sql[..sql.find(word).unwrap()].chars().count() + 1;
        assert_eq!(column_before(sql, at("LIKE")).as_deref(), Some("é\"x"));
        assert_eq!(column_before(sql, at("= $2")).as_deref(), Some("b"));
        assert_eq!(column_before(sql, 1), None);
        assert_eq!(column_before(sql, 10), None);
    }
}
