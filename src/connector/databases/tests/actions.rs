//! Actions: what a job brings is a value, and never anything else.

use super::kit::Place;
use crate::connector::Failure;
use crate::connector::databases::action::{self, Templates};
use crate::connector::databases::json::Json;
use crate::engine::preparation::Preparation;
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

async fn act(place: &Place, action: &DatabaseAction, input: &str) -> Result<String, Failure> {
    let templates = Templates::reveal(action, &Preparation::default()).await?;
    let operation = action::operation(action, &templates, &Json::read(input)?, place.opened.setting())?;
    place.opened.operate(&operation, Duration::from_secs(30)).await
}

#[tokio::test]
async fn places_are_filled_with_values_of_their_type() {
    for place in Place::all().await {
        place
            .sql("CREATE TABLE t (id int PRIMARY KEY, s varchar(60), state varchar(20))")
            .await;
        let insert = defined(
            ActionVerb::Insert,
            Some(r#"{"id":"{{id}}","s":"no {{id}}: {{user.name}}","state":"{{state}}"}"#),
            None,
            &[],
        );
        act(&place, &insert, r#"{"data":{"id":1,"user":{"name":"O'Hara"}}}"#)
            .await
            .unwrap();
        act(
            &place,
            &insert,
            r#"{"data":{"id":2,"user":{"name":"{{state}}"},"state":"old"}}"#,
        )
        .await
        .unwrap();
        let rows = place.run("find", r#"{"table":"t","orderBy":"id"}"#).await;
        assert_eq!(
            rows,
            r#"{"rows":[{"id":1,"s":"no 1: O'Hara","state":"new"},{"id":2,"s":"no 2: {{state}}","state":"old"}],"count":2}"#
        );
        let missing = act(&place, &insert, r#"{"data":{"id":3}}"#).await.unwrap_err();
        assert!(
            &*missing.code == "VALIDATION_ERROR" && missing.message.contains("user.name"),
            "{missing:?}"
        );
        let unknown = act(&place, &insert, r#"{"dta":{}}"#).await.unwrap_err();
        assert!(unknown.message.contains("`data`"), "{unknown:?}");

        let query = defined(
            ActionVerb::Query,
            None,
            Some(r#"{"id":{"$in":"{{ids}}"},"state":{"$ne":"{{filter.state}}"}}"#),
            &[("fields", r#"["id"]"#), ("limit", r#""{{most}}""#)],
        );
        let found = act(
            &place,
            &query,
            r#"{"filter":{"ids":[1,2],"state":"old"},"query":{"most":5}}"#,
        )
        .await
        .unwrap();
        assert_eq!(found, r#"{"rows":[{"id":1}],"count":1}"#);
        // An operator that a job brings is a value, and one that fits no column.
        let by_id = defined(ActionVerb::Delete, None, Some(r#"{"id":"{{id}}"}"#), &[]);
        for harm in [
            r#"{"$gt":0}"#,
            r#"{"$ne":null}"#,
            "[1,2]",
            r#""1 OR 1=1""#,
            r#"{"$in":[1,2]}"#,
        ] {
            let refused = act(&place, &by_id, &format!(r#"{{"filter":{{"id":{harm}}}}}"#))
                .await
                .unwrap_err();
            assert_eq!(&*refused.code, "VALIDATION_ERROR", "{harm}");
        }
        let none = act(&place, &by_id, r#"{"filter":{"id":null}}"#).await.unwrap();
        assert_eq!(none, r#"{"count":0}"#);
        let update = defined(
            ActionVerb::Update,
            Some(r#"{"state":"{{data.state}}"}"#),
            Some(r#"{"state":"{{filter.state}}"}"#),
            &[],
        );
        assert_eq!(
            act(&place, &update, r#"{"data":{"state":"x"},"filter":{"state":"old"}}"#)
                .await
                .unwrap(),
            r#"{"count":1}"#
        );
        let upsert = defined(ActionVerb::Upsert, None, None, &[("conflictColumns", r#"["id"]"#)]);
        act(&place, &upsert, r#"{"data":{"id":2,"s":"up"}}"#).await.unwrap();
        let sums = defined(
            ActionVerb::Aggregate,
            Some(r#"{"n":{"$count":"*"}}"#),
            Some(r#"{"id":{"$gte":"{{from}}"}}"#),
            &[],
        );
        assert_eq!(
            act(&place, &sums, r#"{"query":{"from":2}}"#).await.unwrap(),
            r#"{"rows":[{"n":1}],"count":1}"#
        );
        let raw = defined(
            ActionVerb::RawSql,
            Some(r#""SELECT id FROM t WHERE s = {{s}} OR (id = {{id}} AND s = {{s}})""#),
            None,
            &[],
        );
        assert_eq!(
            act(&place, &raw, r#"{"data":{"s":"up","id":9}}"#).await.unwrap(),
            r#"{"rows":[{"id":2}],"count":1}"#
        );
        let harmless = act(&place, &raw, r#"{"data":{"s":"' OR 1=1 --","id":9}}"#)
            .await
            .unwrap();
        assert_eq!(harmless, r#"{"rows":[],"count":0}"#);
        assert_eq!(place.run("count", r#"{"table":"t"}"#).await, r#"{"count":2}"#);
    }
}
