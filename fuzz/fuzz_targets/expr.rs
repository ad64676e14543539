//! Fuzzes expressions: any text is used as a string within an input and, if it is JSON, as an input itself; the
//! documented invariants must hold.
#![no_main]

use ductape::cron::Zone;
use ductape::expr::{Claims, Limits, Scope, SecretValues, Variables, check, resolve};
use libfuzzer_sys::fuzz_target;
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
