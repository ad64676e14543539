//! Who hears what, and in which order.

use super::*;
use crate::model::Namespace;

#[derive(Default)]
struct Ear(Mutex<Vec<(EventKind, String)>>);
impl Listener for Ear {
    fn hear(&self, events: Vec<JobEvent>) {
        let mut heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        heard.extend(events.into_iter().map(|event| (event.kind, event.id.to_string())));
    }
}

fn event(kind: EventKind, id: &str) -> JobEvent {
    let route = Route {
        namespace: Namespace::Features,
        product: "p".into(),
        env: "e".into(),
        target: vec!["t".into()],
    };
    JobEvent::new(kind, 0, JobId::Custom(id.into()), Status::Queued, Arc::new(route), 0)
}

fn listening(mask: u32) -> (Arc<Ear>, Arc<Announcer>) {
    let ear = Arc::new(Ear::default());
    let announcer = Announcer::new(Arc::clone(&ear) as Arc<dyn Listener>);
    announcer.listen(mask);
    (ear, announcer)
}

fn heard(ear: &Ear) -> Vec<(EventKind, String)> {
    ear.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

#[test]
fn an_event_that_nobody_wants_is_not_built() {
    let (ear, announcer) = listening(EventKind::Failed.bit());
    let mut built = false;
    announcer.announce(EventKind::Started, || {
        built = true;
        event(EventKind::Started, "x")
    });
    announcer.announce(EventKind::Failed, || event(EventKind::Failed, "x"));
    assert!(!built);
    assert_eq!(heard(&ear), [(EventKind::Failed, "x".to_owned())]);
}

#[test]
fn later_events_of_a_held_job_wait_for_the_earlier_one() {
    let (ear, announcer) = listening(u32::MAX);
    let hold = announcer.hold([JobId::Custom("x".into())]);
    announcer.announce(EventKind::Started, || event(EventKind::Started, "x"));
    announcer.announce(EventKind::Started, || event(EventKind::Started, "y"));
    hold.release(vec![event(EventKind::Scheduled, "x")]);
    announcer.announce(EventKind::Completed, || event(EventKind::Completed, "x"));
    let kinds: Vec<_> = heard(&ear);
    assert_eq!(
        kinds,
        [
            (EventKind::Started, "y".to_owned()),
            (EventKind::Scheduled, "x".to_owned()),
            (EventKind::Started, "x".to_owned()),
            (EventKind::Completed, "x".to_owned()),
        ]
    );
    assert!(announcer.held().is_empty());
}

#[test]
fn a_job_that_is_held_twice_waits_for_both() {
    let (ear, announcer) = listening(u32::MAX);
    let id = || JobId::Custom("x".into());
    let (first, second) = (announcer.hold([id()]), announcer.hold([id()]));
    announcer.announce(EventKind::Started, || event(EventKind::Started, "x"));
    drop(first);
    assert_eq!(heard(&ear), []);
    drop(second);
    assert_eq!(heard(&ear).len(), 1);
}

#[test]
fn every_kind_has_a_bit_of_its_own() {
    let mask = EventKind::ALL.iter().fold(0, |mask, kind| mask | kind.bit());
    assert_eq!(mask.count_ones() as usize, EventKind::ALL.len());
}
