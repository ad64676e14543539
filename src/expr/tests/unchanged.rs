//! Inputs and parts of inputs that come back unchanged.

use super::*;
use crate::expr::{Unmarked, without_marks};
use std::borrow::Cow;

#[test]
fn input_without_dollar_is_borrowed() {
    let input = r#" { "a" : 1.0e3, "b":"\u00e9" , "a":12345678901234567890 } "#;
    assert!(matches!(resolve(input, &scope("UTC"), &Limits::default()), Ok(Cow::Borrowed(text)) if text == input));
}

#[test]
fn text_around_expressions_is_unchanged() {
    let input = r#"{ "z":1.0e3 , "\u0061":"\/\ud83d $Now() \u00e9\ud800" ,"n":12345678901234567890,"__proto__":{"x":"$Now"},"$Now":"k"}"#;
    let wanted = r#"{ "z":1.0e3 , "\u0061":"\/\ud83d 1773583509007 \u00e9\ud800" ,"n":12345678901234567890,"__proto__":{"x":1773583509007},"$Now":"k"}"#;
    assert_eq!(resolve_or_panic(input), wanted);
}

#[test]
fn keys_are_never_evaluated() {
    let input = r#"{"$Now()":{"$Add(":[{"$Secret{X}":1}]},"$set":"x"}"#;
    assert_eq!(resolve_or_panic(input), input);
    assert!(check(input, &Limits::default()).is_ok());
}

#[test]
fn literals_are_unwrapped_without_other_changes() {
    let hostile =
        r#"{"x":"$Secret{API_KEY} $Session{user}{email} $Add( \"$Now()\" '$$' \ud800","n":1.50,"$literal":["$Now"]}"#;
    let input = format!(r#"{{"a":{{ "$literal" : {hostile} }},"b":"$Now()","c":[{{"$literal":"$Add("}}]}}"#);
    let wanted = format!(r#"{{"a":{hostile},"b":1773583509007,"c":["$Add("]}}"#);
    check(&input, &Limits::default()).unwrap();
    assert_eq!(resolve_or_panic(&input), wanted);
    assert_eq!(resolve_or_panic(r#"{"$literal":{"a":"$Now"}}"#), r#"{"a":"$Now"}"#);
    assert_eq!(
        resolve_or_panic(r#"{"a":{"$literal":{"$literal":1}}}"#),
        r#"{"a":{"$literal":1}}"#
    );
}

#[test]
fn object_with_other_keys_is_not_a_literal() {
    let input = r#"{"a":{"$literal":"$Now()","b":1},"c":{"b":1,"$literal":2}}"#;
    assert_eq!(
        resolve_or_panic(input),
        r#"{"a":{"$literal":1773583509007,"b":1},"c":{"b":1,"$literal":2}}"#
    );
}

#[test]
fn reference_can_point_into_a_literal() {
    let input = r#"{"name":{"$literal":"$Now() & co"},"user":{"$literal":{"k":["v"]}},"x":{"y":{"$literal":1}},
        "a":"Hello $Input{name}","b":"$Input{user}{k}{0}","c":"$Input{x}"}"#;
    let wanted = r#"{"name":"$Now() & co","user":{"k":["v"]},"x":{"y":1},
        "a":"Hello $Now() & co","b":"v","c":{"y":1}}"#;
    assert_eq!(resolve_or_panic(input), wanted);
}

/// Small and fast: tests need no better randomness.
struct Random(u64);

impl Random {
    fn next(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % below as u64) as usize
    }

    fn pick<'a>(&mut self, words: &[&'a str]) -> &'a str {
        words[self.next(words.len())]
    }

    fn text(&mut self) -> String {
        const WORDS: [&str; 22] = [
            "$", "$9", "$now", "$Nowx", "$Add", "$Input", "$ ", "{", "}", "(", ")", "\\\"", "\\\\", "\\u0024",
            "\\ud800", "é", "😀", "$Sum(1)", "x", ",", ":", "\\/",
        ];
        let mut text: String = (0..self.next(6)).map(|_| self.pick(&WORDS)).collect();
        // Combinations of these words that are expressions or escapes.
        for known in ["$$", "$Add(", "$Input{"] {
            text = text.replace(known, "_");
        }
        format!("\"{text}\"")
    }

    fn value(&mut self, depth: usize) -> String {
        const SPACE: [&str; 4] = ["", "", " ", "\n\t"];
        let kind = self.next(if depth == 0 { 4 } else { 6 });
        match kind {
            0 | 1 => self.text(),
            2 => self.pick(&["0", "-1.50", "1e3", "12345678901234567890", "1E-2"]).into(),
            3 => self.pick(&["true", "false", "null"]).into(),
            _ => {
                let count = self.next(4);
                let items: Vec<String> = (0..count)
                    .map(|_| {
                        let value = self.value(depth - 1);
                        if kind == 4 {
                            return value;
                        }
                        let key = self.text();
                        format!("{key}{}:{}{value}", self.pick(&SPACE), self.pick(&SPACE))
                    })
                    .collect();
                let ends = if kind == 4 { ["[", "]"] } else { ["{", "}"] };
                let space = self.pick(&SPACE);
                format!("{}{space}{}{space}{}", ends[0], items.join(","), ends[1])
            }
        }
    }
}

#[test]
fn random_texts_without_expressions_are_unchanged() {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let limits = Limits::default();
    let mut with_dollar = 0;
    for _ in 0..20_000 {
        let input = random.value(4);
        serde_json::from_str::<serde::de::IgnoredAny>(&input).unwrap();
        with_dollar += usize::from(input.contains('$'));
        assert_eq!(check(&input, &limits).unwrap().expressions, 0, "{input}");
        assert_eq!(resolve(&input, &scope("UTC"), &limits).unwrap(), input);
    }
    assert!(with_dollar > 5_000);
}

#[test]
fn where_expressions_are_marked_all_other_texts_are_unchanged() {
    let mut random = Random(0x2545_f491_4f6c_dd1d);
    let limits = Limits::default();
    for _ in 0..5_000 {
        // Texts that are expressions elsewhere, and what looks like a literal.
        let data = random
            .value(4)
            .replace("$Sum(1)", "$Secret{API_KEY} $Add(")
            .replace("\"$\"", "\"$literal\"")
            .replace("$9", "$Now()");
        let input = format!("{{\"a\":{data},\"b\":\"$mark$Add(1, 2)\",\"c\":[{data}]}}");
        let stored = without_marks(&input, "$mark", Unmarked::Literal);
        assert_eq!(check(&stored, &limits).unwrap().expressions, 1, "{input}");
        let resolved = resolve(&stored, &scope("UTC"), &limits).unwrap();
        assert_eq!(resolved, format!("{{\"a\":{data},\"b\":3,\"c\":[{data}]}}"));
    }
}
