//! SQL injection: hostile strings in every position of an input change and reveal nothing beyond the operation.

use super::support::TestDatabase;
use crate::connector::databases::json::push_string;

const HEADS: [&str; 12] = ["", "'", "\"", "`", "\\", "\\'", "')", "\")", "`)", "1", "*/", "id"];
const TAILS: [&str; 14] = [
    "; DROP TABLE canary",
    "; DROP TABLE canary; --",
    " OR 1=1",
    " OR '1'='1",
    " OR 1=1 --",
    " OR 1=1 #",
    " UNION SELECT * FROM canary",
    "; UPDATE canary SET v = 'x'",
    " || (SELECT v FROM canary)",
    "/*",
    " = 1; DELETE FROM canary; --",
    "\\",
    "; TRUNCATE canary",
    "::text",
];

fn corpus() -> Vec<String> {
    let mut all: Vec<String> = HEADS
        .iter()
        .flat_map(|head| TAILS.iter().map(move |tail| format!("{head}{tail}")))
        .collect();
    let odd = [
        "$1",
        "?",
        "?1",
        ":id",
        "@@version",
        "{{id}}",
        "$$",
        "%s",
        "x.y.z",
        "canary\u{0}x",
        "\u{feff}id",
        "ｉｄ",
        "'\u{2019}",
        "$gt",
        "$where",
        "asc; DROP TABLE canary",
        "desc, (SELECT 1)",
        "COUNT(*)",
        "*",
        "id AS x",
        "information_schema.tables",
        "pg_catalog.pg_class",
    ];
    all.extend(odd.map(str::to_owned));
    all
}

