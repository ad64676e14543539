//! Every value that a job gives to an action is part of what is done, or the job is refused.

use super::actions::{act, defined};
use super::support::TestDatabase;
use crate::resources::ActionVerb;

const ROWS: &str = r#"{"table":"t","data":[{"id":1,"n":1},{"id":2,"n":2}]}"#;

async fn databases() -> Vec<TestDatabase> {
    let databases = TestDatabase::all().await;
    for database in &databases {
        database.sql("CREATE TABLE t (id int PRIMARY KEY, n int)").await;
        database.run("insertMany", ROWS).await;
    }
    databases
}

#[tokio::test]
async fn a_value_of_a_job_that_no_placeholder_takes_is_refused() {
    let fixed = defined(ActionVerb::Update, Some(r#"{"n":"{{n}}"}"#), Some(r#"{"id":1}"#), &[]);
    let by_id = defined(
        ActionVerb::Update,
        Some(r#"{"n":"{{n}}"}"#),
        Some(r#"{"id":"{{id}}"}"#),
        &[],
    );
    let explicit = defined(
        ActionVerb::Update,
        Some(r#"{"n":"{{data.n}}"}"#),
        Some(r#"{"id":1}"#),
        &[],
    );
    let query = defined(ActionVerb::Query, None, None, &[("limit", r#""{{most}}""#)]);
    let insert = defined(ActionVerb::Insert, None, None, &[]);
    for database in databases().await {
        for (action, input, said) in [
            (
                &fixed,
                r#"{"data":{"n":7},"filter":{"id":2}}"#,
                "input.filter.id: the action has no such placeholder",
            ),
            (
                &fixed,
                r#"{"data":{"n":7,"zzz":1}}"#,
                "input.data.zzz: the action has no such placeholder; known are n",
            ),
            (&fixed, r#"{"data":{"n":7},"filter":{"zzz":1}}"#, "input.filter.zzz:"),
            (&fixed, r#"{"data":{"n":7},"query":{"zzz":1}}"#, "input.query.zzz:"),
            (
                &fixed,
                r#"{"n":5,"data":{"n":6}}"#,
                "input.n: the placeholder takes input.data.n; give one of the two",
            ),
            (
                &fixed,
                r#"{"data":{"n":7},"filter":{"n":8}}"#,
                "input.filter.n: the placeholder takes input.data.n",
            ),
            (
                &fixed,
                r#"{"n":7,"data":[1]}"#,
                "input.data: must be an object of values",
            ),
            (
                &by_id,
                r#"{"data":{"n":7,"id":1},"filter":{"id":2}}"#,
                "input.data.id: the placeholder takes input.filter.id",
            ),
            (
                &explicit,
                r#"{"data":{"n":7},"filter":{"n":8}}"#,
                "input.filter.n: the placeholder takes input.data.n",
            ),
            (
                &query,
                r#"{"filter":{"id":1},"query":{"id":2}}"#,
                "input.query.id: the action has no such placeholder; known are most",
            ),
            (&query, r#"{"data":{"id":1}}"#, "input.data.id:"),
            (
                &insert,
                r#"{"data":{"id":9},"filter":{"id":1}}"#,
                "input.filter.id: the action has no such placeholder; it has none",
            ),
        ] {
            let failure = act(&database, action, input).await.unwrap_err();
            assert!(
                &*failure.code == "VALIDATION_ERROR" && failure.message.starts_with(said),
                "{:?} {input}: {failure:?}",
                database.dialect
            );
        }
        let kept = database.run("find", r#"{"table":"t","orderBy":"id"}"#).await;
        assert_eq!(kept, r#"{"rows":[{"id":1,"n":1},{"id":2,"n":2}],"count":2}"#);
    }
}

#[tokio::test]
async fn values_are_taken_from_every_part_that_is_documented() {
    let by_id = defined(
        ActionVerb::Update,
        Some(r#"{"n":"{{n}}"}"#),
        Some(r#"{"id":"{{id}}"}"#),
        &[],
    );
    let same_name = defined(
        ActionVerb::Update,
        Some(r#"{"n":"{{n}}"}"#),
        Some(r#"{"n":"{{n}}"}"#),
        &[],
    );
    let whole = defined(ActionVerb::Update, None, None, &[]);
    let nested = defined(
        ActionVerb::Update,
        Some(r#"{"n":"{{of.n}}"}"#),
        Some(r#"{"id":"{{filter.of.id}}"}"#),
        &[],
    );
    let query = defined(
        ActionVerb::Query,
        None,
        None,
        &[("limit", r#""{{most}}""#), ("fields", r#"["id"]"#)],
    );
    for database in databases().await {
        for (action, input) in [
            (&by_id, r#"{"n":3,"id":1}"#),
            (&by_id, r#"{"data":{"n":4,"id":1}}"#),
            (&by_id, r#"{"data":{"n":5},"query":{"id":1},"filter":null}"#),
            // Filters look into `filter` first, everything else into `data`.
            (&same_name, r#"{"data":{"n":6},"filter":{"n":5}}"#),
            (&whole, r#"{"data":{"n":7},"filter":{"id":1}}"#),
            (&whole, r#"{"data":{"n":8},"query":{"id":1}}"#),
            (&nested, r#"{"data":{"of":{"n":9}},"filter":{"of":{"id":1}}}"#),
        ] {
            let done = act(&database, action, input).await;
            assert_eq!(done.unwrap(), r#"{"count":1}"#, "{:?} {input}", database.dialect);
        }
        let found = act(&database, &query, r#"{"filter":{"n":{"$gte":2}},"data":{"most":1}}"#).await;
        assert!(found.unwrap().ends_with(r#""count":1}"#));
        let row = database.run("findOne", r#"{"table":"t","where":{"id":1}}"#).await;
        assert_eq!(row, r#"{"id":1,"n":9}"#);
    }
}
