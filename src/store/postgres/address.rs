//! Parses `postgres://user:password@host:port/database?…` with the parameters of libpq and a few of our own.
//!
//! Does not connect. Invariant: no output, log line or error contains the password.

use crate::error::{Error, Problem, Result};
use crate::tls::CertificateCheck;
use std::fmt;
use std::time::Duration;
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};

/// Longest schema name in PostgreSQL, in bytes.
const MAX_SCHEMA_BYTES: usize = 63;
const MAX_CONNECTIONS: usize = 64;
/// Longer names are cut in messages.
const MAX_SHOWN_CHARS: usize = 60;

/// The address of a server, with settings.
#[derive(Clone)]
pub struct Address {
    /// All of it, as it was given.
    config: Config,
    /// The same for each host by itself, in their order.
    pub(super) hosts: Vec<Config>,
    /// How the server's certificate is checked, and the file of CA certificates; `None`: the system's.
    pub(super) trust: (CertificateCheck, Option<Box<str>>),
    /// What the server is shown of this client.
    pub(super) identity: Option<Identity>,
    pub(super) schema: Box<str>,
    /// Connects through a pooler in transaction mode, where each transaction may get another server connection.
    pub(super) pooled: bool,
    pub(super) connections: usize,
    pub(super) connect_timeout: Duration,
}

/// Paths of a client certificate and its key, PEM files.
#[derive(Clone)]
pub(super) struct Identity {
    pub(super) certificate: Box<str>,
    pub(super) key: Box<str>,
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Address")
            .field("hosts", &self.config.get_hosts())
            .field("database", &self.config.get_dbname())
            .field("schema", &self.schema)
            .finish_non_exhaustive()
    }
}

impl PartialEq for Address {
    fn eq(&self, other: &Self) -> bool {
        self.config == other.config && self.schema == other.schema && self.pooled == other.pooled
    }
}

impl Eq for Address {}

/// Our own parameters, and those of libpq that the driver does not support.
#[derive(Default)]
struct OwnParameters {
    schema: Option<String>,
    pooled: Option<String>,
    connections: Option<String>,
    sslmode: Option<String>,
    root: Option<String>,
    certificate: Option<String>,
    key: Option<String>,
    connect_timeout: Option<String>,
    /// The first one that nobody knows.
    unknown: Option<String>,
}

/// Those of libpq that the driver reads.
const DRIVER_PARAMETERS: [&str; 17] = [
    "user",
    "password",
    "dbname",
    "options",
    "application_name",
    "host",
    "hostaddr",
    "port",
    "tcp_user_timeout",
    "keepalives",
    "keepalives_idle",
    "keepalives_interval",
    "keepalives_retries",
    "target_session_attrs",
    "channel_binding",
    "load_balance_hosts",
    "sslnegotiation",
];
/// Those that are read here.
const OWN_PARAMETERS: [&str; 8] = [
    "schema",
    "pgbouncer",
    "connections",
    "sslmode",
    "sslrootcert",
    "sslcert",
    "sslkey",
    "connect_timeout",
];

