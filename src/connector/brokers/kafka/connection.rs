//! One connection: TLS, login, and requests with their answers, one after the other.
//!
//! Invariant: after an error nothing more is asked on it.

use super::failure::{code, shown};
use super::protocol::{self, RequestKind, Versions};
use super::scram::{Hash, Scram};
use super::settings::{Address, Login, Mechanism, Settings};
use crate::connector::Failure;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::rand::SecureRandom;
use rustls::pki_types::ServerName;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// Largest answer; that about a topic of ten thousand partitions is a tenth of it.
const MAX_ANSWER_BYTES: usize = 8 << 20;

/// How a request ended without an answer.
#[derive(Debug)]
pub(super) enum Lost {
    /// The connection broke.
    Broken(String),
    /// No answer came in time.
    Late,
    /// What came is no answer.
    Foreign,
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Broken(why) => f.write_str(why),
            Self::Late => f.write_str("the server did not answer in time"),
            Self::Foreign => f.write_str("what answers there is not Kafka, or wants TLS (`ssl: true`)"),
        }
    }
}

impl From<std::io::Error> for Lost {
    fn from(error: std::io::Error) -> Self {
        Self::Broken(match error.kind() {
            std::io::ErrorKind::UnexpectedEof => "the server has closed the connection".to_owned(),
            _ => error.to_string(),
        })
    }
}

trait Stream: AsyncRead + AsyncWrite + Send + Sync + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Sync + Unpin> Stream for S {}

/// A connection that has logged in.
pub(super) struct Connection {
    stream: Box<dyn Stream>,
    client_id: Arc<str>,
    /// Number of the last request.
    correlation: i32,
    pub(super) versions: Versions,
}

impl Connection {
    /// Connects and logs in, in time.
    ///
    /// # Errors
    /// `CONNECTION_ERROR`, `UNAUTHORIZED` for wrong credentials, `VALIDATION_ERROR` for a login that the server does not know.
    pub(super) async fn open(address: &Address, settings: &Settings) -> Result<Self, Failure> {
        let within = settings.timeouts.connect;
        let opened = tokio::time::timeout(within, Self::open_now(address, settings)).await;
        opened.unwrap_or_else(|_| {
            let ms = within.as_millis();
            Err(address.unreachable(format_args!("no connection within {ms} ms")))
        })
    }

    async fn open_now(address: &Address, settings: &Settings) -> Result<Self, Failure> {
        let unreachable = |why: Lost| address.unreachable(why);
        let mut connection = Self::reach(address, settings).await.map_err(unreachable)?;
        let answer = connection
            .request(RequestKind::ApiVersions, 0, &[], settings.timeouts.connect)
            .await;
        let answer = answer.map_err(unreachable)?;
        let versions = Versions::read(&answer).ok_or_else(|| unreachable(Lost::Foreign))?;
        connection.versions = versions.ok_or_else(|| {
            address.unreachable("it speaks none of the versions of the protocol that servers from 0.11 to 4.x have")
        })?;
        if let Some(login) = &settings.login {
            connection.log_in(address, login, settings.timeouts.connect).await?;
        }
        Ok(connection)
    }

    async fn reach(address: &Address, settings: &Settings) -> Result<Self, Lost> {
        let socket = TcpStream::connect((&*address.host, address.port)).await?;
        socket.set_nodelay(true)?;
        let stream: Box<dyn Stream> = match &settings.tls {
            None => Box::new(socket),
            Some(config) => {
                let name = ServerName::try_from(address.host.to_string())
                    .map_err(|_| Lost::Broken("its name is none that a certificate can have".to_owned()))?;
                Box::new(TlsConnector::from(Arc::clone(config)).connect(name, socket).await?)
            }
        };
        Ok(Self {
            stream,
            client_id: Arc::clone(&settings.client_id),
            correlation: 0,
            versions: Versions {
                produce: 0,
                init_producer: None,
            },
        })
    }

    /// Whether a server that has let us in without a login, and then broke off, asks for one.
    pub(super) async fn wants_login(address: &Address, settings: &Settings) -> bool {
        let ask = async {
            let mut connection = Self::reach(address, settings).await.ok()?;
            let request = protocol::handshake_request(Mechanism::Plain.name());
            let answer = connection
                .request(
                    RequestKind::SaslHandshake,
                    protocol::HANDSHAKE_VERSION,
                    &request,
                    settings.timeouts.connect,
                )
                .await;
            let (code, _) = protocol::read_handshake(&answer.ok()?)?;
            Some(matches!(code, code::NONE | code::UNSUPPORTED_MECHANISM))
        };
        let asked = tokio::time::timeout(settings.timeouts.connect, ask).await;
        asked.is_ok_and(|wanted| wanted == Some(true))
    }

