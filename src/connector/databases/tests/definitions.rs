//! What the constructor says of actions: all that can be known without the values of jobs.

use super::actions::defined;
use crate::resources::{ActionVerb, DatabaseAction, DatabaseKind};

/// What the constructor says of an action, of which there may be several things.
pub(super) fn all_of(kind: DatabaseKind, action: DatabaseAction) -> Vec<String> {
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
    problems(&resources).iter().map(ToString::to_string).collect()
}

/// What the constructor says of an action.
pub(super) fn checked(action: DatabaseAction) -> Result<(), String> {
    checked_on(DatabaseKind::Postgresql, action)
}

/// The same on another type of database.
pub(super) fn checked_on(kind: DatabaseKind, action: DatabaseAction) -> Result<(), String> {
    // Some take no name of one letter.
    let action = DatabaseAction {
        table: Some("items".into()),
        ..action
    };
    match all_of(kind, action).into_iter().next() {
        None => Ok(()),
        Some(problem) => Err(problem),
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
            "template.include",
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
            refused.contains(named) && refused.starts_with("actions[0]"),
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
            "template.where: ",
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
            "template.where: ",
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
            refused.starts_with(&format!("actions[0].{path}"))
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

#[test]
fn every_problem_of_an_action_is_told_at_its_path() {
    let action = DatabaseAction {
        defaults: Some(r#"{"name":"toolong","n":3,"later":"$Now()"}"#.into()),
        ..defined(
            ActionVerb::Query,
            Some(
                r#"{"where":{"a":{"$gtt":1}},"limit":0,"orderBy":{"column":"id","order":"up"},"offset":"{{n:integer:5}}","select":["{{later:string:1:3}}"]}"#,
            ),
            Some(r#"{"name":"{{name:string:1:5}}"}"#),
            &[],
        )
    };
    let said = all_of(DatabaseKind::Postgresql, action);
    for path in [
        "actions[0].defaults.name: must have at most 5 characters, got 7, as its placeholder says",
        "actions[0].defaults.n: must be at least 5, as its placeholder says",
        "actions[0].filterTemplate: is in the place of the template's `where`",
        "actions[0].template.limit: ",
        "actions[0].template.orderBy: ",
    ] {
        assert!(said.iter().any(|problem| problem.starts_with(path)), "{path}: {said:?}");
    }
    let action = defined(
        ActionVerb::Update,
        Some(r#"{"a":{"$rename":"b"}}"#),
        Some(r#"{"a":{"$regex":"{{a}}"}}"#),
        &[("returning", "7")],
    );
    let said = all_of(DatabaseKind::Sqlite, action);
    for path in ["filterTemplate: $regex", "template.a: $rename", "returning: "] {
        assert!(said.iter().any(|problem| problem.contains(path)), "{path}: {said:?}");
    }
}
