//! MongoDB, on the server that `DUCTAPE_TEST_MONGODB` names; otherwise these are reported as skipped.

mod faults;
mod hostile;
mod limits;
mod operations;
mod values;

use super::support::{open, run};
use crate::connector::databases::connector::DatabaseConnector;
use crate::connector::{Connector, Failure};
use crate::resources::DatabaseKind;
use crate::testing::skipped::address;

/// A database of its own, which is dropped at the end of a test.
struct Mongo {
    connector: DatabaseConnector,
}

impl Mongo {
    fn new() -> Option<Self> {
        let server = address("DUCTAPE_TEST_MONGODB", "a test of MongoDB")?;
        let (base, query) = server.split_once('?').unwrap_or((&server, ""));
        let host = base.rfind('/').map_or(base, |at| &base[..at]);
        let url = format!("{host}/t{}?{query}", uuid::Uuid::now_v7().simple());
        Some(Self {
            connector: open(DatabaseKind::Mongodb, &url).unwrap(),
        })
    }

    async fn try_run(&self, name: &str, input: &str) -> Result<String, Failure> {
        run(&self.connector, name, input).await
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

    async fn drop_database(self) {
        self.run("raw", r#"{"command":{"dropDatabase":1}}"#).await;
        self.connector.close().await;
    }
}
