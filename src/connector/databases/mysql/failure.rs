//! Maps errors of MySQL and MariaDB to failures of a job, by error number.
//!
//! Invariant: a server's message is shown only if it contains nothing but names; one that may quote a value is left out.

use crate::connector::Failure;
use crate::connector::databases::plan::{REGEX, Statement};
use crate::error::ErrorCode;
use mysql_async::{DriverError, Error, ServerError};

/// The failure that an error of the driver means.
pub(super) fn failure(error: &Error) -> Failure {
    match error {
        Error::Server(refused) => from_server(refused),
        Error::Io(io) => Failure::connection(format!("MySQL: {io}")),
        Error::Driver(DriverError::StmtParamsMismatch { required, supplied }) => {
            Failure::invalid(format!("the SQL takes {required} parameters, got {supplied}"))
        }
        Error::Driver(DriverError::UnknownAuthPlugin { .. } | DriverError::MysqlOldPasswordDisabled) => {
            Failure::unauthorized("MySQL: the server wants a way of logging in that is not supported")
        }
        Error::Driver(DriverError::NoClientSslFlagFromServer) => {
            Failure::connection("MySQL: the server has no TLS, which the address asks for")
        }
        Error::Driver(_) | Error::Other(_) => Failure::connection("MySQL: the connection was lost"),
        Error::Url(_) => Failure::invalid("connection_url is no address of MySQL"),
    }
}

/// The failure of a statement that ran: of what an operator met with that operator.
pub(super) fn of_statement(error: &Error, statement: &Statement) -> Failure {
    let failure = failure(error);
    match error {
        // What fails in our SQL if a list is none: a subquery with two rows.
        Error::Server(refused) if refused.code == 1242 => statement.operators.not_a_list(failure, None),
        Error::Server(refused) if refused.code == 1139 => statement.at_operator(REGEX, failure),
        Error::Server(refused) if matches!(refused.code, 1264 | 1690) => statement.operators.out_of_range(failure),
        _ => failure,
    }
}

fn from_server(error: &ServerError) -> Failure {
    let (code, what) = meaning(error.code);
    let message = match error.code {
        // Messages with names only: refused logins and privileges, unknown objects, columns without a value.
        1044 | 1045 | 1048 | 1049 | 1051 | 1054 | 1136 | 1142 | 1143 | 1146 | 1227 | 1295 | 1364 | 1698 => {
            error.message.clone()
        }
        // The message begins with the value and ends with the name of the key.
        1062 | 1586 => match error.message.rsplit_once(" for key ") {
            Some((_, key)) => format!("{what}, key {key}"),
            None => what.to_owned(),
        },
        // The message may begin with the value, and names the column behind it.
        1264 | 1265 | 1292 | 1366 | 1406 => match column(&error.message) {
            Some(column) => format!("a value does not fit the column '{column}'"),
            None => what.to_owned(),
        },
        _ => what.to_owned(),
    };
    Failure::new(code, format!("MySQL: {message} ({})", error.code))
}

/// The column that a message names, as in `… for column 'n' at row 1` or ``… for column `db`.`t`.`n` at row 1``.
fn column(message: &str) -> Option<&str> {
    let (_, named) = message.rsplit_once(" for column ")?;
    let (named, _) = named.rsplit_once(" at row ")?;
    let name = match named.strip_suffix('`') {
        Some(quoted) => quoted.rsplit_once('`')?.1,
        None => named.strip_prefix('\'')?.strip_suffix('\'')?,
    };
    (!name.is_empty()).then_some(name)
}

fn meaning(number: u16) -> (ErrorCode, &'static str) {
    match number {
        1045 | 1698 => (ErrorCode::Unauthorized, "the credentials were refused"),
        1044 | 1130 | 1142 | 1143 | 1227 | 1370 | 1410 => (ErrorCode::Forbidden, "the user lacks the right"),
        1049 => (ErrorCode::NotFound, "there is no such database"),
        1051 | 1146 => (ErrorCode::NotFound, "there is no such table"),
        1062 | 1586 => (ErrorCode::ValidationError, "a unique key is there already"),
        1216 | 1217 | 1451 | 1452 => (ErrorCode::ValidationError, "a foreign key is not met"),
        3819 | 4025 => (ErrorCode::ValidationError, "a check is not met"),
        1205 => (ErrorCode::ServiceUnavailable, "a lock was not free"),
        1213 => (ErrorCode::ServiceUnavailable, "another transaction was in the way"),
        1040 | 1129 | 1203 | 1226 => (ErrorCode::ServiceUnavailable, "the server has too many connections"),
        1021 | 1037 | 1038 | 1041 | 1053 | 1114 | 1290 | 1836 => {
            (ErrorCode::ServiceUnavailable, "the server cannot do it now")
        }
        1317 | 1969 | 3024 => (ErrorCode::Timeout, "the statement took too long, or was cancelled"),
        1152..=1161 | 1184 | 1927 => (ErrorCode::ConnectionError, "the server ended the connection"),
        1264 | 1265 | 1292 | 1366 | 1367 | 1406 | 1411 => {
            (ErrorCode::ValidationError, "a value does not fit its column")
        }
        1064 => (ErrorCode::ValidationError, "the SQL cannot be read"),
        1139 => (ErrorCode::ValidationError, "the regular expression cannot be read"),
        _ => (ErrorCode::ValidationError, "the statement was refused"),
    }
}

#[cfg(test)]
mod tests {
    use super::column;

    #[test]
    fn the_column_is_read_behind_whatever_the_value_says() {
        let messages = [
            ("Out of range value for column 'n' at row 1", Some("n")),
            (
                "Incorrect integer value: 'x' for column `shop`.`orders`.`total` at row 3",
                Some("total"),
            ),
            (
                "Incorrect integer value: ' for column 'secret' at row 9' for column `a`.`b`.`c` at row 1",
                Some("c"),
            ),
            ("Truncated incorrect DOUBLE value: 'x'", None),
            ("Data too long for column '' at row 1", None),
        ];
        for (message, expected) in messages {
            assert_eq!(column(message), expected, "{message}");
        }
    }
}
