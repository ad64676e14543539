//! Runs plans on a SQLite connection, and writes result rows as JSON.
//!
//! Blocks. Invariant: a transaction that fails is rolled back before the connection is used again.

use super::failure::{failure, of_operators};
use crate::connector::Failure;
use crate::connector::databases::dates::{self, TimestampStyle};
use crate::connector::databases::json;
use crate::connector::databases::plan::{Plan, Statement};
use crate::connector::databases::rows::{Outcome, RowWriter, refuse_same_names};
use crate::connector::databases::value::{Kind, Scalar};
use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, TransactionBehavior, params_from_iter};

/// Statements that reach beyond the file or affect other jobs.
const FORBIDDEN_STATEMENTS: [&str; 3] = ["ATTACH", "DETACH", "VACUUM"];

pub(super) fn execute(connection: &mut Connection, plan: &Plan) -> Result<Outcome, Failure> {
    let mut outcome = Outcome {
        rows: None,
        changed: 0,
        id: None,
    };
    if plan.statements.len() < 2 {
        for statement in &plan.statements {
            run(connection, plan, statement, &mut outcome)?;
        }
        return Ok(outcome);
    }
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(|error| failure(&error))?;
    for statement in &plan.statements {
        run(&transaction, plan, statement, &mut outcome)?;
    }
    transaction.commit().map_err(|error| failure(&error))?;
    Ok(outcome)
}

fn run(connection: &Connection, plan: &Plan, statement: &Statement, outcome: &mut Outcome) -> Result<(), Failure> {
    if plan.raw {
        reject_forbidden(&statement.sql)?;
    }
    let values = statement
        .values
        .iter()
        .map(|bound| value(bound.scalar(TimestampStyle::Plain)?).map_err(|failure| bound.placed(failure)));
    let values: Vec<Value> = values.collect::<Result<_, Failure>>()?;
    // Refuses text after the first statement.
    let mut prepared = connection.prepare(&statement.sql).map_err(|error| failure(&error))?;
    if prepared.parameter_count() != values.len() {
        return Err(Failure::invalid(format!(
            "the SQL takes {} parameters, got {}",
            prepared.parameter_count(),
            values.len()
        )));
    }
    if plan.raw {
        refuse_same_names(prepared.column_names())?;
    }
    let writes = !prepared.readonly();
    let before = connection.total_changes();
    let ran = if prepared.column_count() == 0 {
        let executed = prepared.execute(params_from_iter(values));
        executed.map(|_| ()).map_err(|error| failure(&error))
    } else {
        let rows = outcome.rows.get_or_insert_with(|| RowWriter::new(plan.shape));
        write_rows(&mut prepared, values, (plan, statement), rows)
    };
    ran.map_err(|failure| of_operators(failure, statement))?;
    if writes {
        outcome.changed += connection.total_changes().saturating_sub(before);
        outcome.id = Some(connection.last_insert_rowid().into()).filter(|_| is_insert(&statement.sql));
    }
    Ok(())
}

/// Runs a statement that returns rows, and writes as many as the result may have.
fn write_rows(
    prepared: &mut rusqlite::Statement<'_>,
    values: Vec<Value>,
    (plan, statement): (&Plan, &Statement),
    rows: &mut RowWriter,
) -> Result<(), Failure> {
    let names: Vec<String> = prepared.column_names().map(str::to_owned).collect();
    let kind = |name: &String| plan.kinds.get(name).unwrap_or_default();
    let kinds: Vec<Kind> = names.iter().map(kind).collect();
    let writes = !prepared.readonly();
    let mut answer = prepared
        .query(params_from_iter(values))
        .map_err(|error| failure(&error))?;
    let mut wanted = true;
    while let Some(row) = answer.next().map_err(|error| failure(&error))? {
        wanted = wanted && rows.begin();
        if !wanted {
            // A writing statement must run to completion.
            if writes {
                continue;
            }
            break;
        }
        for (index, (name, kind)) in names.iter().zip(&kinds).enumerate() {
            let cell = row.get_ref(index).map_err(|error| failure(&error))?;
            if let ValueRef::Real(number) = cell {
                statement.guards.check_sum(name, number)?;
            }
            rows.cell(name, |out| write(out, cell, *kind));
        }
        wanted = rows.end();
    }
    Ok(())
}

fn is_insert(sql: &str) -> bool {
    sql.trim_start()
        .get(..6)
        .is_some_and(|word| word.eq_ignore_ascii_case("insert"))
}

/// Refuses forbidden statements in a job's SQL, also behind leading comments.
fn reject_forbidden(sql: &str) -> Result<(), Failure> {
    let mut rest = sql.trim_start();
    loop {
        let after = if let Some(comment) = rest.strip_prefix("--") {
            comment.split_once('\n').map_or("", |(_, after)| after)
        } else if let Some(comment) = rest.strip_prefix("/*") {
            comment.split_once("*/").map_or("", |(_, after)| after)
        } else if let Some(after) = rest.strip_prefix(';') {
            after
        } else {
            break;
        };
        rest = after.trim_start();
    }
    let word: String = rest.chars().take_while(char::is_ascii_alphabetic).collect();
    match FORBIDDEN_STATEMENTS
        .iter()
        .find(|refused| word.eq_ignore_ascii_case(refused))
    {
        Some(refused) => Err(Failure::invalid(format!("SQLite: {refused} is not for jobs"))),
        None => Ok(()),
    }
}

fn value(scalar: Scalar) -> Result<Value, Failure> {
    Ok(match scalar {
        Scalar::Null => Value::Null,
        Scalar::Integer(number) => Value::Integer(number),
        // Beyond that, SQLite goes on with floating point numbers.
        Scalar::Unsigned(_) => {
            return Err(Failure::invalid(
                "SQLite has no integers beyond 9223372036854775807; use a column of type TEXT",
            ));
        }
        Scalar::Float(number) => Value::Real(number),
        Scalar::Text(text) => Value::Text(text),
        Scalar::Bytes(bytes) => Value::Blob(bytes),
    })
}

/// Writes a value as JSON, by the declared kind of its column and its storage class.
fn write(out: &mut String, cell: ValueRef<'_>, kind: Kind) {
    match (cell, kind) {
        (ValueRef::Null, _) => out.push_str("null"),
        (ValueRef::Integer(flag @ (0 | 1)), Kind::Bool) => out.push_str(if flag == 1 { "true" } else { "false" }),
        (ValueRef::Integer(millis), Kind::Timestamp) => match millis.checked_mul(1_000) {
            Some(micros) => json::push_string(out, &dates::format_timestamp(micros, TimestampStyle::Iso)),
            None => json::push_integer(out, millis.into()),
        },
        (ValueRef::Integer(number), Kind::ShortDecimal) => json::push_string(out, &number.to_string()),
        (ValueRef::Integer(number), _) => json::push_integer(out, number.into()),
        (ValueRef::Real(number), Kind::ShortDecimal) => json::push_string(out, &number.to_string()),
        (ValueRef::Real(number), _) => json::push_float(out, number),
        (ValueRef::Text(bytes), kind) => {
            let text = String::from_utf8_lossy(bytes);
            match (kind, dates::parse_timestamp(&text)) {
                (Kind::Timestamp, Some(micros)) => {
                    json::push_string(out, &dates::format_timestamp(micros, TimestampStyle::Iso))
                }
                (Kind::Json, _) => json::push_raw(out, &text),
                _ => json::push_string(out, &text),
            }
        }
        (ValueRef::Blob(bytes), _) => json::push_bytes(out, bytes),
    }
}
