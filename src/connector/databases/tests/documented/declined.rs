//! What is declined.

use super::{Declines, Differences, EVERY, Is, SQL, Shape, databases};
use crate::connector::databases::dialect::Dialect::{Dynamo, Mongo};

#[tokio::test]
async fn what_is_declined_is_named() {
    let declined: &[Shape<'_>] = &[
        (
            "insert",
            r#"{"table":"counters","data":{"name":"x"},"preSave":[]}"#,
            &[(EVERY, Declines("preSave"))],
        ),
        (
            "insert",
            r#"{"table":"counters","data":{"name":"x"},"transaction":{}}"#,
            &[(EVERY, Declines("transaction"))],
        ),
        (
            "raw",
            r#"{"query":{"status":"active"},"collection":"users"}"#,
            &[
                (&[Mongo], Is(r#"{"rows":[],"count":0}"#)),
                (EVERY, Declines("input.collection")),
            ],
        ),
        (
            "raw",
            r#"{"query":{"status":"active"}}"#,
            &[(&[Mongo], Declines("no table")), (EVERY, Declines("MongoDB"))],
        ),
        (
            "update",
            r#"{"table":"counters","data":{"n":{"$pushh":1}},"all":true}"#,
            &[(EVERY, Declines("`$push`"))],
        ),
        (
            "update",
            r#"{"table":"counters","data":{"n":{"$inc":"x"}},"all":true}"#,
            &[(EVERY, Declines("$inc takes a number"))],
        ),
        (
            "update",
            r#"{"table":"counters","data":{"n":{"$inc":1,"$mul":2}},"all":true}"#,
            &[(EVERY, Declines("one operator"))],
        ),
        (
            "update",
            r#"{"table":"counters","data":{"n":1,"$inc":{"n":1}},"all":true}"#,
            &[(EVERY, Declines("twice"))],
        ),
        (
            "update",
            r#"{"table":"counters","data":{"n":{"$push":"x"}},"all":true}"#,
            &[(SQL, Declines("$push")), (EVERY, Declines("does not fit"))],
        ),
        (
            "update",
            r#"{"table":"counters","data":[{"n":1}],"all":true}"#,
            &[(EVERY, Declines("takes no list"))],
        ),
        (
            "insert",
            r#"{"table":"counters","data":{"name":"x","n":{"$inc":1}}}"#,
            &[(EVERY, Declines("$inc"))],
        ),
        (
            "insertOne",
            r#"{"table":"counters","data":[{"name":"x"}]}"#,
            &[(EVERY, Declines("list"))],
        ),
        (
            "upsert",
            r#"{"table":"counters","where":{"n":{"$gt":1}},"data":{"name":"x"}}"#,
            &[(EVERY, Declines("input.where"))],
        ),
        (
            "upsert",
            r#"{"table":"counters","data":{"name":"x"}}"#,
            &[(EVERY, Declines("conflictColumns"))],
        ),
        (
            "count",
            r#"{"table":"orders","distinct":true}"#,
            &[(EVERY, Declines("input.distinct"))],
        ),
        ("sum", r#"{"table":"orders"}"#, &[(EVERY, Declines("input.column"))]),
        (
            "sum",
            r#"{"table":"orders","column":"*"}"#,
            &[(EVERY, Declines("input.column"))],
        ),
        (
            "groupBy",
            r#"{"table":"orders","aggregate":{"n":{"$count":"*"}}}"#,
            &[(EVERY, Declines("input.groupBy"))],
        ),
        (
            "aggregate",
            r#"{"table":"orders","operations":{"n":{"$median":"id"}}}"#,
            &[(EVERY, Declines("$median"))],
        ),
        (
            "aggregate",
            r#"{"table":"orders","operations":{"n":{"$sum":{"column":"id","separator":","}}}}"#,
            &[(EVERY, Declines("separator"))],
        ),
        (
            "query",
            r#"{"table":"orders","orderBy":{"column":"id","order":"up"}}"#,
            &[(EVERY, Declines("'asc' or 'desc'"))],
        ),
        (
            "query",
            r#"{"table":"orders","where":{"$or":{}}}"#,
            &[(EVERY, Declines("$or"))],
        ),
        (
            "query",
            r#"{"table":"orders","where":{"id":{"$containsAny":[]}}}"#,
            &[(EVERY, Declines("$containsAny"))],
        ),
        (
            "query",
            r#"{"table":"orders","include":{"relation":"lines"}}"#,
            &[
                (&[Dynamo], Declines("input.include: DynamoDB")),
                (EVERY, Declines("include.type")),
            ],
        ),
        (
            "query",
            r#"{"table":"orders","include":{"relation":"lines","type":"one"}}"#,
            &[
                (&[Dynamo], Declines("input.include: DynamoDB")),
                (EVERY, Declines("include.type")),
            ],
        ),
        (
            "removeOne",
            r#"{"table":"orders"}"#,
            &[(EVERY, Declines("no operation"))],
        ),
        ("deleteOn", r#"{"table":"orders"}"#, &[(EVERY, Declines("`deleteOne`"))]),
        (
            "insert",
            r#"{"table":"counters","data":{"name":"x"},"preSaveConfig":{}}"#,
            &[(EVERY, Declines("preSaveConfig"))],
        ),
    ];
    let mut differences = Differences::default();
    for database in databases().await {
        let row = r#"{"table":"counters","data":{"name":"a","n":1}}"#;
        database.run("insert", row).await;
        for shape in declined {
            let answer = database.try_run(shape.0, shape.1).await;
            differences.compare(&database, shape, answer, ToString::to_string);
        }
    }
    differences.end();
}
