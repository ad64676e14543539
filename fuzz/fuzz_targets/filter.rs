//! Fuzzes operations on databases, filters above all: any text is used as the input of an operation, as its filter and as data
//! within it. Nothing of it may reach a statement but as a quoted name or a bound value.
#![no_main]

use ductape::fuzzing::{DIALECTS, statements};
use libfuzzer_sys::fuzz_target;
use rusqlite::Connection;
use serde_json::value::RawValue;

const OPERATIONS: [&str; 12] = [
    "find",
    "findOne",
    "count",
    "sum",
    "aggregate",
    "groupBy",
    "insert",
    "upsert",
    "update",
    "updateOne",
    "delete",
    "deleteOne",
];

/// What a statement may hold beside quoted names and placeholders: words, ...
const WORDS: [&str; 126] = [
    "0",
    "1",
    "2",
    "2440587.5",
    "30",
    "65",
    "86400000",
    "9223372036854775807",
    "AND",
    "ARRAY_AGG",
    "AS",
    "ASC",
    "AVG",
    "BETWEEN",
    "BY",
    "CASE",
    "CAST",
    "CHAR_LENGTH",
    "COALESCE",
    "COLUMNS",
    "CONCAT",
    "CONFLICT",
    "COUNT",
    "DECIMAL",
    "DELETE",
    "DESC",
    "DISTINCT",
    "DO",
    "DUPLICATE",
    "ELSE",
    "END",
    "ESCAPE",
    "EXISTS",
    "FALSE",
    "FOR",
    "FROM",
    "GREATEST",
    "GROUP",
    "GROUP_CONCAT",
    "HAVING",
    "IGNORE",
    "ILIKE",
    "IN",
    "INSERT",
    "INTEGER",
    "INTO",
    "IS",
    "JSON",
    "JSON_ARRAYAGG",
    "JSON_CONTAINS",
    "JSON_EXTRACT",
    "JSON_GROUP_ARRAY",
    "JSON_LENGTH",
    "JSON_MERGE_PRESERVE",
    "JSON_REMOVE",
    "JSON_TABLE",
    "JSON_TYPE",
    "KEY",
    "LEAST",
    "LIKE",
    "LIMIT",
    "LOWER",
    "MAX",
    "MIN",
    "NOT",
    "NOTHING",
    "NULL",
    "OFFSET",
    "ON",
    "OR",
    "ORDER",
    "ORDINALITY",
    "PATH",
    "REGEXP",
    "RETURNING",
    "SELECT",
    "SEPARATOR",
    "SET",
    "STRING_AGG",
    "SUBSTRING",
    "SUM",
    "THEN",
    "TRUE",
    "UNION",
    "UPDATE",
    "VALUES",
    "WHEN",
    "WHERE",
    "WITH",
    "_rowid_",
    "a",
    "abs",
    "array_cat",
    "array_lower",
    "array_remove",
    "array_upper",
    "b",
    "ctid",
    "e",
    "e.a",
    "e.b",
    "e.l",
    "e.n",
    "e.type",
    "e.v",
    "e.value",
    "json",
    "json_each",
    "json_extract",
    "json_group_array",
    "json_insert",
    "json_remove",
    "json_type",
    "jsonb",
    "jsonb_agg",
    "jsonb_array_elements",
    "jsonb_array_length",
    "jsonb_typeof",
    "julianday",
    "l",
    "n",
    "round",
    "tableoid",
    "text",
    "typeof",
    "v",
];
/// ... and strings ...
const STRINGS: [&str; 21] = [
    "'!'",
    r"'\'",
    r"'\'",
    "'integer'",
    "'real'",
    "'$'",
    "'$[#-1]'",
    "'$[#]'",
    "'$['",
    "'$[*]'",
    "'$[0]'",
    "'ARRAY'",
    "'OBJECT'",
    "'[]'",
    "']'",
    "'array'",
    "'false'",
    "'no list'",
    "'object'",
    "'true'",
    "''",
];
/// ... and signs.
const SIGNS: &str = "*(),=<>~-.+|@[]:";

