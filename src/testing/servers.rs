//! Database servers of a test's own that are reached by TLS alone, on a name of this machine and its address.

use super::authority::Authority;
use super::eventually::poll_until;
use super::test_server::{START_TIMEOUT, ServerFolder, TestServer, run_to_completion, unprivileged_command};
use std::path::Path;
use std::process::Command;

/// PostgreSQL, with the user `ann`, who needs no password, and the database `postgres`; to the database `template1` a client
/// certificate is the way in.
pub(crate) fn postgres(test: &str, authority: &Authority) -> Option<TestServer> {
    let server = TestServer::start(test, "postgres", |program, home| {
        write_certificate(home, authority);
        let mut make = unprivileged_command(&program.with_file_name("initdb"), home.path());
        make.args(["-D", "data", "-U", "ann", "--auth=trust", "--no-sync"]);
        run_to_completion(make);
        let rules = "hostssl template1 all all cert\nhostssl all all all trust\n";
        std::fs::write(home.path().join("data/pg_hba.conf"), rules).unwrap();
        home.file("ca.pem", &authority.ca);
        let mut serve = unprivileged_command(program, home.path());
        serve.args(["-D", "data", "-p", &home.port.to_string(), "-k", "", "-c", "ssl=on"]);
        serve.args(["-c", "ssl_cert_file=../cert.pem", "-c", "ssl_key_file=../key.pem"]);
        serve.args(["-c", "ssl_ca_file=../ca.pem"]);
        serve
    })?;
    let Some(ready) = super::test_server::find_program("pg_isready") else {
        super::skipped::skipped(test, "pg_isready is not installed");
        return None;
    };
    let mut ready = Command::new(ready);
    ready.args(["-q", "-h", "127.0.0.1", "-p", &server.port.to_string()]);
    let is_ready = || ready.status().unwrap().success();
    assert!(
        poll_until(START_TIMEOUT, is_ready),
        "{test}: PostgreSQL listens and is not ready"
    );
    Some(server)
}

/// MariaDB, with the user `root`, who needs no password, and the database `mysql`.
pub(crate) fn mariadb(test: &str, authority: &Authority) -> Option<TestServer> {
    TestServer::start(test, "mariadbd", |program, home| {
        write_certificate(home, authority);
        let make = super::test_server::find_program("mariadb-install-db").unwrap();
        let mut make = unprivileged_command(&make, home.path());
        make.args([
            "--no-defaults",
            "--skip-test-db",
            "--auth-root-authentication-method=normal",
        ]);
        make.arg(in_home(home, "--datadir", "data"));
        run_to_completion(make);
        let mut serve = unprivileged_command(program, home.path());
        serve.args([
            "--no-defaults",
            "--bind-address=127.0.0.1",
            "--require-secure-transport=ON",
        ]);
        serve.arg(format!("--port={}", home.port));
        for (option, name) in [("--datadir", "data"), ("--socket", "socket"), ("--pid-file", "pid")] {
            serve.arg(in_home(home, option, name));
        }
        serve.args([
            in_home(home, "--ssl-cert", "cert.pem"),
            in_home(home, "--ssl-key", "key.pem"),
        ]);
        serve
    })
}

/// SecantusDB, which speaks MongoDB's protocol, without users: by TLS, or without it and with commands that make it fail.
#[cfg(feature = "mongodb")]
pub(crate) fn mongodb(test: &str, authority: Option<&Authority>) -> Option<TestServer> {
    TestServer::start(test, "secantusd-py", |program, home| {
        let mut serve = Command::new(program);
        serve.args(["--host", "127.0.0.1", "--port", &home.port.to_string()]);
        serve.arg("--storage-path").arg(home.path().join("data"));
        if let Some(authority) = authority {
            write_certificate(home, authority);
            serve.arg("--tls-cert-file").arg(home.path().join("cert.pem"));
            serve.arg("--tls-key-file").arg(home.path().join("key.pem"));
        } else {
            serve.arg("--enable-test-commands");
        }
        serve
    })
}

fn write_certificate(home: &ServerFolder, authority: &Authority) {
    home.file("cert.pem", &authority.certificate);
    home.file("key.pem", &authority.key);
}

fn in_home(home: &ServerFolder, option: &str, name: &str) -> String {
    let path: &Path = home.path();
    format!("{option}={}", path.join(name).display())
}
