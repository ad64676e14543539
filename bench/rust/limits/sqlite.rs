//! The limit of SQLite: one connection, prepared statements, nothing else. Nothing is copied from the log into the file meanwhile,
//! which ours has a thread for.

use super::{INPUT, INSERTED_TOGETHER, RESULT, RUN_TOGETHER, T0, insert, report, run};
use ductape::model::JobId;
use ductape::store::Store;
use ductape::store::sqlite::{Location, SqliteConfig, SqliteStore};
use rusqlite::{Connection, Statement};
use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

/// Rows of each statement that writes many: with more it becomes no faster.
const ROWS: usize = 16;

pub(super) async fn round(jobs: usize) {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder.path().join("ours.db"));
    let began = Instant::now();
    insert(&store, jobs).await;
    report("SQLite", "insert", "ours", jobs, began);
    let began = Instant::now();
    let done = run(&store).await;
    report("SQLite", "run", "ours", jobs, began);
    assert_eq!(done, jobs);
    store.close().await.unwrap();
    for (who, rows) in [("bare, row by row", 1), ("bare", ROWS)] {
        let path = folder.path().join(format!("bare-{rows}.db"));
        open(&path).close().await.unwrap();
        let bare = Bare {
            db: connect(&path),
            rows,
        };
        let began = Instant::now();
        bare.insert(jobs);
        report("SQLite", "insert", who, jobs, began);
        bare.db.execute_batch("PRAGMA synchronous = NORMAL").unwrap();
        let began = Instant::now();
        bare.run();
        report("SQLite", "run", who, jobs, began);
        let ended = "SELECT count(*) FROM ended JOIN runs USING (job)";
        let ended: i64 = bare.db.query_row(ended, [], |row| row.get(0)).unwrap();
        assert_eq!(ended, number(jobs));
    }
}

fn open(path: &Path) -> Arc<SqliteStore> {
    SqliteStore::open(SqliteConfig::new(Location::File(path.to_owned()))).unwrap()
}

fn number(of: usize) -> i64 {
    i64::try_from(of).unwrap()
}

/// As the store sets its own.
fn connect(path: &Path) -> Connection {
    let db = Connection::open(path).unwrap();
    let settings = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0; \
                    PRAGMA cache_size = -16384; PRAGMA foreign_keys = OFF";
    db.execute_batch(settings).unwrap();
    db
}

/// A connection, and for how many rows a statement is.
struct Bare {
    db: Connection,
    rows: usize,
}

