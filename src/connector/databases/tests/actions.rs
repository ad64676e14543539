//! Actions: what a job provides is only ever a value.

use super::support::TestDatabase;
use crate::connector::Failure;
use crate::connector::databases::action::{self, Templates};
use crate::connector::databases::json::Json;
use crate::engine::inputs::ExpressionResolver;
use crate::resources::{ActionVerb, DatabaseAction};
use std::time::Duration;

fn defined(verb: ActionVerb, template: Option<&str>, filter: Option<&str>, options: &[(&str, &str)]) -> DatabaseAction {
    DatabaseAction {
        tag: "a".into(),
        table: Some("t".into()),
        verb,
        template: template.map(Into::into),
        filter: filter.map(Into::into),
        defaults: Some(r#"{"state":"new"}"#.into()),
        options: options
            .iter()
            .map(|(name, text)| ((*name).into(), (*text).into()))
            .collect(),
    }
}

async fn act(database: &TestDatabase, action: &DatabaseAction, input: &str) -> Result<String, Failure> {
    let templates = Templates::reveal(action, &ExpressionResolver::default()).await?;
    let operation = action::operation(action, &templates, &Json::read(input)?, database.connector.context())?;
    database
        .connector
        .run_operation(&operation, Duration::from_secs(30))
        .await
}

const TABLE: &str = "CREATE TABLE t (id int PRIMARY KEY, s varchar(60), state varchar(20))";
const ROWS: &str = r#"{"table":"t","data":[{"id":1,"s":"no 1","state":"new"},{"id":2,"s":"up","state":"old"}]}"#;

/// One database of each kind, with a table of two rows.
async fn databases_with_rows() -> Vec<TestDatabase> {
    let databases = TestDatabase::all().await;
    for database in &databases {
        database.sql(TABLE).await;
        database.run("insertMany", ROWS).await;
    }
    databases
}

#[tokio::test]
async fn action_template_is_filled_with_typed_values() {
    for database in TestDatabase::all().await {
        database.sql(TABLE).await;
        let insert = defined(
            ActionVerb::Insert,
            Some(r#"{"id":"{{id}}","s":"no {{id}}: {{user.name}}","state":"{{state}}"}"#),
            None,
            &[],
        );
        for input in [
            r#"{"data":{"id":1,"user":{"name":"O'Hara"}}}"#,
            r#"{"data":{"id":2,"user":{"name":"{{state}}"},"state":"old"}}"#,
        ] {
            act(&database, &insert, input).await.unwrap();
        }
        let rows = database.run("find", r#"{"table":"t","orderBy":"id"}"#).await;
        assert_eq!(
            rows,
            r#"{"rows":[{"id":1,"s":"no 1: O'Hara","state":"new"},{"id":2,"s":"no 2: {{state}}","state":"old"}],"count":2}"#
        );
        let missing = act(&database, &insert, r#"{"data":{"id":3}}"#).await.unwrap_err();
        assert!(
            &*missing.code == "VALIDATION_ERROR" && missing.message.contains("user.name"),
            "{missing:?}"
        );
        let unknown = act(&database, &insert, r#"{"dta":{}}"#).await.unwrap_err();
        assert!(unknown.message.contains("`data`"), "{unknown:?}");
    }
}

#[tokio::test]
async fn action_filter_takes_values_of_the_job_and_no_operators() {
    for database in databases_with_rows().await {
        let query = defined(
            ActionVerb::Query,
            None,
            Some(r#"{"id":{"$in":"{{ids}}"},"state":{"$ne":"{{filter.state}}"}}"#),
            &[("fields", r#"["id"]"#), ("limit", r#""{{most}}""#)],
        );
        let input = r#"{"filter":{"ids":[1,2],"state":"old"},"query":{"most":5}}"#;
        let found = act(&database, &query, input).await.unwrap();
        assert_eq!(found, r#"{"rows":[{"id":1}],"count":1}"#);
        // An operator in a job's input is a value, and one that fits no column.
        let by_id = defined(ActionVerb::Delete, None, Some(r#"{"id":"{{id}}"}"#), &[]);
        for harm in [
            r#"{"$gt":0}"#,
            r#"{"$ne":null}"#,
            "[1,2]",
            r#""1 OR 1=1""#,
            r#"{"$in":[1,2]}"#,
        ] {
            let refused = act(&database, &by_id, &format!(r#"{{"filter":{{"id":{harm}}}}}"#))
                .await
                .unwrap_err();
            assert_eq!(&*refused.code, "VALIDATION_ERROR", "{harm}");
        }
        let none = act(&database, &by_id, r#"{"filter":{"id":null}}"#).await.unwrap();
        assert_eq!(none, r#"{"count":0}"#);
        assert_eq!(database.run("count", r#"{"table":"t"}"#).await, r#"{"count":2}"#);
    }
}

#[tokio::test]
async fn action_verbs_run_their_operations() {
    for database in databases_with_rows().await {
        let update = defined(
            ActionVerb::Update,
            Some(r#"{"state":"{{data.state}}"}"#),
            Some(r#"{"state":"{{filter.state}}"}"#),
            &[],
        );
        let upsert = defined(ActionVerb::Upsert, None, None, &[("conflictColumns", r#"["id"]"#)]);
        let aggregate = defined(
            ActionVerb::Aggregate,
            Some(r#"{"n":{"$count":"*"}}"#),
            Some(r#"{"id":{"$gte":"{{from}}"}}"#),
            &[],
        );
        let raw = defined(
            ActionVerb::RawSql,
            Some(r#""SELECT id FROM t WHERE s = {{s}} OR (id = {{id}} AND s = {{s}})""#),
            None,
            &[],
        );
        let updated = act(&database, &update, r#"{"data":{"state":"x"},"filter":{"state":"old"}}"#).await;
        assert_eq!(updated.unwrap(), r#"{"count":1}"#);
        // MySQL also returns the id of the row.
        act(&database, &upsert, r#"{"data":{"id":2,"s":"up"}}"#).await.unwrap();
        for (action, input, expected) in [
            (&aggregate, r#"{"query":{"from":2}}"#, r#"{"rows":[{"n":1}],"count":1}"#),
            (
                &raw,
                r#"{"data":{"s":"up","id":9}}"#,
                r#"{"rows":[{"id":2}],"count":1}"#,
            ),
            (
                &raw,
                r#"{"data":{"s":"' OR 1=1 --","id":9}}"#,
                r#"{"rows":[],"count":0}"#,
            ),
        ] {
            assert_eq!(act(&database, action, input).await.unwrap(), expected, "{input}");
        }
        assert_eq!(database.run("count", r#"{"table":"t"}"#).await, r#"{"count":2}"#);
    }
}
