//! One connection: handshake, login, and messages in chunks.

use super::packstream::{self, Value};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use std::io;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// What a client of Bolt says first.
const MAGIC: [u8; 4] = [0x60, 0x60, 0xB0, 0x17];
/// The versions that are spoken, each line a range that goes down from one of them: 5.4 to 5.0, 4.4 to 4.2, 4.1, 4.0.
#[rustfmt::skip]
pub(in crate::connector::graphs) const VERSIONS: [u8; 16] = [
    0, 4, 4, 5,
    0, 2, 4, 4,
    0, 0, 1, 4,
    0, 0, 0, 4,
];
/// Largest message that is read. A record of more is larger as JSON than a result may be.
const MAX_MESSAGE_BYTES: usize = 4 << 20;
/// Largest chunk of a message.
const MAX_CHUNK_BYTES: usize = 0xFFFF;
/// How the package introduces itself.
const USER_AGENT: &str = concat!("ductape/", env!("CARGO_PKG_VERSION"));

/// Tags of the messages of a client.
mod request {
    pub(super) const HELLO: u8 = 0x01;
    pub(super) const GOODBYE: u8 = 0x02;
    pub(super) const RESET: u8 = 0x0F;
    pub(super) const RUN: u8 = 0x10;
    pub(super) const BEGIN: u8 = 0x11;
    pub(super) const COMMIT: u8 = 0x12;
    pub(super) const DISCARD: u8 = 0x2F;
    pub(super) const PULL: u8 = 0x3F;
    pub(super) const ROUTE: u8 = 0x66;
    pub(super) const LOGON: u8 = 0x6A;
}

/// Tags of the messages of a server.
mod response {
    pub(super) const SUCCESS: u8 = 0x70;
    pub(super) const RECORD: u8 = 0x71;
    pub(super) const IGNORED: u8 = 0x7E;
    pub(super) const FAILURE: u8 = 0x7F;
}

/// Why a conversation ended.
#[derive(Debug)]
pub(in crate::connector::graphs) enum BoltError {
    /// The server refused something, and takes nothing more until it is reset.
    Server { code: Box<str>, message: Box<str> },
    /// The connection broke.
    Lost(io::Error),
    /// The other side does not keep to the protocol, or speaks another one.
    Protocol(&'static str),
    /// A message is larger than what is read.
    TooLarge,
}

impl From<io::Error> for BoltError {
    fn from(error: io::Error) -> Self {
        Self::Lost(error)
    }
}

/// How a server is reached.
#[derive(Clone)]
pub(in crate::connector::graphs) struct Transport {
    /// TLS, if the address asks for it.
    pub(in crate::connector::graphs) tls: Option<Arc<ClientConfig>>,
    /// What the server may choose from.
    pub(in crate::connector::graphs) versions: [u8; 16],
}

/// A user and the password.
pub(in crate::connector::graphs) type UserAndPassword = (Box<str>, Box<str>);

/// Who logs in.
pub(in crate::connector::graphs) struct Login {
    /// User and password; `None`: the server asks for none.
    pub(in crate::connector::graphs) credentials: Option<UserAndPassword>,
    /// The routing context, of a client that asks for routing tables.
    pub(in crate::connector::graphs) routing: Option<Value>,
}

/// What a server says at the end of a result.
#[derive(Debug, Default, PartialEq)]
pub(in crate::connector::graphs) struct Summary {
    /// What was changed, by the names of the server, such as `nodes-created`.
    pub(in crate::connector::graphs) counters: Vec<(Box<str>, i64)>,
}

impl Summary {
    /// A counter; 0: nothing was changed.
    pub(in crate::connector::graphs) fn counter(&self, name: &str) -> i64 {
        let found = self.counters.iter().find(|(known, _)| **known == *name);
        found.map_or(0, |(_, count)| *count)
    }

    fn of(metadata: &Value) -> Self {
        let Some(Value::Map(stats)) = metadata.get("stats") else {
            return Self::default();
        };
        let counters = stats
            .iter()
            .filter_map(|(name, value)| Some((name.clone(), value.as_integer()?)));
        Self {
            counters: counters.collect(),
        }
    }
}

/// A message of a server.
enum Answer {
    Success(Value),
    Record(Vec<Value>),
}

trait Stream: AsyncRead + AsyncWrite + Send + Sync + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Sync + Unpin> Stream for S {}

/// A connection that has logged in.
pub(in crate::connector::graphs) struct Connection {
    stream: BufReader<Box<dyn Stream>>,
    /// Major and minor version.
    version: (u8, u8),
    /// Messages that wait to be sent with the next flush.
    outgoing: Vec<u8>,
    /// Answers that were asked for and not read yet.
    pending: usize,
    /// Whether the server refuses everything until it is reset.
    failed: bool,
}

impl Connection {
    /// Connects and logs in.
    pub(in crate::connector::graphs) async fn open(
        host: &str,
        port: u16,
        transport: &Transport,
        login: &Login,
    ) -> Result<Self, BoltError> {
        let socket = TcpStream::connect((host, port)).await?;
        socket.set_nodelay(true)?;
        let stream: Box<dyn Stream> = match &transport.tls {
            None => Box::new(socket),
            Some(config) => {
                let name = ServerName::try_from(host.to_owned());
                let name = name.map_err(|_| BoltError::Protocol("its name is none that a certificate can have"))?;
                let connector = TlsConnector::from(Arc::clone(config));
                Box::new(connector.connect(name, socket).await?)
            }
        };
        let mut connection = Self {
            stream: BufReader::new(stream),
            version: (0, 0),
            outgoing: [&MAGIC[..], &transport.versions].concat(),
            pending: 0,
            failed: false,
        };
        connection.flush().await?;
        connection.version = connection.read_version().await?;
        connection.log_in(login).await?;
        Ok(connection)
    }

