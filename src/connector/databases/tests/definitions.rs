//! What the constructor says of actions: all that can be known without the values of jobs.

use super::actions::defined;
use crate::resources::{ActionVerb, DatabaseAction, DatabaseKind};

/// What the constructor says of an action.
pub(super) fn checked(action: DatabaseAction) -> Result<(), String> {
    checked_on(DatabaseKind::Postgresql, action)
}

/// The same on another type of database.
fn checked_on(kind: DatabaseKind, action: DatabaseAction) -> Result<(), String> {
    // Some take no name of one letter.
    let action = DatabaseAction {
        table: Some("items".into()),
        ..action
    };
    use crate::connector::databases::problems;
    use crate::resources::{Database, Resources};
    let mut resources = Resources::default();
    let database = Database {
        tag: "db".into(),
        kind,
        table: None,
        raw: true,
        envs: Vec::new(),
        actions: vec![action],
    };
    resources.databases.add("shop", "db", database);
    match problems(&resources).pop() {
        None => Ok(()),
        Some(problem) => Err(problem.message),
    }
}

#[test]
fn wrong_templates_are_refused_by_the_constructor() {
    for (verb, template, filter, options, named) in [
        (ActionVerb::Query, Some(r#"{"were":{}}"#), None, &[][..], "`where`"),
        (
            ActionVerb::Query,
            Some(r#"{"include":{"relation":"{{x}}","type":"one-to-many"}}"#),
            None,
            &[],
            "`include`",
        ),
        (
            ActionVerb::Query,
            Some(r#"{"where":{"id":{"$gtt":"{{x}}"}}}"#),
            None,
            &[],
            "$gt",
        ),
        (
            ActionVerb::Query,
            Some(r#"{"orderBy":{"column":"id","order":"up"}}"#),
            None,
            &[],
            "orderBy",
        ),
        (ActionVerb::Query, Some(r#"{"limit":0}"#), None, &[], "limit"),
        (
            ActionVerb::Query,
            Some(r#"{"limit":5}"#),
            None,
            &[("limit", "5")],
            "limit",
        ),
        (
            ActionVerb::Aggregate,
            Some(r#"{"n":{"$median":"id"}}"#),
            None,
            &[],
            "$median",
        ),
        (
            ActionVerb::Aggregate,
            Some(r#"{"where":{},"operations":{"n":{"$sum":"*"}}}"#),
            None,
            &[],
            "'n'",
        ),
        (
            ActionVerb::Update,
            Some(r#"{"n":{"$incc":1}}"#),
            Some(r#"{"id":"{{id}}"}"#),
            &[],
            "$inc",
        ),
        (ActionVerb::Update, Some(r#"{"n":1}"#), Some("{}"), &[], "empty"),
        (ActionVerb::Delete, None, Some(r#"{"$or":"{{x}}"}"#), &[], "$or"),
        (
            ActionVerb::Upsert,
            Some(r#"{"records":[{"id":"{{id}}"}]}"#),
            None,
            &[],
            "conflictColumns",
        ),
        (
            ActionVerb::Upsert,
            Some(r#"{"a":1}"#),
            None,
            &[("conflictColumns", r#"["id"]"#)],
            "'id'",
        ),
        (
            ActionVerb::Insert,
            Some(r#"{"records":[{"n":{"$inc":1}}]}"#),
            None,
            &[],
            "$inc",
        ),
    ] {
        let refused = checked(defined(verb, template, filter, options)).unwrap_err();
        assert!(
            refused.contains(named) && refused.contains("action 'a'"),
            "{template:?}: {refused}"
        );
    }
    for (verb, template, filter, options) in [
        (
            ActionVerb::Query,
            Some(r#"{"where":{"id":{"$in":"{{ids}}","$between":"{{range}}"},"s":{"$like":"{{p}}%"}},"limit":"{{n}}"}"#),
            None,
            &[][..],
        ),
        (
            ActionVerb::Query,
            None,
            Some(r#"{"s":"$Secret{NAME}","id":{"$in":"$Secret{LIST}"}}"#),
            &[("limit", r#""{{n}}""#)],
        ),
        (ActionVerb::Update, None, None, &[]),
        (ActionVerb::Insert, None, None, &[]),
        (ActionVerb::Delete, None, None, &[]),
        (ActionVerb::Upsert, None, None, &[("conflictColumns", r#"["id"]"#)]),
    ] {
        assert_eq!(
            checked(defined(verb, template, filter, options)),
            Ok(()),
            "{template:?}"
        );
    }
}

#[test]
fn what_a_type_of_database_cannot_do_is_refused_by_the_constructor_with_its_path() {
    use ActionVerb::{Aggregate, Query, RawSql, Update, Upsert};
    use DatabaseKind::{Dynamodb, Mongodb, Mysql, Postgresql, Sqlite};
    type Case<'c> = (
        DatabaseKind,
        ActionVerb,
        &'c str,
        Option<&'c str>,
        &'c [(&'c str, &'c str)],
        &'c str,
        &'c str,
    );
    let by_id = Some(r#"{"id":"{{id}}"}"#);
    let none = &[][..];
    let cases: &[Case<'_>] = &[
        (
            Sqlite,
            Query,
            r#"{"where":{"a":{"$regex":"^a"}}}"#,
            None,
            none,
            "template: ",
            "$like",
        ),
        (
            Sqlite,
            Query,
            r#"{"limit":1}"#,
            Some(r#"{"$or":[{"a":{"$regex":"{{a}}"}}]}"#),
            none,
            "filterTemplate: ",
            "$like",
        ),
        (
            Sqlite,
            Update,
            r#"{"a":{"$rename":"b"}}"#,
            by_id,
            none,
            "template.a: ",
            "$rename",
        ),
        (
            Postgresql,
            Update,
            r#"{"a":{"$currentDate":true}}"#,
            by_id,
            none,
            "template.a: ",
            "$Now()",
        ),
        (
            Mysql,
            Update,
            r#"{"a":1}"#,
            by_id,
            &[("returning", "true")],
            "returning: ",
            "MySQL",
        ),
        (
            Sqlite,
            Query,
            r#"{"include":{"relation":"r","type":"one-to-many","where":{"a":{"$regex":"x"}}}}"#,
            None,
            none,
            "$regex",
            "$like",
        ),
        (Mongodb, RawSql, r#""SELECT 1""#, None, none, "operation: ", "MongoDB"),
        (
            Mongodb,
            Update,
            r#"{"a":1}"#,
            by_id,
            &[("returning", "true")],
            "returning: ",
            "updateOne",
        ),
        (
            Dynamodb,
            Aggregate,
            r#"{"n":{"$count":"*"}}"#,
            None,
            none,
            "aggregate",
            "DynamoDB",
        ),
        (
            Dynamodb,
            Update,
            r#"{"a":{"$mul":"{{by}}"}}"#,
            by_id,
            none,
            "template.a: ",
            "$mul",
        ),
        (
            Dynamodb,
            Query,
            r#"{"where":{"a":{"$endsWith":"x"}}}"#,
            None,
            none,
            "template: ",
            "DynamoDB",
        ),
        (
            Dynamodb,
            Query,
            r#"{"include":{"relation":"r","type":"one-to-many"}}"#,
            None,
            none,
            "template.include: ",
            "DynamoDB",
        ),
        (
            Postgresql,
            Query,
            r#"{"limit":"x"}"#,
            None,
            none,
            "template.limit: ",
            "integer",
        ),
        (
            Postgresql,
            Upsert,
            r#"{"records":[{"a":{"$inc":1}}]}"#,
            None,
            &[("conflictColumns", r#"["a"]"#)],
            "template.records.a: ",
            "$inc",
        ),
        (
            Mongodb,
            Update,
            r#"{"a":{"$inc":"x"}}"#,
            by_id,
            none,
            "template.a: ",
            "a number",
        ),
    ];
    for (kind, verb, template, filter, options, path, named) in cases {
        let refused = checked_on(*kind, defined(*verb, Some(template), *filter, options)).unwrap_err();
        assert!(
            refused.contains(&format!("(shop): {path}"))
                || (path.starts_with('$') || *path == "aggregate") && refused.contains(path),
            "{kind:?} {template}: {refused}"
        );
        assert!(refused.contains(named), "{kind:?} {template}: {refused}");
    }
    // What each of them takes, whatever the job will give.
    for kind in [Postgresql, Mysql, Sqlite, Mongodb, Dynamodb] {
        for (verb, template, filter) in [
            (
                Update,
                Some(r#"{"n":{"$inc":"{{by}}"},"tags":{"$addToSet":"{{tag}}"},"s":"{{s}}"}"#),
                by_id,
            ),
            (
                Update,
                Some(r#"{"tags":{"$pull":"{{tag}}"},"list":{"$push":{"$each":["{{a}}",1]}}}"#),
                by_id,
            ),
            (
                Query,
                Some(r#"{"where":{"a":{"$in":"{{all}}","$between":"{{range}}","$ne":"{{b}}"}},"limit":"{{n}}"}"#),
                None,
            ),
            (ActionVerb::Insert, Some(r#"{"records":"{{rows}}"}"#), None),
            (ActionVerb::Insert, Some(r#"{"a":"{{a}}","b":{"c":["{{c}}"]}}"#), None),
            (
                Upsert,
                Some(r#"{"records":[{"id":"{{id}}","a":1}],"conflictColumns":["id"]}"#),
                None,
            ),
            (ActionVerb::Delete, None, by_id),
        ] {
            assert_eq!(
                checked_on(kind, defined(verb, template, filter, &[])),
                Ok(()),
                "{kind:?} {template:?}"
            );
        }
    }
}
