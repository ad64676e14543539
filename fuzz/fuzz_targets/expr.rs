//! Fuzzes expressions: any text is used as a string within an input and, if it is JSON, as an input itself; the
//! documented invariants must hold.
#![no_main]

use ductape::cron::Zone;
use ductape::expr::{Claims, Limits, Literals, Scope, SecretValues, Variables, check, resolve, resolve_with};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use std::hash::{DefaultHasher, Hash, Hasher};

/// A secret whose value must not appear unless an expression refers to it. The value is a hash of the input: the fuzzer
/// would learn to write any fixed text.
struct Secrets(String);

impl Secrets {
    fn of(input: &str) -> Self {
        let mut hasher = DefaultHasher::new();
        input.hash(&mut hasher);
        Self(format!("{:016x}$Now()", hasher.finish()))
    }
}

impl SecretValues for Secrets {
    fn value_of(&self, key: &str) -> Result<&str, String> {
        if key == "K" {
            Ok(&self.0)
        } else {
            Err("there is none".into())
        }
    }
}

fn scope(secrets: &Secrets) -> Scope<'_> {
    Scope {
        now: 1_773_583_509_007,
        zone: Zone::get("America/New_York").unwrap_or_else(|_| Zone::utc()),
        claims: Claims::Known(r#"{"u":{"id":1,"$Now":"$Now()"},"l":[1,2,3]}"#),
        variables: Variables {
            execution_count: 1,
            attempt: 1,
            job_id: "j",
            scheduled_at: 0,
            product: "p",
            env: "e",
        },
        feature: None,
        secrets,
    }
}

fn is_json(text: &str) -> bool {
    serde_json::from_str::<&serde_json::value::RawValue>(text).is_ok()
}

/// Resolves an input that is JSON.
fn run(input: &str, limits: &Limits) {
    let secrets = Secrets::of(input);
    let scope = scope(&secrets);
    let resolved = resolve(input, &scope, limits);
    match (check(input, limits), &resolved) {
        (Ok(references), Ok(text)) => {
            assert!(is_json(text), "{input} became {text}");
            if !references.secrets.contains(&"K".to_owned()) {
                assert!(!text.contains(&secrets.0[..16]), "{input} became {text}");
            }
            if references.expressions == 0 && !input.contains("$$") && !input.contains("$literal") {
                assert_eq!(text, input);
            }
            // Escaping makes a text at most six times as long.
            assert!(text.len() <= input.len() + 6 * limits.output_bytes);
        }
        (Ok(_), Err(error)) => {
            assert_ne!(error.code.as_str(), "INVALID_EXPRESSION", "{input}: {error:?}");
            assert!(!error.problem.message.contains(&secrets.0[..16]), "{input}: {error:?}");
        }
        (Err(_), Err(_)) => {}
        (Err(errors), Ok(text)) => panic!("{input} fails the check with {errors:?} and yet resolves to {text}"),
    }
}

