//! Actions: what a job provides is only ever a value.

use super::support::TestDatabase;
use crate::connector::Failure;
use crate::connector::databases::action::{self, Templates};
use crate::connector::databases::json::Json;
use crate::engine::inputs::ExpressionResolver;
use crate::resources::{ActionVerb, DatabaseAction};

pub(super) fn defined(
    verb: ActionVerb,
    template: Option<&str>,
    filter: Option<&str>,
    options: &[(&str, &str)],
) -> DatabaseAction {
    DatabaseAction {
        path: "actions[0]".into(),
        tag: "a".into(),
        table: Some("t".into()),
        verb,
        template: template.map(Into::into),
        filter: filter.map(Into::into),
        defaults: [template, filter]
            .into_iter()
            .flatten()
            .chain(options.iter().map(|(_, text)| *text))
            .any(|text| text.contains("{{state"))
            .then(|| r#"{"state":"new"}"#.into()),
        options: options
            .iter()
            .map(|(name, text)| ((*name).into(), (*text).into()))
            .collect(),
    }
}

pub(super) async fn act(database: &TestDatabase, action: &DatabaseAction, input: &str) -> Result<String, Failure> {
    let templates = Templates::reveal(action, &ExpressionResolver::default()).await?;
    let operation = action::operation(action, &templates, &Json::read(input)?, database.connector.context())?;
    database.run_operation(&operation).await
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

#[tokio::test]
async fn data_of_a_job_are_values_also_without_a_template() {
    for database in databases_with_rows().await {
        let update = defined(ActionVerb::Update, None, Some(r#"{"id":"{{filter.id}}"}"#), &[]);
        let harm = r#"{"filter":{"id":1},"data":{"id":{"$inc":100}}}"#;
        let refused = act(&database, &update, harm).await.unwrap_err();
        assert_eq!(&*refused.code, "VALIDATION_ERROR", "{refused:?}");
        let upsert = defined(ActionVerb::Upsert, None, None, &[("conflictColumns", r#"["id"]"#)]);
        let harm = r#"{"data":[{"id":1,"s":{"$json":null}}]}"#;
        let refused = act(&database, &upsert, harm).await.unwrap_err();
        assert_eq!(&*refused.code, "VALIDATION_ERROR", "{refused:?}");
        let done = act(&database, &update, r#"{"filter":{"id":1},"data":{"s":"new"}}"#).await;
        assert_eq!(done.unwrap(), r#"{"count":1}"#);
    }
}

#[tokio::test]
async fn placeholder_without_a_value_is_an_error_where_one_is_needed() {
    let database = TestDatabase::sqlite();
    database.sql(TABLE).await;
    database.run("insertMany", ROWS).await;
    let query = |template: &'static str| DatabaseAction {
        defaults: None,
        ..defined(ActionVerb::Query, Some(template), None, &[])
    };
    let optional = query(
        r#"{"select":["id","{{x}}"],"limit":"{{x}}","offset":"{{x}}","orderBy":[{"column":"{{x}}","order":"{{y}}"},{"column":"id","order":"{{y}}"}]}"#,
    );
    assert_eq!(
        act(&database, &optional, "{}").await.unwrap(),
        r#"{"rows":[{"id":1},{"id":2}],"count":2}"#
    );
    let needed = act(&database, &query(r#"{"where":{"id":"{{x}}"}}"#), "{}")
        .await
        .unwrap_err();
    assert!(needed.message.contains("{{x}}"), "{needed:?}");
    let unused = act(
        &database,
        &query(r#"{"where":{"id":"{{user}}"}}"#),
        r#"{"user":1,"usr":2}"#,
    )
    .await;
    assert!(unused.unwrap_err().message.contains("input.usr"));
    // A column is a name, whatever it says.
    let ordered = query(r#"{"orderBy":[{"column":"{{by}}"}]}"#);
    let harm = act(&database, &ordered, r#"{"by":"id\"; DROP TABLE t; --"}"#)
        .await
        .unwrap_err();
    assert_eq!(&*harm.code, "VALIDATION_ERROR");
}

#[tokio::test]
async fn placeholder_that_says_what_its_value_must_be_is_checked() {
    for database in databases_with_rows().await {
        let query = defined(
            ActionVerb::Query,
            Some(
                r#"{"where":{"id":"{{id:integer:1:10}}","s":{"$in":["{{s:string:2:5:unique}}","of {{ s }}"]}},"select":["id"]}"#,
            ),
            None,
            &[],
        );
        let found = act(&database, &query, r#"{"id":2,"s":"up"}"#).await.unwrap();
        assert_eq!(found, r#"{"rows":[{"id":2}],"count":1}"#);
        for (input, said) in [
            (r#"{"id":11,"s":"up"}"#, "input.id: must be at most 10"),
            (r#"{"id":"2","s":"up"}"#, "input.id: must be of the type 'integer'"),
            (
                r#"{"id":2,"s":"s3cret"}"#,
                "input.s: must have at most 5 characters, got 6",
            ),
            (r#"{"id":2}"#, "{{s}}"),
            (r#"{"id":2,"s":"up","ids":1}"#, "`id`"),
        ] {
            let failure = act(&database, &query, input).await.unwrap_err();
            assert!(
                &*failure.code == "VALIDATION_ERROR" && failure.message.contains(said),
                "{input}: {failure:?}"
            );
            assert!(!failure.message.contains("s3cret"), "{failure:?}");
        }
    }
}

#[tokio::test]
async fn a_list_in_place_of_a_column_is_told_by_the_name_that_was_written() {
    let database = TestDatabase::sqlite();
    database.sql(TABLE).await;
    let query = defined(
        ActionVerb::Query,
        Some(r#"{"select":["id","{{column}}"],"limit":"{{most}}"}"#),
        None,
        &[],
    );
    for (input, said) in [
        (
            r#"{"column":["s"]}"#,
            "input.column: must be a list of columns, got a list (for `select` of the action)",
        ),
        (
            r#"{"column":"s","most":"x"}"#,
            "input.most: must be an integer from 1 to 100000 (for `limit` of the action)",
        ),
    ] {
        let failure = act(&database, &query, input).await.unwrap_err();
        assert_eq!(failure.message, said);
    }
    for (operation, input, said) in [
        (
            "find",
            r#"{"table":"t","select":[["s"]]}"#,
            "input.select: must be a list of columns",
        ),
        ("find", r#"{"entity":7}"#, "input.entity: must be a string"),
        (
            "sum",
            r#"{"table":"t","field":7}"#,
            "input.field: must be the name of a column",
        ),
        ("raw", r#"{"query":7}"#, "input.query: must be a string"),
    ] {
        let (_, message) = database.refusal(operation, input).await;
        assert!(message.starts_with(said), "{message}");
    }
}

#[tokio::test]
async fn an_expression_that_can_never_be_read_fails_for_good() {
    let action = defined(ActionVerb::Query, Some(r#"{"where":{"id":"$Add(1"}}"#), None, &[]);
    let refused = Templates::reveal(&action, &ExpressionResolver::default()).await;
    assert_eq!(&*refused.err().unwrap().code, "VALIDATION_ERROR");
}

#[tokio::test]
async fn a_job_neither_empties_a_list_nor_nests_one_so_that_every_row_is_deleted() {
    for database in TestDatabase::every().await {
        database.table(TABLE, "t", "id:N").await;
        database.run("insertMany", ROWS).await;
        for (filter, input, expected) in [
            (r#"{"id":{"$nin":"{{keep}}"}}"#, r#"{"keep":[]}"#, "the filter is empty"),
            (
                r#"{"id":{"$not":{"$in":"{{keep}}"}}}"#,
                r#"{"keep":[]}"#,
                "the filter is empty",
            ),
            (
                r#"{"$nor":[{"id":{"$in":"{{keep}}"}}]}"#,
                r#"{"keep":[]}"#,
                "the filter is empty",
            ),
            (r#"{"id":{"$nin":["{{keep}}"]}}"#, r#"{"keep":[1,2]}"#, "is a list"),
        ] {
            let filter = database.own(filter);
            let action = DatabaseAction {
                table: Some(database.name("t").as_str().into()),
                ..defined(ActionVerb::Delete, None, Some(&filter), &[])
            };
            let failure = act(&database, &action, input).await.unwrap_err();
            assert!(
                &*failure.code == "VALIDATION_ERROR" && failure.message.contains(expected),
                "{:?} {filter}: {failure:?}",
                database.dialect
            );
        }
        let count = database.run("count", r#"{"table":"t"}"#).await;
        assert_eq!(count, r#"{"count":2}"#, "{:?}", database.dialect);
    }
}
