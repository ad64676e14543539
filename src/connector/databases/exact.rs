//! Numbers in JSON that JavaScript would change.
//!
//! Invariant: a number that comes back as another one from JavaScript's `JSON.parse` is written as a string.

/// Characters up to which every number without an exponent is exact.
const MAX_SAFE_DIGITS: usize = 15;

/// Writes JSON text, with numbers that JavaScript cannot represent as strings. The text must be JSON.
pub(super) fn push_json(out: &mut String, text: &str) {
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let start = at;
        match byte {
            b'"' => {
                at += 1;
                while let Some(byte) = bytes.get(at) {
                    at += match byte {
                        b'\\' => 2,
                        _ => 1,
                    };
                    if *byte == b'"' {
                        break;
                    }
                }
                out.push_str(text.get(start..at).unwrap_or_default());
            }
            b'-' | b'0'..=b'9' => {
                let is_part = |byte: &u8| matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E');
                while bytes.get(at).is_some_and(is_part) {
                    at += 1;
                }
                let number = text.get(start..at).unwrap_or_default();
                if is_exact(number) {
                    out.push_str(number);
                } else {
                    out.push('"');
                    out.push_str(number);
                    out.push('"');
                }
            }
            _ => {
                while bytes
                    .get(at)
                    .is_some_and(|byte| !matches!(byte, b'"' | b'-' | b'0'..=b'9'))
                {
                    at += 1;
                }
                out.push_str(text.get(start..at).unwrap_or_default());
            }
        }
    }
}

/// Whether JavaScript keeps all digits of a number.
pub(super) fn is_exact(number: &str) -> bool {
    let has_exponent = number.contains(['e', 'E']);
    if !has_exponent && number.len() <= MAX_SAFE_DIGITS {
        return true;
    }
    if let Ok(whole) = number.parse::<i128>() {
        return whole.unsigned_abs() <= 9_007_199_254_740_991;
    }
    if !number.contains(['.', 'e', 'E']) {
        return false;
    }
    let Ok(value) = number.parse::<f64>() else { return false };
    value.is_finite() && normal(number) == normal(&format!("{value:e}"))
}

/// Significant digits, and the power of ten of the last one.
pub(super) fn normal(number: &str) -> Option<(String, i64)> {
    let unsigned = number.strip_prefix('-').unwrap_or(number);
    let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    let significant = digits.trim_end_matches('0');
    let exponent: i64 = exponent.strip_prefix('+').unwrap_or(exponent).parse().ok()?;
    let cut = (digits.len() - significant.len()) as i64;
    let significant = significant.trim_start_matches('0');
    if significant.is_empty() {
        return Some((String::new(), 0));
    }
    Some((significant.to_owned(), exponent - fraction.len() as i64 + cut))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_javascript_would_change_become_strings() {
        for (text, expected) in [
            (
                r#"{"n":9007199254740993, "m":[-9007199254740992,9007199254740991]}"#,
                r#"{"n":"9007199254740993", "m":["-9007199254740992",9007199254740991]}"#,
            ),
            ("1.10", "1.10"),
            ("0.1000000000000000055", "\"0.1000000000000000055\""),
            ("12345678901234567.89", "\"12345678901234567.89\""),
            ("1234567890.12345", "1234567890.12345"),
            ("1e21", "1e21"),
            ("1.50E+10", "1.50E+10"),
            ("1e999", "\"1e999\""),
            ("-0.000000000000000000", "-0.000000000000000000"),
            (
                r#""9007199254740993 \" 9007199254740993""#,
                r#""9007199254740993 \" 9007199254740993""#,
            ),
            (r#"["\\",9007199254740993]"#, r#"["\\","9007199254740993"]"#),
            ("[true,null,\"é\"]", "[true,null,\"é\"]"),
        ] {
            let mut out = String::new();
            push_json(&mut out, text);
            assert_eq!(out, expected);
        }
    }
}