impl Address {
    /// Parses an address.
    ///
    /// # Errors
    /// `VALIDATION_ERROR` that names the parameter, but never the password.
    pub fn parse(url: &str) -> Result<Self> {
        if url.split_once('?').is_some_and(|(_, query)| query.contains('@')) {
            return Err(invalid(
                "has a `?` in the user or the password, or an `@` in a parameter; write them as %3F and %40",
            ));
        }
        let (own, rest) = split(url);
        if let Some(name) = &own.unknown {
            let name: String = name.chars().filter(|c| !c.is_control()).take(MAX_SHOWN_CHARS).collect();
            let known: Vec<&str> = OWN_PARAMETERS.into_iter().chain(DRIVER_PARAMETERS).collect();
            return Err(invalid(&format!(
                "`{name}` is no parameter of addresses here; known are {}",
                known.join(", ")
            )));
        }
        let mut config: Config = rest.parse().map_err(|_| {
            invalid("is no PostgreSQL address; it must look like 'postgres://user:password@host:5432/database', with special characters in the password percent-encoded")
        })?;
        if config.get_hosts().is_empty() {
            return Err(invalid(
                "names no host, as in 'postgres://user:password@host:5432/database'",
            ));
        }
        let schema = own.schema.unwrap_or_else(|| "ductape".into());
        let unusable = |character: char| matches!(character, '"' | '\'' | '.') || character.is_control();
        // Two of them may end the text of a function.
        let quotes = schema.matches('$').count() > 1;
        if schema.is_empty() || schema.len() > MAX_SCHEMA_BYTES || schema.contains(unusable) || quotes {
            return Err(invalid(
                "`schema` must be a name of 1 to 63 bytes without quotes, dots and control characters, and with one `$` at most",
            ));
        }
        if schema.starts_with("pg_") || schema == "information_schema" {
            return Err(invalid(
                "`schema` must not begin with 'pg_' nor be 'information_schema', which PostgreSQL keeps for itself",
            ));
        }
        let pooled = match own.pooled.as_deref() {
            None | Some("false") => false,
            Some("true") => true,
            Some(_) => return Err(invalid("`pgbouncer` must be 'true' or 'false'")),
        };
        let connections = number("connections", own.connections.as_deref(), 4, 1, MAX_CONNECTIONS)?;
        let seconds = number("connect_timeout", own.connect_timeout.as_deref(), 10, 1, 3_600)?;
        let connect_timeout = Duration::from_secs(seconds as u64);
        let each: Option<Vec<Config>> = each_host(&rest).map(|url| url.parse().ok()).collect();
        let mut hosts = each.unwrap_or_else(|| vec![config.clone()]);
        let identity = match (own.certificate, own.key) {
            (None, None) => None,
            (Some(certificate), Some(key)) => Some(Identity {
                certificate: certificate.into(),
                key: key.into(),
            }),
            _ => {
                return Err(invalid(
                    "`sslcert` and `sslkey` go together: the paths of a PEM file each",
                ));
            }
        };
        let mut trust = CertificateCheck::Skip;
        for config in hosts.iter_mut().chain([&mut config]) {
            trust = read_trust(config, own.sslmode.as_deref(), own.root.is_some())?;
            set_defaults(config, connect_timeout);
        }
        Ok(Self {
            config,
            hosts,
            trust: (trust, own.root.map(Into::into)),
            identity,
            schema: schema.into(),
            pooled,
            connections,
            connect_timeout,
        })
    }

    /// What it leads to, without user and password.
    pub fn label(&self) -> String {
        let ports = self.config.get_ports();
        let hosts: Vec<String> = self
            .config
            .get_hosts()
            .iter()
            .enumerate()
            .map(|(at, host)| {
                let name = match host {
                    Host::Tcp(name) => name.clone(),
                    #[cfg(unix)]
                    Host::Unix(path) => path.display().to_string(),
                };
                format!("{name}:{}", ports.get(at).or_else(|| ports.first()).unwrap_or(&5432))
            })
            .collect();
        let database = self
            .config
            .get_dbname()
            .or_else(|| self.config.get_user())
            .unwrap_or_default();
        format!("postgres://{}/{database}?schema={}", hosts.join(","), self.schema)
    }

    /// The schema as a quoted SQL identifier.
    pub(super) fn quoted_schema(&self) -> String {
        format!("\"{}\"", self.schema)
    }
}

fn set_defaults(config: &mut Config, connect_timeout: Duration) {
    config
        .connect_timeout(connect_timeout)
        .keepalives(true)
        .keepalives_idle(Duration::from_secs(30))
        .keepalives_interval(Duration::from_secs(10))
        .keepalives_retries(3);
    if config.get_application_name().is_none() {
        config.application_name("ductape");
    }
}

