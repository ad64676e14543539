//! Servers that require TLS: what each `sslmode` accepts.

use super::support::{open_trusting, run};
use crate::connector::Connector;
use crate::resources::DatabaseKind;
use crate::testing::authority::Authority;
use crate::testing::servers;
use crate::testing::test_server::TestServer;

/// Runs `sql`, which returns whether the connection is encrypted, in each mode.
async fn modes(
    kind: DatabaseKind,
    server: &TestServer,
    (scheme, user, database): (&str, &str, &str),
    authority: &Authority,
    (sql, encrypted): (&str, &str),
) {
    let stranger = Authority::new();
    let (known, strange) = (Some(&*authority.ca), Some(&*stranger.ca));
    // Not supported for MySQL.
    let signed = [
        ("127.0.0.1", "?sslmode=verify-ca", known, true),
        ("127.0.0.1", "?sslmode=verify-ca", strange, false),
    ];
    let signed = signed.into_iter().filter(|_| kind == DatabaseKind::Postgresql);
    let all = [
        ("localhost", "?sslmode=verify-full", known, true),
        // The default if CA certificates are given.
        ("localhost", "", known, true),
        ("127.0.0.1", "", known, false),
        ("localhost", "", strange, false),
        ("127.0.0.1", "?sslmode=verify-full", known, false),
        ("localhost", "?sslmode=verify-full", strange, false),
        // Not signed by a CA of the system.
        ("localhost", "?sslmode=verify-full", None, false),
        ("127.0.0.1", "?sslmode=require", None, true),
        ("127.0.0.1", "?sslmode=disable", None, false),
    ];
    for (host, mode, ca, expected) in all.into_iter().chain(signed) {
        let url = format!("{scheme}://{user}@{host}:{}/{database}{mode}", server.port);
        let connector = open_trusting(kind, &url, ca).unwrap();
        let answer = run(&connector, "raw", &format!(r#"{{"sql":"{sql}"}}"#)).await;
        let checked = connector.check().await;
        connector.close().await;
        if expected {
            let answer = answer.unwrap_or_else(|failure| panic!("{url}: {failure:?}"));
            assert!(answer.contains(encrypted), "{url}: {answer}");
            checked.unwrap();
        } else {
            for failure in [answer.map(|_| ()).unwrap_err(), checked.map(|_| ()).unwrap_err()] {
                // A server that requires TLS refuses logins without it.
                let code = if mode.contains("disable") {
                    "UNAUTHORIZED"
                } else {
                    "CONNECTION_ERROR"
                };
                assert_eq!(&*failure.code, code, "{url}: {failure:?}");
            }
        }
    }
}

#[tokio::test]
async fn postgresql_tls_follows_sslmode_of_the_address() {
    let authority = Authority::new();
    let Some(server) = servers::postgres("postgresql_tls_follows_sslmode_of_the_address", &authority) else {
        return;
    };
    let encrypted = (
        "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()",
        r#""ssl":true"#,
    );
    modes(
        DatabaseKind::Postgresql,
        &server,
        ("postgres", "ann", "postgres"),
        &authority,
        encrypted,
    )
    .await;
}

#[cfg(feature = "mysql")]
#[tokio::test]
async fn mariadb_tls_follows_sslmode_of_the_address() {
    let authority = Authority::new();
    let Some(server) = servers::mariadb("mariadb_tls_follows_sslmode_of_the_address", &authority) else {
        return;
    };
    let encrypted = ("SHOW STATUS LIKE 'Ssl_version'", "TLSv1");
    modes(
        DatabaseKind::Mysql,
        &server,
        ("mysql", "root", "mysql"),
        &authority,
        encrypted,
    )
    .await;
}
