//! Temporary databases, one per test.

use crate::connector::databases::connector::DatabaseConnector;
use crate::connector::databases::dialect::Dialect;
use crate::connector::databases::json::Json;
use crate::connector::databases::operation::Operation;
use crate::connector::databases::settings::Settings;
use crate::connector::databases::{open, request};
use crate::connector::{Connector, Failure};
use crate::resources::{Database, DatabaseKind, OutboundRules};
use crate::testing::skipped::address;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;

/// A database that is removed when dropped.
pub(super) struct TestDatabase {
    pub(super) connector: Arc<DatabaseConnector>,
    pub(super) dialect: Dialect,
    /// Its address.
    pub(super) url: String,
    /// How to remove it: kind and address of the server, and inputs of `raw`.
    cleanup: Option<(DatabaseKind, String, Mutex<Vec<String>>)>,
    /// What the names of its tables begin with.
    prefix: String,
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

fn removal(input: &str) -> Mutex<Vec<String>> {
    Mutex::new(vec![input.to_owned()])
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
            prefix: String::new(),
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
                removal(&format!(r#"{{"sql":"DROP SCHEMA {schema} CASCADE"}}"#)),
            )),
            prefix: String::new(),
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
            cleanup: Some((
                DatabaseKind::Mysql,
                server,
                removal(&format!(r#"{{"sql":"DROP DATABASE {name}"}}"#)),
            )),
            prefix: String::new(),
            _folder: None,
        })
    }

    /// MongoDB. What is `"id"` in inputs and results is `"_id"` there.
    pub(super) fn mongodb() -> Option<Self> {
        if cfg!(not(feature = "mongodb")) {
            return None;
        }
        let server = address("DUCTAPE_TEST_MONGODB", "a test of databases")?;
        let url = with_database(&server, &unique());
        Some(Self {
            connector: Arc::new(open(DatabaseKind::Mongodb, &url).unwrap()),
            dialect: Dialect::Mongo,
            cleanup: Some((
                DatabaseKind::Mongodb,
                url.clone(),
                removal(r#"{"command":{"dropDatabase":1}}"#),
            )),
            url,
            prefix: String::new(),
            _folder: None,
        })
    }

    /// DynamoDB, with tables of its own by the names that a test gives them.
    pub(super) fn dynamodb() -> Option<Self> {
        if cfg!(not(feature = "dynamodb")) {
            return None;
        }
        let url = address("DUCTAPE_TEST_DYNAMODB", "a test of databases")?;
        Some(Self {
            connector: Arc::new(open(DatabaseKind::Dynamodb, &url).unwrap()),
            dialect: Dialect::Dynamo,
            cleanup: Some((DatabaseKind::Dynamodb, url.clone(), Mutex::default())),
            url,
            prefix: format!("{}.", unique()),
            _folder: None,
        })
    }

    /// One of each available kind, also those without SQL.
    pub(super) async fn every() -> Vec<Self> {
        let mut every = Self::all().await;
        every.extend(Self::mongodb());
        every.extend(Self::dynamodb());
        every
    }

    /// Makes a table by this SQL, or for DynamoDB with this key, such as `id:N`.
    pub(super) async fn table(&self, sql: &str, name: &str, key: &str) {
        match self.dialect {
            Dialect::Mongo => {}
            Dialect::Dynamo => {
                let table = self.name(name);
                let (column, kind) = key.split_once(':').unwrap();
                let input = format!(
                    r#"{{"operation":"CreateTable","params":{{"TableName":"{table}","BillingMode":"PAY_PER_REQUEST","AttributeDefinitions":[{{"AttributeName":"{column}","AttributeType":"{kind}"}}],"KeySchema":[{{"AttributeName":"{column}","KeyType":"HASH"}}]}}}}"#
                );
                self.run("raw", &input).await;
                let (_, _, removals) = self.cleanup.as_ref().unwrap();
                removals.lock().unwrap().push(format!(
                    r#"{{"operation":"DeleteTable","params":{{"TableName":"{table}"}}}}"#
                ));
            }
            _ => {
                self.sql(sql).await;
            }
        }
    }

    /// The name of a table on the server.
    pub(super) fn name(&self, table: &str) -> String {
        format!("{}{table}", self.prefix)
    }

    /// An input for all kinds of databases, as this one takes it.
    pub(super) fn own(&self, input: &str) -> String {
        match self.dialect {
            Dialect::Mongo => input.replace(r#""id""#, r#""_id""#),
            Dialect::Dynamo => ["table", "collection", "entity"]
                .iter()
                .fold(input.to_owned(), |input, member| {
                    let named = format!(r#""{member}":""#);
                    input.replace(&named, &format!("{named}{}", self.prefix))
                }),
            _ => input.to_owned(),
        }
    }

    /// An operation that was read, on this database.
    pub(super) async fn run_operation(&self, operation: &Operation) -> Result<String, Failure> {
        let timeout = Duration::from_secs(30);
        let answer = self.connector.run_operation(operation, timeout, &new_run()).await?;
        Ok(match self.dialect {
            Dialect::Mongo => answer.replace(r#""_id""#, r#""id""#),
            _ => answer,
        })
    }

    /// One of each available kind with SQL.
    pub(super) async fn all() -> Vec<Self> {
        let servers = [Self::postgres().await, Self::mysql().await];
        [Self::sqlite()]
            .into_iter()
            .chain(servers.into_iter().flatten())
            .collect()
    }

    pub(super) async fn try_run(&self, name: &str, input: &str) -> Result<String, Failure> {
        let operation = request::read(name, &Json::read(&self.own(input))?, self.connector.context())?;
        self.run_operation(&operation).await
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
        let Some((kind, server, removals)) = self.cleanup.take() else {
            return;
        };
        let removals = removals.into_inner().unwrap_or_default();
        let ended = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let connector = open(kind, &server).unwrap();
                for removal in removals {
                    let _ = run(&connector, "raw", &removal).await;
                }
                connector.close().await;
            });
        });
        let _ = ended.join();
    }
}