/// The address with one of its hosts each, in their order.
fn each_host(url: &str) -> impl Iterator<Item = String> + '_ {
    let (scheme, behind) = url.split_once("://").unwrap_or(("", url));
    let (authority, tail) = behind.split_at(behind.find(['/', '?']).unwrap_or(behind.len()));
    let (user, hosts) = authority.split_at(authority.rfind('@').map_or(0, |at| at + 1));
    hosts
        .split(',')
        .map(move |host| format!("{scheme}://{user}{host}{tail}"))
}

fn number(name: &str, text: Option<&str>, default: usize, least: usize, most: usize) -> Result<usize> {
    let Some(text) = text else { return Ok(default) };
    let number = text.parse().ok().filter(|number| (least..=most).contains(number));
    number.ok_or_else(|| invalid(&format!("`{name}` must be a whole number from {least} to {most}")))
}

fn read_trust(config: &mut Config, mode: Option<&str>, has_root: bool) -> Result<CertificateCheck> {
    let (mode, trust) = match mode.unwrap_or("prefer") {
        "disable" => (SslMode::Disable, CertificateCheck::Skip),
        "allow" | "prefer" => (SslMode::Prefer, CertificateCheck::Skip),
        // As in libpq: with a root certificate, `require` checks the signature.
        "require" if !has_root => (SslMode::Require, CertificateCheck::Skip),
        "require" | "verify-ca" => (SslMode::Require, CertificateCheck::Authority),
        "verify-full" => (SslMode::Require, CertificateCheck::AuthorityAndName),
        _ => {
            return Err(invalid(
                "`sslmode` must be one of disable, allow, prefer, require, verify-ca, verify-full",
            ));
        }
    };
    // As in libpq: a socket of this machine needs no TLS, and has none.
    let is_socket = |host: &Host| !matches!(host, Host::Tcp(_));
    let mode = if config.get_hosts().iter().all(is_socket) {
        SslMode::Disable
    } else {
        mode
    };
    config.ssl_mode(mode);
    Ok(trust)
}

fn invalid(what: &str) -> Error {
    Error::invalid(vec![Problem::new("store", what)])
}

/// Splits our own parameters from the address; the rest goes to the driver.
fn split(url: &str) -> (OwnParameters, String) {
    let mut own = OwnParameters::default();
    let Some((base, query)) = url.split_once('?') else {
        return (own, url.to_owned());
    };
    let mut rest = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let slot = match name {
            "schema" => &mut own.schema,
            "pgbouncer" => &mut own.pooled,
            "connections" => &mut own.connections,
            "sslmode" => &mut own.sslmode,
            "sslrootcert" => &mut own.root,
            "sslcert" => &mut own.certificate,
            "sslkey" => &mut own.key,
            "connect_timeout" => &mut own.connect_timeout,
            _ => {
                if !DRIVER_PARAMETERS.contains(&name) {
                    own.unknown.get_or_insert_with(|| decode(name));
                }
                rest.push(pair);
                continue;
            }
        };
        *slot = Some(decode(value));
    }
    let rest = if rest.is_empty() {
        base.to_owned()
    } else {
        format!("{base}?{}", rest.join("&"))
    };
    (own, rest)
}

