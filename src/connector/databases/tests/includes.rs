//! Related rows.

use super::support::TestDatabase;
use serde_json::{Value, json};

const TABLES: [&str; 5] = [
    "CREATE TABLE profiles (id int PRIMARY KEY, bio varchar(40))",
    "CREATE TABLE users (id int PRIMARY KEY, name varchar(40), profile_id int)",
    "CREATE TABLE posts (id int PRIMARY KEY, user_id int, title varchar(40), published int)",
    "CREATE TABLE roles (id int PRIMARY KEY, name varchar(40))",
    "CREATE TABLE user_roles (user_id int, role_id int)",
];

async fn databases() -> Vec<TestDatabase> {
    let mut databases = TestDatabase::all().await;
    databases.extend(TestDatabase::mongodb());
    for database in &databases {
        for table in TABLES {
            database.table(table, "", "").await;
        }
        for rows in [
            r#"{"table":"profiles","data":[{"id":10,"bio":"x"},{"id":11,"bio":"y"}]}"#,
            r#"{"table":"users","data":[{"id":1,"name":"ann","profile_id":11},{"id":2,"name":"bob","profile_id":null}]}"#,
            r#"{"table":"posts","data":[{"id":1,"user_id":1,"title":"a","published":1},{"id":2,"user_id":1,"title":"b","published":0},
                {"id":3,"user_id":1,"title":"c","published":1},{"id":4,"user_id":2,"title":"d","published":1}]}"#,
            r#"{"table":"roles","data":[{"id":5,"name":"admin"},{"id":6,"name":"editor"}]}"#,
            r#"{"table":"user_roles","data":[{"user_id":1,"role_id":5},{"user_id":1,"role_id":6},{"user_id":2,"role_id":6}]}"#,
        ] {
            database.run("insert", rows).await;
        }
    }
    databases
}

async fn found(database: &TestDatabase, include: &str) -> Value {
    let input = format!(r#"{{"table":"users","select":["name"],"orderBy":"id","include":{include}}}"#);
    let text = database.run("query", &input).await;
    serde_json::from_str::<Value>(&text).unwrap()["rows"].clone()
}

#[tokio::test]
async fn each_type_of_relation_is_read() {
    for database in databases().await {
        let dialect = database.dialect;
        let profile = r#"{"relation":"profile","table":"profiles","type":"many-to-one","foreignKey":"profile_id","primaryKey":"id","select":["bio"]}"#;
        assert_eq!(
            found(&database, profile).await,
            json!([{ "name": "ann", "profile": { "bio": "y" } }, { "name": "bob", "profile": null }]),
            "{dialect:?}"
        );
        let posts = r#"{"relation":"posts","type":"one-to-many","foreignKey":"user_id","select":["id"],
            "where":{"published":1},"orderBy":{"column":"id","order":"DESC"},"limit":1}"#;
        assert_eq!(
            found(&database, posts).await,
            json!([{ "name": "ann", "posts": [{ "id": 3 }] }, { "name": "bob", "posts": [{ "id": 4 }] }]),
            "{dialect:?}"
        );
        let roles = r#"{"relation":"roles","type":"many-to-many","through":"user_roles","throughForeignKey":"user_id",
            "throughRelatedKey":"role_id","select":["name"],"orderBy":"name"}"#;
        assert_eq!(
            found(&database, roles).await,
            json!([
                { "name": "ann", "roles": [{ "name": "admin" }, { "name": "editor" }] },
                { "name": "bob", "roles": [{ "name": "editor" }] },
            ]),
            "{dialect:?}"
        );
        // Names of keys follow from those of the tables; relations have relations.
        let nested = r#"[{"relation":"posts","type":"one-to-many","select":["title"],"where":{"id":4},
            "include":{"relation":"author","table":"users","type":"many-to-one","foreignKey":"user_id","select":["name"]}},
            {"relation":"roles","type":"many-to-many","through":"user_roles","where":{"id":5}}]"#;
        assert_eq!(
            found(&database, nested).await,
            json!([
                { "name": "ann", "posts": [], "roles": [{ "id": 5, "name": "admin" }] },
                { "name": "bob", "posts": [{ "title": "d", "author": { "name": "bob" } }], "roles": [] },
            ]),
            "{dialect:?}"
        );
        let one = r#"{"table":"users","where":{"id":9},"include":{"relation":"posts","type":"one-to-many"}}"#;
        assert_eq!(database.run("findOne", one).await, "null");
    }
}

#[tokio::test]
async fn relations_are_bounded() {
    for database in databases().await {
        let deep = (0..4).fold(String::new(), |inner, _| {
            let inner = if inner.is_empty() {
                inner
            } else {
                format!(r#","include":{inner}"#)
            };
            format!(r#"{{"relation":"posts","type":"one-to-many"{inner}}}"#)
        });
        let (_, message) = database
            .refusal("query", &format!(r#"{{"table":"users","include":{deep}}}"#))
            .await;
        assert!(message.contains("levels"), "{message}");
        let rows: Vec<String> = (100..10_200)
            .map(|id| format!(r#"{{"id":{id},"user_id":1}}"#))
            .collect();
        for rows in rows.chunks(6_000) {
            let rows = format!(r#"{{"table":"posts","data":[{}]}}"#, rows.join(","));
            database.run("insert", &rows).await;
        }
        let all = r#"{"table":"users","include":{"relation":"posts","type":"one-to-many","select":["id"]}}"#;
        let (code, message) = database.refusal("query", all).await;
        assert!(code == "VALIDATION_ERROR" && message.contains("limit"), "{message}");
        let some = r#"{"table":"users","include":{"relation":"posts","type":"one-to-many","select":["id"],"limit":2}}"#;
        assert_eq!(
            database.run("query", some).await.matches(r#"{"id":"#).count(),
            5,
            "two rows, and three posts"
        );
        let (_, message) = database
            .refusal(
                "query",
                r#"{"table":"users","include":{"relation":"name","table":"posts","type":"one-to-many"}}"#,
            )
            .await;
        assert!(message.contains("'name'"), "{message}");
    }
}
