//! Reads `mysql://user:password@host:port/database?…`.
//!
//! Does not connect. Invariant: no error contains any part of an address.

use crate::connector::Failure;
use crate::text::percent;
use crate::text::spelling::{suggestion, truncated};
use mysql_async::{Opts, OptsBuilder, SslOpts};

/// Certificate checks by their PostgreSQL names; MySQL's own names are accepted too. `verify-ca` is not supported: the
/// driver's setting for it compares the text of errors that rustls words differently.
const SSL_MODES: [&str; 3] = ["disable", "require", "verify-full"];

/// Parameters that the driver reads.
const DRIVER_PARAMETERS: [&str; 8] = [
    "compression",
    "stmt_cache_size",
    "tcp_keepalive",
    "tcp_nodelay",
    "max_allowed_packet",
    "secure_auth",
    "enable_cleartext_plugin",
    "wait_timeout",
];
/// Those that are read here.
const OWN_PARAMETERS: [&str; 3] = ["sslmode", "sslrootcert", "charset"];

/// The driver's options for an address.
pub(super) fn read(url: &str, ca: Option<&str>) -> Result<Opts, Failure> {
    let (base, query) = url.split_once('?').unwrap_or((url, ""));
    let base = match base.strip_prefix("mariadb://") {
        Some(rest) => format!("mysql://{rest}"),
        None => base.to_owned(),
    };
    let mut ca = ca.map(str::to_owned);
    let mut mode = None;
    let mut rest = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        match pair.split_once('=').unwrap_or((pair, "")) {
            ("sslmode" | "ssl-mode" | "ssl_mode", value) => mode = Some(value.to_lowercase().replace('_', "-")),
            ("sslrootcert" | "ssl-ca" | "ssl_ca", value) => {
                let path = String::from_utf8_lossy(&percent::decode(value)).into_owned();
                ca = ca.or(Some(path));
            }
            // The driver's only one.
            ("charset", value) if value.eq_ignore_ascii_case("utf8mb4") => {}
            ("charset", _) => {
                return Err(Failure::invalid("`charset` of connection_url must be 'utf8mb4'"));
            }
            (name, _) if DRIVER_PARAMETERS.contains(&name) => rest.push(pair),
            (name, _) => {
                let known: Vec<&str> = OWN_PARAMETERS.into_iter().chain(DRIVER_PARAMETERS).collect();
                return Err(Failure::invalid(format!(
                    "`{}` of connection_url is no parameter here; {}",
                    truncated(name),
                    suggestion(name, &known)
                )));
            }
        }
    }
    let driver = if rest.is_empty() {
        base
    } else {
        format!("{base}?{}", rest.join("&"))
    };
    let opts = Opts::from_url(&driver).map_err(|_| {
        Failure::invalid(
            "connection_url is no address of MySQL; it must look like 'mysql://user:password@host:3306/database', with special characters in the password percent-encoded",
        )
    })?;
    // If CA certificates are given, the server's certificate is checked.
    let default = if ca.is_some() { "verify-full" } else { "disable" };
    let tls = match mode.as_deref().unwrap_or(default) {
        "disable" | "disabled" => None,
        "require" | "required" => Some(
            SslOpts::default()
                .with_danger_accept_invalid_certs(true)
                .with_danger_skip_domain_validation(true),
        ),
        "verify-full" | "verify-identity" => Some(ssl_options(ca.as_deref())),
        other => {
            let suggestion = suggestion(other, &SSL_MODES);
            return Err(Failure::invalid(format!(
                "sslmode of connection_url is none; {suggestion}"
            )));
        }
    };
    Ok(OptsBuilder::from_opts(opts)
        .ssl_opts(tls)
        // Count matched rows rather than changed ones, as the other databases do.
        .client_found_rows(true)
        .prefer_socket(false)
        .into())
}

fn ssl_options(ca: Option<&str>) -> SslOpts {
    match ca {
        None => SslOpts::default(),
        Some(pem) if pem.contains("-----BEGIN") => {
            SslOpts::default().with_root_certs(vec![pem.as_bytes().to_vec().into()])
        }
        Some(path) => SslOpts::default().with_root_certs(vec![std::path::PathBuf::from(path).into()]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn address_error_does_not_reveal_the_password() {
        assert!(
            read("mariadb://u:p@h/d?ssl-mode=VERIFY_IDENTITY", None)
                .unwrap()
                .ssl_opts()
                .is_some()
        );
        assert!(read("mysql://u:p@h/d", None).unwrap().ssl_opts().is_none());
        let checked = read("mysql://u:p@h/d", Some("/ca.pem")).unwrap();
        assert!(!checked.ssl_opts().unwrap().accept_invalid_certs());
        let named = read(
            "mysql://u:p@h/d?ssl-ca=%2Fca.pem&charset=utf8mb4&tcp_keepalive=1000",
            None,
        )
        .unwrap();
        assert!(named.ssl_opts().is_some());
        let failure = read("mysql://u:p@h/d?connectTimeout=s3cret", None).unwrap_err();
        assert!(failure.message.contains("`connectTimeout`"), "{}", failure.message);
        for url in [
            "mysql://u:s3cret@h/d?charset=s3cret",
            "mysql://u:s3cret@h/d?pool_min=s3cret",
            "mysql://u:s3cret@h:port/d",
            "mysql://u:s3cret@h/d?sslmode=s3cret",
            "mysql://u:s3cret@h/d?sslmode=verify-ca",
            "postgres://u:s3cret@h/d",
            "s3cret",
        ] {
            let failure = read(url, None).unwrap_err();
            assert_eq!(&*failure.code, "VALIDATION_ERROR");
            assert!(!failure.message.contains("s3cret"), "{}", failure.message);
        }
    }
}