/// A statement without its names and placeholders.
struct Skeleton {
    words: Vec<String>,
    names: Vec<String>,
    placeholders: usize,
}

impl Skeleton {
    /// Reads a statement as its server does. Panics where a name or a string does not end.
    fn read(sql: &str, dialect: &str) -> Self {
        let quote = if dialect == "mysql" { '`' } else { '"' };
        let mut read = Self {
            words: Vec::new(),
            names: Vec::new(),
            placeholders: 0,
        };
        let mut rest = sql;
        while let Some(first) = rest.chars().next() {
            let length = if first == quote {
                let (name, length) = quoted(rest, quote);
                read.names.push(name);
                length
            } else if first == '?' || (first == '$' && dialect == "postgres") {
                read.placeholders += 1;
                let digits = rest[1..].bytes().take_while(u8::is_ascii_digit).count();
                if first == '$' {
                    assert_eq!(rest[1..=digits], read.placeholders.to_string(), "{sql}");
                }
                1 + digits
            } else if first.is_whitespace() {
                1
            } else {
                let length = word_length(rest);
                read.words.push(rest[..length].to_owned());
                length
            };
            rest = &rest[length..];
        }
        read
    }
}

/// A quoted name, and how long it is with its quotes.
fn quoted(text: &str, quote: char) -> (String, usize) {
    let mut name = String::new();
    let mut characters = text.char_indices().skip(1).peekable();
    while let Some((at, character)) = characters.next() {
        if character == quote {
            match characters.peek() {
                Some((_, next)) if *next == quote => drop(characters.next()),
                _ => return (name, at + 1),
            }
        }
        name.push(character);
    }
    panic!("a name without its end: {text}");
}

fn word_length(text: &str) -> usize {
    if let Some(string) = STRINGS.iter().find(|string| text.starts_with(**string)) {
        return string.len();
    }
    let in_word = |character: &char| character.is_alphanumeric() || matches!(character, '_' | '.');
    let word: usize = text.chars().take_while(in_word).map(char::len_utf8).sum();
    word.max(text.chars().next().map_or(1, char::len_utf8))
}

fn is_known(word: &str) -> bool {
    WORDS.contains(&word) || STRINGS.contains(&word) || (word.len() == 1 && SIGNS.contains(word))
}

/// All texts of an input: its keys and strings.
fn texts(value: &serde_json::Value, found: &mut Vec<String>) {
    match value {
        serde_json::Value::String(text) => found.push(text.clone()),
        serde_json::Value::Array(list) => list.iter().for_each(|value| texts(value, found)),
        serde_json::Value::Object(entries) => entries.iter().for_each(|(key, value)| {
            found.push(key.clone());
            texts(value, found);
        }),
        _ => {}
    }
}

/// Builds an operation and checks what comes of it; `None`: it is refused.
fn built(dialect: &str, columns_known: bool, operation: &str, input: &str) -> Option<Vec<(String, Vec<String>)>> {
    let built = match statements(dialect, columns_known, operation, input) {
        Ok(built) => built,
        Err(failure) => {
            assert_eq!(&*failure.code, "VALIDATION_ERROR", "{input}: {}", failure.message);
            // Names are shown shortened, values not at all.
            assert!(failure.message.len() < 2_000, "{input}: {}", failure.message);
            return None;
        }
    };
    let mut known: Vec<String> = ["t", "count", "value", "excluded"].map(str::to_owned).into();
    // White space of any kind around it is passed over. Without names are inputs with numbers or texts that Rust has none for.
    let value = serde_json::from_str(input.trim());
    if let Ok(value) = &value {
        texts(value, &mut known);
    }
    for (sql, values) in &built {
        // A condition on a timestamp is long in SQLite, and names its column three times.
        assert!(
            sql.len() <= 1_000 + 300 * input.len(),
            "{input} became {} bytes",
            sql.len()
        );
        let skeleton = Skeleton::read(sql, dialect);
        assert_eq!(skeleton.placeholders, values.len(), "{input} became {sql}");
        for word in &skeleton.words {
            assert!(is_known(word), "{word:?} of {input} is in {sql}");
        }
        for name in &skeleton.names {
            let names = |text: &String| text == name || text.split('.').any(|part| part == name);
            assert!(
                value.is_err() || known.iter().any(names),
                "{name:?} is not of {input}: {sql}"
            );
        }
    }
    Some(built)
}

