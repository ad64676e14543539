//! Servers of a test's own, started with settings that the server which all tests share does not have.

use super::eventually::poll_until;
use super::skipped::skipped;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// How long a server may take until it listens.
pub(super) const START_TIMEOUT: Duration = Duration::from_secs(60);
/// How often a server is started anew, since its port may have been taken in the meantime.
const MAX_STARTS: u32 = 3;

/// A server that ends with the test.
pub(crate) struct TestServer {
    child: Child,
    /// Where it listens.
    pub(crate) port: u16,
    _folder: TempDir,
}

impl Drop for TestServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A folder in which a server finds its files, whoever it runs as.
pub(crate) struct ServerFolder {
    folder: TempDir,
    /// The port it is to listen on.
    pub(crate) port: u16,
}

impl ServerFolder {
    /// Its path.
    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a file that only its owner may read; its path.
    pub(crate) fn file(&self, name: &str, text: &str) -> String {
        let path = self.path().join(name);
        std::fs::write(&path, text).unwrap();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        }
        path.to_str().unwrap().to_owned()
    }
}

/// The program of this name, where programs and servers are installed.
pub(crate) fn find_program(name: &str) -> Option<PathBuf> {
    let listed = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = std::env::split_paths(&listed).collect();
    folders.extend(["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from));
    // Debian keeps the programs of each version of PostgreSQL by themselves.
    for version in std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten() {
        folders.push(version.path().join("bin"));
    }
    folders
        .into_iter()
        .map(|folder| folder.join(name))
        .find(|path| path.is_file())
}

/// A command that is not run by root, which some servers refuse; what it needs in `folder` is made its own.
pub(crate) fn unprivileged_command(program: &Path, folder: &Path) -> Command {
    let mut command = Command::new(program);
    #[cfg(unix)]
    // Who makes a file owns it.
    if std::os::unix::fs::MetadataExt::uid(&tempfile::tempfile().unwrap().metadata().unwrap()) == 0 {
        use std::os::unix::process::CommandExt;
        const NOBODY: u32 = 65_534;
        for entry in std::fs::read_dir(folder).unwrap() {
            std::os::unix::fs::chown(entry.unwrap().path(), Some(NOBODY), Some(NOBODY)).unwrap();
        }
        std::os::unix::fs::chown(folder, Some(NOBODY), Some(NOBODY)).unwrap();
        command.uid(NOBODY).gid(NOBODY);
    }
    command.current_dir(folder).stdin(Stdio::null());
    command
}

/// Runs a command to its end.
pub(crate) fn run_to_completion(mut command: Command) {
    let done = command.output().unwrap();
    assert!(
        done.status.success(),
        "{command:?}: {}{}",
        String::from_utf8_lossy(&done.stdout),
        String::from_utf8_lossy(&done.stderr)
    );
}

impl TestServer {
    /// Starts what `command` makes, given the path of the program and a folder; `None`, and the test is reported as skipped,
    /// where the program is not installed.
    pub(crate) fn start(test: &str, name: &str, command: impl Fn(&Path, &ServerFolder) -> Command) -> Option<Self> {
        let Some(program) = find_program(name) else {
            skipped(test, &format!("{name} is not installed"));
            return None;
        };
        for _ in 0..MAX_STARTS {
            let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            let port = free.local_addr().unwrap().port();
            drop(free);
            let home = ServerFolder {
                folder: tempfile::tempdir().unwrap(),
                port,
            };
            let mut command = command(&program, &home);
            let log = std::fs::File::create(home.path().join("log")).unwrap();
            let (out, err) = (log.try_clone().unwrap(), log);
            let child = command.stdin(Stdio::null()).stdout(out).stderr(err).spawn().unwrap();
            let mut server = Self {
                child,
                port,
                _folder: home.folder,
            };
            if server.wait_until_listening() {
                return Some(server);
            }
            let log = std::fs::read_to_string(server._folder.path().join("log")).unwrap_or_default();
            eprintln!("{test}: {name} did not start: {log}");
        }
        panic!("{test}: {name} does not start");
    }

    fn wait_until_listening(&mut self) -> bool {
        let (mut listens, mut ended) = (false, false);
        poll_until(START_TIMEOUT, || {
            listens = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_ok();
            ended = self.child.try_wait().is_ok_and(|status| status.is_some());
            listens || ended
        });
        listens
    }
}
