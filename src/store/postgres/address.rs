//! Parses `postgres://user:password@host:port/database?…` with the parameters of libpq and a few of our own.
//!
//! Does not connect. Invariant: no output, log line or error contains the password.

use crate::error::{Error, Problem, Result};
use crate::tls::CertificateCheck;
use std::fmt;
use std::time::Duration;
use tokio_postgres::Config;
use tokio_postgres::config::SslMode;

/// Longest schema name in PostgreSQL, in bytes.
const MAX_SCHEMA_BYTES: usize = 63;
const MAX_CONNECTIONS: usize = 64;

/// The address of a server, with settings.
#[derive(Clone)]
pub struct Address {
    pub(super) config: Config,
    /// How the server's certificate is checked, and the file of CA certificates; `None`: the system's.
    pub(super) trust: (CertificateCheck, Option<Box<str>>),
    pub(super) schema: Box<str>,
    /// Connects through a pooler in transaction mode, where each transaction may get another server connection.
    pub(super) pooled: bool,
    pub(super) connections: usize,
    pub(super) connect_timeout: Duration,
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
    connect_timeout: Option<String>,
}

impl Address {
    /// Parses an address.
    ///
    /// # Errors
    /// `VALIDATION_ERROR` that names the parameter, but never the password.
    pub fn parse(url: &str) -> Result<Self> {
        let (own, rest) = split(url);
        let mut config: Config = rest.parse().map_err(|_| {
            invalid("is no PostgreSQL address; it must look like 'postgres://user:password@host:5432/database', with special characters in the password percent-encoded")
        })?;
        if config.get_hosts().is_empty() {
            return Err(invalid(
                "names no host, as in 'postgres://user:password@host:5432/database'",
            ));
        }
        let schema = own.schema.unwrap_or_else(|| "ductape".into());
        if schema.is_empty() || schema.len() > MAX_SCHEMA_BYTES || schema.contains(['"', '\0', '\'', '.']) {
            return Err(invalid(
                "`schema` must be a name of 1 to 63 bytes without quotes and dots",
            ));
        }
        if schema.starts_with("pg_") {
            return Err(invalid(
                "`schema` must not begin with 'pg_', which PostgreSQL keeps for itself",
            ));
        }
        let pooled = match own.pooled.as_deref() {
            None | Some("false") => false,
            Some("true") => true,
            Some(_) => return Err(invalid("`pgbouncer` must be 'true' or 'false'")),
        };
        let connections = number("connections", own.connections.as_deref(), 4, 1, MAX_CONNECTIONS)?;
        let seconds = number("connect_timeout", own.connect_timeout.as_deref(), 10, 1, 3_600)?;
        let trust = read_trust(&mut config, own.sslmode.as_deref(), own.root.is_some())?;
        let connect_timeout = Duration::from_secs(seconds as u64);
        config
            .connect_timeout(connect_timeout)
            .keepalives(true)
            .keepalives_idle(Duration::from_secs(30))
            .keepalives_interval(Duration::from_secs(10))
            .keepalives_retries(3);
        if config.get_application_name().is_none() {
            config.application_name("ductape");
        }
        Ok(Self {
            config,
            trust: (trust, own.root.map(Into::into)),
            schema: schema.into(),
            pooled,
            connections,
            connect_timeout,
        })
    }

    /// The schema as a quoted SQL identifier.
    pub(super) fn quoted_schema(&self) -> String {
        format!("\"{}\"", self.schema)
    }
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
            "connect_timeout" => &mut own.connect_timeout,
            _ => {
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
            ("postgres://me:s3cret@h/d?nonsense=1", "address"),
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
