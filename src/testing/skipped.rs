//! Tests whose server is not there: each says so by its name, or fails where all servers must be there.

use std::io::Write;

/// With this variable, as CI sets it, no test may be skipped.
const REQUIRED: &str = "DUCTAPE_TEST_REQUIRE_SERVERS";

/// Reports that the test that runs does not test anything, and why. `test` is its name where nobody else knows it.
pub(crate) fn skipped(test: &str, why: &str) {
    let thread = std::thread::current();
    // Tests that run one after the other run in the main thread.
    let test = thread.name().filter(|name| *name != "main").unwrap_or(test);
    assert!(!required(), "{test} would be skipped, and {REQUIRED} forbids it: {why}");
    // `eprintln` is heard only of tests that fail.
    let _ = writeln!(std::io::stderr(), "SKIPPED {test}: {why}");
}

/// Reports that the test does not test anything since this system lacks what it needs, which no server can make up for.
#[allow(dead_code, reason = "tests from outside share this file and need servers only")]
pub(crate) fn unsupported(test: &str, why: &str) {
    let _ = writeln!(std::io::stderr(), "SKIPPED {test}: {why}");
}

fn required() -> bool {
    std::env::var_os(REQUIRED).is_some_and(|value| !value.is_empty())
}

/// The address of a server in an environment variable; without one, the test is reported as skipped.
pub(crate) fn address(variable: &str, test: &str) -> Option<String> {
    let address = std::env::var(variable).ok().filter(|address| !address.is_empty());
    if address.is_none() {
        skipped(test, &format!("{variable} names no server"));
    }
    address
}
