//! Moves of the scheduler and of time.

use super::super::test_support::*;
use super::Walk;
use super::model::Run;
use crate::model::Status;
use crate::store::{GapKind, Occurrence, OccurrenceGap, SeriesAdvance};

impl Walk<'_> {
    pub(super) async fn advance(&mut self) {
        for due in self.s.due_series(self.now).await {
            let job = self.jobs.get_mut(&due.id.to_string()).unwrap();
            assert_eq!(
                (due.next_at, due.live),
                (job.next_at, i64::try_from(job.runs.len()).unwrap())
            );
            let stale = self.rng.below(5) == 0;
            let new = usize::try_from(self.rng.below(3)).unwrap();
            let next_at =
                (self.rng.below(4) > 0).then_some(self.now + 1 + i64::try_from(self.rng.below(2_000)).unwrap());
            let gap = OccurrenceGap {
                kind: GapKind::Overlap,
                first: due.next_at.unwrap(),
                last: due.next_at.unwrap(),
                count: 1,
            };
            let occurrences = vec![
                Occurrence {
                    scheduled_at: due.next_at.unwrap(),
                    missed: 0
                };
                new
            ];
            let version = due.version - i64::from(stale);
            let advance = SeriesAdvance {
                version,
                occurrences,
                gaps: vec![gap],
                next_at,
                ..SeriesAdvance::unchanged(&due)
            };
            let counted = self.s.store.advance(self.now, vec![advance]).await.unwrap();
            assert_eq!(counted, usize::from(!stale));
            if stale {
                continue;
            }
            for _ in 0..new {
                job.created_runs += 1;
                job.runs.insert(job.created_runs, (Run::Ready, 0));
            }
            job.next_at = next_at;
            if next_at.is_none() && job.runs.is_empty() {
                job.ended = Some(Status::Completed);
            }
        }
        self.fall_due();
    }

    pub(super) async fn pass(&mut self) {
        self.now += self.rng.of(&[1, 10, 1_000, DAY / 2, 2 * DAY]);
        if self.processes.len() < 3 {
            self.processes.push(self.s.process_with(super::SLOTS).await);
        }
    }
}
