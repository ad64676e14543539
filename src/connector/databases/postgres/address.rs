//! Reads `postgres://user:password@host:port/database?…` with the parameters of libpq.
//!
//! Does not connect. Invariant: no error contains any part of an address.

use crate::connector::Failure;
use crate::connector::limits::DATABASE_CONNECT_TIMEOUT;
use crate::text::percent;
use crate::text::spelling::{suggestion, truncated};
use crate::tls::CertificateCheck;
use std::time::Duration;
use tokio_postgres::Config;
use tokio_postgres::config::SslMode;

/// The values of `sslmode`, in libpq's order.
const SSL_MODES: [&str; 6] = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"];

/// Parameters that the driver reads.
const DRIVER_PARAMETERS: [&str; 17] = [
    "user",
    "password",
    "dbname",
    "options",
    "application_name",
    "host",
    "hostaddr",
    "port",
    "connect_timeout",
    "tcp_user_timeout",
    "keepalives",
    "keepalives_idle",
    "keepalives_interval",
    "keepalives_retries",
    "target_session_attrs",
    "channel_binding",
    "load_balance_hosts",
];
/// Those that are read here.
const OWN_PARAMETERS: [&str; 3] = ["sslmode", "sslrootcert", "pgbouncer"];

/// A server, and how its certificate is checked.
pub(super) struct Address {
    pub(super) config: Config,
    /// Connects through a pooler in transaction mode, where each transaction may get another server connection.
    pub(super) pooled: bool,
    pub(super) trust: CertificateCheck,
    /// PEM, or the path of such a file.
    pub(super) ca: Option<String>,
}

impl Address {
    pub(super) fn read(url: &str, ca: Option<&str>) -> Result<Self, Failure> {
        let (base, query) = url.split_once('?').unwrap_or((url, ""));
        let mut ca = ca.map(str::to_owned);
        let decoded = |value: &str| String::from_utf8_lossy(&percent::decode(value)).into_owned();
        let mut mode = None;
        let mut pooled = false;
        let mut rest = Vec::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            match pair.split_once('=').unwrap_or((pair, "")) {
                ("sslmode", value) => mode = Some(decoded(value)),
                ("sslrootcert", value) => ca = ca.or_else(|| Some(decoded(value))),
                ("pgbouncer", value) => pooled = read_pooled(value)?,
                (name, _) if DRIVER_PARAMETERS.contains(&name) => rest.push(pair),
                (name, _) => {
                    let known: Vec<&str> = OWN_PARAMETERS.into_iter().chain(DRIVER_PARAMETERS).collect();
                    return Err(Failure::invalid(format!(
                        "`{}` of connection_url is no parameter here; {}",
                        truncated(&decoded(name)),
                        suggestion(name, &known)
                    )));
                }
            }
        }
        let driver = if rest.is_empty() {
            base.to_owned()
        } else {
            format!("{base}?{}", rest.join("&"))
        };
        let mut config: Config = driver.parse().map_err(|_| {
            Failure::invalid(
                "connection_url is no address of PostgreSQL; it must look like 'postgres://user:password@host:5432/database', with special characters in the password percent-encoded",
            )
        })?;
        if config.get_hosts().is_empty() {
            return Err(Failure::invalid("connection_url names no host"));
        }
        // If CA certificates are given, the server's certificate is checked.
        let default = if ca.is_some() { "verify-full" } else { "prefer" };
        let (ssl, trust) = match mode.as_deref().unwrap_or(default) {
            "disable" => (SslMode::Disable, CertificateCheck::Skip),
            "allow" | "prefer" => (SslMode::Prefer, CertificateCheck::Skip),
            "require" if ca.is_none() => (SslMode::Require, CertificateCheck::Skip),
            "require" | "verify-ca" => (SslMode::Require, CertificateCheck::Authority),
            "verify-full" => (SslMode::Require, CertificateCheck::AuthorityAndName),
            other => {
                let suggestion = suggestion(other, &SSL_MODES);
                return Err(Failure::invalid(format!(
                    "sslmode of connection_url is none; {suggestion}"
                )));
            }
        };
        let connect_timeout = config.get_connect_timeout().copied();
        config
            .ssl_mode(ssl)
            .connect_timeout(connect_timeout.unwrap_or(DATABASE_CONNECT_TIMEOUT));
        if !query.contains("keepalives_idle") {
            config.keepalives_idle(Duration::from_secs(30));
        }
        if config.get_application_name().is_none() {
            config.application_name("ductape");
        }
        Ok(Self {
            config,
            pooled,
            trust,
            ca,
        })
    }
}

fn read_pooled(value: &str) -> Result<bool, Failure> {
    match value {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(Failure::invalid(
            "`pgbouncer` of connection_url must be 'true' or 'false'",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_those_of_libpq_and_a_certificate_is_checked() {
        for (url, ca, ssl, trust) in [
            ("postgres://h/d", None, SslMode::Prefer, CertificateCheck::Skip),
            (
                "postgres://h/d",
                Some("/ca"),
                SslMode::Require,
                CertificateCheck::AuthorityAndName,
            ),
            (
                "postgres://h/d?sslmode=disable",
                None,
                SslMode::Disable,
                CertificateCheck::Skip,
            ),
            (
                "postgres://h/d?sslmode=require",
                None,
                SslMode::Require,
                CertificateCheck::Skip,
            ),
            (
                "postgres://h/d?sslmode=require&sslrootcert=%2Fca",
                None,
                SslMode::Require,
                CertificateCheck::Authority,
            ),
            (
                "postgres://h/d?sslmode=verify-full",
                None,
                SslMode::Require,
                CertificateCheck::AuthorityAndName,
            ),
        ] {
            let address = Address::read(url, ca).unwrap();
            assert_eq!((address.config.get_ssl_mode(), address.trust), (ssl, trust), "{url}");
        }
        let address = Address::read("postgres://h/d?sslrootcert=%2Fca%20x", None).unwrap();
        assert_eq!(address.ca.as_deref(), Some("/ca x"));
    }

    #[test]
    fn address_error_does_not_reveal_the_password() {
        for url in [
            "postgres://u:s3cret@h:port/d",
            "postgres://u:s3cret@h/d?sslmode=s3cret",
            "postgres://u:s3cret@h/d?sslcert=s3cret",
            "postgres://u:s3cret@h/d?pgbouncer=s3cret",
            "mysql://u:s3cret@h/d",
            "s3cret",
        ] {
            let failure = Address::read(url, None).err().unwrap();
            assert_eq!(&*failure.code, "VALIDATION_ERROR");
            assert!(!failure.message.contains("s3cret"), "{}", failure.message);
        }
    }

    #[test]
    fn parameters_are_taken_or_refused_by_name() {
        let address = Address::read(
            "postgres://h/d?pgbouncer=true&connect_timeout=3&keepalives_idle=7",
            None,
        )
        .unwrap();
        assert!(address.pooled);
        assert_eq!(address.config.get_connect_timeout(), Some(&Duration::from_secs(3)));
        assert_eq!(address.config.get_keepalives_idle(), Duration::from_secs(7));
        for name in ["sslcert", "gssencmode", "schema", "connection_limit"] {
            let failure = Address::read(&format!("postgres://h/d?{name}=x"), None).err().unwrap();
            assert!(failure.message.contains(name), "{}", failure.message);
        }
    }
}
