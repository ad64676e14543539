//! Moves that dispatch jobs, with new and with taken names.

use super::super::test_support::*;
use super::Walk;
use super::keys::UniqueKeyOwner;
use super::model::new_job;
use crate::clock::Millis;
use crate::model::{Action, EventKind, Kind, NewJob, OnConflict};
use crate::store::Inserted;

/// A dispatch in the model.
struct Dispatch {
    name: String,
    /// Last part of its route.
    on: &'static str,
    recurring: bool,
    /// Interval of a recurring job, ms.
    interval: i64,
    /// `None`: a series without future occurrences.
    due: Option<Millis>,
    job: NewJob,
}

impl Walk<'_> {
    pub(super) async fn insert(&mut self) {
        let dispatch = self.random_dispatch();
        let answer = self.s.insert_at(vec![dispatch.job.clone()], self.now).await.remove(0);
        let owner = self.unique_key_owner(&dispatch.name, dispatch.on, dispatch.job.options.unique.as_ref());
        match owner {
            _ if self.jobs.contains_key(&dispatch.name) => self.check_redispatch(&dispatch, owner, answer),
            Some(owner) => self.check_duplicate(&owner, &answer),
            None => self.check_new_job(&dispatch, &answer),
        }
    }

    fn random_dispatch(&mut self) -> Dispatch {
        let name = self.random_name();
        let recurring = name.ends_with('3') || name.ends_with('7');
        let (due, priority) = (self.random_time(), i32::try_from(self.rng.below(3)).unwrap());
        let on = self.rng.of(&["a", "b", "c"]);
        let interval = self.rng.of(&[1_000, 1_000, 2_000]);
        let base = NewJob {
            recurrence: recurring.then(|| every(interval)),
            ..if recurring { series(&name) } else { one_off(&name) }
        };
        let over = recurring && self.rng.below(8) == 0;
        let due = (!over).then_some(due);
        let options = self.options();
        let on_conflict = if self.rng.below(3) > 0 {
            OnConflict::Replace
        } else {
            OnConflict::Return
        };
        let job = NewJob {
            due,
            priority,
            route: route(on).into(),
            created: self.now,
            options,
            on_conflict,
            ..base
        };
        Dispatch {
            name,
            on,
            recurring,
            interval,
            due,
            job,
        }
    }

    fn check_new_job(&mut self, dispatch: &Dispatch, answer: &Inserted) {
        assert_eq!(*answer, Inserted::Created);
        self.incarnations += 1;
        let interval = dispatch.recurring.then_some(dispatch.interval);
        let new = new_job(interval, dispatch.due, self.now, self.incarnations);
        self.jobs.insert(dispatch.name.clone(), new);
        self.keep(&dispatch.name, dispatch.on, &dispatch.job.options);
        if dispatch.due.is_some() {
            self.expect_event(EventKind::Scheduled, &dispatch.name);
        }
    }

    /// Checks the answer to a dispatch whose name was taken.
    fn check_redispatch(&mut self, dispatch: &Dispatch, owner: Option<UniqueKeyOwner>, answer: Inserted) {
        let known = self.jobs.get_mut(&dispatch.name).unwrap();
        let replace = dispatch.job.on_conflict == OnConflict::Replace;
        let replaceable = known.recurring || known.status().allows(Action::ReplaceOneOff, Kind::OneOff);
        match answer {
            Inserted::Existing(summary) => assert!(!replace && summary.status == known.status()),
            Inserted::Refused(..) => panic!("nothing here cannot be stored"),
            Inserted::Conflict(_) => assert!(replace && (owner.is_some() || !replaceable)),
            Inserted::Replaced(summary) => {
                known.replace(dispatch.due, dispatch.interval, self.now);
                assert!(replace && owner.is_none(), "{known:?} {owner:?}");
                assert_eq!(summary.status, known.status(), "{known:?}");
                self.keep(&dispatch.name, dispatch.on, &dispatch.job.options);
                self.expect_event(EventKind::Scheduled, &dispatch.name);
            }
            other => panic!("{} was there: {other:?}", dispatch.name),
        }
    }
}