/// What a reader of operators gets: markers stay around data, and only there is it told apart.
fn check_markers(text: &str, limits: &Limits) {
    let secrets = Secrets::of(text);
    let scope = scope(&secrets);
    // Objects of this key come from data alone.
    let key = format!("$k{}", &secrets.0[..16]);
    let input = format!(r#"{{"v":{text},"d":{{"$literal":{{"x":{{"{key}":[1]}},"l":[{{"{key}":2}}]}}}}}}"#);
    let Ok(marked) = resolve_with(&input, &scope, limits, Literals::Marked) else {
        return;
    };
    // A lone surrogate is JSON, and no text.
    let Ok(marked) = serde_json::from_str::<Value>(&marked) else {
        assert!(is_json(&marked), "{input} became {marked}");
        return;
    };
    assert!(!escapes(&marked, &key), "{input} became {marked}");
    let unwrapped = resolve(&input, &scope, limits).expect("what can be resolved with markers");
    // An expression can make an object of this key as well, and one whose key is spelled with an escape is no literal.
    if !unwrapped.contains("literal") {
        assert_eq!(
            serde_json::from_str::<Value>(&unwrapped).ok(),
            Some(unmarked(marked)),
            "{input}"
        );
    }
}

/// Whether there is an object with this key outside of markers.
fn escapes(value: &Value, key: &str) -> bool {
    match value {
        Value::Object(entries) if entries.len() == 1 && entries.contains_key("$literal") => false,
        Value::Object(entries) => entries.contains_key(key) || entries.values().any(|value| escapes(value, key)),
        Value::Array(list) => list.iter().any(|value| escapes(value, key)),
        _ => false,
    }
}

fn unmarked(value: Value) -> Value {
    match value {
        Value::Object(mut entries) if entries.len() == 1 && entries.contains_key("$literal") => {
            entries.remove("$literal").unwrap_or_default()
        }
        Value::Object(entries) => entries.into_iter().map(|(key, value)| (key, unmarked(value))).collect(),
        Value::Array(list) => list.into_iter().map(unmarked).collect(),
        other => other,
    }
}

/// A value is found as often as it is asked for, and is the same each time.
fn check_lookups(text: &str, limits: &Limits) {
    let Ok(value) = serde_json::from_str::<Value>(text) else {
        return;
    };
    let mut paths = vec![String::new()];
    list_paths(&value, "", &mut paths);
    let resolved = |paths: &[&String]| {
        let expressions: Vec<String> = paths.iter().map(|path| format!("\"$Input{{d}}{path}\"")).collect();
        let input = format!(r#"{{"v":[{}],"d":{{"$literal":{text}}}}}"#, expressions.join(","));
        let secrets = Secrets::of(&input);
        let resolved = resolve(&input, &scope(&secrets), limits).ok()?.into_owned();
        serde_json::from_str::<Value>(&resolved).ok()?.get("v").cloned()
    };
    for path in &paths {
        if let Some(once) = resolved(&[path]) {
            let often = resolved(&[path; 7]);
            let often = often.as_ref().and_then(Value::as_array);
            let all = often.is_some_and(|values| values.len() == 7 && values.iter().all(|value| *value == once[0]));
            assert!(all, "{path} of {text} is {once} once, and {often:?}");
        }
    }
}

/// Some paths of a value, as expressions write them.
fn list_paths(value: &Value, path: &str, paths: &mut Vec<String>) {
    const MOST: usize = 12;
    let entries: Vec<(String, &Value)> = match value {
        Value::Object(entries) => entries.iter().map(|(key, inner)| (key.clone(), inner)).collect(),
        Value::Array(list) => list
            .iter()
            .enumerate()
            .map(|(index, inner)| (index.to_string(), inner))
            .collect(),
        _ => return,
    };
    for (key, inner) in entries {
        let plain = !key.is_empty()
            && key
                .chars()
                .all(|letter| letter.is_ascii_alphanumeric() || "_$".contains(letter));
        if plain && paths.len() < MOST {
            let path = format!("{path}{{{key}}}");
            paths.push(path.clone());
            list_paths(inner, &path, paths);
        }
    }
}

fuzz_target!(|text: &str| {
    let limits = Limits {
        depth: 16,
        steps: 20_000,
        output_bytes: 10_000,
    };
    if is_json(text) {
        run(text, &limits);
        // Surrounding white space is not part of the value.
        let text = text.trim();
        let literal = format!(r#"{{"a":{{"$literal":{text}}}}}"#);
        let secrets = Secrets::of(text);
        assert_eq!(
            resolve(&literal, &scope(&secrets), &limits).as_deref(),
            Ok(&*format!(r#"{{"a":{text}}}"#))
        );
        check_markers(text, &limits);
        check_lookups(text, &limits);
    }
    if let Ok(quoted) = serde_json::to_string(text) {
        run(
            &format!(
                r#"{{"v":{quoted},"d":{{"n":-1.5,"t":"x,y","l":[3,"a",null,{{"k":[]}}],"big":12345678901234567890}}}}"#
            ),
            &limits,
        );
    }
});
