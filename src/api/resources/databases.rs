//! Reads databases and their actions.

use super::environments::environments;
use super::members::{members, own_tag, required_tag};
use super::placeholders;
use super::texts::{check_expressions, text};
use crate::api::fields::{Fields, describe};
use crate::resources::{ActionVerb, Database, DatabaseAction, DatabaseEnv, DatabaseKind, Resources, Text};
use url::Url;

/// Upper limit of connections to one database.
const MAX_CONNECTIONS: i64 = 1_000;

const VERBS: [(&str, ActionVerb); 7] = [
    ("QUERY", ActionVerb::Query),
    ("INSERT", ActionVerb::Insert),
    ("UPDATE", ActionVerb::Update),
    ("DELETE", ActionVerb::Delete),
    ("UPSERT", ActionVerb::Upsert),
    ("AGGREGATE", ActionVerb::Aggregate),
    ("RAW_SQL", ActionVerb::RawSql),
];

pub(super) fn read(database: &mut Fields<'_>, product: &str, resources: &mut Resources) {
    database.refuse_unknown(&["tag", "type", "table", "raw", "envs", "actions", "name", "description"]);
    let tag = required_tag(database);
    let kind = database.server_type("type", &DatabaseKind::NAMES, DatabaseKind::is_built_in);
    let table = database.tag("table").map(|table| table.as_ref().into());
    let raw = database.boolean("raw").unwrap_or(true);
    let mut envs = Vec::new();
    for (slug, mut env) in environments(database) {
        envs.extend(read_env(&mut env, slug, kind));
        database.absorb(env);
    }
    let mut actions: Vec<DatabaseAction> = Vec::new();
    for mut action in members(database, "actions") {
        if let Some(read) = read_action(&mut action, tag.as_deref(), table.is_some()) {
            if actions.iter().any(|known| known.tag == read.tag) {
                action.problem(
                    "tag",
                    format!("'{}' is the tag of another action of the database", read.tag),
                );
            }
            actions.push(read);
        }
        database.absorb(action);
    }
    let (Some(tag), Some(kind)) = (tag, kind) else { return };
    let read = Database {
        tag: tag.as_ref().into(),
        kind,
        table,
        raw,
        envs,
        actions,
    };
    if !resources.databases.add(product, &tag, read) {
        database.problem("tag", format!("'{tag}' is the tag of another database of the product"));
    }
}

fn read_env(env: &mut Fields<'_>, slug: Box<str>, kind: Option<DatabaseKind>) -> Option<DatabaseEnv> {
    env.refuse_unknown(&[
        "slug",
        "connection_url",
        "ca",
        "endpoint",
        "max_connections",
        "name",
        "description",
    ]);
    if env.raw("connection_url").is_none() {
        env.problem(
            "connection_url",
            format!("is missing; it must be a string, as in {}", example(kind)),
        );
    }
    let url = text(env, "connection_url");
    if let (Some(url), Some(kind)) = (&url, kind)
        && let Some(problem) = url_problem(url, kind)
    {
        env.problem("connection_url", problem);
    }
    let ca = text(env, "ca");
    let endpoint = text(env, "endpoint");
    if let (Some(endpoint), Some(kind)) = (&endpoint, kind) {
        if kind != DatabaseKind::Dynamodb {
            env.problem(
                "endpoint",
                "is of the type 'dynamodb' alone; others have their host in `connection_url`",
            );
        } else if endpoint.is_plain() && !is_http(endpoint.as_written()) {
            env.problem("endpoint", "must be an address such as 'http://127.0.0.1:8000'");
        }
    }
    let most = env.integer("max_connections", 1, MAX_CONNECTIONS);
    Some(DatabaseEnv {
        slug,
        connection_url: url?,
        ca,
        endpoint,
        max_connections: most.and_then(|most| usize::try_from(most).ok()),
    })
}

fn is_http(text: &str) -> bool {
    Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
}

/// An address of a database, with its password as a secret.
fn example(kind: Option<DatabaseKind>) -> &'static str {
    match kind {
        Some(DatabaseKind::Mysql) => "'mysql://user:$Secret{KEY}@host/database'",
        Some(DatabaseKind::Sqlite) => "'sqlite:/srv/app.db'",
        Some(DatabaseKind::Mongodb) => "'mongodb://user:$Secret{KEY}@host/database'",
        Some(DatabaseKind::Dynamodb) => "'dynamodb://eu-west-1'",
        Some(DatabaseKind::Cassandra | DatabaseKind::Mssql | DatabaseKind::Oracle) => "'$Secret{KEY}'",
        Some(DatabaseKind::Postgresql) | None => "'postgres://user:$Secret{KEY}@host/database'",
    }
}

