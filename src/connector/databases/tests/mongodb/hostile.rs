//! Hostile texts in every position of an input.

use super::Mongo;
use crate::connector::databases::json::push_string;

const HOSTILE: [&str; 22] = [
    "$where",
    "$expr",
    "$function",
    "$gt",
    "$ne",
    "$out",
    "$merge",
    "$$ROOT",
    "$canary",
    "a.$where",
    "a.$[]",
    "$",
    ".",
    "a..b",
    "",
    "x\u{0}y",
    "';sleep(1000);'",
    "function() { return true }",
    "{\"$ne\":1}",
    ".*",
    "system.users",
    "__proto__",
];

#[tokio::test]
async fn mongodb_input_text_never_becomes_an_operator() {
    let Some(mongo) = Mongo::new() else { return };
    mongo
        .run("insert", r#"{"table":"canary","data":{"_id":1,"v":"alive"}}"#)
        .await;
    mongo
        .run("insert", r#"{"table":"t","data":{"_id":1,"s":"mine"}}"#)
        .await;
    let before = mongo
        .run("raw", r#"{"command":{"listCollections":1,"nameOnly":true}}"#)
        .await;
    for text in HOSTILE {
        let mut bad = String::new();
        push_string(&mut bad, text);
        // As a name, keyword or structure: refused, or it names nothing that is there.
        for (name, input) in [
            ("find", format!(r#"{{"table":"t","where":{{{bad}:1}}}}"#)),
            ("find", format!(r#"{{"table":"t","where":{{{bad}:{{"$gt":"a"}}}}}}"#)),
            (
                "find",
                format!(r#"{{"table":"t","where":{{"$and":[{{{bad}:"return true"}}]}}}}"#),
            ),
            (
                "find",
                format!(r#"{{"table":"t","where":{{"s":{{{bad}:{{"$gt":""}}}}}}}}"#),
            ),
            ("find", format!(r#"{{"table":{bad},"where":{{"_id":1}}}}"#)),
            (
                "deleteMany",
                format!(r#"{{"table":"t","where":{{"s":{{"$in":[{{{bad}:""}}]}}}}}}"#),
            ),
            (
                "update",
                format!(r#"{{"table":"t","where":{{"_id":9}},"data":{{"s":{{{bad}:1}}}}}}"#),
            ),
            (
                "update",
                format!(r#"{{"table":"t","where":{{"_id":9}},"data":{{{bad}:{{"s":1}}}}}}"#),
            ),
            (
                "update",
                format!(r#"{{"table":"t","where":{{"_id":9}},"data":{{"s":{{"$rename":{bad}}}}}}}"#),
            ),
            (
                "aggregate",
                format!(r#"{{"table":"t","pipeline":[{{{bad}:"canary"}}]}}"#),
            ),
            (
                "aggregate",
                format!(r#"{{"table":"t","pipeline":[{{"$match":{{{bad}:"x"}}}}]}}"#),
            ),
            (
                "aggregate",
                format!(r#"{{"table":"t","pipeline":[{{"$facet":{{"f":[{{{bad}:1}}]}}}}]}}"#),
            ),
            (
                "aggregate",
                format!(r#"{{"table":"t","aggregate":{{"n":{{{bad}:"s"}}}}}}"#),
            ),
            (
                "aggregate",
                format!(r#"{{"table":"t","aggregate":{{"n":{{"$max":{bad}}}}}}}"#),
            ),
            (
                "groupBy",
                format!(
                    r#"{{"table":"t","groupBy":[{bad}],"aggregate":{{"n":{{"$count":"*"}}}},"where":{{"_id":9}}}}"#
                ),
            ),
            (
                "find",
                format!(r#"{{"table":"t","where":{{"_id":9}},"orderBy":{bad}}}"#),
            ),
            (text, r#"{"table":"t"}"#.to_owned()),
        ] {
            match mongo.try_run(name, &input).await {
                Ok(answer) => assert!(
                    !answer.contains("alive") && !answer.contains("mine"),
                    "{input} gave {answer}"
                ),
                Err(failure) => assert_eq!(&*failure.code, "VALIDATION_ERROR", "{input}: {failure:?}"),
            }
        }
        // As a value: kept and found as it is.
        mongo
            .run("insert", &format!(r#"{{"table":"t","data":{{"_id":7,"s":{bad}}}}}"#))
            .await;
        for test in [
            bad.clone(),
            format!(r#"{{"$in":[{bad}]}}"#),
            format!(r#"{{"$between":[{bad},{bad}]}}"#),
        ] {
            let find = format!(r#"{{"table":"t","select":["_id"],"where":{{"s":{test}}}}}"#);
            assert_eq!(
                mongo.run("find", &find).await,
                r#"{"rows":[{"_id":7}],"count":1}"#,
                "{find}"
            );
        }
        if !text.contains('\u{0}') {
            let find = format!(r#"{{"table":"t","select":["_id"],"where":{{"s":{{"$contains":{bad}}},"_id":7}}}}"#);
            assert_eq!(
                mongo.run("find", &find).await,
                r#"{"rows":[{"_id":7}],"count":1}"#,
                "{find}"
            );
        }
        let gone = mongo
            .run("delete", &format!(r#"{{"table":"t","where":{{"s":{bad}}}}}"#))
            .await;
        assert_eq!(gone, r#"{"count":1}"#, "{text}");
    }
    assert_eq!(
        mongo.run("find", r#"{"table":"canary"}"#).await,
        r#"{"rows":[{"_id":1,"v":"alive"}],"count":1}"#
    );
    assert_eq!(
        mongo.run("find", r#"{"table":"t"}"#).await,
        r#"{"rows":[{"_id":1,"s":"mine"}],"count":1}"#
    );
    let after = mongo
        .run("raw", r#"{"command":{"listCollections":1,"nameOnly":true}}"#)
        .await;
    assert_eq!(after, before);
    mongo.drop_database().await;
}
