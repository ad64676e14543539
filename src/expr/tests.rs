//! Tables of expressions and their results.

mod bounds;
mod malformed;
mod results;
mod unchanged;

use super::{Claims, Limits, Scope, SecretValues, Variables, check, resolve};
use crate::cron::Zone;
use crate::error::ErrorCode;

/// 2026-03-15T14:05:09.007Z, a Sunday.
const NOW: i64 = 1_773_583_509_007;

const CLAIMS: &str = r#"{"sub":"u1","user":{"id":42,"email":"ann@example.com","roles":["admin","dev"]},"a.b":true}"#;

struct Secrets;

impl SecretValues for Secrets {
    fn value_of(&self, key: &str) -> Result<&str, String> {
        match key {
            "API_KEY" => Ok("s3cr$Now()et"),
            _ => Err("there is no such secret".into()),
        }
    }
}

fn scope<'a>(zone: &str) -> Scope<'a> {
    Scope {
        now: NOW,
        zone: Zone::get(zone).unwrap(),
        claims: Claims::Known(CLAIMS),
        variables: Variables {
            execution_count: 3,
            attempt: 2,
            job_id: "job_1",
            scheduled_at: NOW - 9,
            product: "shop",
            env: "prd",
        },
        feature: None,
        secrets: &Secrets,
    }
}

/// Resolves a whole input in UTC.
fn resolve_or_panic(input: &str) -> String {
    resolve(input, &scope("UTC"), &Limits::default())
        .unwrap_or_else(|error| panic!("{input}: {error:?}"))
        .into_owned()
}

/// Evaluates the text `expression` in an input with some data in it; returns JSON.
fn evaluate_in_zone(expression: &str, zone: &str) -> Result<String, (ErrorCode, String)> {
    let data = concat!(
        r#""text":"Hello","name":"Ann \"A\" \u00e9","n":41,"big":9007199254740993123,"odd":1.50e1,"#,
        r#""list":[3,1,"2",null,{"k":1}],"words":["b","a"],"o":{"x":{"y":[10,20]},"a.b":"dot"},"empty":"","no":null,"yes":true,"#,
        r#""iso":"2026-01-31T10:00:00Z","local":"2026-03-08T01:30:00","self":"$Now() $$""#
    );
    let text = serde_json::to_string(expression).unwrap();
    let input = format!(r#"{{{data},"value":{text}}}"#);
    let limits = Limits::default();
    let failed = |error: super::ExpressionError| (error.code, error.problem.to_string());
    check(&input, &limits).map_err(|mut errors| failed(errors.remove(0)))?;
    let scope = scope(zone);
    let out = resolve(&input, &scope, &limits).map_err(failed)?;
    let value: std::collections::HashMap<&str, &serde_json::value::RawValue> = serde_json::from_str(&out).unwrap();
    Ok(value["value"].get().to_owned())
}

fn evaluate_in_utc(expression: &str) -> String {
    evaluate_in_zone(expression, "UTC").unwrap_or_else(|error| panic!("{expression}: {error:?}"))
}