/// What is wrong with an address, without repeating it, since it may hold a password.
fn url_problem(url: &Text, kind: DatabaseKind) -> Option<&'static str> {
    let text = url.as_written();
    if text.is_empty() {
        return Some("must not be empty");
    }
    if !url.is_plain() {
        return None;
    }
    let (schemes, problem): (&[&str], _) = match kind {
        DatabaseKind::Postgresql => (
            &["postgres", "postgresql"],
            "must be an address such as 'postgres://user:password@host:5432/database'",
        ),
        DatabaseKind::Mysql => (
            &["mysql", "mariadb"],
            "must be an address such as 'mysql://user:password@host:3306/database'",
        ),
        DatabaseKind::Mongodb => (
            &["mongodb", "mongodb+srv"],
            "must be an address such as 'mongodb://user:password@host:27017/database'",
        ),
        DatabaseKind::Dynamodb => (&["dynamodb"], "must be an address such as 'dynamodb://eu-west-1'"),
        // Whatever their handlers take.
        DatabaseKind::Cassandra | DatabaseKind::Mssql | DatabaseKind::Oracle => return None,
        DatabaseKind::Sqlite => {
            let path = text.strip_prefix("sqlite:").unwrap_or(text);
            let is_path = !path.is_empty() && !path.starts_with(':') && !path.contains("://");
            return (!is_path).then_some("must be the path of a file, as in 'sqlite:/srv/app.db'");
        }
    };
    let scheme = text.split_once("://").map(|(scheme, _)| scheme);
    let known = scheme.is_some_and(|scheme| schemes.contains(&scheme));
    // A list of hosts is no valid URL, but PostgreSQL accepts it.
    let read = text.contains(',') || Url::parse(text).is_ok_and(|url| url.has_host());
    (!known || !read).then_some(problem)
}

/// Fields of an action that are copied to the input of its operation.
const ACTION_OPTIONS: [&str; 9] = [
    "fields",
    "groupBy",
    "having",
    "orderBy",
    "limit",
    "offset",
    "conflictColumns",
    "updateColumns",
    "returning",
];
/// Other fields of an action.
const ACTION_FIELDS: [&str; 9] = [
    "tag",
    "tableName",
    "operation",
    "template",
    "filterTemplate",
    "defaults",
    "all",
    "name",
    "description",
];

fn read_action(action: &mut Fields<'_>, database: Option<&str>, has_table: bool) -> Option<DatabaseAction> {
    action.refuse_unknown(&[&ACTION_FIELDS[..], &ACTION_OPTIONS[..]].concat());
    let tag = required_tag(action);
    if action.raw("operation").is_none() {
        action.problem(
            "operation",
            "is missing; it must be one of QUERY, INSERT, UPDATE, DELETE, UPSERT, AGGREGATE, RAW_SQL",
        );
    }
    let verb = action.one_of("operation", &VERBS);
    let table = action.tag("tableName").map(|table| Box::<str>::from(table.as_ref()));
    if table.as_ref().is_some_and(|table| table.contains("{{")) {
        action.problem(
            "tableName",
            "has a place {{…}}: a job brings values only, so name the table, in an action for each",
        );
    }
    check_places(action);
    check_texts(action, verb);
    if let Some(verb) = verb {
        if verb != ActionVerb::RawSql && !has_table && action.raw("tableName").is_none() {
            action.problem("tableName", "is missing, and the database has no `table` either");
        }
        check_template(action, verb);
        refuse_non_object(action, "filterTemplate", "must be an object of columns");
    }
    refuse_non_object(action, "defaults", "must be an object of names and values");
    let all = action.boolean("all");
    let tag = tag.and_then(|tag| own_tag(action, "database", database, &tag));
    let text = |name: &str| action.raw(name).map(Text::from);
    let mut options: Vec<(Box<str>, Text)> = ACTION_OPTIONS
        .iter()
        .filter_map(|name| Some(((*name).into(), text(name)?)))
        .collect();
    if all == Some(true) {
        options.push(("all".into(), "true".into()));
    }
    Some(DatabaseAction {
        path: action.own_path().into(),
        tag: tag?,
        table,
        verb: verb?,
        template: text("template"),
        filter: text("filterTemplate"),
        defaults: text("defaults"),
        options,
    })
}

/// Checks the expressions in everything that may have some: SQL uses `$` itself.
fn check_texts(action: &mut Fields<'_>, verb: Option<ActionVerb>) {
    let of_template = Some("template").filter(|_| verb != Some(ActionVerb::RawSql));
    let names = of_template.into_iter().chain(["filterTemplate", "defaults"]);
    for name in names.chain(ACTION_OPTIONS) {
        if let Some(json) = action.raw(name) {
            check_expressions(action, name, json);
        }
    }
}

