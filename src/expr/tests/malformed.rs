//! Which expressions are rejected, and the messages.

use super::*;

/// Each expression fails the check with a message that contains the given text.
fn assert_malformed(rows: &[(&str, &str)]) {
    for (expression, wanted) in rows {
        let (code, message) = evaluate_in_zone(expression, "UTC").expect_err(expression);
        assert_eq!(code, ErrorCode::InvalidExpression, "{expression}: {message}");
        assert!(
            message.starts_with("input.value: at character "),
            "{expression}: {message}"
        );
        assert!(message.contains(wanted), "{expression}: {message}");
    }
}

/// Each expression is well-formed but cannot be computed; the message contains the given text.
fn assert_invalid(rows: &[(&str, &str)]) {
    for (expression, wanted) in rows {
        let (code, message) = evaluate_in_zone(expression, "UTC").expect_err(expression);
        assert_eq!(code, ErrorCode::ValidationError, "{expression}: {message}");
        assert!(message.contains(wanted), "{expression}: {message}");
        assert!(message.starts_with("input.value: "), "{expression}: {message}");
    }
}

#[test]
fn malformed_references_fail_the_check() {
    assert_malformed(&[
        (
            "$Session{user",
            "at character 1: the braces of $Session{…} are not balanced; it is $Session{user}{email}",
        ),
        (
            "ab $Input{a{b}}",
            "at character 4: the braces of $Input{…} are not balanced",
        ),
        ("$Input{}", "at character 8: $Input{…} has an empty key"),
        ("$Input{a..b}", "has an empty key"),
        ("$Input{'a}", "the text is not closed"),
        ("$Now(1)", "$Now takes no arguments; it is $Now()"),
        (
            "$Var(atempt)",
            "$Var does not know the variable 'atempt'; did you mean 'attempt'?",
        ),
        ("$Var(attempt", "`)` is missing"),
    ]);
}

#[test]
fn malformed_calls_fail_the_check() {
    assert_malformed(&[
        (
            "$Add(1, 2",
            "at character 1: the call of $Add is not closed; it is $Add(number, number, …)",
        ),
        ("$Add(1,", "the call of $Add is not closed"),
        ("$Add(1, , 2)", "at character 9: an argument is missing"),
        (
            "$Add(1)",
            "$Add does not take 1 arguments; it is $Add(number, number, …)",
        ),
        ("$Trim('a', 'b')", "$Trim does not take 2 arguments; it is $Trim(text)"),
        ("$Add(1 2)", "at character 8: expected `,` or `)`, found `2`"),
        ("$Length{}", "an argument is missing"),
        ("$Length{$Input{a}", "$Length{…} is not closed"),
        (
            "$Uppercase($Lowercse('A'))",
            "there is no $Lowercse; did you mean $Lowercase?",
        ),
        ("$Uppercase($Input)", "$Input is incomplete; it is $Input{user}{name}"),
        ("$Uppercase($Trim)", "$Trim is incomplete; it is $Trim(text)"),
    ]);
}

#[test]
fn malformed_constants_fail_the_check() {
    assert_malformed(&[
        ("$Add(1, two)", "two is no value; texts stand in quotes, as in 'two'"),
        ("$Add(1, 1.2.3)", "1.2.3 is no number"),
        ("$Add(1, 1e999)", "1e999 is no number"),
        (
            "$Split($Input{a}, ',)",
            "at character 19: the text is not closed; ' is missing",
        ),
        ("$Concat(['a', 'b')", "expected `,` or `]`, found `)`"),
        ("$Concat([1", "the list is not closed"),
        ("$Filter([1], ==, {a 1})", "`:` is missing"),
        ("$Uppercase(#)", "`#` begins no argument"),
    ]);
}

#[test]
fn constants_of_the_wrong_kind_fail_the_check() {
    assert_malformed(&[
        (
            "$Add('1', 2)",
            "argument 1 of $Add must be a number; it is $Add(number, number, …)",
        ),
        (
            "$DateAdd($Now(), 1, 'fortnights')",
            "argument 3 of $DateAdd must be a unit such as milliseconds",
        ),
        (
            "$DateAdd($Now(), 1.5, 'days')",
            "argument 2 of $DateAdd must be a whole number",
        ),
        (
            "$DateAdd('yesterday', 1, 'days')",
            "argument 1 of $DateAdd must be a date, in ms or ISO 8601",
        ),
        (
            "$Filter([1], '~', 1)",
            "argument 2 of $Filter must be one of > < >= <= == === != !==",
        ),
    ]);
}

