//! The results of each reference and operator.

use super::*;

fn assert_rows(rows: &[(&str, &str)]) {
    for (expression, wanted) in rows {
        assert_eq!(evaluate_in_utc(expression), *wanted, "{expression}");
    }
}

#[test]
fn references_yield_documented_values() {
    assert_rows(&[
        ("$Now", "1773583509007"),
        ("$Now()", "1773583509007"),
        ("$Now( )", "1773583509007"),
        ("$Input{text}", r#""Hello""#),
        ("$Input{name}", r#""Ann \"A\" \u00e9""#),
        ("$Input{n}", "41"),
        ("$Input{big}", "9007199254740993123"),
        ("$Input{odd}", "1.50e1"),
        ("$Input{o}{x}{y}", "[10,20]"),
        ("$Input{o.x.y}", "[10,20]"),
        ("$Input{o}{x.y}{1}", "20"),
        ("$Input{ o . x }", r#"{"y":[10,20]}"#),
        (r#"$Input{o}{"a.b"}"#, r#""dot""#),
        ("$Input{o}{'a.b'}", r#""dot""#),
        ("$Input{no}", "null"),
        ("$Input{yes}", "true"),
        ("$Session{user}{email}", r#""ann@example.com""#),
        ("$Session{user}{id}", "42"),
        ("$Session{user.roles}{0}", r#""admin""#),
        (
            "$Session{user}",
            r#"{"id":42,"email":"ann@example.com","roles":["admin","dev"]}"#,
        ),
        ("$Var(attempt)", "2"),
        ("$Var(execution_count)", "3"),
        ("$Var( job_id )", r#""job_1""#),
        ("$Var(scheduled_at)", "1773583508998"),
        ("$Var(product)-$Var(env)", r#""shop-prd""#),
    ]);
}

#[test]
fn results_are_not_evaluated_again() {
    assert_rows(&[
        ("$Secret{API_KEY}", r#""s3cr$Now()et""#),
        ("Bearer $Token{API_KEY}", r#""Bearer s3cr$Now()et""#),
        ("$Input{self}", r#""$Now() $$""#),
        ("<$Input{self}>", r#""<$Now() $$>""#),
        ("$Concat(['$Now', '()'])", r#""$Now()""#),
        ("$Uppercase('$now')$$", r#""$NOW$""#),
    ]);
}

#[test]
fn expression_alone_keeps_its_type_within_text_becomes_text() {
    assert_rows(&[
        ("$Add(1, 2)", "3"),
        ("= $Add(1, 2)", r#""= 3""#),
        ("$Add(1, 2)$Add(3, 4)", r#""37""#),
        ("$Input{yes}$Input{no}$Input{odd}", r#""true1.50e1""#),
        ("list: $Input{list}", r#""list: [3,1,\"2\",null,{\"k\":1}]""#),
        ("$Input{name}!", r#""Ann \"A\" \u00e9!""#),
        (
            "say \"$Uppercase('a\"b')\"",
            r#""say \"A\"B\"""#.replace("A\"B", "A\\\"B").as_str(),
        ),
        ("$99.99", r#""$99.99""#),
        ("$$", r#""$""#),
        ("$$$", r#""$$""#),
        ("$$Now()", r#""$Now()""#),
        ("a$", r#""a$""#),
        (
            "$Nowhere $now $Adder(1) $Add $Input $Divide(4, 2)",
            r#""$Nowhere $now $Adder(1) $Add $Input $Divide(4, 2)""#,
        ),
        ("$Now.", r#""1773583509007.""#),
        ("é$Now()é", r#""é1773583509007é""#),
    ]);
}

#[test]
fn arithmetic_operators_yield_documented_values() {
    assert_rows(&[
        ("$Add(1, 2, 3.5)", "6.5"),
        ("$Add(0.5, 0.5)", "1"),
        ("$Add(9007199254740993, 1)", "9007199254740994"),
        ("$Add($Input{n}, $Input{odd})", "56"),
        ("$Add(9223372036854775807, 1)", "9223372036854776000"),
        ("$Subtract(1, 2)", "-1"),
        ("$Subtract(10, 2, 3)", "5"),
        ("$Subtract($Now(), 86400000)", "1773497109007"),
        ("$Add(-1e21, 0)", "-1e21"),
        ("$Add(1e-9, 0)", "1e-9"),
        ("$Subtract(0.1, 0.1)", "0"),
    ]);
}

#[test]
fn text_operators_yield_documented_values() {
    assert_rows(&[
        ("$Concat(['a', 1, true, null, $Input{text}])", r#""a1trueHello""#),
        ("$Concat([$Input{text}, 'you'], ' ')", r#""Hello you""#),
        ("$Concat($Input{words}, '-')", r#""b-a""#),
        ("$Join($Input{words})", r#""b,a""#),
        ("$Join([1, [2, 3]], ' + ')", r#""1 + [2,3]""#),
        ("$Join([], '-')", r#""""#),
        ("$Substring('Hello', 1, 3)", r#""el""#),
        ("$Substring('Hello', -3)", r#""llo""#),
        ("$Substring('Hello', -3, -1)", r#""ll""#),
        ("$Substring('Hello', 3, 1)", r#""""#),
        ("$Substring('Hello', 2, 99)", r#""llo""#),
        ("$Substring('héllo😀', -1)", r#""😀""#),
        ("$Trim('  a b ')", r#""a b""#),
        ("$Trim(\"\t a\n\")", r#""a""#),
        ("$Split('a,b,,c', ',')", r#"["a","b","","c"]"#),
        ("$Split('héy', '')", r#"["h","é","y"]"#),
        ("$Split('', ',')", r#"[""]"#),
        ("$Uppercase('straße')", r#""STRASSE""#),
        ("$Lowercase('ÀB')", r#""àb""#),
        ("$Replace('a-b-c', '-', '+')", r#""a+b+c""#),
        ("$Replace('a.b', '.', '')", r#""ab""#),
        ("$Replace('aaa', 'aa', 'b')", r#""ba""#),
        (r"$Concat(['it\'s', 'a\\b', 'x\ny'])", r#""it'sa\\bx\ny""#),
    ]);
}

#[test]
fn list_operators_yield_documented_values() {
    assert_rows(&[
        ("$Pick($Input{list}, 0)", "3"),
        ("$Pick($Input{list}, -1)", r#"{"k":1}"#),
        ("$Pick($Split('a b', ' '), 1)", r#""b""#),
        ("$Filter($Input{list}, '>', 1)", r#"[3,"2"]"#),
        ("$Filter($Input{list}, >=, 3)", "[3]"),
        ("$Filter($Input{list}, <, 2)", "[1]"),
        ("$Filter([1, 2, 3], <=, 2)", "[1,2]"),
        ("$Filter($Input{list}, ==, 2)", r#"["2"]"#),
        ("$Filter($Input{list}, ===, 2)", "[]"),
        ("$Filter([1, '1', null], '!=', 1)", "[null]"),
        ("$Filter([1, '1', null], '!==', 1)", r#"["1",null]"#),
        ("$Filter($Input{words}, '===', 'a')", r#"["a"]"#),
        ("$Filter(['b', 'a', 'c'], '>', 'a')", r#"["b","c"]"#),
        ("$Filter([{a: 1}, {\"a\": 2}], ===, {'a': 2})", r#"[{"a":2}]"#),
        ("$Find($Input{list}, '>', 1)", "3"),
        ("$Find([1, 2], >, 5)", "null"),
        ("$Size{$Input{list}}", "5"),
        ("$Size{ $Input{o} }", "2"),
        ("$Size($Input{name})", "10"),
        ("$Length{$Input{name}}", "9"),
        ("$Length{$Input{list}}", "5"),
        ("$Length{$Session{user}{roles}}", "2"),
        ("$Length([1, 2])", "2"),
    ]);
}

#[test]
fn date_operators_yield_documented_values() {
    assert_rows(&[
        ("$DateAdd($Now(), -30, \"days\")", "1770991509007"),
        ("$DateAdd('9999-12-31T23:59:59Z', 1, 'second')", "253402300800000"),
        (
            "$Dateformat('+010000-01-01T00:00:00Z', 'YYYY-MM-DD dddd')",
            r#""10000-01-01 Saturday""#,
        ),
        (
            "$Dateformat(8640000000000000, 'YYYY-MM-DD HH:mm')",
            r#""275760-09-13 00:00""#,
        ),
        ("$DateAdd('-271821-04-20', 547580, 'years')", "8639955763200000"),
        ("$DateAdd(-8640000000000000, 200000000, 'days')", "8640000000000000"),
        ("$DateAdd(0, 1, 'millisecond')", "1"),
        ("$DateAdd(0, 2, 'seconds')", "2000"),
        ("$DateAdd(0, 1, 'minute')", "60000"),
        ("$DateAdd(0, -1, 'hours')", "-3600000"),
        ("$DateAdd(0, 1, 'day')", "86400000"),
        ("$DateAdd(0, 1, 'weeks')", "604800000"),
        (
            "$Dateformat($DateAdd($Input{iso}, 1, 'month'), 'YYYY-MM-DD')",
            r#""2026-02-28""#,
        ),
        (
            "$Dateformat($DateAdd('2024-01-31', 1, 'months'), 'YYYY-MM-DD')",
            r#""2024-02-29""#,
        ),
        (
            "$Dateformat($DateAdd('2024-02-29', 1, 'year'), 'YYYY-MM-DD')",
            r#""2025-02-28""#,
        ),
        (
            "$Dateformat($DateAdd('2024-02-29', -4, 'years'), 'YYYY-MM-DD')",
            r#""2020-02-29""#,
        ),
        (
            "$Dateformat($DateAdd('2026-03-31', -1, 'month'), 'DD.MM.YYYY HH:mm')",
            r#""28.02.2026 00:00""#,
        ),
        (
            "$Dateformat($Now(), 'YYYY YY MMMM MMM MM M DD D')",
            r#""2026 26 March Mar 03 3 15 15""#,
        ),
        (
            "$Dateformat($Now(), 'dddd ddd HH H hh h mm m ss s A a')",
            r#""Sunday Sun 14 14 02 2 05 5 09 9 PM pm""#,
        ),
        (
            "$Format('2026-01-05T00:07:08Z', 'D/M/YY h:m:s a')",
            r#""5/1/26 12:7:8 am""#,
        ),
        ("$Format(0, '[day] D [of] MMMM')", r#""day 1 of January""#),
        ("$Format(-1, 'YYYY-MM-DD HH:mm:ss')", r#""1969-12-31 23:59:59""#),
        ("$Format('2026-01-01T00:00:00+02:00', 'YYYY')", r#""2025""#),
    ]);
}

#[test]
fn dates_use_the_zone_of_the_scope() {
    let zone = "America/New_York";
    let rows = [
        ("$Format($Now(), 'HH:mm dddd')", r#""10:05 Sunday""#),
        // 02:30 on 2026-03-08 does not exist there: the clocks skip from 02:00 to 03:00.
        (
            "$Format($DateAdd('2026-03-07T02:30:00', 1, 'day'), 'HH:mm')",
            r#""03:30""#,
        ),
        ("$Format($DateAdd($Input{local}, 1, 'day'), 'D HH:mm')", r#""9 01:30""#),
        ("$DateAdd('2026-03-08T00:00:00', 1, 'day')", "1773028800000"),
        ("$DateAdd('2026-03-08T00:00:00', 24, 'hours')", "1773032400000"),
    ];
    for (expression, wanted) in rows {
        assert_eq!(
            evaluate_in_zone(expression, zone).as_deref(),
            Ok(wanted),
            "{expression}"
        );
    }
}

#[test]
fn documented_nested_expressions_work() {
    assert_rows(&[
        ("$DateAdd($Now(), -30, \"days\")", "1770991509007"),
        ("$Session{user}{email}", r#""ann@example.com""#),
        (
            "$Uppercase($Substring($Concat([$Input{text}, $Session{user}{email}], ' '), 0, 9))",
            r#""HELLO ANN""#,
        ),
        (
            "$Add($Length{$Filter($Input{list}, >, 0)}, $Subtract($Input{n}, $Add(1, 1)))",
            "42",
        ),
        (
            "$Pick($Split($Replace($Session{user}{email}, '@', '|'), '|'), -1)",
            r#""example.com""#,
        ),
        ("$Filter([$Input{n}, [1, $Add(1, 1)]], '===', [1, 2])", "[[1,2]]"),
    ]);
    let input = r#"{"filter":{"createdAt":{"$lt":"$DateAdd($Now(), -30, \"days\")"}}}"#;
    assert_eq!(
        resolve_or_panic(input),
        r#"{"filter":{"createdAt":{"$lt":1770991509007}}}"#
    );
    let input = r#"{"email":{"recipients":["$Session{user}{email}"],"subject":{"userId":"$Session{user}{id}"}}}"#;
    let wanted = r#"{"email":{"recipients":["ann@example.com"],"subject":{"userId":42}}}"#;
    assert_eq!(resolve_or_panic(input), wanted);
}
