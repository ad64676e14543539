//! Compares the tables in `docs/cron.md` with what the engine computes.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr
)]

use ductape::cron::{CronExpr, DstPolicy, GapPolicy, OverlapPolicy, Zone};

const DOCUMENT: &str = include_str!("../docs/cron.md");

/// The cells of each row of the table whose heading begins with `heading`.
fn rows(heading: &str) -> Vec<Vec<&'static str>> {
    let start = DOCUMENT.find(&format!("| {heading}")).expect("the table is there");
    let table = DOCUMENT[start..].lines().skip(2);
    let cells = |line: &'static str| line.trim_matches('|').split('|').map(str::trim).collect();
    table.take_while(|line| line.starts_with('|')).map(cells).collect()
}

fn code(cell: &'static str) -> &'static str {
    cell.trim_matches('`')
}

fn policy(cell: &str) -> DstPolicy {
    let default = DstPolicy::default();
    match cell.trim_matches('`') {
        "default" => default,
        "gap: 'skip'" => DstPolicy {
            gap: GapPolicy::Skip,
            ..default
        },
        "overlap: 'last'" => DstPolicy {
            overlap: OverlapPolicy::Last,
            ..default
        },
        "overlap: 'both'" => DstPolicy {
            overlap: OverlapPolicy::Both,
            ..default
        },
        other => panic!("unknown policy {other}"),
    }
}

#[test]
fn documented_examples_match_computed_instants() {
    let mut wrong = Vec::new();
    let rows = rows("zone and change");
    for cells in &rows {
        let zone = Zone::get(cells[0].split(',').next().expect("a name")).expect("a known zone");
        let expr = CronExpr::parse(code(cells[1])).expect("a valid expression");
        let mut at = zone.parse_date_time(cells[3]).expect("a date-time");
        let count = cells[4].split(", ").count();
        let mut runs = Vec::new();
        for _ in 0..count {
            at = expr.next_after(at, &zone, policy(cells[2])).expect("an instant");
            runs.push(zone.to_iso(at).replace(":00+", "+").replace(":00-", "-"));
        }
        if runs.join(", ") != cells[4] {
            wrong.push(format!("| {} | {} |", cells[..4].join(" | "), runs.join(", ")));
        }
    }
    assert!(wrong.is_empty(), "these rows should read:\n{}", wrong.join("\n"));
    assert!(rows.len() >= 20, "{}", rows.len());
}

#[test]
fn documented_errors_give_the_documented_hints() {
    for cells in rows("written") {
        let error = CronExpr::parse(code(cells[0])).expect_err(cells[0]);
        assert_eq!(error.hint, cells[1], "{}", cells[0]);
    }
}

#[test]
fn documented_expressions_parse() {
    for cells in rows("expression") {
        let expr = CronExpr::parse(code(cells[0])).expect(cells[0]);
        assert!(!expr.never_matches(), "{}", cells[0]);
    }
}