impl Bare {
    fn prepare(&self, text: &str) -> Statement<'_> {
        self.db.prepare(text).unwrap()
    }

    /// A statement that inserts as many rows as one does; `values` are those of a row, with its number and its parameters.
    fn prepare_rows(&self, into: &str, values: impl Fn(usize) -> String) -> Statement<'_> {
        let rows: Vec<String> = (0..self.rows).map(values).collect();
        self.prepare(&format!("INSERT INTO {into} VALUES {}", rows.join(", ")))
    }

    fn count(&self, kind: i64, by: i64) {
        let text = "INSERT INTO counters VALUES (1, ?1, ?2) ON CONFLICT DO UPDATE SET n = n + excluded.n";
        let mut count = self.db.prepare_cached(text).unwrap();
        count.execute((kind, by)).unwrap();
    }

    fn insert(&self, jobs: usize) {
        let columns = "jobs (seq, id, route, priority, due, retries, recurring, run, created, updated, options, input)";
        let mut job = self.prepare_rows(columns, |row| {
            let (id, input) = (3 + row * 2, 4 + row * 2);
            format!("(?1 + {row}, ?{id}, 1, 0, ?2, 3, 0, 1, ?2, ?2, NULL, ?{input})")
        });
        let mut ready = self.prepare(
            "INSERT INTO ready (route, priority, due, job, run, attempt, crashes) \
             SELECT 1, 0, due, seq, 1, 1, 0 FROM jobs WHERE seq BETWEEN ?1 AND ?2",
        );
        let mut last = 0;
        while last < jobs {
            let before = last;
            self.db.execute_batch("BEGIN IMMEDIATE").unwrap();
            while last < jobs && last - before < INSERTED_TOGETHER {
                job.raw_bind_parameter(1, number(last + 1)).unwrap();
                job.raw_bind_parameter(2, T0).unwrap();
                for row in 0..self.rows {
                    let JobId::Generated(id) = JobId::generate() else {
                        continue;
                    };
                    job.raw_bind_parameter(3 + row * 2, id.as_bytes()).unwrap();
                    job.raw_bind_parameter(4 + row * 2, INPUT).unwrap();
                }
                last += job.raw_execute().unwrap();
            }
            ready.execute([number(before + 1), number(last)]).unwrap();
            self.count(1, number(last - before));
            self.db.execute_batch("COMMIT").unwrap();
        }
    }

    /// Each transaction claims some and completes those that were claimed before. Tokens are the numbers of the jobs.
    fn run(&self) {
        let mut begun: Vec<i64> = Vec::new();
        loop {
            self.db.execute_batch("BEGIN IMMEDIATE").unwrap();
            let claimed = if self.rows == 1 {
                self.claim_each()
            } else {
                self.claim_all()
            };
            self.complete(&begun);
            let (claims, ends) = (number(claimed.len()), number(begun.len()));
            for (kind, by) in [(1, -claims), (2, claims - ends), (3, ends), (10, ends)] {
                self.count(kind, by);
            }
            self.db.execute_batch("COMMIT").unwrap();
            begun = claimed;
            if begun.is_empty() {
                return;
            }
        }
    }

    fn claim_each(&self) -> Vec<i64> {
        let list = "SELECT priority, due, job, run, attempt, crashes, key FROM ready \
                    WHERE route = 1 AND crashes < 3 ORDER BY priority, due, job, run LIMIT ?1";
        let mut list = self.db.prepare_cached(list).unwrap();
        let mut job = self
            .db
            .prepare_cached("SELECT id, due, retries, recurring, created, options, input FROM jobs WHERE seq = ?1")
            .unwrap();
        let mut delete = self
            .db
            .prepare_cached("DELETE FROM ready WHERE route = 1 AND priority = 0 AND due = ?1 AND job = ?2 AND run = 1")
            .unwrap();
        let mut insert = self
            .db
            .prepare_cached("INSERT INTO running VALUES (?1, 1, 1, ?1, 1, 0, 1, 0, ?2, ?2, 0, NULL)")
            .unwrap();
        let claimed = list.query_map([number(RUN_TOGETHER)], |row| row.get(2)).unwrap();
        let claimed: Vec<i64> = claimed.map(Result::unwrap).collect();
        for number in &claimed {
            let input: String = job.query_row([number], |row| row.get(6)).unwrap();
            black_box(input);
            delete.execute([T0, *number]).unwrap();
            insert.execute([*number, T0]).unwrap();
        }
        claimed
    }

    /// The same by statements for all.
    fn claim_all(&self) -> Vec<i64> {
        let list = "SELECT job, id, jobs.due, retries, jobs.recurring, created, options, input \
                    FROM ready CROSS JOIN jobs ON seq = job \
                    WHERE ready.route = 1 AND crashes < 3 ORDER BY ready.priority, ready.due, job, ready.run LIMIT ?1";
        let mut list = self.db.prepare_cached(list).unwrap();
        let mut insert = self
            .db
            .prepare_cached(
                "INSERT INTO running SELECT job, run, 1, job, attempt, crashes, route, priority, due, ?1, 0, key \
                 FROM ready WHERE route = 1 AND crashes < 3 ORDER BY priority, due, job, run LIMIT ?2",
            )
            .unwrap();
        let mut delete = self
            .db
            .prepare_cached("DELETE FROM ready WHERE route = 1 AND (priority, due, job, run) <= (0, ?1, ?2, 1)")
            .unwrap();
        let claimed = list.query_map([number(RUN_TOGETHER)], |row| {
            black_box(row.get::<_, String>(7)?);
            row.get(0)
        });
        let claimed: Vec<i64> = claimed.unwrap().map(Result::unwrap).collect();
        if let Some(last) = claimed.last() {
            insert.execute((T0, number(RUN_TOGETHER))).unwrap();
            delete.execute([T0, *last]).unwrap();
        }
        claimed
    }

    fn complete(&self, begun: &[i64]) {
        let mut delete = self
            .db
            .prepare_cached("DELETE FROM running WHERE job = ?1 AND run = 1 AND owner = 1 AND token = ?1")
            .unwrap();
        let mut run = self.prepare_rows("runs", |row| format!("(?{}, 1, 1, 3, ?1, ?1, NULL, NULL, ?2)", row + 3));
        let mut end = self.prepare_rows("ended", |row| format!("(3, ?1, ?{})", row + 2));
        for jobs in begun.chunks(self.rows) {
            run.raw_bind_parameter(1, T0).unwrap();
            run.raw_bind_parameter(2, RESULT).unwrap();
            end.raw_bind_parameter(1, T0).unwrap();
            for (row, job) in jobs.iter().enumerate() {
                assert_eq!(delete.execute([job]).unwrap(), 1);
                run.raw_bind_parameter(row + 3, job).unwrap();
                end.raw_bind_parameter(row + 2, job).unwrap();
            }
            run.raw_execute().unwrap();
            end.raw_execute().unwrap();
        }
    }
}