/// Inputs with the text in place of names, keywords and structure.
fn structural_inputs<'t>(text: &'t str, bad: &str) -> Vec<(&'t str, String)> {
    vec![
        ("find", format!(r#"{{"table":{bad}}}"#)),
        ("find", format!(r#"{{"table":"t","fields":[{bad}]}}"#)),
        ("find", format!(r#"{{"table":"t","where":{{{bad}:1}}}}"#)),
        ("find", format!(r#"{{"table":"t","where":{{"id":{{{bad}:1}}}}}}"#)),
        ("find", format!(r#"{{"table":"t","orderBy":{bad}}}"#)),
        ("find", format!(r#"{{"table":"t","orderBy":{{"id":{bad}}}}}"#)),
        ("find", format!(r#"{{"table":"t","limit":{bad}}}"#)),
        (
            "aggregate",
            format!(r#"{{"table":"t","groupBy":[{bad}],"aggregate":{{"n":{{"$count":"*"}}}}}}"#),
        ),
        (
            "aggregate",
            format!(r#"{{"table":"t","aggregate":{{"n":{{{bad}:"id"}}}}}}"#),
        ),
        (
            "aggregate",
            format!(r#"{{"table":"t","aggregate":{{"n":{{"$max":{bad}}}}}}}"#),
        ),
        (
            "aggregate",
            format!(r#"{{"table":"t","groupBy":["id"],"aggregate":{{"n":{{"$count":"*"}}}},"having":{{{bad}:1}}}}"#),
        ),
        ("insert", format!(r#"{{"table":"t","data":{{{bad}:5}}}}"#)),
        (
            "update",
            format!(r#"{{"table":"t","where":{{"id":9}},"data":{{{bad}:5}}}}"#),
        ),
        (
            "upsert",
            format!(r#"{{"table":"t","data":{{"id":1,{bad}:5}},"conflictColumns":[{bad}]}}"#),
        ),
        (
            "find",
            format!(r#"{{"table":"t","orderBy":{{"column":{bad},"order":"asc"}}}}"#),
        ),
        (
            "find",
            format!(r#"{{"table":"t","orderBy":{{"column":"id","order":{bad}}}}}"#),
        ),
        (
            "find",
            format!(r#"{{"table":"t","include":{{"relation":{bad},"type":"one-to-many"}}}}"#),
        ),
        (
            "find",
            format!(
                r#"{{"table":"t","include":{{"relation":"t","type":"one-to-many","foreignKey":{bad},"limit":1}}}}"#
            ),
        ),
        (
            "find",
            format!(
                r#"{{"table":"t","include":{{"relation":"t","type":"many-to-many","through":{bad},"throughForeignKey":{bad}}}}}"#
            ),
        ),
        ("count", format!(r#"{{"table":"t","column":{bad},"distinct":true}}"#)),
        ("sum", format!(r#"{{"table":"t","column":{bad}}}"#)),
        (
            "groupBy",
            format!(r#"{{"table":"t","groupBy":["id"],"aggregations":[{{"type":{bad},"field":"id","alias":"n"}}]}}"#),
        ),
        (
            "update",
            format!(r#"{{"table":"t","where":{{"id":9}},"data":{{"id":{{{bad}:5}}}}}}"#),
        ),
        (
            "update",
            format!(r#"{{"table":"t","where":{{"id":9}},"data":{{"$inc":{{{bad}:5}}}}}}"#),
        ),
        (
            "update",
            format!(r#"{{"table":"t","where":{{"id":9}},"data":{{"id":{{"$inc":{bad}}}}}}}"#),
        ),
        (
            "insert",
            format!(r#"{{"table":"t","data":{{"id":1}},"onConflict":{{"columns":[{bad}],"action":"ignore"}}}}"#),
        ),
        (
            "insert",
            format!(
                r#"{{"table":"t","data":{{"id":1}},"onConflict":{{"columns":["id"],"where":{{{bad}:1}},"update":[{bad}]}}}}"#
            ),
        ),
        (text, r#"{"table":"t"}"#.to_owned()),
    ]
}

/// Creates a table whose rows must never change, and one to operate on.
async fn prepare(database: &TestDatabase) {
    database
        .sql("CREATE TABLE canary (id int PRIMARY KEY, v varchar(50))")
        .await;
    database.sql("CREATE TABLE t (id int PRIMARY KEY, s text)").await;
    let json = database.per_dialect("jsonb", "json", "json");
    database
        .sql(&format!("CREATE TABLE lists (id int PRIMARY KEY, l {json})"))
        .await;
    database.run("insert", r#"{"table":"lists","data":{"id":1}}"#).await;
    let canary = r#"{"table":"canary","data":[{"id":1,"v":"alive"},{"id":2,"v":"well"}]}"#;
    database.run("insertMany", canary).await;
    database
        .run("insert", r#"{"table":"t","data":{"id":1,"s":"mine"}}"#)
        .await;
}

/// Dumps the rows of both tables, and the number of tables.
async fn dump(database: &TestDatabase) -> (String, String, String) {
    let tables = database.per_dialect(
        "SELECT count(*)::text AS n FROM information_schema.tables WHERE table_schema = current_schema()",
        "SELECT count(*) AS n FROM information_schema.tables WHERE table_schema = DATABASE()",
        "SELECT count(*) AS n FROM sqlite_master",
    );
    let rows = database.run("find", r#"{"table":"canary","orderBy":"id"}"#).await;
    let mine = database.run("find", r#"{"table":"t","orderBy":"id"}"#).await;
    (rows, mine, database.sql(tables).await)
}

/// As a name, keyword or structure, each text is refused or names nothing that exists.
async fn try_as_structure(database: &TestDatabase, text: &str, bad: &str) -> usize {
    // As documented, `*` selects all columns, `$gt` is an operator, and catalogues are tables.
    let schemas = ["information_schema", "pg_catalog"];
    let allowed = ["*", "$gt"].contains(&text) || schemas.iter().any(|schema| text.contains(schema));
    let inputs = structural_inputs(text, bad);
    for (name, input) in &inputs {
        match database.try_run(name, input).await {
            Ok(answer) => assert!(allowed, "{:?} {name} {input} gave {answer}", database.dialect),
            Err(failure) => assert!(
                allowed || ["VALIDATION_ERROR", "NOT_FOUND"].contains(&&*failure.code),
                "{:?} {name} {input}: {failure:?}",
                database.dialect
            ),
        }
    }
    // An alias is chosen by the caller and always quoted.
    let alias = format!(r#"{{"table":"t","aggregate":{{{bad}:{{"$count":"*"}}}}}}"#);
    let _ = database.try_run("aggregate", &alias).await;
    let listed = format!(
        r#"{{"table":"t","groupBy":["id"],"aggregations":[{{"type":"max","field":"id","alias":{bad}}}],"orderBy":{bad}}}"#
    );
    let _ = database.try_run("groupBy", &listed).await;
    inputs.len()
}

/// As a value, each text is stored and found verbatim.
async fn try_as_value(database: &TestDatabase, bad: &str) {
    database
        .run("insert", &format!(r#"{{"table":"t","data":{{"id":7,"s":{bad}}}}}"#))
        .await;
    for test in [
        bad.to_owned(),
        format!(r#"{{"$in":[{bad}]}}"#),
        format!(r#"{{"$contains":{bad}}}"#),
        format!(r#"{{"$startsWith":{bad}}}"#),
    ] {
        let found = database
            .run(
                "find",
                &format!(r#"{{"table":"t","fields":["id"],"where":{{"s":{test}}}}}"#),
            )
            .await;
        assert_eq!(
            found, r#"{"rows":[{"id":7}],"count":1}"#,
            "{:?} {test}",
            database.dialect
        );
    }
    database
        .run(
            "update",
            &format!(r#"{{"table":"t","where":{{"s":{bad}}},"data":{{"s":{bad}}}}}"#),
        )
        .await;
    assert_eq!(
        database
            .run("deleteMany", &format!(r#"{{"table":"t","where":{{"s":{bad}}}}}"#))
            .await,
        r#"{"count":1}"#
    );
    let _ = database
        .try_run("count", &format!(r#"{{"table":"t","where":{{"id":{bad}}}}}"#))
        .await;
    try_as_element(database, bad).await;
}

/// As an element of a list, and as a separator, each text is what it is.
async fn try_as_element(database: &TestDatabase, bad: &str) {
    let change = async |data: &str| {
        let input = format!(r#"{{"table":"lists","where":{{"id":1}},"data":{{"l":{data}}}}}"#);
        assert_eq!(
            database.run("update", &input).await,
            r#"{"count":1}"#,
            "{:?} {data}",
            database.dialect
        );
        let found = format!(r#"{{"table":"lists","where":{{"l":{{"$containsAll":[{bad}]}}}}}}"#);
        database.run("count", &found).await
    };
    let (there, gone) = (r#"{"count":1}"#, r#"{"count":0}"#);
    assert_eq!(change(&format!(r#"{{"$push":{bad}}}"#)).await, there);
    assert_eq!(change(&format!(r#"{{"$addToSet":{bad}}}"#)).await, there);
    assert_eq!(change(&format!(r#"{{"$pull":{bad}}}"#)).await, gone);
    let left = database.run("findOne", r#"{"table":"lists","fields":["l"]}"#).await;
    assert_eq!(left, r#"{"l":[]}"#, "{:?} {bad}", database.dialect);
    let joined = format!(
        r#"{{"table":"canary","aggregate":{{"all":{{"$stringAgg":{{"column":"v","separator":{bad}}}}}}},"where":{{"id":1}}}}"#
    );
    assert_eq!(
        database.run("aggregate", &joined).await,
        r#"{"rows":[{"all":"alive"}],"count":1}"#
    );
}

#[tokio::test]
async fn input_text_never_reaches_sql_as_text() {
    for database in TestDatabase::all().await {
        prepare(&database).await;
        let before = dump(&database).await;
        let mut tried = 0;
        for text in corpus() {
            let mut bad = String::new();
            push_string(&mut bad, &text);
            tried += try_as_structure(&database, &text, &bad).await;
            if !text.contains('\u{0}') {
                try_as_value(&database, &bad).await;
                tried += 6;
            }
        }
        assert_eq!(dump(&database).await, before, "{:?}", database.dialect);
        assert!(tried > 3_000, "{tried}");
    }
}
