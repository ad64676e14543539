//! SQL of jobs that may not run through a pooler in transaction mode: what it leaves behind would reach other clients.
//!
//! Pure. Invariant: comments, white space and empty statements before a word hide nothing.

use crate::connector::Failure;

/// First words of statements that outlast their transaction, or end it.
const REFUSED: [&str; 17] = [
    "set",
    "reset",
    "discard",
    "listen",
    "unlisten",
    "prepare",
    "deallocate",
    "load",
    "declare",
    "begin",
    "start",
    "commit",
    "end",
    "rollback",
    "abort",
    "savepoint",
    "release",
];

/// Refuses a statement that would change the session of others.
pub(super) fn refuse_settings(sql: &str) -> Result<(), Failure> {
    let mut words = Words(sql);
    let first = words.next().unwrap_or_default();
    let what = match &*first {
        "create" => words
            .take_while(|word| matches!(&**word, "or" | "replace" | "local" | "global" | "temp" | "temporary"))
            .any(|word| word.starts_with("temp"))
            .then_some("CREATE TEMP".to_owned()),
        word => REFUSED.contains(&word).then(|| word.to_uppercase()),
    };
    match what {
        Some(what) => Err(Failure::invalid(format!(
            "PostgreSQL: {what} would reach other clients of the pooler; it is not for jobs with `pgbouncer=true`"
        ))),
        None => Ok(()),
    }
}

/// The words that a statement begins with, in lower case, up to the first thing that is none.
struct Words<'s>(&'s str);

impl Iterator for Words<'_> {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        let rest = without_comments(self.0);
        let end = rest
            .find(|character: char| !character.is_ascii_alphabetic() && character != '_')
            .unwrap_or(rest.len());
        let (word, rest) = rest.split_at(end);
        self.0 = rest;
        (!word.is_empty()).then(|| word.to_ascii_lowercase())
    }
}

/// The rest of a text behind white space, comments and semicolons, which are empty statements.
fn without_comments(mut sql: &str) -> &str {
    loop {
        sql = sql.trim_start_matches(|character: char| character.is_whitespace() || character == ';');
        sql = if let Some(comment) = sql.strip_prefix("--") {
            comment.find(['\n', '\r']).map_or("", |end| comment.split_at(end).1)
        } else if let Some(comment) = sql.strip_prefix("/*") {
            behind_comment(comment)
        } else {
            return sql;
        };
    }
}

/// What follows the comment that has begun; comments of PostgreSQL nest.
fn behind_comment(mut sql: &str) -> &str {
    let mut depth = 1_usize;
    while depth > 0 {
        let Some(at) = sql.find("*/") else { return "" };
        match sql.find("/*").filter(|begin| *begin < at) {
            Some(begin) => {
                sql = sql.split_at(begin + 2).1;
                depth += 1;
            }
            None => {
                sql = sql.split_at(at + 2).1;
                depth -= 1;
            }
        }
    }
    sql
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_of_a_session_are_refused_whatever_stands_before_them() {
        for sql in [
            "SET a = 1",
            "\n\tset a = 1",
            "/* x */ SET a = 1",
            "-- c\nSET a = 1",
            "--c\rSET a = 1",
            "/**/RESET ALL",
            "/* a /* b */ c */-- d\n ;; /* e */ SET a = 1",
            "/*/* SELECT */*/SET a = 1",
            "DECLARE c CURSOR WITH HOLD FOR SELECT 1",
            "CREATE TEMP TABLE t (n int)",
            "create /* */ local -- \n temporary table t (n int)",
            "CREATE OR REPLACE TEMP VIEW v AS SELECT 1",
            "BEGIN",
            "COMMIT;",
            "start transaction",
        ] {
            assert!(refuse_settings(sql).is_err(), "{sql}");
        }
        for sql in [
            "SELECT 1",
            "/* SET a = 1 */ SELECT 1",
            "-- SET a = 1\nSELECT 1",
            "/* never ends; SET a = 1",
            "CREATE TABLE temp (n int)",
            "CREATE TABLE temporary_items (n int)",
            "settle()",
            "set_config",
            "INSERT INTO temp VALUES (1)",
            "",
        ] {
            assert!(refuse_settings(sql).is_ok(), "{sql}");
        }
    }
}
