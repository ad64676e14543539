//! Definitions that would have no effect, and what is left to the values of a job.

use super::actions::defined;
use super::definitions::{all_of, checked_on};
use crate::resources::{ActionVerb, DatabaseAction, DatabaseKind};

#[test]
fn what_has_no_effect_is_refused_by_the_constructor() {
    use ActionVerb::{Insert, Query, RawSql, Upsert};
    let row = Some(r#"{"id":"{{id}}"}"#);
    let sql = Some(r#""SELECT {{a}}""#);
    let filter = Some(r#"{"id":1}"#);
    let keys = ("conflictColumns", r#"["id"]"#);
    for (verb, template, filter, options, said) in [
        (RawSql, sql, None, &[("limit", "5")][..], "limit: RAW_SQL has none"),
        (
            RawSql,
            sql,
            None,
            &[("orderBy", r#""id""#)],
            "orderBy: RAW_SQL has none",
        ),
        (RawSql, sql, filter, &[], "filterTemplate: RAW_SQL has no filter"),
        (Insert, row, filter, &[], "filterTemplate: INSERT has no filter"),
        (Upsert, row, filter, &[keys], "filterTemplate: UPSERT has no filter"),
        (
            Upsert,
            row,
            None,
            &[keys, ("updateColumns", r#"["n"]"#)],
            "updateColumns: names 'n', which data lacks",
        ),
    ] {
        let problems = all_of(DatabaseKind::Sqlite, defined(verb, template, filter, options));
        assert!(
            matches!(problems.as_slice(), [only] if only.contains(said)),
            "{verb:?} {options:?}: {problems:?}"
        );
    }
    let action = DatabaseAction {
        defaults: Some(r#"{"stat":"new","of":{"n":1},"data":{"m":1},"other":null}"#.into()),
        ..defined(
            Query,
            Some(r#"{"where":{"a":"{{state}}","n":"{{of.n}}","m":"{{data.m}}"}}"#),
            None,
            &[],
        )
    };
    let problems = all_of(DatabaseKind::Sqlite, action);
    assert_eq!(problems.len(), 2, "{problems:?}");
    for said in [
        "defaults.stat: the action has no such placeholder; did you mean `state`?",
        "defaults.other: the action has no such placeholder; known are data.m, of.n, state",
    ] {
        assert!(problems.iter().any(|problem| problem.contains(said)), "{problems:?}");
    }
}

#[test]
fn parameters_of_sql_without_their_values_are_refused_by_the_constructor() {
    use DatabaseKind::{Mysql, Postgresql, Sqlite};
    for (kind, template, said) in [
        (
            Postgresql,
            r#""SELECT $1, {{a}}""#,
            Some("template: has parameters of its own beside"),
        ),
        (
            Mysql,
            r#""SELECT ?, {{a}}""#,
            Some("template: has parameters of its own beside"),
        ),
        (
            Sqlite,
            r#""SELECT :b, {{a}}""#,
            Some("template: has parameters of its own beside"),
        ),
        (
            Postgresql,
            r#""SELECT $1""#,
            Some("template: has parameters, and nothing is bound"),
        ),
        (
            Sqlite,
            r#"{"query":"SELECT ?"}"#,
            Some("template.query: has parameters, and nothing is bound"),
        ),
        (
            Postgresql,
            r#"{"query":"SELECT $1, $2","params":["{{a}}"]}"#,
            Some("template.params: has 1 values, and the SQL takes 2 parameters"),
        ),
        (
            Mysql,
            r#"{"query":"SELECT ?","params":[1,2]}"#,
            Some("template.params: has 2 values, and the SQL takes 1 parameter"),
        ),
        (
            Postgresql,
            r#"{"query":"SELECT $1, $1, '$2'","params":["{{a}}"]}"#,
            None,
        ),
        (Postgresql, r#""SELECT j ? 'a', {{a}}""#, None),
        (Sqlite, r#"{"query":"SELECT ?2, ?1","params":[1,2]}"#, None),
        (Mysql, r#"{"query":"SELECT ?","params":"{{all}}"}"#, None),
    ] {
        let problems = all_of(kind, defined(ActionVerb::RawSql, Some(template), None, &[]));
        match said {
            None => assert!(problems.is_empty(), "{template}: {problems:?}"),
            Some(said) => assert!(
                problems.iter().any(|problem| problem.contains(said)),
                "{template}: {problems:?}"
            ),
        }
    }
}

#[test]
fn what_depends_on_a_value_of_a_job_is_left_to_the_job() {
    use DatabaseKind::*;
    let every = [Postgresql, Mysql, Sqlite, Mongodb, Dynamodb];
    for (verb, template, filter, kinds) in [
        (ActionVerb::Delete, None, Some(r#"{"id":{"$nin":"{{a}}"}}"#), &every[..]),
        (
            ActionVerb::Delete,
            None,
            Some(r#"{"id":{"$not":{"$in":"{{a}}"}}}"#),
            &every,
        ),
        (
            ActionVerb::Delete,
            None,
            Some(r#"{"$nor":[{"id":{"$in":"{{a}}"}}]}"#),
            &every,
        ),
        (
            ActionVerb::Query,
            None,
            Some(r#"{"j":{"$containsAll":"{{a}}"}}"#),
            &every,
        ),
        (
            ActionVerb::Query,
            None,
            Some(r#"{"j":{"$containsAny":"{{a}}"}}"#),
            &every,
        ),
        (
            ActionVerb::Update,
            Some(r#"{"j":{"$push":{"$each":"{{a}}"}}}"#),
            Some(r#"{"id":1}"#),
            &every,
        ),
        (
            ActionVerb::Update,
            Some(r#"{"j":{"$addToSet":{"$each":"{{a}}"}}}"#),
            Some(r#"{"id":1}"#),
            &every[..4],
        ),
        (
            ActionVerb::Update,
            Some(r#"{"j":{"$pull":{"$in":"{{a}}"}}}"#),
            Some(r#"{"id":1}"#),
            &every[..4],
        ),
    ] {
        for kind in kinds {
            for defaults in ["{}", r#"{"a":[]}"#] {
                let action = DatabaseAction {
                    defaults: Some(defaults.into()),
                    ..defined(verb, template, filter, &[])
                };
                assert_eq!(checked_on(*kind, action), Ok(()), "{kind:?} {template:?} {filter:?}");
            }
        }
    }
}
