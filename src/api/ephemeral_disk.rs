//! Hosts whose disk does not outlive a restart, and stores that are on it.
//!
//! Knows what hosts say of themselves in the environment, and where their volumes can be told from the disk of the container.

use super::options::SERVERLESS_VARIABLES;
use std::path::Path;

/// Environment variables of such hosts, with what the host calls its machines.
pub const HOSTS: [(&str, &str); 5] = [
    ("DYNO", "a Heroku dyno"),
    ("RENDER", "a Render instance"),
    ("FLY_APP_NAME", "a Fly machine"),
    ("RAILWAY_ENVIRONMENT_ID", "a Railway container"),
    ("KUBERNETES_SERVICE_HOST", "a Kubernetes container"),
];

/// A host, as the environment tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Host {
    /// Its volumes are file systems of their own.
    Container(&'static str),
    /// Its directory for temporary files is all that can be written to.
    Serverless(&'static str),
}

impl Host {
    /// The one that this process is on, if it is known. `environment` holds pairs of name and value.
    #[must_use]
    pub fn of(environment: &[(String, String)]) -> Option<Self> {
        let is_set = |name: &str| environment.iter().any(|(key, value)| key == name && !value.is_empty());
        let named = |hosts: &[(&str, &'static str)]| hosts.iter().find(|(name, _)| is_set(name)).map(|(_, host)| *host);
        let serverless = named(&SERVERLESS_VARIABLES).map(Self::Serverless);
        serverless.or_else(|| named(&HOSTS).map(Self::Container))
    }

    /// Why a store in this file is lost some day, if it is.
    #[must_use]
    pub fn warning(self, path: &Path) -> Option<String> {
        let remedy = "name a store that lasts, as in `store: 'postgres://user:password@host/database'`";
        let shown = path.display();
        match self {
            Self::Container(host) => is_on_root(path).then(|| {
                format!(
                    "the store {shown} is on the disk of {host}, which is lost with every restart and every deployment, and its jobs \
                     with it; {remedy}, or a path on a volume"
                )
            }),
            Self::Serverless(host) => is_temporary(path).then(|| {
                format!(
                    "the store {shown} is among the temporary files of {host}, which are lost with the instance of the function, and \
                     its jobs with it; {remedy}"
                )
            }),
        }
    }
}

fn is_temporary(path: &Path) -> bool {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    path.starts_with("/tmp") || path.starts_with(std::env::temp_dir())
}

/// Whether it is in the file system that the container begins with.
#[cfg(unix)]
fn is_on_root(path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let device = |path: &Path| std::fs::metadata(path).map(|metadata| metadata.dev());
    // What cannot be found out is not worth a warning.
    device(path)
        .ok()
        .zip(device(Path::new("/")).ok())
        .is_some_and(|(own, root)| own == root)
}

#[cfg(not(unix))]
fn is_on_root(_: &Path) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(name: &str, value: &str) -> Option<Host> {
        Host::of(&[(name.to_owned(), value.to_owned())])
    }

    #[test]
    fn a_host_is_known_by_its_variable() {
        assert_eq!(host("DYNO", "web.1"), Some(Host::Container("a Heroku dyno")));
        assert_eq!(
            host("AWS_LAMBDA_FUNCTION_NAME", "f"),
            Some(Host::Serverless("AWS Lambda"))
        );
        assert_eq!(host("DYNO", ""), None);
        assert_eq!(host("HOME", "/root"), None);
    }

    #[test]
    fn temporary_files_of_a_function_are_warned_of_and_others_are_not() {
        let lambda = Host::Serverless("AWS Lambda");
        let warning = lambda.warning(Path::new("/tmp/jobs.db")).unwrap();
        assert!(warning.contains("/tmp/jobs.db") && warning.contains("AWS Lambda") && warning.contains("postgres://"));
        assert_eq!(lambda.warning(Path::new("/mnt/efs/jobs.db")), None);
        // Whatever is there.
        assert_eq!(
            Host::Container("a Fly machine").warning(Path::new("/no/such/file")),
            None
        );
    }
}
