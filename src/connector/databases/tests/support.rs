//! Temporary databases, one per test.

use crate::connector::databases::connector::DatabaseConnector;
use crate::connector::databases::dialect::Dialect;
use crate::connector::databases::json::Json;
use crate::connector::databases::settings::Settings;
use crate::connector::databases::{open, request};
use crate::connector::{Connector, Failure};
use crate::resources::{Database, DatabaseKind, OutboundRules};
use crate::testing::skipped::address;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

/// A database that is removed when dropped.
pub(super) struct TestDatabase {
    pub(super) connector: Arc<DatabaseConnector>,
    pub(super) dialect: Dialect,
    /// Its address.
    pub(super) url: String,
    /// How to remove it: kind and address of the server, and a statement.
    cleanup: Option<(DatabaseKind, String, String)>,
    _folder: Option<TempDir>,
}

/// A connector to an address.
pub(super) fn open(kind: DatabaseKind, url: &str) -> Result<DatabaseConnector, Failure> {
    open_trusting(kind, url, None)
}

/// The same, with `ca` in the definition.
pub(super) fn open_trusting(kind: DatabaseKind, url: &str, ca: Option<&str>) -> Result<DatabaseConnector, Failure> {
    let database = Arc::new(Database {
        tag: "db".into(),
        kind,
        table: None,
        raw: true,
        envs: Vec::new(),
        actions: Vec::new(),
    });
    let outbound = OutboundRules::default();
    let settings = Settings {
        url,
        ca,
        endpoint: None,
        connections: 4,
        outbound: &outbound,
        warn: Arc::new(|_| {}),
    };
    Ok(DatabaseConnector::new(database, open::open(kind, &settings)?))
}

/// The key of a run that nobody has seen.
pub(super) fn new_run() -> String {
    uuid::Uuid::now_v7().to_string()
}

fn unique() -> String {
    format!("t{}", uuid::Uuid::now_v7().simple())
}

/// A server's address with another database name.
fn with_database(url: &str, name: &str) -> String {
    let (base, query) = url.split_once('?').unwrap_or((url, ""));
    let host = base.rfind('/').map_or(base, |at| &base[..at]);
    format!("{host}/{name}?{query}")
}

pub(super) async fn run(connector: &DatabaseConnector, name: &str, input: &str) -> Result<String, Failure> {
    let operation = request::read(name, &Json::read(input)?, connector.context())?;
    let timeout = Duration::from_secs(30);
    connector.run_operation(&operation, timeout, &new_run()).await
}

impl TestDatabase {
    pub(super) fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("app.db");
        std::fs::write(&path, "").unwrap();
        let url = format!("sqlite:{}", path.display());
        Self {
            connector: Arc::new(open(DatabaseKind::Sqlite, &url).unwrap()),
            dialect: Dialect::Sqlite,
            url,
            cleanup: None,
            _folder: Some(folder),
        }
    }

    pub(super) async fn postgres() -> Option<Self> {
        let server = address("DUCTAPE_TEST_POSTGRES", "a test of databases")?;
        let schema = unique();
        let maker = open(DatabaseKind::Postgresql, &server).unwrap();
        run(&maker, "raw", &format!(r#"{{"sql":"CREATE SCHEMA {schema}"}}"#))
            .await
            .unwrap();
        let joint = if server.contains('?') { '&' } else { '?' };
        let url = format!("{server}{joint}options=-csearch_path%3D{schema}");
        Some(Self {
            connector: Arc::new(open(DatabaseKind::Postgresql, &url).unwrap()),
            dialect: Dialect::Postgres,
            url,
            cleanup: Some((
                DatabaseKind::Postgresql,
                server,
                format!("DROP SCHEMA {schema} CASCADE"),
            )),
            _folder: None,
        })
    }

    pub(super) async fn mysql() -> Option<Self> {
        if cfg!(not(feature = "mysql")) {
            return None;
        }
        let server = address("DUCTAPE_TEST_MYSQL", "a test of databases")?;
        let name = unique();
        let maker = open(DatabaseKind::Mysql, &server).unwrap();
        run(&maker, "raw", &format!(r#"{{"sql":"CREATE DATABASE {name}"}}"#))
            .await
            .unwrap();
        let url = with_database(&server, &name);
        Some(Self {
            connector: Arc::new(open(DatabaseKind::Mysql, &url).unwrap()),
            dialect: Dialect::MySql,
            url,
            cleanup: Some((DatabaseKind::Mysql, server, format!("DROP DATABASE {name}"))),
            _folder: None,
        })
    }

    /// One of each available kind.
    pub(super) async fn all() -> Vec<Self> {
        let servers = [Self::postgres().await, Self::mysql().await];
        [Self::sqlite()]
            .into_iter()
            .chain(servers.into_iter().flatten())
            .collect()
    }

    pub(super) async fn try_run(&self, name: &str, input: &str) -> Result<String, Failure> {
        run(&self.connector, name, input).await
    }

    pub(super) async fn run(&self, name: &str, input: &str) -> String {
        let answer = self.try_run(name, input).await;
        answer.unwrap_or_else(|failure| panic!("{:?} {name} {input}: {failure:?}", self.dialect))
    }

    pub(super) async fn sql(&self, sql: &str) -> String {
        let mut input = String::from("{\"sql\":");
        crate::connector::databases::json::push_string(&mut input, sql);
        input.push('}');
        self.run("raw", &input).await
    }

    /// Code and message of a failure.
    pub(super) async fn refusal(&self, name: &str, input: &str) -> (String, String) {
        match self.try_run(name, input).await {
            Ok(answer) => panic!("{:?} {name} {input} was taken: {answer}", self.dialect),
            Err(failure) => (failure.code.into(), failure.message),
        }
    }

    /// One text for each dialect.
    pub(super) fn per_dialect<'a>(&self, postgres: &'a str, mysql: &'a str, sqlite: &'a str) -> &'a str {
        match self.dialect {
            Dialect::Postgres => postgres,
            Dialect::MySql => mysql,
            _ => sqlite,
        }
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let Some((kind, server, sql)) = self.cleanup.take() else {
            return;
        };
        let ended = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let connector = open(kind, &server).unwrap();
                let _ = run(&connector, "raw", &format!(r#"{{"sql":"{sql}"}}"#)).await;
                connector.close().await;
            });
        });
        let _ = ended.join();
    }
}
