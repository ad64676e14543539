//! Every documented shape of an input, on every kind of database: what it comes to, or that it is declined and why.
//!
//! `id` of the inputs and results is `_id` on MongoDB.

mod declined;
mod reads;
mod templates;
mod writes;

use super::support::TestDatabase;
use crate::connector::Failure;
use crate::connector::databases::dialect::Dialect::{self, Dynamo, Mongo, MySql, Postgres, Sqlite};
use serde_json::Value;

const EVERY: &[Dialect] = &[Sqlite, Postgres, MySql, Mongo, Dynamo];
const SQL: &[Dialect] = &[Sqlite, Postgres, MySql];
const DOCUMENTS: &[Dialect] = &[Mongo, Dynamo];

/// What a shape comes to.
#[derive(Clone, Copy)]
enum Outcome {
    /// The result, as a test writes it.
    Is(&'static str),
    /// `VALIDATION_ERROR`, with these words in its message.
    Declines(&'static str),
}
use Outcome::{Declines, Is};

/// What a shape comes to on which databases; the first that names a database is of it.
type Outcomes<'a> = &'a [(&'a [Dialect], Outcome)];

/// Operation, input, and what it comes to.
type Shape<'a> = (&'a str, &'a str, Outcomes<'a>);

/// What differs from the table, told together.
#[derive(Default)]
struct Differences(Vec<String>);

impl Differences {
    /// Compares what came of a shape; `brief` writes a result as the table does.
    fn compare(
        &mut self,
        database: &TestDatabase,
        (operation, input, outcomes): &Shape<'_>,
        answer: Result<String, Failure>,
        brief: impl FnOnce(&str) -> String,
    ) {
        let found = outcomes
            .iter()
            .find(|(dialects, _)| dialects.contains(&database.dialect));
        let Some((_, outcome)) = found else {
            panic!(
                "the table says nothing of {operation} {input} on {:?}",
                database.dialect
            );
        };
        let is_as_said = match (outcome, &answer) {
            (Is(expected), Ok(answer)) => brief(answer) == *expected,
            (Declines(words), Err(failure)) => &*failure.code == "VALIDATION_ERROR" && failure.message.contains(words),
            _ => false,
        };
        if !is_as_said {
            self.0
                .push(format!("{:?} {operation} {input}\n  {answer:?}", database.dialect));
        }
    }

    fn end(self) {
        assert!(self.0.is_empty(), "{}", self.0.join("\n"));
    }
}

const ROWS: &str = r#"{"table":"orders","records":[
    {"id":1,"customer_id":7,"status":"open","total":10.5,"note":"100%","tags":["a","b"]},
    {"id":2,"customer_id":7,"status":"paid","total":20,"note":null,"tags":["b"]},
    {"id":3,"customer_id":8,"status":"open","total":5.25,"note":"Big box","tags":null},
    {"id":4,"customer_id":9,"status":"void","total":null,"note":"big","tags":null}]}"#;

/// One database of each kind, with orders and an empty table of counters.
async fn databases() -> Vec<TestDatabase> {
    let databases = TestDatabase::every().await;
    for database in &databases {
        let json = database.per_dialect("jsonb", "json", "json");
        let orders = format!(
            "CREATE TABLE orders (id int PRIMARY KEY, customer_id int, status varchar(20), total decimal(12,2), note varchar(60), tags {json})"
        );
        database.table(&orders, "orders", "id:N").await;
        let counters = "CREATE TABLE counters (name varchar(40) PRIMARY KEY, n int, m int)";
        database.table(counters, "counters", "name:S").await;
        database.run("insert", ROWS).await;
    }
    databases
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// The ids of the rows of a result, as in `3 1`; sorted, where the database could not be asked for an order.
fn ids(text: &str, sort: bool) -> String {
    let value = parsed(text);
    let rows = value["rows"].as_array().unwrap_or_else(|| panic!("no rows: {text}"));
    let mut ids: Vec<i64> = rows.iter().map(|row| row["id"].as_i64().unwrap()).collect();
    if sort {
        ids.sort_unstable();
    }
    let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
    ids.join(" ")
}