/// Checks the placeholders in everything that may have some.
fn check_places(action: &mut Fields<'_>) {
    for name in ["template", "filterTemplate"].iter().chain(&ACTION_OPTIONS) {
        let problems = action.raw(name).map(|json| placeholders::problems(json, name));
        for (path, why) in problems.into_iter().flatten() {
            action.problem(&path, why);
        }
    }
}

fn refuse_non_object(action: &mut Fields<'_>, name: &str, expected: &str) {
    if let Some(text) = action.raw(name).filter(|text| !text.starts_with('{')) {
        action.problem(name, format!("{expected}, got {}", describe(text)));
    }
}

/// Checks the type of a template, which depends on the action's verb.
fn check_template(action: &mut Fields<'_>, verb: ActionVerb) {
    let Some(text) = action.raw("template") else {
        let missing = match verb {
            ActionVerb::RawSql => "is missing; it must be a string of SQL",
            ActionVerb::Aggregate => "is missing; say what to compute, as in { total: { $sum: 'amount' } }",
            _ => return,
        };
        return action.problem("template", missing);
    };
    match verb {
        ActionVerb::RawSql if text.starts_with('{') => check_sql_object(action),
        ActionVerb::RawSql => {
            if let Some(sql) = action.string("template")
                && let Some(problem) = sql_problem(&sql)
            {
                action.problem("template", problem);
            }
        }
        ActionVerb::Insert | ActionVerb::Upsert if text.starts_with('[') => {}
        ActionVerb::Delete if text.starts_with('{') => {
            if let Some(mut template) = action.object("template") {
                template.refuse_unknown(&["deleteOne", "deleteMany"]);
                action.absorb(template);
            }
        }
        ActionVerb::Delete => {
            action.problem("template", "has no meaning here; the filter is `filterTemplate`");
        }
        _ if !text.starts_with('{') => {
            action.problem("template", format!("must be an object, got {}", describe(text)));
        }
        _ => {}
    }
}

/// Checks the SQL of `{ query, params }`.
fn check_sql_object(action: &mut Fields<'_>) {
    let Some(mut template) = action.object("template") else {
        return;
    };
    template.refuse_unknown(&["query", "params"]);
    if template.raw("query").is_none() {
        template.problem("query", "is missing; it must be a string of SQL");
    }
    if let Some(sql) = template.string("query") {
        let problem = if template.raw("params").is_some() && sql.contains("{{") {
            Some("has places {{…}} and `params` too; use one of them")
        } else {
            sql_problem(&sql)
        };
        if let Some(problem) = problem {
            template.problem("query", problem);
        }
    }
    if let Some(text) = template.raw("params").filter(|text| !text.starts_with(['[', '"'])) {
        template.problem("params", format!("must be a list of values, got {}", describe(text)));
    }
    action.absorb(template);
}

/// Why the placeholders of SQL cannot be bound: one is within quotes or a comment, where parameters do not work.
fn sql_problem(sql: &str) -> Option<&'static str> {
    let mut rest = sql;
    if sql.trim().is_empty() {
        return Some("must not be empty");
    }
    while let Some(first) = rest.chars().next() {
        let (open, close) = match first {
            '\'' => (1, "'"),
            '"' => (1, "\""),
            '`' => (1, "`"),
            '-' if rest.starts_with("--") => (2, "\n"),
            '/' if rest.starts_with("/*") => (2, "*/"),
            _ => {
                rest = rest.get(first.len_utf8()..)?;
                continue;
            }
        };
        let inside = rest.get(open..)?;
        let end = inside.find(close).unwrap_or(inside.len());
        if inside.get(..end)?.contains("{{") {
            return Some(
                "has a place {{…}} within quotes or a comment, where nothing can be bound; write it without quotes",
            );
        }
        rest = inside.get(end + close.len()..).unwrap_or_default();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::{DatabaseKind, example, sql_problem, url_problem};

    #[test]
    fn example_of_an_address_is_one_of_the_type_of_database() {
        for (name, kind) in DatabaseKind::NAMES {
            let address = example(Some(kind)).trim_matches('\'').replace("$Secret{KEY}", "word");
            let problem = url_problem(&address.as_str().into(), kind);
            assert_eq!(problem, None, "{name}");
        }
        assert!(example(Some(DatabaseKind::Mongodb)).starts_with("'mongodb://"));
    }

    #[test]
    fn sql_placeholders_are_refused_within_quotes_and_comments() {
        assert_eq!(
            sql_problem("SELECT 'it''s' FROM \"t\" WHERE a = {{a}} -- all\n AND b = {{ b }}"),
            None
        );
        for sql in [
            "SELECT '{{a}}'",
            "SELECT 'é' || '%{{a}}%'",
            "SELECT \"{{a}}\"",
            "SELECT `{{a}}`",
            "-- {{a}}",
            "/* {{a}} */",
            " ",
        ] {
            assert!(sql_problem(sql).is_some(), "{sql}");
        }
    }
}
