//! Hostile texts in every position of an input.

use super::Dynamo;
use crate::connector::databases::json::push_string;

const HOSTILE: [&str; 26] = [
    "id = :v0 OR attribute_exists(id)",
    ":v0",
    "#n0",
    "#n0 = :v0",
    "attribute_exists(id)",
    "size(id)",
    "contains(id, id)",
    "SET s = :v0 REMOVE id",
    "' OR '1'='1",
    "\" OR 1=1 --",
    "\"; DROP TABLE canary",
    "id, s",
    "s REMOVE id",
    "$gt",
    "$ne",
    "$canary",
    "$",
    ".",
    "a..b",
    "",
    "x\u{0}y",
    "{\"S\":\"x\"}",
    "S",
    "NULL",
    "__proto__",
    "\r\nX-Amz-Target: DynamoDB_20120810.DeleteTable",
];

#[tokio::test]
async fn dynamodb_input_text_never_becomes_an_expression() {
    let Some(dynamo) = Dynamo::new() else { return };
    dynamo.table("canary", "id:S", &[]).await;
    dynamo.table("t", "id:S", &[]).await;
    dynamo
        .run("insert", r#"{"table":"T.canary","data":{"id":"1","v":"alive"}}"#)
        .await;
    dynamo
        .run("insert", r#"{"table":"T.t","data":{"id":"1","s":"mine"}}"#)
        .await;
    for text in HOSTILE {
        let mut bad = String::new();
        push_string(&mut bad, text);
        // As a name, keyword or structure: refused, or it names nothing that is there.
        for (name, input) in [
            ("find", format!(r#"{{"table":"T.t","where":{{{bad}:1}}}}"#)),
            ("find", format!(r#"{{"table":"T.t","where":{{{bad}:{{"$gt":"a"}}}}}}"#)),
            (
                "find",
                format!(r#"{{"table":"T.t","where":{{"$and":[{{{bad}:"x"}}]}}}}"#),
            ),
            ("find", format!(r#"{{"table":"T.t","where":{{"id":"9",{bad}:"x"}}}}"#)),
            (
                "find",
                format!(r#"{{"table":"T.t","where":{{"s":{{{bad}:{{"$gt":""}}}}}}}}"#),
            ),
            ("find", format!(r#"{{"table":{bad},"where":{{"id":"1"}}}}"#)),
            (
                "find",
                format!(r#"{{"table":"T.t","where":{{"id":"9"}},"select":[{bad}]}}"#),
            ),
            (
                "find",
                format!(r#"{{"table":"T.t","where":{{"id":"9"}},"orderBy":{bad}}}"#),
            ),
            (
                "find",
                format!(r#"{{"table":"T.t","where":{{"s":{{"$startsWith":{bad}}},"id":"9"}}}}"#),
            ),
            (
                "count",
                format!(r#"{{"table":"T.t","column":{bad},"where":{{"id":"9"}}}}"#),
            ),
            (
                "update",
                format!(r#"{{"table":"T.t","where":{{"id":"9"}},"data":{{"s":{{{bad}:1}}}}}}"#),
            ),
            (
                "update",
                format!(r#"{{"table":"T.t","where":{{"id":"9"}},"data":{{{bad}:{{"s":1}}}}}}"#),
            ),
            (
                "update",
                format!(r#"{{"table":"T.t","where":{{"id":"9"}},"data":{{"$inc":{{{bad}:1}}}}}}"#),
            ),
            (
                "update",
                format!(r#"{{"table":"T.t","where":{{"id":"9"}},"data":{{"$unset":[{bad}]}}}}"#),
            ),
            ("deleteMany", format!(r#"{{"table":"T.t","where":{{{bad}:"x"}}}}"#)),
            (
                "upsert",
                format!(r#"{{"table":"T.t","data":{{"id":"8","s":1}},"conflictColumns":[{bad}]}}"#),
            ),
            (
                "groupBy",
                format!(r#"{{"table":"T.t","groupBy":[{bad}],"aggregate":{{"n":{{"$count":"*"}}}}}}"#),
            ),
            (
                "raw",
                format!(r#"{{"operation":{bad},"params":{{"TableName":"T.t"}}}}"#),
            ),
            (text, r#"{"table":"T.t"}"#.to_owned()),
        ] {
            match dynamo.try_run(name, &input).await {
                Ok(answer) => assert!(
                    !answer.contains("alive") && !answer.contains("mine"),
                    "{input} gave {answer}"
                ),
                // The test server says of operations that it does not know that it cannot do them now.
                Err(failure) => assert!(
                    ["VALIDATION_ERROR", "NOT_FOUND"].contains(&&*failure.code) || name == "raw",
                    "{input}: {failure:?}"
                ),
            }
        }
        // As a value: kept and found as it is, in an attribute and in the key.
        let key = if text.is_empty() { "\"-\"" } else { &bad };
        dynamo
            .run(
                "insert",
                &format!(r#"{{"table":"T.t","data":{{"id":{key},"s":{bad}}}}}"#),
            )
            .await;
        for test in [
            format!(r#"{{"s":{bad}}}"#),
            format!(r#"{{"s":{{"$in":[{bad}]}}}}"#),
            format!(r#"{{"s":{{"$between":[{bad},{bad}]}}}}"#),
            format!(r#"{{"id":{key}}}"#),
            format!(r#"{{"id":{key},"s":{bad}}}"#),
        ] {
            let find = format!(r#"{{"table":"T.t","select":["s"],"where":{test}}}"#);
            let found = dynamo.run("find", &find).await;
            assert_eq!(found, format!(r#"{{"rows":[{{"s":{bad}}}],"count":1}}"#), "{find}");
        }
        let set = format!(r#"{{"table":"T.t","where":{{"id":{key},"s":{bad}}},"data":{{"u":{bad}}}}}"#);
        assert_eq!(dynamo.run("update", &set).await, r#"{"count":1}"#, "{text}");
        let gone = dynamo
            .run("delete", &format!(r#"{{"table":"T.t","where":{{"u":{bad}}}}}"#))
            .await;
        assert_eq!(gone, r#"{"count":1}"#, "{text}");
    }
    assert_eq!(
        dynamo.run("find", r#"{"table":"T.canary"}"#).await,
        r#"{"rows":[{"id":"1","v":"alive"}],"count":1}"#
    );
    assert_eq!(
        dynamo.run("find", r#"{"table":"T.t"}"#).await,
        r#"{"rows":[{"id":"1","s":"mine"}],"count":1}"#
    );
    dynamo.drop_tables(&["canary", "t"]).await;
}
