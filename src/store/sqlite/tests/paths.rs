//! Several names of one file, and paths that SQLite does not take.

use super::super::Location;
use super::{SqliteConfig, SqliteStore, open};
use crate::error::{Error, ErrorCode};
use std::path::Path;

fn refusal(path: &Path) -> Error {
    SqliteStore::open(SqliteConfig::new(Location::File(path.to_owned()))).unwrap_err()
}

/// What lies in a folder.
fn names(folder: &Path) -> Vec<String> {
    let name = |entry: std::io::Result<std::fs::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
    let mut names: Vec<_> = std::fs::read_dir(folder).unwrap().map(name).collect();
    names.sort();
    names
}

#[cfg(unix)]
#[tokio::test]
async fn symbolic_links_share_the_files_locks_and_log() {
    use crate::store::Store;
    let folder = tempfile::tempdir().unwrap();
    let (real, links) = (folder.path().join("real"), folder.path().join("links"));
    std::fs::create_dir_all(&real).unwrap();
    std::fs::create_dir(&links).unwrap();
    std::os::unix::fs::symlink(real.join("jobs.db"), links.join("jobs.db")).unwrap();
    std::os::unix::fs::symlink(&real, links.join("folder")).unwrap();
    let stores = [
        open(&links.join("jobs.db")),
        open(&links.join("folder/jobs.db")),
        open(&real.join("jobs.db")),
    ];
    for store in &stores {
        store.register(1_000, 1).await.unwrap();
    }
    assert_eq!(names(&links), ["folder", "jobs.db"]);
    assert_eq!(names(&real), ["jobs.db", "jobs.db-locks", "jobs.db-shm", "jobs.db-wal"]);
    for number in 1..=3 {
        assert!(real.join(format!("jobs.db-locks/instance-{number}")).exists());
    }
}

#[cfg(unix)]
#[test]
fn a_file_with_two_names_is_refused_by_both() {
    let folder = tempfile::tempdir().unwrap();
    let (one, other) = (folder.path().join("one.db"), folder.path().join("other.db"));
    std::fs::write(&one, "").unwrap();
    std::fs::hard_link(&one, &other).unwrap();
    for path in [&one, &other] {
        let error = refusal(path);
        assert_eq!(error.code, ErrorCode::StoreError);
        assert!(error.message.contains("has 2 names (hard links)"), "{error}");
    }
    assert_eq!(names(folder.path()), ["one.db", "other.db"]);
    std::fs::remove_file(&one).unwrap();
    open(&other);
}

#[cfg(unix)]
#[test]
fn a_path_that_sqlite_does_not_take_is_refused_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().canonicalize().unwrap();
    let named = |bytes: usize| {
        let mut path = root.clone();
        while path.as_os_str().len() + 120 < bytes {
            path.push("d".repeat(100));
        }
        path.push("f".repeat(bytes - path.as_os_str().len() - 1));
        assert_eq!(path.as_os_str().len(), bytes);
        path
    };
    let error = refusal(&named(505));
    assert_eq!(error.code, ErrorCode::StoreError);
    assert!(error.message.contains("is 505 bytes long"), "{error}");
    assert!(error.message.contains("at most 504"), "{error}");
    assert_eq!(names(&root), [] as [String; 0]);
    open(&named(504));
}

/// In a namespace of its own, where anybody may mount.
#[cfg(target_os = "linux")]
#[test]
fn a_file_that_is_mounted_by_itself_is_refused_and_a_folder_is_not() {
    const NAME: &str = "a_file_that_is_mounted_by_itself_is_refused_and_a_folder_is_not";
    const MOUNTED: &str = "DUCTAPE_TEST_MOUNTED";
    if let Some(folder) = std::env::var_os(MOUNTED) {
        let folder = Path::new(&folder);
        let error = refusal(&folder.join("file.db"));
        assert_eq!(error.code, ErrorCode::StoreError);
        assert!(error.message.contains("mount its folder instead"), "{error}");
        open(&folder.join("mounted/file.db"));
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("real")).unwrap();
    std::fs::create_dir(folder.path().join("mounted")).unwrap();
    std::fs::write(folder.path().join("file.db"), "").unwrap();
    drop(open(&folder.path().join("real/file.db")));
    let script = "mount --bind real/file.db file.db && mount --bind real mounted || { echo unsupported; exit 0; }\n\
        exec \"$@\"";
    let output = std::process::Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "sh", "-c", script, "sh"])
        .arg(std::env::current_exe().unwrap())
        .args([
            "--exact",
            &format!("store::sqlite::tests::paths::{NAME}"),
            "--nocapture",
        ])
        .current_dir(folder.path())
        .env(MOUNTED, folder.path())
        .output();
    let Ok(output) = output else {
        return crate::testing::skipped::unsupported(NAME, "there is no unshare");
    };
    let text = String::from_utf8_lossy(&output.stdout);
    if text.contains("unsupported") || String::from_utf8_lossy(&output.stderr).starts_with("unshare:") {
        return crate::testing::skipped::unsupported(NAME, "this user may not mount anything");
    }
    assert!(output.status.success() && text.contains("1 passed"), "{output:?}");
}
