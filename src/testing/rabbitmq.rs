//! A RabbitMQ of a test's own, whose alarms the test raises.

use super::skipped::skipped;
use super::test_server::{TestServer, find_program, run_to_completion};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// Debian's commands on the `PATH` would become another user; these are what they run.
const PROGRAMS: &str = "/usr/lib/rabbitmq/bin";

/// The server, with the user `guest` whose password is `guest`.
pub(crate) struct RabbitMqServer {
    server: TestServer,
    /// Names of nodes, of which the machine's own service would know ours after the test.
    names: TestServer,
    /// Where Erlang keeps the secret by which its nodes know each other.
    home: TempDir,
}

impl RabbitMqServer {
    /// `None`, and the test is reported as skipped, where it is not installed.
    pub(crate) fn start(test: &str) -> Option<Self> {
        if !Path::new(PROGRAMS).is_dir() || find_program("epmd").is_none() {
            skipped(test, "rabbitmq-server is not installed");
            return None;
        }
        let names = TestServer::start(test, "epmd", |program, folder| {
            let mut command = Command::new(program);
            command.args(["-address", "127.0.0.1", "-port", &folder.port.to_string()]);
            command
        })?;
        let home = tempfile::tempdir().unwrap();
        let server = TestServer::start(test, "rabbitmq-server", |_, folder| {
            let distribution = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            let distribution = distribution.local_addr().unwrap().port();
            let mut command = command("rabbitmq-server", home.path(), names.port, folder.port);
            let inside = |name: &str| folder.path().join(name);
            command
                // As under systemd, the script then becomes the server, and does not stay beside it.
                .env("RUNNING_UNDER_SYSTEMD", "true")
                .env("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1")
                .env("RABBITMQ_NODE_PORT", folder.port.to_string())
                .env("RABBITMQ_DIST_PORT", distribution.to_string())
                .env("RABBITMQ_MNESIA_BASE", inside("data"))
                .env("RABBITMQ_LOG_BASE", inside("logs"))
                .env("RABBITMQ_LOGS", "-")
                .env("RABBITMQ_ENABLED_PLUGINS_FILE", folder.file("plugins", "[].\n"))
                .env("RABBITMQ_PID_FILE", inside("pid"));
            for name in ["CONF_ENV", "CONFIG", "ADVANCED_CONFIG"] {
                command.env(format!("RABBITMQ_{name}_FILE"), inside("none"));
            }
            command
        })?;
        Some(Self { server, names, home })
    }

    /// Its address.
    pub(crate) fn url(&self) -> String {
        format!("amqp://guest:guest@127.0.0.1:{}", self.server.port)
    }

    /// Raises or ends the alarm of its memory.
    pub(crate) fn set_memory_alarm(&self, raised: bool) {
        let mut command = command("rabbitmqctl", self.home.path(), self.names.port, self.server.port);
        command.args(["set_vm_memory_high_watermark", if raised { "0" } else { "0.6" }]);
        run_to_completion(command);
    }
}

/// A command of the node that listens there.
fn command(program: &str, home: &Path, names: u16, port: u16) -> Command {
    let mut command = Command::new(PathBuf::from(PROGRAMS).join(program));
    command
        .env("HOME", home)
        .env("ERL_EPMD_ADDRESS", "127.0.0.1")
        .env("ERL_EPMD_PORT", names.to_string())
        .env("RABBITMQ_NODENAME", format!("ductape-test-{port}@localhost"));
    command
}