#[test]
fn every_malformed_text_is_listed_with_its_path() {
    let input = r#"{"a":["$Add(","ok"],"b":{"c d":"$Trim()"},"$Add(":1}"#;
    let errors = check(input, &Limits::default()).unwrap_err();
    let paths: Vec<_> = errors.iter().map(|error| error.problem.path.as_str()).collect();
    assert_eq!(paths, ["input.a[0]", "input.b.c d"]);
}

#[test]
fn missing_values_fail_the_evaluation() {
    assert_invalid(&[
        (
            "$Input{nobody}",
            "$Input{nobody} is missing: the input has no such value",
        ),
        ("$Input{text}{deeper}", "$Input{text}{deeper} is missing"),
        ("$Input{list}{9}", "$Input{list}{9} is missing"),
        (
            "$Session{user}{phone}",
            "$Session{user}{phone} is missing: the session's data has no such value",
        ),
        ("$Secret{OTHER}", "$Secret{OTHER} is missing: there is no such secret"),
        ("$Variable{app}{key}", "$Variable{app}{key} is missing"),
        ("$Constant{app}{key}", "$Constant{app}{key} is missing"),
        ("$Auth{app}{token}", "$Auth{app}{token} is missing"),
        ("$Sequence{a}{b}{c}", "$Sequence{a}{b}{c} is missing"),
        ("$Response{body}", "$Response{body} is missing"),
        ("$Default", "$Default is missing"),
    ]);
}

#[test]
fn arguments_of_the_wrong_kind_fail_the_evaluation() {
    assert_invalid(&[
        (
            "$Add($Input{text}, 1)",
            "argument 1 of $Add must be a number, got a string",
        ),
        (
            "$Subtract(1, $Input{list})",
            "argument 2 of $Subtract must be a number, got a list",
        ),
        ("$Trim($Input{n})", "argument 1 of $Trim must be a string, got a number"),
        (
            "$Split($Input{no}, ',')",
            "argument 1 of $Split must be a string, got null",
        ),
        (
            "$Pick($Input{o}, 0)",
            "argument 1 of $Pick must be a list, got an object",
        ),
        (
            "$DateAdd($Input{text}, 1, 'day')",
            "argument 1 of $DateAdd must be a date, in ms or ISO 8601, got a string",
        ),
        (
            "$DateAdd(0, $Input{text}, 'day')",
            "argument 2 of $DateAdd must be a whole number, got a string",
        ),
        ("$DateAdd(0, 1, $Input{text})", "argument 3 of $DateAdd must be a unit"),
        (
            "$Format(8640000000000001, 'YYYY')",
            "argument 1 of $Format must be a date",
        ),
    ]);
}

#[test]
fn impossible_operations_fail_the_evaluation() {
    assert_invalid(&[
        ("$Add(1e308, 1e308)", "$Add: the result is beyond all numbers"),
        (
            "$Pick($Input{words}, 2)",
            "$Pick: index 2 is out of range, the list has 2 elements",
        ),
        ("$Pick($Input{words}, -3)", "$Pick: index -3 is out of range"),
        (
            "$DateAdd(0, 9223372036854775807, 'years')",
            "$DateAdd: the result is beyond all dates",
        ),
        (
            "$DateAdd(0, 9223372036854775807, 'hours')",
            "$DateAdd: the result is beyond all dates",
        ),
        (
            "$Replace('a', '', 'b')",
            "$Replace: the text to search for must not be empty",
        ),
        (
            "$Size{$Input{n}}",
            "$Size: needs a list, an object or a string, got a number",
        ),
    ]);
}

#[test]
fn unverifiable_session_is_unauthorized() {
    let scope = Scope {
        claims: Claims::Unverified("no key"),
        ..scope("UTC")
    };
    let error = resolve(r#"{"a":"$Session{x}"}"#, &scope, &Limits::default()).unwrap_err();
    assert_eq!(error.code, ErrorCode::Unauthorized);
    let scope = Scope {
        claims: Claims::Absent,
        ..scope
    };
    let error = resolve(r#"{"a":"$Session{x}"}"#, &scope, &Limits::default()).unwrap_err();
    assert_eq!(error.code, ErrorCode::ValidationError);
}

#[test]
fn error_messages_never_contain_values() {
    let error = evaluate_in_zone("$Add($Secret{API_KEY}, 1)", "UTC").unwrap_err();
    assert!(!error.1.contains("s3cr"), "{error:?}");
    let error = evaluate_in_zone("$DateAdd(0, 1, $Secret{API_KEY})", "UTC").unwrap_err();
    assert!(!error.1.contains("s3cr"), "{error:?}");
}