    async fn read_version(&mut self) -> Result<(u8, u8), BoltError> {
        let mut chosen = [0; 4];
        self.stream.read_exact(&mut chosen).await?;
        match chosen {
            [0, 0, minor, major @ 4..=5] => Ok((major, minor)),
            [0, 0, 0, 0] => Err(BoltError::Protocol(
                "the server speaks none of the versions 4.0 to 5.4 of Bolt",
            )),
            _ => Err(BoltError::Protocol("what answers there does not speak Bolt")),
        }
    }

    async fn log_in(&mut self, login: &Login) -> Result<(), BoltError> {
        let mut hello = vec![("user_agent".into(), Value::text(USER_AGENT))];
        if self.version >= (5, 3) {
            let agent = Value::Map(vec![("product".into(), Value::text(USER_AGENT))]);
            hello.push(("bolt_agent".into(), agent));
        }
        if let Some(routing) = &login.routing {
            hello.push(("routing".into(), routing.clone()));
        }
        if matches!(self.version, (4, 3..)) {
            // Points in time as such instead of as local times.
            hello.push(("patch_bolt".into(), Value::List(vec![Value::text("utc")])));
        }
        let auth = match &login.credentials {
            None => vec![("scheme".into(), Value::text("none"))],
            Some((user, password)) => vec![
                ("scheme".into(), Value::text("basic")),
                ("principal".into(), Value::Text(user.clone())),
                ("credentials".into(), Value::Text(password.clone())),
            ],
        };
        let separate = self.version >= (5, 1);
        if !separate {
            hello.extend(auth.iter().cloned());
        }
        self.ask(request::HELLO, vec![Value::Map(hello)]);
        if separate {
            self.ask(request::LOGON, vec![Value::Map(auth)]);
        }
        self.flush().await?;
        self.success().await?;
        if separate {
            self.success().await?;
        }
        Ok(())
    }

    /// Whether all that was asked has been answered, so that it can be used again.
    pub(in crate::connector::graphs) fn is_idle(&self) -> bool {
        self.pending == 0 && self.outgoing.is_empty() && !self.failed
    }

    /// Begins a transaction, with the first statement that follows.
    pub(in crate::connector::graphs) fn begin(&mut self, extra: Vec<(Box<str>, Value)>) {
        self.ask(request::BEGIN, vec![Value::Map(extra)]);
    }

    /// Runs a statement and reads its result, `batch` records at a time. `sink` gets the names of the columns with each
    /// record, and says whether it wants more; the rest is discarded by the server.
    pub(in crate::connector::graphs) async fn run(
        &mut self,
        text: &str,
        params: Value,
        extra: Vec<(Box<str>, Value)>,
        batch: i64,
        sink: &mut (dyn FnMut(&[Value], Vec<Value>) -> bool + Send),
    ) -> Result<Summary, BoltError> {
        self.ask(request::RUN, vec![Value::text(text), params, Value::Map(extra)]);
        self.ask(request::PULL, vec![Self::of_records(batch)]);
        self.flush().await?;
        // Of a transaction that has just begun.
        while self.pending > 2 {
            self.success().await?;
        }
        let head = self.success().await?;
        let columns = head.get("fields").and_then(Value::as_list).unwrap_or_default();
        let mut wanted = true;
        loop {
            let end = loop {
                match self.receive().await? {
                    Answer::Record(values) => wanted = wanted && sink(columns, values),
                    Answer::Success(metadata) => break metadata,
                }
            };
            if end.get("has_more") != Some(&Value::Bool(true)) {
                return Ok(Summary::of(&end));
            }
            if wanted {
                self.ask(request::PULL, vec![Self::of_records(batch)]);
            } else {
                self.ask(request::DISCARD, vec![Self::of_records(-1)]);
            }
            self.flush().await?;
        }
    }

    fn of_records(count: i64) -> Value {
        Value::Map(vec![("n".into(), Value::Integer(count))])
    }

