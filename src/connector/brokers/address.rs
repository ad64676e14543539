//! Where a broker is and who asks: the definition's texts with their secrets in them.
//!
//! Invariant: nothing here is shown but host and port.

use crate::connector::Failure;
use crate::connector::limits::MAX_PEM_FILE_BYTES;
use crate::engine::inputs::ExpressionResolver;
use crate::resources::{BrokerConfig, BrokerEnv, Text};
use crate::text::percent;
use crate::text_file::read_text_file;
use std::fmt;
use url::{Host, Url};

/// A broker's address and credentials.
#[derive(Clone)]
pub(super) struct BrokerAddress {
    /// Name or address, without brackets.
    pub(super) host: String,
    /// Port.
    pub(super) port: u16,
    /// Hosts and ports of further servers of the same cluster.
    #[cfg_attr(
        not(any(feature = "kafka", feature = "nats")),
        allow(dead_code, reason = "the others have one address")
    )]
    pub(super) others: Vec<(String, u16)>,
    /// Whether the connection is encrypted.
    pub(super) tls: bool,
    /// What the address says after host and port, decoded, without the first slash; `None`: not even the slash.
    #[cfg_attr(
        not(any(feature = "rabbitmq", feature = "redis")),
        allow(
            dead_code,
            reason = "a virtual host or the number of a database; the others have neither"
        )
    )]
    pub(super) path: Option<String>,
    /// Who.
    pub(super) username: Option<String>,
    /// By which password.
    pub(super) password: Option<String>,
    /// NATS: by which token.
    pub(super) token: Option<String>,
    /// NATS: what stands in a credentials file.
    pub(super) credentials: Option<String>,
    /// NATS: prefix of the subjects that acknowledgements arrive on.
    pub(super) inbox_prefix: Option<Box<str>>,
    /// Certificates in PEM that are trusted instead of the system's.
    pub(super) ca: Option<String>,
}

impl fmt::Display for BrokerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl BrokerAddress {
    /// Puts the secrets in.
    ///
    /// # Errors
    /// `VALIDATION_ERROR` for an address that is none, and what the source of secrets says.
    pub(super) async fn reveal(env: &BrokerEnv, expressions: &ExpressionResolver) -> Result<Self, Failure> {
        let config = &env.config;
        let url = expressions.reveal(config.url.as_written()).await?;
        let mut server = Self::parse(&url, env.kind.schemes())?;
        for other in &config.others {
            let other = Self::parse(&expressions.reveal(other.as_written()).await?, env.kind.schemes())?;
            server.others.push((other.host, other.port));
        }
        server.tls = config.tls.unwrap_or(server.tls);
        server.username = reveal(config.username.as_ref(), expressions).await?.or(server.username);
        server.password = reveal(config.password.as_ref(), expressions).await?.or(server.password);
        server.token = reveal(config.token.as_ref(), expressions).await?;
        server.credentials = reveal(config.credentials.as_ref(), expressions).await?;
        server.inbox_prefix = config.inbox_prefix.clone();
        server.ca = reveal_ca(config, expressions).await?;
        Ok(server)
    }

    /// Reads an address; of the schemes that it may have the last one is with TLS.
    fn parse(text: &str, schemes: &[(&str, u16)]) -> Result<Self, Failure> {
        let wrong = |what: &str| {
            Failure::invalid(format!(
                "config.url: {what}; special characters in user and password must be percent-encoded, or given as `username` and `password`"
            ))
        };
        let url = Url::parse(text.trim()).map_err(|_| wrong("is no address once its secrets are in it"))?;
        let scheme = schemes.iter().position(|(scheme, _)| *scheme == url.scheme());
        let Some((index, (_, default_port))) = scheme.and_then(|index| Some((index, schemes.get(index)?))) else {
            return Err(wrong("has a scheme that is not of this type of broker"));
        };
        let host = match url.host() {
            Some(Host::Domain(name)) if !name.is_empty() => name.to_owned(),
            Some(Host::Ipv4(address)) => address.to_string(),
            Some(Host::Ipv6(address)) => address.to_string(),
            _ => return Err(wrong("names no host")),
        };
        let decoded =
            |text: &str| String::from_utf8(percent::decode(text)).map_err(|_| wrong("is not UTF-8 once it is decoded"));
        let user = (!url.username().is_empty())
            .then(|| decoded(url.username()))
            .transpose()?;
        Ok(Self {
            host,
            port: url.port().unwrap_or(*default_port),
            others: Vec::new(),
            tls: index > 0,
            path: url.path().strip_prefix('/').map(decoded).transpose()?,
            username: user,
            password: url.password().map(decoded).transpose()?,
            token: None,
            credentials: None,
            inbox_prefix: None,
            ca: None,
        })
    }