/// SQLite takes what was built for it.
fn prepare(sql: &str, values: usize) {
    thread_local! {
        static DATABASE: Connection = {
            let database = Connection::open_in_memory().expect("a database in memory");
            database.execute_batch("CREATE TABLE t (i INTEGER PRIMARY KEY, d, s, b, at, j)").expect("a table");
            database
        };
    }
    DATABASE.with(|database| match database.prepare(sql) {
        Ok(statement) => assert_eq!(statement.parameter_count(), values, "{sql}"),
        Err(error) => {
            let message = error.to_string();
            // Names are not checked by this package where the columns are not known.
            let expected = [
                "no such column",
                "no such table",
                "unknown database",
                "too many terms",
                "has no column",
            ];
            assert!(expected.iter().any(|text| message.contains(text)), "{sql}: {message}");
        }
    });
}

/// A value that is marked as data is bound as it stands, whatever it looks like.
fn check_literal(dialect: &str, value: &str) {
    let input = format!(r#"{{"where":{{"c":{{"$literal":{value}}}}}}}"#);
    if let Some(built) = built(dialect, false, "count", &input) {
        let (sql, values) = &built[0];
        let words = Skeleton::read(sql, dialect).words.join(" ");
        let head = "SELECT COUNT ( * ) AS FROM WHERE";
        if value == "null" {
            assert_eq!((&*words, values.len()), (&*format!("{head} IS NULL"), 0));
        } else {
            assert_eq!((&*words, values.len()), (&*format!("{head} ="), 1), "{sql}");
        }
    }
    // As a filter as a whole: columns that equal values, and nothing else.
    for input in [
        format!(r#"{{"where":{{"$literal":{value}}}}}"#),
        format!(r#"{{"$literal":{{"where":{value}}}}}"#),
    ] {
        for (sql, _) in built(dialect, false, "count", &input).iter().flatten() {
            let words = Skeleton::read(sql, dialect).words;
            let condition = words.iter().skip_while(|word| *word != "WHERE").skip(1);
            for word in condition {
                assert!(
                    ["AND", "=", "IS", "NULL", "(", ")"].contains(&&**word),
                    "{input} became {sql}"
                );
            }
        }
    }
}

fuzz_target!(|data: &[u8]| {
    let Some(([choice, rest], text)) = data.split_first_chunk::<2>() else {
        return;
    };
    let Ok(text) = std::str::from_utf8(text) else { return };
    let dialect = DIALECTS[usize::from(*choice) % DIALECTS.len()];
    let columns_known = rest & 1 == 0;
    let operation = OPERATIONS[usize::from(rest >> 1) % OPERATIONS.len()];
    built(dialect, columns_known, operation, text);
    let Ok(value) = serde_json::from_str::<&RawValue>(text).map(RawValue::get) else {
        return;
    };
    let filtered = match operation {
        "update" => format!(r#"{{"data":{{"s":1}},"where":{value}}}"#),
        "aggregate" => {
            format!(r#"{{"groupBy":["s"],"aggregate":{{"n":{{"$max":"i"}}}},"having":{value},"where":{value}}}"#)
        }
        "insert" | "upsert" => format!(r#"{{"data":{value},"conflictColumns":["i"]}}"#),
        _ => format!(r#"{{"where":{value}}}"#),
    };
    for (sql, values) in built(dialect, columns_known, operation, &filtered).iter().flatten() {
        if dialect == "sqlite" && !sql.contains('\0') {
            prepare(sql, values.len());
        }
    }
    check_literal(dialect, value);
});
