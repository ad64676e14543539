//! Processes as they are told of.
#![allow(missing_docs, clippy::unwrap_used, clippy::missing_panics_doc)]

use super::test_support::*;
use crate::store::{Liveness, Process};

async fn processes(s: &TestStore) -> Vec<Process> {
    s.store.processes(T0).await.unwrap()
}

pub async fn registered_processes_are_listed_with_where_they_run_and_what_they_hold(s: &TestStore) {
    assert_eq!(processes(s).await, []);
    s.insert(vec![one_off("x"), one_off("y"), one_off("z")]).await;
    let busy = s.process_with(2).await;
    assert_eq!(s.claim(busy, T0).await.len(), 3);
    s.pass(4_000);
    assert!(s.store.renew(busy, LEASE).await.unwrap());
    s.pass(1_000);
    let idle = s.process_with(7).await;
    let told = processes(s).await;
    assert_eq!(told.iter().map(|process| process.id).collect::<Vec<_>>(), [busy, idle]);
    let [busy, idle] = &told[..] else { return };
    assert_eq!(
        (busy.registered_at, busy.seen_at, busy.lease_ends_at),
        (Some(T0 - 5_000), Some(T0 - 1_000), Some(T0 - 1_000 + LEASE))
    );
    assert_eq!((busy.slots, busy.claimed, busy.running()), (Some(2), 3, 2));
    assert_eq!((idle.slots, idle.claimed, idle.running()), (Some(7), 0, 0));
    assert_eq!(idle.registered_at, Some(T0));
    for process in &told {
        assert_eq!(process.liveness, Liveness::Alive);
        assert_eq!(process.pid, Some(i64::from(std::process::id())));
        assert!(process.host.as_deref().is_some_and(|host| !host.is_empty()));
    }
    assert_eq!((&busy.version, &busy.handlers), (&None, &None));
    s.store.describe(busy.id, "1.2.3", "[]").await.unwrap();
    let described = processes(s).await.remove(0);
    assert_eq!(
        (described.version.as_deref(), described.handlers.as_deref()),
        (Some("1.2.3"), Some("[]"))
    );
    s.store.unregister(busy.id, T0).await.unwrap();
    assert_eq!(processes(s).await, std::slice::from_ref(idle));
}

pub async fn a_process_that_does_not_renew_its_lease_is_told_as_silent(s: &TestStore) {
    let process = s.process().await;
    s.pass(LEASE - 1);
    assert_eq!(processes(s).await[0].liveness, Liveness::Alive);
    s.pass(1);
    let told = processes(s).await.remove(0);
    assert_eq!(
        (told.id, told.liveness, told.lease_ends_at),
        (process, Liveness::Silent, Some(T0))
    );
}