    /// There is no connection.
    pub(super) fn unreachable(&self, why: impl fmt::Display) -> Failure {
        Failure::connection(format!("cannot connect to {self}: {why}"))
    }

    /// The credentials were refused.
    pub(super) fn unauthorized(&self) -> Failure {
        let given = [&self.username, &self.password, &self.token, &self.credentials];
        let who = if given.iter().any(|given| given.is_some()) {
            "the credentials are refused; check them in the broker's `config`"
        } else {
            "it wants credentials; give `username` and `password` in the broker's `config`"
        };
        Failure::unauthorized(format!("{self}: {who}"))
    }
}

/// Certificates that a definition has or names.
pub(super) async fn reveal_ca(
    config: &BrokerConfig,
    expressions: &ExpressionResolver,
) -> Result<Option<String>, Failure> {
    match reveal(config.ca.as_ref(), expressions).await? {
        Some(ca) => read_pem(ca).await.map(Some),
        None => Ok(None),
    }
}

async fn reveal(text: Option<&Text>, expressions: &ExpressionResolver) -> Result<Option<String>, Failure> {
    match text {
        Some(text) => Ok(Some(expressions.reveal(text.as_written()).await?)),
        None => Ok(None),
    }
}

/// PEM itself, or what is in the file of that path.
async fn read_pem(text: String) -> Result<String, Failure> {
    if text.trim_start().starts_with("-----BEGIN") {
        return Ok(text);
    }
    let read = tokio::task::spawn_blocking(move || read_text_file(text.as_ref(), MAX_PEM_FILE_BYTES));
    let read = read.await.unwrap_or_else(|_| Err(std::io::Error::other("interrupted")));
    read.map_err(|error| Failure::invalid(format!("config.ca: the file cannot be read: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const AMQP: [(&str, u16); 2] = [("amqp", 5672), ("amqps", 5671)];

    #[test]
    fn an_address_is_read_with_its_defaults() {
        let plain = BrokerAddress::parse("amqp://broker", &AMQP).unwrap();
        assert_eq!((plain.host.as_str(), plain.port, plain.tls), ("broker", 5672, false));
        assert_eq!((plain.username, plain.password, plain.path), (None, None, None));
        let whole = BrokerAddress::parse("amqps://us%40er:p%2F%25w%C3%BC@10.0.0.1:99/%2fv", &AMQP).unwrap();
        assert_eq!((whole.host.as_str(), whole.port, whole.tls), ("10.0.0.1", 99, true));
        assert_eq!(whole.username.as_deref(), Some("us@er"));
        assert_eq!(whole.password.as_deref(), Some("p/%wü"));
        assert_eq!(whole.path.as_deref(), Some("/v"));
        let six = BrokerAddress::parse("amqp://[::1]:5/", &AMQP).unwrap();
        assert_eq!((six.host.as_str(), six.to_string().as_str()), ("::1", "[::1]:5"));
        assert_eq!(six.path.as_deref(), Some(""));
    }

    #[test]
    fn invalid_address_error_does_not_reveal_the_address() {
        for text in [
            "",
            "broker:5672",
            "http://u:secret@h",
            "amqp://",
            "amqp://u:se/cret@h",
            "amqp://u:%ff@h",
        ] {
            let failure = BrokerAddress::parse(text, &AMQP)
                .map(|server| server.to_string())
                .unwrap_err();
            assert_eq!(&*failure.code, "VALIDATION_ERROR", "{text}");
            assert!(!failure.message.contains("se/cret") && !failure.message.contains("secret@"));
        }
    }
}
