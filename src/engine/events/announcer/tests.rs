//! Who hears what, and in which order.

use super::*;
use crate::model::Namespace;

#[derive(Default)]
struct RecordingListener(Mutex<Vec<(EventKind, String)>>);
impl Listener for RecordingListener {
    fn on_events(&self, events: Vec<JobEvent>) {
        let mut received = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        received.extend(events.into_iter().map(|event| (event.kind, event.id.to_string())));
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

fn listening(mask: u32) -> (Arc<RecordingListener>, Arc<Announcer>) {
    let listener = Arc::new(RecordingListener::default());
    let announcer = Announcer::new(Arc::clone(&listener) as Arc<dyn Listener>);
    announcer.listen(mask);
    (listener, announcer)
}

fn received_events(listener: &RecordingListener) -> Vec<(EventKind, String)> {
    listener.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

#[test]
fn an_event_that_nobody_wants_is_not_built() {
    let (listener, announcer) = listening(EventKind::Failed.bit());
    let mut built = false;
    announcer.announce(EventKind::Started, || {
        built = true;
        event(EventKind::Started, "x")
    });
    announcer.announce(EventKind::Failed, || event(EventKind::Failed, "x"));
    assert!(!built);
    assert_eq!(received_events(&listener), [(EventKind::Failed, "x".to_owned())]);
}

#[test]
fn later_events_of_a_deferred_job_wait_for_the_earlier_one() {
    let (listener, announcer) = listening(u32::MAX);
    let deferral = announcer.defer([JobId::Custom("x".into())]);
    announcer.announce(EventKind::Started, || event(EventKind::Started, "x"));
    announcer.announce(EventKind::Started, || event(EventKind::Started, "y"));
    deferral.release(vec![event(EventKind::Scheduled, "x")]);
    announcer.announce(EventKind::Completed, || event(EventKind::Completed, "x"));
    let kinds: Vec<_> = received_events(&listener);
    assert_eq!(
        kinds,
        [
            (EventKind::Started, "y".to_owned()),
            (EventKind::Scheduled, "x".to_owned()),
            (EventKind::Started, "x".to_owned()),
            (EventKind::Completed, "x".to_owned()),
        ]
    );
    assert!(announcer.deferred().is_empty());
}

#[test]
fn events_deferred_twice_wait_for_both_deferrals() {
    let (listener, announcer) = listening(u32::MAX);
    let id = || JobId::Custom("x".into());
    let (first, second) = (announcer.defer([id()]), announcer.defer([id()]));
    announcer.announce(EventKind::Started, || event(EventKind::Started, "x"));
    drop(first);
    assert_eq!(received_events(&listener), []);
    drop(second);
    assert_eq!(received_events(&listener).len(), 1);
}

#[test]
fn every_kind_has_a_bit_of_its_own() {
    let mask = EventKind::ALL.iter().fold(0, |mask, kind| mask | kind.bit());
    assert_eq!(mask.count_ones() as usize, EventKind::ALL.len());
}
