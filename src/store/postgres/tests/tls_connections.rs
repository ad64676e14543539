//! A server that requires TLS: what each `sslmode` accepts.

use super::super::{Address, PostgresConfig, PostgresStore};
use crate::error::ErrorCode;
use crate::testing::authority::Authority;
use crate::testing::servers;

#[tokio::test]
async fn tls_follows_sslmode_of_the_address() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let Some(server) = servers::postgres("tls_follows_sslmode_of_the_address", &authority) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, pem: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, pem).unwrap();
        format!("&sslrootcert={}", path.display())
    };
    let (known, strange, none) = (
        file("known", &authority.ca),
        file("strange", &stranger.ca),
        file("none", ""),
    );
    for (host, mode, root, expected) in [
        ("localhost", "prefer", "", true),
        ("127.0.0.1", "require", "", true),
        // As in libpq: with a root certificate, `require` checks the signature.
        ("127.0.0.1", "require", &*known, true),
        ("127.0.0.1", "require", &*strange, false),
        ("127.0.0.1", "verify-ca", &*known, true),
        ("127.0.0.1", "verify-ca", &*strange, false),
        ("localhost", "verify-full", &*known, true),
        ("127.0.0.1", "verify-full", &*known, false),
        ("localhost", "verify-full", &*strange, false),
        // Not signed by a CA of the system.
        ("localhost", "verify-full", "", false),
        ("localhost", "verify-full", &*none, false),
        ("localhost", "verify-full", "&sslrootcert=/no/such/file", false),
        ("localhost", "disable", "", false),
    ] {
        let run_state = format!("postgres://ann@{host}:{}/postgres", server.port);
        let url = format!("{run_state}?connect_timeout=2&connections=1&sslmode={mode}{root}");
        let opened = PostgresStore::open(PostgresConfig::new(Address::parse(&url).unwrap())).await;
        assert_eq!(opened.is_ok(), expected, "{url}: {:?}", opened.err());
        if let Err(error) = opened {
            // A server that requires TLS refuses logins without it.
            let code = if mode == "disable" {
                ErrorCode::Unauthorized
            } else {
                ErrorCode::ConnectionError
            };
            assert_eq!(error.code, code, "{url}: {error:?}");
        }
    }
}

#[tokio::test]
async fn client_certificate_opens_where_one_is_required() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let Some(server) = servers::postgres("client_certificate_opens_where_one_is_required", &authority) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, pem: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, pem).unwrap();
        path.display().to_string()
    };
    let identity = |name: &str, (certificate, key): (String, String)| {
        let certificate = file(&format!("{name}.pem"), &certificate);
        format!("&sslcert={certificate}&sslkey={}", file(&format!("{name}.key"), &key))
    };
    let ann = identity("ann", authority.client("ann"));
    for (identity, said) in [
        (ann.clone(), None),
        (
            identity("bob", authority.client("bob")),
            Some("certificate authentication failed"),
        ),
        (identity("strange", stranger.client("ann")), Some("store's server")),
        (String::new(), Some("valid client certificate")),
        (ann.replace("ann.key", "bob.key"), Some("`sslcert` and `sslkey`")),
        (ann.replace("ann.key", "none.key"), Some("none.key cannot be read")),
        (ann.replace("sslcert=", "sslcert=/no/such"), Some("cannot be read")),
    ] {
        let url = format!(
            "postgres://ann@localhost:{}/template1?connections=1{identity}",
            server.port
        );
        let began = std::time::Instant::now();
        let opened = PostgresStore::open(PostgresConfig::new(Address::parse(&url).unwrap())).await;
        match (opened, said) {
            (Ok(_), None) => {}
            (Err(error), Some(said)) => assert!(error.message.contains(said), "{url}: {error}"),
            (opened, said) => panic!("{url}: {:?} instead of {said:?}", opened.err()),
        }
        // What was refused is not tried again.
        assert!(
            began.elapsed() < std::time::Duration::from_secs(5),
            "{url}: {:?}",
            began.elapsed()
        );
    }
}
