//! Brokers that let in only some, allow them only some things, or speak only TLS: servers of the test's own.

use super::support::{address, config, host_and_port, open, publish};
use crate::connector::{Connector, Failure};
use crate::resources::{BrokerKind, RedisTarget, TopicOptions};
use crate::testing::authority::Authority;
use crate::testing::test_server::{ServerFolder, TestServer};
use crate::testing::tls_terminator::TlsTerminator;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

/// How a broker is reached.
struct BrokerAccess {
    kind: BrokerKind,
    /// Of its addresses without and with TLS.
    schemes: [&'static str; 2],
    options: TopicOptions,
}

/// How one is started.
struct ServerProgram {
    access: BrokerAccess,
    program: &'static str,
    /// Writes its settings: user `ann` with the password `r1ght`, who may publish to `allowed` alone; or TLS for everyone.
    command: fn(&Path, &ServerFolder, Option<&Authority>) -> Command,
}

fn nats(program: &Path, home: &ServerFolder, tls: Option<&Authority>) -> Command {
    let port = home.port;
    let inner = match tls {
        Some(authority) => {
            let (certificate, key) = (
                home.file("cert.pem", &authority.certificate),
                home.file("key.pem", &authority.key),
            );
            format!("tls {{ cert_file: '{certificate}', key_file: '{key}' }}")
        }
        None => "authorization { users: [ { user: ann, password: r1ght, permissions: \
                 { publish: ['allowed', '_INBOX.>'], subscribe: '_INBOX.>' } } ] }"
            .to_owned(),
    };
    let settings = home.file("nats.conf", &format!("listen: '127.0.0.1:{port}'\n{inner}\n"));
    let mut command = Command::new(program);
    command.arg("-c").arg(settings);
    command
}

fn redis(program: &Path, home: &ServerFolder, tls: Option<&Authority>) -> Command {
    let port = home.port;
    let inner = match tls {
        Some(authority) => format!(
            "port 0\ntls-port {port}\ntls-auth-clients no\ntls-cert-file {}\ntls-key-file {}\ntls-ca-cert-file {}\n",
            home.file("cert.pem", &authority.certificate),
            home.file("key.pem", &authority.key),
            home.file("ca.pem", &authority.ca),
        ),
        None => format!("port {port}\nuser default off\nuser ann on >r1ght ~allowed &allowed -@all +xadd +publish\n"),
    };
    let settings = home.file("redis.conf", &format!("bind 127.0.0.1\nsave \"\"\n{inner}"));
    let mut command = Command::new(program);
    command.arg(settings).current_dir(home.path());
    command
}

fn mosquitto(program: &Path, home: &ServerFolder, tls: Option<&Authority>) -> Command {
    let port = home.port;
    let inner = match tls {
        Some(authority) => format!(
            "allow_anonymous true\ncertfile {}\nkeyfile {}\n",
            home.file("cert.pem", &authority.certificate),
            home.file("key.pem", &authority.key),
        ),
        None => {
            // Made by `mosquitto_passwd` for `r1ght`.
            let users = home.file("users", HASHED);
            let rights = home.file("rights", "user ann\ntopic write allowed\n");
            format!("allow_anonymous false\npassword_file {users}\nacl_file {rights}\n")
        }
    };
    // Else root gives its rights up, and then cannot read these files.
    let settings = home.file(
        "mosquitto.conf",
        &format!("user root\nlistener {port} 127.0.0.1\n{inner}"),
    );
    let mut command = Command::new(program);
    command.arg("-c").arg(settings);
    command
}

const HASHED: &str = "ann:$7$101$VYUVf6n+XIzp1Ja+$akYZo3GisKqClTMpoavBo2/U/82Fw0BNQl+qSXRtD1JIe10gmhWzUd4NN8+NtyQb4sPNdoM2abbFlsqW6NPEJA==\n";

fn servers() -> Vec<ServerProgram> {
    let start = |kind, schemes, options, program, command| ServerProgram {
        access: BrokerAccess { kind, schemes, options },
        program,
        command,
    };
    let stream = TopicOptions {
        redis: Some(RedisTarget::Stream(None)),
        ..TopicOptions::default()
    };
    let any = TopicOptions::default;
    vec![
        start(BrokerKind::Nats, ["nats", "tls"], any(), "nats-server", nats),
        start(BrokerKind::Redis, ["redis", "rediss"], stream, "redis-server", redis),
        start(BrokerKind::Mqtt, ["mqtt", "mqtts"], any(), "mosquitto", mosquitto),
    ]
}

/// A broker at this address, and a message to `event`; then what a check says.
async fn attempt(access: &BrokerAccess, url: &str, ca: Option<&str>, event: &str) -> [Result<(), Failure>; 2] {
    let mut settings = config(url, access.options.clone());
    settings.ca = ca.map(Into::into);
    let connector: Arc<dyn Connector> = open(access.kind, settings, None).await.unwrap();
    let answers = [
        publish(&connector, event, "\"a s3cret message\"").await.map(|_| ()),
        connector.check().await.map(|_| ()),
    ];
    connector.close().await;
    for failure in answers.iter().filter_map(|answer| answer.as_ref().err()) {
        for secret in ["wr0ng", "r1ght", "s3cret"] {
            assert!(!failure.message.contains(secret), "{failure:?}");
        }
    }
    answers
}

fn codes(answers: [Result<(), Failure>; 2]) -> [String; 2] {
    answers.map(|answer| answer.map_or_else(|failure| failure.code.to_string(), |()| "ok".to_owned()))
}

#[tokio::test]
async fn wrong_credentials_are_unauthorized_and_missing_rights_forbidden() {
    for ServerProgram {
        access,
        program,
        command,
    } in servers()
    {
        let start = |path: &Path, home: &ServerFolder| command(path, home, None);
        let test = "wrong_credentials_and_missing_rights_are_told_apart";
        let Some(server) = TestServer::start(test, program, start) else {
            continue;
        };
        let at = |user: &str| format!("{}://{user}127.0.0.1:{}", access.schemes[0], server.port);
        for (user, event, expected) in [
            ("ann:r1ght@", "allowed", ["ok", "ok"]),
            ("ann:r1ght@", "forbidden", ["FORBIDDEN", "ok"]),
            // The server's words about it are not about answers.
            ("ann:r1ght@", "forbidden_subscription", ["FORBIDDEN", "ok"]),
            ("ann:wr0ng@", "allowed", ["UNAUTHORIZED"; 2]),
            ("bob:r1ght@", "allowed", ["UNAUTHORIZED"; 2]),
            ("", "allowed", ["UNAUTHORIZED"; 2]),
        ] {
            let answers = attempt(&access, &at(user), None, event).await;
            assert_eq!(codes(answers), expected, "{program}: {user}, {event}");
        }
    }
}

/// What holds of a server at this port that speaks only TLS, with that authority's certificate.
async fn speaks_only_tls(access: &BrokerAccess, user: &str, port: u16, authority: &Authority) {
    let stranger = Authority::new();
    let [plain, tls] = access.schemes;
    for (scheme, host, ca, expected) in [
        (tls, "localhost", Some(&authority.ca), "ok"),
        // The certificate bears another name.
        (tls, "127.0.0.1", Some(&authority.ca), "CONNECTION_ERROR"),
        (tls, "localhost", Some(&stranger.ca), "CONNECTION_ERROR"),
        // Not on the system's list.
        (tls, "localhost", None, "CONNECTION_ERROR"),
        (plain, "localhost", None, "CONNECTION_ERROR"),
    ] {
        let url = format!("{scheme}://{user}{host}:{port}");
        let answers = attempt(access, &url, ca.map(String::as_str), "allowed").await;
        let told = format!("{answers:?}");
        assert_eq!(codes(answers), [expected; 2], "{url}, ca: {}: {told}", ca.is_some());
        if scheme == tls && expected != "ok" {
            assert!(told.to_lowercase().contains("certificate"), "{url}: {told}");
        }
    }
}

#[tokio::test]
async fn certificate_is_checked_before_credentials_are_sent() {
    for ServerProgram {
        access,
        program,
        command,
    } in servers()
    {
        let authority = Authority::new();
        let start = |path: &Path, home: &ServerFolder| command(path, home, Some(&authority));
        let test = "a_certificate_is_checked_before_anything_is_said";
        if let Some(server) = TestServer::start(test, program, start) {
            speaks_only_tls(&access, "", server.port, &authority).await;
        }
    }
}

#[tokio::test]
async fn rabbitmq_is_reached_by_tls() {
    let Some(url) = address(BrokerKind::RabbitMq, "rabbitmq_is_reached_by_tls") else {
        return;
    };
    let access = BrokerAccess {
        kind: BrokerKind::RabbitMq,
        schemes: ["amqp", "amqps"],
        // Whether a queue gets it is another matter.
        options: TopicOptions {
            exchange: Some("amq.fanout".into()),
            mandatory: Some(false),
            ..TopicOptions::default()
        },
    };
    let authority = Authority::new();
    let tls_terminator = TlsTerminator::to(&host_and_port(&url), &authority).await;
    speaks_only_tls(&access, "guest:guest@", tls_terminator.port, &authority).await;
}