/// Decodes percent-encoding; invalid sequences stay unchanged.
fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let code = (*byte == b'%')
            .then(|| text.get(at + 1..at + 3))
            .flatten()
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        decoded.push(code.unwrap_or(*byte));
        at += if code.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn address_defaults() {
        let address = Address::parse("postgres://me:secret@db.example:6432/jobs").unwrap();
        assert_eq!(
            (&*address.schema, address.pooled, address.connections),
            ("ductape", false, 4)
        );
        assert_eq!(address.config.get_ssl_mode(), SslMode::Prefer);
        assert_eq!(address.config.get_application_name(), Some("ductape"));
    }

    #[test]
    fn parameters_that_nobody_reads_are_named() {
        for (name, hint) in [
            ("sslpassword", "sslpassword"),
            ("connection_limit", "connection_limit"),
            ("gssencmode", "gssencmode"),
            ("schemas", "known are schema,"),
        ] {
            let error = Address::parse(&format!("postgres://h/d?{name}=s3cret")).unwrap_err();
            assert!(error.message.contains(hint), "{error}");
            assert!(!error.message.contains("s3cret"), "{error}");
        }
        for schema in ["a%0Ab", "a%00b", "x$body$y"] {
            assert!(
                Address::parse(&format!("postgres://h/d?schema={schema}")).is_err(),
                "{schema}"
            );
        }
        assert!(Address::parse("postgres://h/d?schema=a$b&target_session_attrs=any").is_ok());
    }

    #[test]
    fn sockets_have_no_tls_whatever_is_required() {
        for (url, mode) in [
            ("postgres:///d?host=/run/postgresql&sslmode=require", SslMode::Disable),
            ("postgres://%2Frun%2Fpostgresql/d?sslmode=verify-full", SslMode::Disable),
            ("postgres://h/d?sslmode=require", SslMode::Require),
        ] {
            let address = Address::parse(url).unwrap();
            let modes: Vec<SslMode> = address.hosts.iter().map(Config::get_ssl_mode).collect();
            assert_eq!(modes, [mode], "{url}");
        }
        assert!(Address::parse("postgres://h/d?sslcert=/a").is_err());
    }

    #[test]
    fn hosts_are_tried_by_themselves() {
        let address = Address::parse("postgres://me:s@a:1,b:2/d?schema=x&target_session_attrs=read-write").unwrap();
        let found: Vec<_> = address
            .hosts
            .iter()
            .map(|config| (config.get_hosts().to_vec(), config.get_ports().to_vec()))
            .collect();
        let host = |name: &str, port| (vec![tokio_postgres::config::Host::Tcp(name.into())], vec![port]);
        assert_eq!(found, [host("a", 1), host("b", 2)]);
        assert!(address.hosts.iter().all(|config| config.get_dbname() == Some("d")
            && config.get_password() == Some(b"s")
            && config.get_application_name() == Some("ductape")));
        assert_eq!(Address::parse("postgres://h/d").unwrap().hosts.len(), 1);
    }

    #[test]
    fn own_parameters_are_removed_and_others_passed_to_the_driver() {
        let url = "postgresql://h/d?schema=my%20jobs&pgbouncer=true&connections=2&application_name=shop&sslmode=verify-full&sslrootcert=/ca.pem";
        let address = Address::parse(url).unwrap();
        assert_eq!(
            (&*address.schema, address.pooled, address.connections),
            ("my jobs", true, 2)
        );
        assert_eq!(address.config.get_application_name(), Some("shop"));
        assert_eq!(
            address.trust,
            (CertificateCheck::AuthorityAndName, Some("/ca.pem".into()))
        );
    }

    #[test]
    fn address_errors_name_the_parameter_without_the_password() {
        for (url, named) in [
            ("postgres://me:s3cret@h/d?schema=a%22b", "schema"),
            ("postgres://me:s3cret@h/d?schema=pg_jobs", "pg_"),
            ("postgres://me:s3cret@h/d?pgbouncer=1", "pgbouncer"),
            ("postgres://me:s3cret@h/d?connections=0", "connections"),
            ("postgres://me:s3cret@h/d?sslmode=maybe", "sslmode"),
            ("postgres://me:s3cret@h:port/d", "address"),
            ("postgres://me:s3cret@h/d?nonsense=1", "nonsense"),
            ("postgres://me:pa?s3cret@h/d", "%3F"),
            ("postgres://me:pa?s3cret&x=1@h/d", "%3F"),
            (
                "postgres://me:s3cret@h/d?schema=information_schema",
                "information_schema",
            ),
        ] {
            let error = Address::parse(url).unwrap_err();
            assert!(
                error.message.contains(named) && !error.message.contains("s3cret"),
                "{url}: {error}"
            );
        }
    }

    #[test]
    fn address_debug_hides_the_password() {
        let address = Address::parse("postgres://me:s3cret@h/d").unwrap();
        assert!(!format!("{address:?}").contains("s3cret"));
    }
}
