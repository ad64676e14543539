//! Every metric of `ductape.metrics()`: name, kind and meaning. `docs/metrics.md` says the same at length, which a test compares.

use super::text::{Family, Kind};

const fn counter(name: &'static str, help: &'static str) -> Family {
    let kind = Kind::Counter;
    Family { name, kind, help }
}

const fn gauge(name: &'static str, help: &'static str) -> Family {
    let kind = Kind::Gauge;
    Family { name, kind, help }
}

const fn histogram(name: &'static str, help: &'static str) -> Family {
    let kind = Kind::Histogram;
    Family { name, kind, help }
}

pub(super) const STORE_UP: Family = gauge(
    "ductape_store_up",
    "Whether the store has answered within 2 s: 1, else 0, and then there are no other metrics of it.",
);
pub(super) const JOBS: Family = gauge(
    "ductape_jobs",
    "Jobs of the store, by target and state; targets beyond the 1000 with the most jobs that have not ended together, with empty \
     labels. The same from each process with that store: take max, not sum.",
);
pub(super) const STORE_FILE_BYTES: Family = gauge(
    "ductape_store_file_bytes",
    "Length of the file of a SQLite store. The same from each process with that store: take max, not sum.",
);
pub(super) const STORE_LOG_BYTES: Family = gauge(
    "ductape_store_log_bytes",
    "Length of the write-ahead log of a SQLite store. The same from each process with that store: take max, not sum.",
);
pub(super) const DISPATCHES: Family = counter(
    "ductape_dispatches_total",
    "Jobs made by dispatches of this process, by target; targets after the first 1000 together, with empty labels.",
);
pub(super) const RUNS: Family = counter(
    "ductape_runs_total",
    "Attempts that this process has ended, by target and outcome: completed and failed end a run, retried, snoozed, crashed and \
     released do not; targets after the first 1000 together, with empty labels.",
);
pub(super) const RUN_DURATION: Family = histogram(
    "ductape_run_duration_seconds",
    "How long attempts of this process took, by target; targets after the first 100 together, with empty labels.",
);
pub(super) const RUN_LATENESS: Family = histogram(
    "ductape_run_lateness_seconds",
    "How much later than due attempts of this process began, by target; targets after the first 100 together, with empty labels.",
);
pub(super) const STORE_TRANSACTION: Family = histogram(
    "ductape_store_transaction_seconds",
    "How long writing transactions of this process took, with their commit; on PostgreSQL those of dispatches, claims and ends of \
     attempts.",
);
pub(super) const STORE_BATCH: Family = histogram(
    "ductape_store_batch_jobs",
    "How many dispatches and ends of attempts this process has written in one transaction, of transactions that had any.",
);
pub(super) const SLOTS: Family = gauge(
    "ductape_slots",
    "How many runs this process executes at once; 0 when it only dispatches.",
);
pub(super) const SLOTS_BUSY: Family = gauge("ductape_slots_busy", "How many of them are taken.");
pub(super) const RUNS_PREFETCHED: Family = gauge(
    "ductape_runs_prefetched",
    "Runs that this process has claimed and that wait for one of its slots.",
);
pub(super) const LEASE_AGE: Family = gauge(
    "ductape_lease_age_seconds",
    "Time since the lease of this worker was renewed; others take over its runs when that comes to ductape_lease_seconds.",
);
pub(super) const LEASE: Family = gauge("ductape_lease_seconds", "How long the lease of this worker lasts.");
pub(super) const EVENT_LOOP_MEAN: Family = gauge(
    "ductape_event_loop_delay_mean_seconds",
    "Mean delay of the event loop since metrics were last read.",
);
pub(super) const EVENT_LOOP_P99: Family = gauge(
    "ductape_event_loop_delay_p99_seconds",
    "Delay of the event loop that 99 of 100 did not exceed since metrics were last read.",
);
pub(super) const EVENT_LOOP_MAX: Family = gauge(
    "ductape_event_loop_delay_max_seconds",
    "Longest delay of the event loop since metrics were last read.",
);
