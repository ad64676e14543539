//! DynamoDB, on the server that `DUCTAPE_TEST_DYNAMODB` names; otherwise these are reported as skipped. What that server
//! does not do, such as throttling, a server of the test's own does.

mod bounds;
mod fake;
mod faults;
mod hostile;
mod operations;
mod signatures;
mod values;

use super::support::run;
use crate::connector::databases::connector::DatabaseConnector;
use crate::connector::databases::open;
use crate::connector::databases::settings::Settings;
use crate::connector::{Connector, Failure};
use crate::resources::{Database, DatabaseKind, OutboundRules};
use crate::testing::skipped::address;
use std::sync::{Arc, Mutex};

/// A connector, and what it warns of.
fn open_at(url: &str) -> (DatabaseConnector, Arc<Mutex<Vec<String>>>) {
    let database = Arc::new(Database {
        tag: "db".into(),
        kind: DatabaseKind::Dynamodb,
        table: None,
        raw: true,
        envs: Vec::new(),
        actions: Vec::new(),
    });
    let warnings: Arc<Mutex<Vec<String>>> = Arc::default();
    let heard = Arc::clone(&warnings);
    let settings = Settings {
        url,
        ca: None,
        endpoint: None,
        connections: 4,
        outbound: &OutboundRules::default(),
        warn: Arc::new(move |warning| heard.lock().unwrap().push(warning.to_owned())),
    };
    let opened = open::open(DatabaseKind::Dynamodb, &settings).unwrap();
    (DatabaseConnector::new(database, opened), warnings)
}

/// Tables of a test, which are dropped at its end. `T` stands for their prefix in every input, so that `T.orders` is a table.
struct Dynamo {
    connector: DatabaseConnector,
    warnings: Arc<Mutex<Vec<String>>>,
    prefix: String,
}

impl Dynamo {
    fn new() -> Option<Self> {
        let url = address("DUCTAPE_TEST_DYNAMODB", "a test of DynamoDB")?;
        let (connector, warnings) = open_at(&url);
        Some(Self {
            connector,
            warnings,
            prefix: format!("t{}", uuid::Uuid::now_v7().simple()),
        })
    }

    /// Makes a table. `key` is `id:S` or `user:S at:N`; each of `indexes` has a name before that.
    async fn table(&self, name: &str, key: &str, indexes: &[&str]) {
        let mut attributes: Vec<(String, String)> = Vec::new();
        let mut schema = |key: &str| {
            let parts = key.split(' ').zip(["HASH", "RANGE"]).map(|(part, role)| {
                let (name, kind) = part.split_once(':').unwrap();
                let attribute = (name.to_owned(), kind.to_owned());
                if !attributes.contains(&attribute) {
                    attributes.push(attribute);
                }
                format!(r#"{{"AttributeName":"{name}","KeyType":"{role}"}}"#)
            });
            format!("[{}]", parts.collect::<Vec<_>>().join(","))
        };
        let own = schema(key);
        let indexes: Vec<String> = indexes
            .iter()
            .map(|index| {
                let (name, key) = index.split_once(' ').unwrap();
                let key = schema(key);
                format!(r#"{{"IndexName":"{name}","KeySchema":{key},"Projection":{{"ProjectionType":"ALL"}}}}"#)
            })
            .collect();
        let definitions: Vec<String> = attributes
            .iter()
            .map(|(name, kind)| format!(r#"{{"AttributeName":"{name}","AttributeType":"{kind}"}}"#))
            .collect();
        let indexes = match indexes.is_empty() {
            true => String::new(),
            false => format!(r#","GlobalSecondaryIndexes":[{}]"#, indexes.join(",")),
        };
        let input = format!(
            r#"{{"operation":"CreateTable","params":{{"TableName":"T.{name}","BillingMode":"PAY_PER_REQUEST","AttributeDefinitions":[{}],"KeySchema":{own}{indexes}}}}}"#,
            definitions.join(",")
        );
        self.run("raw", &input).await;
    }

    async fn try_run(&self, name: &str, input: &str) -> Result<String, Failure> {
        run(
            &self.connector,
            name,
            &input.replace("T.", &format!("{}.", self.prefix)),
        )
        .await
    }

    async fn run(&self, name: &str, input: &str) -> String {
        let answer = self.try_run(name, input).await;
        answer.unwrap_or_else(|failure| panic!("{name} {input}: {failure:?}"))
    }

    async fn refusal(&self, name: &str, input: &str) -> (String, String) {
        match self.try_run(name, input).await {
            Ok(answer) => panic!("{name} {input} was taken: {answer}"),
            Err(failure) => (failure.code.into(), failure.message),
        }
    }

    async fn drop_tables(self, names: &[&str]) {
        for name in names {
            let input = format!(r#"{{"operation":"DeleteTable","params":{{"TableName":"T.{name}"}}}}"#);
            self.run("raw", &input).await;
        }
        self.connector.close().await;
    }
}