    /// Commits the transaction.
    pub(in crate::connector::graphs) async fn commit(&mut self) -> Result<(), BoltError> {
        self.ask(request::COMMIT, Vec::new());
        self.flush().await?;
        self.success().await.map(|_| ())
    }

    /// Ends whatever runs and whatever has failed.
    pub(in crate::connector::graphs) async fn reset(&mut self) -> Result<(), BoltError> {
        if self.pending > 0 {
            return Err(BoltError::Protocol("answers are missing"));
        }
        self.ask(request::RESET, Vec::new());
        self.flush().await?;
        self.success().await?;
        self.failed = false;
        Ok(())
    }

    /// Asks for the routing table of a database.
    pub(in crate::connector::graphs) async fn route(
        &mut self,
        context: Value,
        database: Option<&str>,
    ) -> Result<Value, BoltError> {
        let database = database.map_or(Value::Null, Value::text);
        let last = match self.version {
            (4, 0..=2) => return Err(BoltError::Protocol("the server is too old for neo4j://; use bolt://")),
            (4, 3) => database,
            _ => Value::Map(vec![("db".into(), database)]),
        };
        self.ask(request::ROUTE, vec![context, Value::List(Vec::new()), last]);
        self.flush().await?;
        let answer = self.success().await?;
        let table = answer.get("rt").cloned();
        table.ok_or(BoltError::Protocol("the server has sent no routing table"))
    }

    /// Takes leave. Nobody waits for an answer.
    pub(in crate::connector::graphs) async fn say_goodbye(mut self) {
        self.ask(request::GOODBYE, Vec::new());
        let _ = self.flush().await;
        let _ = self.stream.get_mut().shutdown().await;
    }

    /// Notes a message to be sent, and that its answer is to be read.
    fn ask(&mut self, tag: u8, fields: Vec<Value>) {
        let mut bytes = Vec::new();
        Value::Structure(tag, fields).write(&mut bytes);
        for chunk in bytes.chunks(MAX_CHUNK_BYTES) {
            self.outgoing.extend((chunk.len() as u16).to_be_bytes());
            self.outgoing.extend(chunk);
        }
        self.outgoing.extend([0, 0]);
        self.pending += 1;
    }

    async fn flush(&mut self) -> Result<(), BoltError> {
        // Kept until all is sent: whoever drops this midway leaves a connection that is not idle.
        self.stream.get_mut().write_all(&self.outgoing).await?;
        self.stream.get_mut().flush().await?;
        self.outgoing.clear();
        Ok(())
    }

    async fn success(&mut self) -> Result<Value, BoltError> {
        match self.receive().await? {
            Answer::Success(metadata) => Ok(metadata),
            Answer::Record(_) => Err(BoltError::Protocol("a record has come that nobody asked for")),
        }
    }

    async fn receive(&mut self) -> Result<Answer, BoltError> {
        const UNREADABLE: BoltError = BoltError::Protocol("the server has sent what cannot be read");
        let Some(Value::Structure(tag, fields)) = packstream::read(&self.message().await?) else {
            return Err(UNREADABLE);
        };
        let field = fields.into_iter().next();
        match (tag, field) {
            (response::RECORD, Some(Value::List(values))) => Ok(Answer::Record(values)),
            (response::SUCCESS, metadata) => {
                self.pending = self.pending.saturating_sub(1);
                Ok(Answer::Success(metadata.unwrap_or(Value::Null)))
            }
            (response::FAILURE, Some(metadata)) => {
                self.pending = self.pending.saturating_sub(1);
                self.failed = true;
                // What was asked meanwhile is ignored, and answered all the same, unless the server hangs up.
                while self.pending > 0 && self.is_ignored().await {
                    self.pending -= 1;
                }
                let text = |name| metadata.get(name).and_then(Value::as_text).unwrap_or_default().into();
                Err(BoltError::Server {
                    code: text("code"),
                    message: text("message"),
                })
            }
            _ => Err(UNREADABLE),
        }
    }

    async fn is_ignored(&mut self) -> bool {
        let Ok(message) = self.message().await else {
            return false;
        };
        matches!(packstream::read(&message), Some(Value::Structure(response::IGNORED, _)))
    }

    /// Reads one message, put together from its chunks.
    async fn message(&mut self) -> Result<Vec<u8>, BoltError> {
        let mut message = Vec::new();
        loop {
            let size = usize::from(self.stream.read_u16().await?);
            if size == 0 {
                if message.is_empty() {
                    // The server shows that it is still there.
                    continue;
                }
                return Ok(message);
            }
            let from = message.len();
            if from + size > MAX_MESSAGE_BYTES {
                return Err(BoltError::TooLarge);
            }
            message.resize(from + size, 0);
            self.stream
                .read_exact(message.get_mut(from..).unwrap_or_default())
                .await?;
        }
    }
}