    async fn log_in(&mut self, address: &Address, login: &Login, within: Duration) -> Result<(), Failure> {
        let mechanism = login.mechanism.name();
        let request = protocol::handshake_request(mechanism);
        let answer = self
            .request(
                RequestKind::SaslHandshake,
                protocol::HANDSHAKE_VERSION,
                &request,
                within,
            )
            .await
            .map_err(|why| address.unreachable(why))?;
        let (code, offered) = protocol::read_handshake(&answer).ok_or_else(|| address.unreachable(Lost::Foreign))?;
        match code {
            code::NONE => {}
            code::UNSUPPORTED_MECHANISM => {
                let offered = shown(&offered.join(", "));
                return Err(Failure::invalid(format!(
                    "config.sasl.mechanism: {address} does not know {mechanism}; it has {offered}"
                )));
            }
            code::NO_LOGIN_HERE => {
                return Err(Failure::invalid(format!(
                    "config.sasl: {address} takes no credentials; leave them out, or name the port that takes them"
                )));
            }
            other => return Err(address.unreachable(format_args!("it answers a login with error {other}"))),
        }
        match login.mechanism {
            Mechanism::Plain => {
                let token = format!("\0{}\0{}", login.username, login.password);
                self.authenticate(address, token.as_bytes(), within).await?;
            }
            Mechanism::ScramSha256 => self.scram(address, login, Hash::Sha256, within).await?,
            Mechanism::ScramSha512 => self.scram(address, login, Hash::Sha512, within).await?,
        }
        Ok(())
    }

    async fn scram(&mut self, address: &Address, login: &Login, hash: Hash, within: Duration) -> Result<(), Failure> {
        let foreign = || address.unreachable("its answer to the login is none of SCRAM");
        let mut nonce = [0; 18];
        ring::rand::SystemRandom::new()
            .fill(&mut nonce)
            .map_err(|_| address.unreachable("this machine has no random numbers"))?;
        let nonce = STANDARD.encode(nonce);
        let scram = Scram::new(hash, &login.username, nonce);
        let challenge = self.authenticate(address, scram.first().as_bytes(), within).await?;
        let challenge = std::str::from_utf8(&challenge).map_err(|_| foreign())?;
        let (proof, expected) = scram.proof(&login.password, challenge).ok_or_else(foreign)?;
        let answer = self.authenticate(address, proof.as_bytes(), within).await?;
        if answer.starts_with(b"e=") {
            return Err(address.unauthorized());
        }
        // A server that cannot say this does not know the password, and is another than it says.
        if answer != expected.as_bytes() {
            return Err(address.unreachable("it does not know the user's password itself"));
        }
        Ok(())
    }

    async fn authenticate(&mut self, address: &Address, token: &[u8], within: Duration) -> Result<Vec<u8>, Failure> {
        let request = protocol::authenticate_request(token);
        let answer = self
            .request(RequestKind::SaslAuthenticate, 0, &request, within)
            .await
            .map_err(|why| address.unreachable(why))?;
        let (code, token) = protocol::read_authenticate(&answer).ok_or_else(|| address.unreachable(Lost::Foreign))?;
        match code {
            code::NONE => Ok(token.to_vec()),
            code::WRONG_CREDENTIALS => Err(address.unauthorized()),
            other => Err(address.unreachable(format_args!("it answers a login with error {other}"))),
        }
    }

    /// Asks, and waits for the answer.
    pub(super) async fn request(
        &mut self,
        api: RequestKind,
        version: i16,
        body: &[u8],
        within: Duration,
    ) -> Result<Vec<u8>, Lost> {
        let exchange = tokio::time::timeout(within, self.exchange(api, version, body)).await;
        exchange.unwrap_or(Err(Lost::Late))
    }

    async fn exchange(&mut self, api: RequestKind, version: i16, body: &[u8]) -> Result<Vec<u8>, Lost> {
        self.correlation = self.correlation.wrapping_add(1);
        let mut head = super::bytes::Writer::default();
        // Two numbers of two bytes, one of four, and the name with its length.
        head.length(10 + self.client_id.len() + body.len());
        head.int16(api.key());
        head.int16(version);
        head.int32(self.correlation);
        head.string(&self.client_id);
        head.0.extend(body);
        self.stream.write_all(&head.0).await?;
        self.stream.flush().await?;
        let mut start = [0; 8];
        self.stream.read_exact(&mut start).await?;
        let [a, b, c, d, number @ ..] = start;
        let length = usize::try_from(i32::from_be_bytes([a, b, c, d]));
        let length = length.ok().and_then(|length| length.checked_sub(4));
        let length = length
            .filter(|length| *length <= MAX_ANSWER_BYTES)
            .ok_or(Lost::Foreign)?;
        if i32::from_be_bytes(number) != self.correlation {
            return Err(Lost::Foreign);
        }
        let mut answer = vec![0; length];
        self.stream.read_exact(&mut answer).await?;
        Ok(answer)
    }
}
