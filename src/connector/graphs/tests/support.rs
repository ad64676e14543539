//! A label of a test's own, and what is done with its nodes.

use crate::connector::databases::json::Json;
use crate::connector::graphs::address::{Address, Credentials};
use crate::connector::graphs::connector::GraphConnector;
use crate::connector::graphs::request;
use crate::connector::graphs::server::Servers;
use crate::connector::{Connector, Failure};
use crate::resources::{Graph, GraphAction, GraphKind};
use crate::testing::skipped::address;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

/// A graph whose nodes with one label are a test's own; they are removed when it is dropped.
pub(super) struct TestGraph {
    pub(super) connector: Arc<GraphConnector>,
    /// The server's address.
    pub(super) url: String,
    /// The label.
    pub(super) label: String,
}

/// A connector to an address.
pub(super) fn open(url: &str) -> Result<GraphConnector, Failure> {
    open_with(url, &Credentials::default(), None)
}

/// The same, with what a definition says beside it.
pub(super) fn open_with(
    url: &str,
    credentials: &Credentials<'_>,
    database: Option<&str>,
) -> Result<GraphConnector, Failure> {
    let address = Address::read(url, credentials)?;
    Ok(GraphConnector::new(
        graph(Vec::new()),
        Servers::new(GraphKind::Neo4j, address, database, 4),
    ))
}

/// A definition with these actions.
pub(super) fn graph(actions: Vec<GraphAction>) -> Arc<Graph> {
    Arc::new(Graph {
        tag: "g".into(),
        kind: GraphKind::Neo4j,
        raw: true,
        envs: Vec::new(),
        actions,
    })
}

pub(super) async fn run(connector: &GraphConnector, name: &str, input: &str) -> Result<String, Failure> {
    let operation = request::read(name, &Json::read(input)?, true)?;
    connector.run_operation(&operation, Duration::from_secs(30)).await
}

/// JSON of a query with these parameters.
pub(super) fn query(text: &str, params: &str) -> String {
    format!(
        "{{\"query\":{},\"params\":{params}}}",
        serde_json::to_string(text).unwrap()
    )
}

impl TestGraph {
    pub(super) async fn new() -> Option<Self> {
        let url = address("DUCTAPE_TEST_NEO4J", "a test of graphs")?;
        Some(Self {
            connector: Arc::new(open(&url).unwrap()),
            url,
            label: format!("T{}", uuid::Uuid::now_v7().simple()),
        })
    }

    pub(super) fn named(&self, text: &str) -> String {
        text.replace("@L", &self.label)
    }

    pub(super) async fn try_run(&self, name: &str, input: &str) -> Result<String, Failure> {
        run(&self.connector, name, &self.named(input)).await
    }

    pub(super) async fn run(&self, name: &str, input: &str) -> Value {
        let answer = self.try_run(name, input).await;
        let text = answer.unwrap_or_else(|failure| panic!("{name} {input}: {failure:?}"));
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name} {input}: {error}: {text}"))
    }

    /// The rows of a query.
    pub(super) async fn rows(&self, text: &str) -> Value {
        self.run("query", &query(text, "{}")).await["rows"].take()
    }

    /// Creates a node and returns its id.
    pub(super) async fn node(&self, properties: &str) -> i64 {
        let input = format!(r#"{{"labels":["@L"],"properties":{properties}}}"#);
        self.run("createNode", &input).await["node"]["id"].as_i64().unwrap()
    }

    /// Creates a relationship and returns its id.
    pub(super) async fn relationship(&self, kind: &str, from: i64, to: i64, properties: &str) -> i64 {
        let input = format!(r#"{{"type":"{kind}","fromId":{from},"toId":{to},"properties":{properties}}}"#);
        self.run("createRelationship", &input).await["relationship"]["id"]
            .as_i64()
            .unwrap()
    }

    /// How many nodes the test has.
    pub(super) async fn count(&self) -> i64 {
        self.run("countNodes", r#"{"labels":"@L"}"#).await["count"]
            .as_i64()
            .unwrap()
    }

    /// Code and message of a failure.
    pub(super) async fn refusal(&self, name: &str, input: &str) -> (String, String) {
        match self.try_run(name, input).await {
            Ok(answer) => panic!("{name} {input} was taken: {answer}"),
            Err(failure) => (failure.code.into(), failure.message),
        }
    }
}

impl Drop for TestGraph {
    fn drop(&mut self) {
        let (url, label) = (self.url.clone(), self.label.clone());
        let ended = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let connector = open(&url).unwrap();
                let all = format!(r#"{{"labels":["{label}"],"all":true,"detach":true}}"#);
                let _ = run(&connector, "deleteNodes", &all).await;
                connector.close().await;
            });
        });
        let _ = ended.join();
    }
}

/// A server that does what no real one can be made to do at the right moment.
pub(super) struct ScriptedServer {
    port: u16,
    commits: Arc<std::sync::atomic::AtomicU64>,
    serving: tokio::task::AbortHandle,
}

impl Drop for ScriptedServer {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl ScriptedServer {
    /// Answers everything with success, and hangs up instead of answering a commit.
    pub(super) async fn that_hangs_up_at_commit() -> Self {
        use std::sync::atomic::Ordering;
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let commits = Arc::<std::sync::atomic::AtomicU64>::default();
        let counted = Arc::clone(&commits);
        let serving = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let counted = Arc::clone(&counted);
                tokio::spawn(async move {
                    if answer_until_commit(socket).await.is_some() {
                        counted.fetch_add(1, Ordering::SeqCst);
                    }
                });
            }
        });
        Self {
            port,
            commits,
            serving: serving.abort_handle(),
        }
    }

    pub(super) fn url(&self) -> String {
        format!("bolt://127.0.0.1:{}", self.port)
    }

    /// How often it was asked to commit.
    pub(super) fn commits(&self) -> u64 {
        self.commits.load(std::sync::atomic::Ordering::SeqCst)
    }
}

/// `Some`: the client has asked to commit.
async fn answer_until_commit(mut socket: tokio::net::TcpStream) -> Option<()> {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    const COMMIT: u8 = 0x12;
    let mut handshake = [0; 20];
    socket.read_exact(&mut handshake).await.ok()?;
    socket.write_all(&[0, 0, 4, 5]).await.ok()?;
    loop {
        let mut message = Vec::new();
        loop {
            let size = usize::from(socket.read_u16().await.ok()?);
            if size == 0 {
                break;
            }
            let from = message.len();
            message.resize(from + size, 0);
            socket.read_exact(&mut message[from..]).await.ok()?;
        }
        if message.get(1) == Some(&COMMIT) {
            return Some(());
        }
        // SUCCESS {}
        socket.write_all(&[0, 3, 0xB1, 0x70, 0xA0, 0, 0]).await.ok()?;
    }
}
