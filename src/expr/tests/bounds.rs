//! Limits on what expressions may cost.

use super::*;
use std::time::{Duration, Instant};

fn expect_error(input: &str) -> (ErrorCode, String) {
    let limits = Limits::default();
    let start = Instant::now();
    let error = match check(input, &limits) {
        Err(mut errors) => errors.remove(0),
        Ok(_) => resolve(input, &scope("UTC"), &limits).expect_err("within the limits"),
    };
    assert!(start.elapsed() < Duration::from_secs(5), "took {:?}", start.elapsed());
    (error.code, error.problem.message)
}

#[test]
fn nesting_is_bounded() {
    for (open, close) in [("$Trim(", ")"), ("$Length{", "}"), ("$Concat([", "])")] {
        let text = format!("{}'a'{}", open.repeat(10_000), close.repeat(10_000));
        let (code, message) = expect_error(&format!(r#"{{"a":"{text}"}}"#));
        assert_eq!(code, ErrorCode::InvalidExpression);
        assert!(message.contains("nested more than 32 deep"), "{message}");
    }
    let lists = format!("$Concat({}", "[".repeat(100_000));
    assert!(
        expect_error(&format!(r#"{{"a":"{lists}"}}"#))
            .1
            .contains("nested more than 32 deep")
    );
    let keys = format!("$Input{}", "{a}".repeat(100_000));
    assert!(
        expect_error(&format!(r#"{{"a":"{keys}"}}"#))
            .1
            .contains("too many keys")
    );
}

#[test]
fn steps_are_bounded() {
    let long = "a,".repeat(500_000);
    let (code, message) = expect_error(&format!(r#"{{"a":"$Split($Input{{b}}, ',')","b":"{long}"}}"#));
    assert_eq!(code, ErrorCode::ValidationError);
    assert!(message.contains("takes more than 100000 steps"), "{message}");
    let (_, message) = expect_error(&format!(r#"{{"a":"$Split($Input{{b}}, '')","b":"{long}"}}"#));
    assert!(message.contains("steps"), "{message}");
}

#[test]
fn scanning_input_costs_steps() {
    // Each of these reads a large input entirely, and there are many of them.
    let block = "y".repeat(500_000);
    let rows = [
        "$Length{$Input{b}{0}}",
        "$Pick($Input{b}, 0)",
        "$Find($Input{b}, ==, 1)",
        "$Find([$Input{b}{0}], ==, 1)",
        "$Find([$Input{b}{0}], ==, 'y')",
        "$Find([$Input{b}], ===, [1])",
    ];
    for expression in rows {
        let many = expression.repeat(400_000 / expression.len());
        let (_, message) = expect_error(&format!(r#"{{"a":"{many}","b":["{block}"],"c":"z"}}"#));
        assert!(
            message.contains("steps") || message.contains("bytes"),
            "{expression}: {message}"
        );
    }
}

#[test]
fn output_is_bounded() {
    let block = "x".repeat(1_000);
    let growing = r#"$Replace($Replace($Input{b}, 'x', $Input{b}), 'x', $Input{b})"#;
    let (_, message) = expect_error(&format!(r#"{{"a":"{growing}","b":"{block}"}}"#));
    assert!(message.contains("yields more than 1048576 bytes"), "{message}");
    let repeated = "$Input{b}".repeat(1_200);
    let (_, message) = expect_error(&format!(r#"{{"a":"{repeated}","b":"{block}"}}"#));
    assert!(message.contains("yields more than 1048576 bytes"), "{message}");
    // References to one value, which only become large when they are written out.
    let list = "$Input{b},".repeat(2_000);
    let (_, message) = expect_error(&format!(r#"{{"a":"$Concat([[{list}1]])","b":"{block}"}}"#));
    assert!(message.contains("yields more than 1048576 bytes"), "{message}");
    let entries = r#""$Input{b}","#.repeat(1_200);
    let (_, message) = expect_error(&format!(r#"{{"a":[{entries}1],"b":"{block}"}}"#));
    assert!(message.contains("yields more than 1048576 bytes"), "{message}");
}

#[test]
fn comparing_large_values_costs_steps() {
    let items = "1,".repeat(50_000);
    let block = "y".repeat(100_000);
    let (_, message) = expect_error(&format!(
        r#"{{"a":"$Filter($Input{{l}}, ===, $Input{{b}})","l":[{items}1],"b":"{block}"}}"#
    ));
    assert!(message.contains("steps"), "{message}");
}

#[test]
fn number_of_listed_errors_is_bounded() {
    let input = format!("[{}1]", r#""$Add(","#.repeat(10_000));
    assert!(check(&input, &Limits::default()).unwrap_err().len() <= 20);
}

#[test]
fn callers_limits_are_enforced() {
    let limits = Limits {
        depth: 2,
        steps: 3,
        output_bytes: 4,
    };
    let run = |expression: &str| {
        let input = format!(r#"{{"a":"{expression}"}}"#);
        check(&input, &limits).map_err(|mut errors| errors.remove(0))?;
        resolve(&input, &scope("UTC"), &limits).map(std::borrow::Cow::into_owned)
    };
    assert!(run("$Var(attempt)").is_ok());
    assert!(run("$Trim($Trim($Trim('a')))").is_err());
    assert!(run("$Add(1, $Add(1, 1))").is_err());
    assert!(run("$Var(job_id)").is_err());
}

#[test]
fn many_references_beside_a_long_value_take_linear_time() {
    let references = vec![r#""$Input{x}""#; 40_000].join(",");
    let input = format!(r#"{{"x":1,"refs":[{references}]}}"#);
    let start = Instant::now();
    let resolved = resolve(&input, &scope("UTC"), &Limits::default()).unwrap();
    assert!(resolved.starts_with(r#"{"x":1,"refs":[1,1,"#));
    // Reading the whole input for each of them is 20 GB.
    assert!(start.elapsed() < Duration::from_secs(5), "took {:?}", start.elapsed());
}
