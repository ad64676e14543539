//! Every operation on every kind of database.

use super::support::TestDatabase;
use crate::connector::databases::dialect::Dialect;

const ORDERS: &str =
    "CREATE TABLE orders (id bigint PRIMARY KEY, customer varchar(100), amount decimal(12,2), state varchar(20))";

async fn orders() -> Vec<TestDatabase> {
    let places = TestDatabase::all().await;
    for database in &places {
        database.sql(ORDERS).await;
        let rows = r#"{"table":"orders","data":[
            {"id":1,"customer":"ann","amount":"10.50","state":"open"},
            {"id":2,"customer":"bob","amount":20,"state":"open"},
            {"id":3,"amount":5.25,"customer":"ann","state":"paid"},
            {"id":4,"customer":null,"state":"void"}]}"#;
        assert!(database.run("insertMany", rows).await.starts_with(r#"{"count":4"#));
    }
    places
}

#[tokio::test]
async fn rows_are_read_in_order_with_columns_limit_and_offset() {
    for database in orders().await {
        for name in ["query", "find"] {
            let found = database
                .run(
                    name,
                    r#"{"table":"orders","where":{"state":"open"},"select":["id","amount"],"orderBy":{"id":"desc"}}"#,
                )
                .await;
            let amount = database.per_dialect("\"20.00\"", "\"20.00\"", "\"20\"");
            let other = database.per_dialect("\"10.50\"", "\"10.50\"", "\"10.5\"");
            let rows = format!(r#"{{"rows":[{{"id":2,"amount":{amount}}},{{"id":1,"amount":{other}}}],"count":2}}"#);
            assert_eq!(found, rows);
        }
        let page = database
            .run(
                "find",
                r#"{"collection":"orders","fields":["id"],"orderBy":["customer",{"id":"desc"}],"limit":2,"offset":1}"#,
            )
            .await;
        assert_eq!(page.matches("\"id\"").count(), 2);
        let one = database
            .run("findOne", r#"{"table":"orders","filter":{"id":3},"fields":"customer"}"#)
            .await;
        assert_eq!(one, r#"{"customer":"ann"}"#);
        assert_eq!(
            database
                .run("findOne", r#"{"table":"orders","filter":{"id":99}}"#)
                .await,
            "null"
        );
        assert_eq!(database.run("count", r#"{"table":"orders"}"#).await, r#"{"count":4}"#);
        assert_eq!(
            database
                .run("count", r#"{"table":"orders","where":{"customer":"ann"}}"#)
                .await,
            r#"{"count":2}"#
        );
    }
}

#[tokio::test]
async fn update_and_delete_affect_only_matching_rows() {
    for database in orders().await {
        let changed = r#"{"table":"orders","where":{"state":"open"},"data":{"state":"late"}}"#;
        assert_eq!(database.run("update", changed).await, r#"{"count":2}"#);
        let again = r#"{"table":"orders","where":{"state":"late"},"values":{"state":"late"}}"#;
        assert_eq!(
            database.run("updateMany", again).await,
            r#"{"count":2}"#,
            "rows that are met count"
        );
        for (name, input) in [
            ("update", r#"{"table":"orders","data":{"state":"x"}}"#),
            ("updateMany", r#"{"table":"orders","data":{"state":"x"},"where":{}}"#),
            ("delete", r#"{"table":"orders"}"#),
            ("deleteMany", r#"{"table":"orders","filter":{}}"#),
            ("deleteMany", r#"{"table":"orders","filter":{"$and":[{}]}}"#),
            ("deleteMany", r#"{"table":"orders","filter":{"$or":[{"id":1},{}]}}"#),
            ("deleteMany", r#"{"table":"orders","filter":{"id":{"$nin":[]}}}"#),
            (
                "deleteMany",
                r#"{"table":"orders","filter":{"id":{"$not":{"$in":[]}}}}"#,
            ),
            ("deleteMany", r#"{"table":"orders","filter":{},"all":"true"}"#),
            ("deleteMany", r#"{"table":"orders","filter":null}"#),
        ] {
            assert_eq!(database.refusal(name, input).await.0, "VALIDATION_ERROR", "{input}");
        }
        assert_eq!(
            database
                .run("count", r#"{"table":"orders","where":{"state":"late"}}"#)
                .await,
            r#"{"count":2}"#
        );
        assert_eq!(
            database.run("delete", r#"{"table":"orders","where":{"id":1}}"#).await,
            r#"{"count":1}"#
        );
        assert_eq!(
            database
                .run("deleteMany", r#"{"table":"orders","where":{"id":{"$gt":2}}}"#)
                .await,
            r#"{"count":2}"#
        );
        assert_eq!(
            database.run("deleteMany", r#"{"table":"orders","all":true}"#).await,
            r#"{"count":1}"#
        );
    }
}

#[tokio::test]
async fn rows_are_inserted_all_or_not_at_all() {
    for database in orders().await {
        // Rows with other columns need a second statement, which fails.
        let rows = r#"{"table":"orders","data":[{"id":10},{"id":11,"customer":"eve"},{"id":1,"state":"twice","customer":"x"}]}"#;
        let (code, message) = database.refusal("insertMany", rows).await;
        assert_eq!(code, "VALIDATION_ERROR", "{message}");
        assert_eq!(database.run("count", r#"{"table":"orders"}"#).await, r#"{"count":4}"#);
        let one = database.run("insert", r#"{"table":"orders","data":{"id":12}}"#).await;
        assert!(one.starts_with(r#"{"count":1"#), "{one}");
        let many: Vec<String> = (100..2_600)
            .map(|id| format!(r#"{{"id":{id},"state":"bulk"}}"#))
            .collect();
        let many = format!(r#"{{"table":"orders","data":[{}]}}"#, many.join(","));
        assert!(database.run("insertMany", &many).await.starts_with(r#"{"count":2500"#));
        let found = database
            .run("find", r#"{"table":"orders","where":{"state":"bulk"},"fields":["id"]}"#)
            .await;
        assert!(
            found.ends_with(r#""count":1000,"truncated":true}"#),
            "{}",
            &found[found.len() - 60..]
        );
        let found = database
            .run(
                "find",
                r#"{"table":"orders","where":{"state":"bulk"},"fields":["id"],"limit":2000}"#,
            )
            .await;
        assert!(found.ends_with(r#""count":2000}"#));
    }
}

#[tokio::test]
async fn upsert_updates_an_existing_row() {
    for database in orders().await {
        let rows =
            r#"{"table":"orders","conflictColumns":["id"],"data":[{"id":1,"state":"new"},{"id":50,"state":"new"}]}"#;
        let answer = database.run("upsert", rows).await;
        assert!(answer.starts_with(r#"{"count":2"#), "{answer}");
        let kept = r#"{"table":"orders","conflictColumns":"id","data":{"id":1,"state":"x","customer":"zoe"},"updateColumns":["customer"]}"#;
        database.run("upsert", kept).await;
        let nothing = r#"{"table":"orders","conflictColumns":["id"],"data":{"id":1}}"#;
        database.run("upsert", nothing).await;
        let found = database
            .run(
                "find",
                r#"{"table":"orders","where":{"id":{"$in":[1,50]}},"fields":["id","customer","state"],"orderBy":"id"}"#,
            )
            .await;
        assert_eq!(
            found,
            r#"{"rows":[{"id":1,"customer":"zoe","state":"new"},{"id":50,"customer":null,"state":"new"}],"count":2}"#
        );
        assert_eq!(
            database
                .refusal("upsert", r#"{"table":"orders","data":{"id":1}}"#)
                .await
                .0,
            "VALIDATION_ERROR"
        );
    }
}

#[tokio::test]
async fn aggregates_are_computed_per_group() {
    for database in orders().await {
        let answer = database
            .run(
                "aggregate",
                r#"{"table":"orders","groupBy":["customer"],"where":{"customer":{"$exists":true}},
                    "aggregate":{"n":{"$count":"*"},"largest":{"$max":"id"},"kinds":{"$countDistinct":"state"}},
                    "having":{"n":{"$gte":1},"customer":{"$ne":"zed"}},"orderBy":{"n":"desc"}}"#,
            )
            .await;
        assert_eq!(
            answer,
            r#"{"rows":[{"customer":"ann","n":2,"largest":3,"kinds":2},{"customer":"bob","n":1,"largest":2,"kinds":1}],"count":2}"#
        );
        let total = database
            .run(
                "aggregate",
                r#"{"table":"orders","aggregate":{"total":{"$SUM":"amount"}}}"#,
            )
            .await;
        assert!(total.contains("35.75"), "{total}");
        for wrong in [
            r#"{"table":"orders","aggregate":{"n":{"$sleep":"id"}}}"#,
            r#"{"table":"orders","aggregate":{}}"#,
            r#"{"table":"orders","aggregate":{"n":{"$count":"*"}},"having":{"id":1}}"#,
            r#"{"table":"orders","aggregate":{"n":{"$sum":"*"}},"orderBy":"id"}"#,
        ] {
            assert_eq!(
                database.refusal("aggregate", wrong).await.0,
                "VALIDATION_ERROR",
                "{wrong}"
            );
        }
    }
}

#[tokio::test]
async fn sql_of_a_job_is_run_with_its_parameters_bound() {
    for database in orders().await {
        let sql = database.per_dialect("$1 AND state = $2", "? AND state = ?", "?1 AND state = ?2");
        let input = format!(r#"{{"sql":"SELECT id FROM orders WHERE customer = {sql}","params":["ann","open"]}}"#);
        assert_eq!(database.run("raw", &input).await, r#"{"rows":[{"id":1}],"count":1}"#);
        let changed = database.sql("UPDATE orders SET state = 'x' WHERE id < 3").await;
        assert_eq!(changed, r#"{"count":2}"#);
        for wrong in [
            r#"{"sql":"SELECT 1; DROP TABLE orders"}"#,
            r#"{"sql":"SELECT 1","params":[1]}"#,
            r#"{"sql":"SELECT 1","params":{"a":1}}"#,
            r#"{"sql":" "}"#,
            r#"{"sql":"SELEC 's3cret'"}"#,
        ] {
            let (code, message) = database.refusal("raw", wrong).await;
            assert_eq!(code, "VALIDATION_ERROR", "{:?} {wrong} {message}", database.dialect);
            assert!(!message.contains("s3cret"), "{message}");
        }
        assert_eq!(database.run("count", r#"{"table":"orders"}"#).await, r#"{"count":4}"#);
    }
}

#[tokio::test]
async fn changed_rows_are_returned_where_the_database_can() {
    for database in orders().await {
        let input = r#"{"table":"orders","where":{"id":1},"data":{"state":"x"},"returning":["id","state"]}"#;
        if database.dialect == Dialect::MySql {
            assert_eq!(database.refusal("update", input).await.0, "VALIDATION_ERROR");
            continue;
        }
        assert_eq!(
            database.run("update", input).await,
            r#"{"count":1,"rows":[{"id":1,"state":"x"}]}"#
        );
        let gone = database
            .run("delete", r#"{"table":"orders","where":{"id":2},"returning":true}"#)
            .await;
        assert!(gone.starts_with(r#"{"count":1,"rows":[{"id":2,"#), "{gone}");
    }
}

#[tokio::test]
async fn missing_table_or_column_is_named() {
    for database in orders().await {
        let (code, message) = database.refusal("find", r#"{"table":"order"}"#).await;
        assert_eq!(code, "NOT_FOUND");
        assert!(message.contains("order"), "{message}");
        let (code, message) = database
            .refusal("find", r#"{"table":"orders","where":{"nmae":1}}"#)
            .await;
        assert_eq!(code, "VALIDATION_ERROR");
        assert!(message.contains("nmae"), "{message}");
        let (code, message) = database.refusal("findone", r#"{"table":"orders"}"#).await;
        assert!(code == "VALIDATION_ERROR" && message.contains("`findOne`"), "{message}");
        let (_, message) = database.refusal("find", r#"{"table":"orders","were":{}}"#).await;
        assert!(message.contains("`where`"), "{message}");
        let (_, message) = database.refusal("find", r#"{"where":{}}"#).await;
        assert!(message.contains("no table is named"), "{message}");
        // A column that is added later is found.
        database.sql("ALTER TABLE orders ADD COLUMN note varchar(20)").await;
        database
            .run("update", r#"{"table":"orders","where":{"id":1},"data":{"note":"x"}}"#)
            .await;
    }
}

#[tokio::test]
async fn results_are_bounded_in_bytes() {
    for database in TestDatabase::all().await {
        database
            .sql(database.per_dialect(
                "CREATE TABLE big (id int, body text)",
                "CREATE TABLE big (id int, body longtext)",
                "CREATE TABLE big (id int, body text)",
            ))
            .await;
        for id in 0..5 {
            let body = "x".repeat(300_000);
            database
                .run(
                    "insert",
                    &format!(r#"{{"table":"big","data":{{"id":{id},"body":"{body}"}}}}"#),
                )
                .await;
        }
        let found = database.run("find", r#"{"table":"big"}"#).await;
        assert!(found.ends_with(r#""count":3,"truncated":true}"#) && found.len() < 1 << 20);
        let grown = database.per_dialect(
            "UPDATE big SET body = repeat('y', 1200000)",
            "UPDATE big SET body = repeat('y', 1200000)",
            "UPDATE big SET body = printf('%.*c', 1200000, 'y')",
        );
        database.sql(grown).await;
        assert_eq!(
            database.refusal("findOne", r#"{"table":"big"}"#).await.0,
            "VALIDATION_ERROR"
        );
        assert_eq!(
            database.refusal("find", r#"{"table":"big"}"#).await.0,
            "VALIDATION_ERROR"
        );
    }
}
