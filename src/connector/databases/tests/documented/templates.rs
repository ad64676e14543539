//! Templates of actions.

use super::{Declines, Differences, EVERY, Is, Outcomes, SQL};
use crate::connector::databases::dialect::Dialect::{Dynamo, Mongo, MySql, Postgres};
use crate::connector::databases::tests::actions::{act, defined};
use crate::connector::databases::tests::definitions::{checked, checked_on};
use crate::connector::databases::tests::support::TestDatabase;
use crate::resources::{ActionVerb, DatabaseAction, DatabaseKind};

/// Verb, template, filter, input, and what it comes to.
type Case<'a> = (ActionVerb, Option<&'a str>, Option<&'a str>, &'a str, Outcomes<'a>);

#[tokio::test]
async fn every_documented_template_runs() {
    let mut differences = Differences::default();
    for database in TestDatabase::every().await {
        let table = "CREATE TABLE t (id int PRIMARY KEY, s varchar(60), state varchar(20))";
        database.table(table, "t", "id:N").await;
        let rows = r#"{"table":"t","data":[{"id":1,"s":"no 1","state":"new"},{"id":2,"s":"up","state":"old"}]}"#;
        database.run("insertMany", rows).await;
        let name = database.name("t");
        let sql = match database.dialect {
            Dynamo => format!(r#"{{"query":"SELECT id FROM \"{name}\" WHERE s = ?","params":["{{{{s}}}}"]}}"#),
            _ => {
                let place = database.per_dialect("$1", "?", "?");
                format!(r#"{{"query":"SELECT id FROM t WHERE s = {place}","params":["{{{{s}}}}"]}}"#)
            }
        };
        // Each one begins with what those before it have left.
        let cases: &[Case<'_>] = &[
            (
                ActionVerb::Query,
                Some(
                    r#"{"where":{"state":"{{state}}","id":{"$GTE":"{{from}}"}},"select":["id","{{more}}"],"limit":"{{limit}}","offset":"{{offset}}","orderBy":[{"column":"{{by}}","order":"{{direction}}"}]}"#,
                ),
                None,
                r#"{"state":"new","from":1,"limit":25,"offset":0,"by":"id","direction":"DESC"}"#,
                &[
                    (&[Dynamo], Declines("input.orderBy")),
                    (EVERY, Is(r#"{"rows":[{"id":1}],"count":1}"#)),
                ],
            ),
            (
                ActionVerb::Query,
                Some(
                    r#"{"where":{"$OR":{"state":"{{a}}","s":"{{b}}"}},"select":["id"],"limit":"{{limit}}","orderBy":[{"column":"{{by}}","order":"{{direction}}"}]}"#,
                ),
                None,
                r#"{"a":"old","b":"zzz"}"#,
                &[(EVERY, Is(r#"{"rows":[{"id":2}],"count":1}"#))],
            ),
            (
                ActionVerb::Query,
                Some(r#"{"where":{"s":{"$CONTAINS":"{{part}}"}},"select":["id"]}"#),
                None,
                r#"{"query":{"part":"no"}}"#,
                &[(EVERY, Is(r#"{"rows":[{"id":1}],"count":1}"#))],
            ),
            (
                ActionVerb::Query,
                Some(
                    r#"{"where":{"state":{"$IN":["{{one}}","{{two}}"]}},"operations":{"n":{"$COUNT":"*"},"high":{"$MAX":"id"}}}"#,
                ),
                None,
                r#"{"one":"new","two":"old"}"#,
                &[
                    (&[Dynamo], Declines("`count`: aggregate")),
                    (EVERY, Is(r#"{"rows":[{"n":2,"high":2}],"count":1}"#)),
                ],
            ),
            (
                ActionVerb::Aggregate,
                Some(r#"{"where":{"id":{"$GTE":"{{from}}"}},"operations":{"n":{"$COUNT":"id"}}}"#),
                None,
                r#"{"from":2}"#,
                &[
                    (&[Dynamo], Declines("`count`: aggregate")),
                    (EVERY, Is(r#"{"rows":[{"n":1}],"count":1}"#)),
                ],
            ),
            (
                ActionVerb::RawSql,
                Some(&sql),
                None,
                r#"{"s":"up"}"#,
                &[
                    (&[Mongo], Declines("RAW_SQL")),
                    (EVERY, Is(r#"{"rows":[{"id":2}],"count":1}"#)),
                ],
            ),
            (
                ActionVerb::Insert,
                Some(r#"{"records":[{"id":"{{key}}","s":"{{s}}","state":"active"}]}"#),
                None,
                r#"{"key":3,"s":"it's"}"#,
                &[(EVERY, Is(r#"{"count":1}"#))],
            ),
            (
                ActionVerb::Insert,
                Some(r#"{"records":"{{rows}}"}"#),
                None,
                r#"{"rows":[{"id":4,"s":"a"},{"id":5,"s":"b"}]}"#,
                &[(EVERY, Is(r#"{"count":2}"#))],
            ),
            (
                ActionVerb::Upsert,
                Some(r#"{"records":[{"id":"{{key}}","state":"{{to}}"}],"conflictColumns":["id"]}"#),
                None,
                r#"{"key":3,"to":"again"}"#,
                &[(EVERY, Is(r#"{"count":1}"#))],
            ),
            (
                ActionVerb::Update,
                Some(r#"{"state":"{{state}}"}"#),
                Some(r#"{"id":"{{key}}"}"#),
                r#"{"data":{"state":"done"},"filter":{"key":1}}"#,
                &[(EVERY, Is(r#"{"count":1}"#))],
            ),
            (
                ActionVerb::Update,
                Some(r#"{"id":{"$inc":"{{by}}"}}"#),
                Some(r#"{"id":2}"#),
                r#"{"by":100}"#,
                &[
                    (&[Mongo], Declines("MongoDB")),
                    (&[Dynamo], Declines("table's key")),
                    (EVERY, Is(r#"{"count":1}"#)),
                ],
            ),
            (
                ActionVerb::Delete,
                None,
                Some(r#"{"id":{"$LT":"{{below}}"}}"#),
                r#"{"below":2}"#,
                &[(EVERY, Is(r#"{"count":1}"#))],
            ),
            (
                ActionVerb::Insert,
                Some(r#"{"insertOne":{"id":"{{key}}","s":"{{s}}"}}"#),
                None,
                r#"{"data":{"key":11,"s":"one"},"filter":{}}"#,
                &[(EVERY, Is(r#"{"count":1}"#))],
            ),
            (
                ActionVerb::Insert,
                Some(r#"{"insertMany":[{"id":"{{key}}","s":"{{s}}"},{"id":13,"s":"{{s}}"}]}"#),
                None,
                r#"{"data":{"key":12,"s":"many"}}"#,
                &[(EVERY, Is(r#"{"count":2}"#))],
            ),
            (
                ActionVerb::Query,
                Some(r#"{"find":{"s":"{{s}}","id":{"$gt":12}}}"#),
                None,
                r#"{"s":"many"}"#,
                &[
                    (SQL, Is(r#"{"rows":[{"id":13,"s":"many","state":null}],"count":1}"#)),
                    (EVERY, Is(r#"{"rows":[{"id":13,"s":"many"}],"count":1}"#)),
                ],
            ),
            (
                ActionVerb::Query,
                Some(r#"{"findOne":{"s":"{{s}}"}}"#),
                None,
                r#"{"data":{"s":"one"}}"#,
                &[
                    (SQL, Is(r#"{"id":11,"s":"one","state":null}"#)),
                    (EVERY, Is(r#"{"id":11,"s":"one"}"#)),
                ],
            ),
            (
                ActionVerb::Update,
                Some(r#"{"updateOne":{"set":{"s":"{{to}}"}}}"#),
                Some(r#"{"where":{"s":"{{s}}"}}"#),
                r#"{"s":"one","to":"two"}"#,
                &[(EVERY, Is(r#"{"count":1}"#))],
            ),
            (
                ActionVerb::Update,
                Some(r#"{"updateMany":{"$set":{"s":"{{to}}"}}}"#),
                Some(r#"{"s":"{{s}}"}"#),
                r#"{"s":"many","to":"more"}"#,
                &[(EVERY, Is(r#"{"count":2}"#))],
            ),
            (
                ActionVerb::Delete,
                Some(r#"{"deleteOne":{"s":"{{s}}"}}"#),
                None,
                r#"{"s":"two"}"#,
                &[(EVERY, Is(r#"{"count":1}"#))],
            ),
            (
                ActionVerb::Delete,
                Some(r#"{"deleteMany":{"s":"{{s}}"}}"#),
                None,
                r#"{"filter":{"s":"more"}}"#,
                &[(EVERY, Is(r#"{"count":2}"#))],
            ),
        ];
        for (verb, template, filter, input, outcomes) in cases {
            let own = |text: &Option<&str>| text.map(|text| database.own(text));
            let (of, filter) = (own(template), own(filter));
            let action = DatabaseAction {
                table: Some(name.as_str().into()),
                defaults: None,
                ..defined(*verb, of.as_deref(), filter.as_deref(), &[])
            };
            // By the parameters that its SQL has.
            let kind = match database.dialect {
                Postgres => DatabaseKind::Postgresql,
                MySql => DatabaseKind::Mysql,
                _ => DatabaseKind::Sqlite,
            };
            assert_eq!(checked_on(kind, action.clone()), Ok(()), "{template:?}");
            let answer = act(&database, &action, &database.own(input)).await;
            let shape = (template.unwrap_or("no template"), *input, *outcomes);
            differences.compare(&database, &shape, answer, |text| {
                match text.split_once(r#","insertId""#) {
                    Some((count, _)) => format!("{count}}}"),
                    None => text.to_owned(),
                }
            });
        }
    }
    differences.end();
}

#[test]
fn templates_that_name_an_operation_of_another_verb_are_refused() {
    for (verb, template, of) in [
        (ActionVerb::Insert, r#"{"findOne":{"id":"{{key}}"}}"#, "QUERY"),
        (ActionVerb::Query, r#"{"insertOne":{"id":"{{key}}"}}"#, "INSERT"),
        (ActionVerb::Update, r#"{"deleteOne":{"id":"{{key}}"}}"#, "DELETE"),
        (
            ActionVerb::Upsert,
            r#"{"updateOne":{"set":{"id":"{{key}}"}}}"#,
            "UPDATE",
        ),
    ] {
        let problem = checked(defined(verb, Some(template), None, &[])).unwrap_err();
        assert!(problem.contains(of), "{problem}");
    }
}
