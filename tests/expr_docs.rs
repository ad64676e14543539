//! Compares the tables in `docs/expressions.md` with those in the code.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use ductape::expr::{operators, references};

fn document() -> String {
    std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/expressions.md")).unwrap()
}

#[test]
fn every_operator_is_documented() {
    let document = document();
    for operator in operators() {
        let row = format!("| `{}` | {} |", operator.usage, operator.about);
        assert!(document.contains(&row), "docs/expressions.md lacks the row\n{row}");
    }
    let rows = document
        .split("## Operators")
        .nth(1)
        .and_then(|rest| rest.split("\n\n").nth(1))
        .unwrap();
    assert_eq!(rows.lines().count() - 2, operators().count());
}

#[test]
fn every_reference_is_documented() {
    let document = document();
    for reference in references() {
        let row = format!("| `{}` |", reference.example());
        assert!(document.contains(&row), "docs/expressions.md lacks the row\n{row}");
    }
}
