use super::*;
use crate::api::schedule::read_plan_of;
use crate::engine::timetable::Timetable;

/// 2026-01-01T00:00:00Z
const NOW: Millis = 1_767_225_600_000;
const DAY: Millis = 86_400_000;

fn dispatched(schedule: &str, now: Millis) -> Recurrence {
    let plan = read_plan_of(schedule, "Europe/Berlin", "seed", now);
    plan.unwrap_or_else(|error| panic!("{schedule}: {error}"))
        .recurrence
        .unwrap()
}

fn shown(recurrence: &Recurrence) -> String {
    serde_json::to_string(&ScheduleView::recurring(recurrence)).unwrap()
}

#[test]
fn what_was_given_is_shown_and_nothing_else() {
    for (schedule, expected) in [
        (
            r#"{"cron":"0 9 * * *"}"#,
            r#"{"cron":"0 9 * * *","tz":"Europe/Berlin"}"#,
        ),
        (r#"{"every":1000}"#, r#"{"start_at":1767225600000,"every":1000}"#),
        (
            r#"{"every":1000,"start_at":5,"tz":"UTC","except":["2026-12-25"]}"#,
            r#"{"start_at":5,"every":1000,"tz":"UTC","except":["2026-12-25"]}"#,
        ),
        (
            r#"{"every":1000,"start_at":5,"tz":"Asia/Tokyo","dst":{"gap":"skip"}}"#,
            r#"{"start_at":5,"every":1000,"tz":"Asia/Tokyo","dst":{"gap":"skip"}}"#,
        ),
        (
            r#"{"interval":"P1M","tz":"Asia/Tokyo","dst":{"gap":"after","overlap":"last"}}"#,
            r#"{"start_at":1767225600000,"interval":"P1M","tz":"Asia/Tokyo","dst":{"overlap":"last"}}"#,
        ),
        (
            r#"{"cron":"@daily","limit":3,"endDate":"2027-01-01","misfire":"all","grace":5,"ifRunning":"allow","spread":60}"#,
            r#"{"cron":"@daily","tz":"Europe/Berlin","limit":3,"endDate":1798758000000,"misfire":"all","grace":5,"ifRunning":"allow","spread":60}"#,
        ),
        (
            r#"{"cron":"@daily","misfire":"once","grace":60000,"ifRunning":"skip","spread":0,"dst":{},"except":[]}"#,
            r#"{"cron":"@daily","tz":"Europe/Berlin"}"#,
        ),
    ] {
        assert_eq!(shown(&dispatched(schedule, NOW)), expected);
    }
    // An interval that ended before its dispatch has no start that another dispatch would take.
    let over = dispatched(r#"{"every":1000,"endDate":5}"#, NOW);
    assert_eq!(shown(&over), r#"{"every":1000,"endDate":5}"#);
    let once = serde_json::to_string(&ScheduleView::one_off(5)).unwrap();
    assert_eq!(once, r#"{"start_at":5}"#);
}

/// A small generator of numbers, the same in each run.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len() as u64) as usize]
    }
}

fn generated(random: &mut Random) -> String {
    let rule = random.pick(&[
        r#""cron":"30 2 * * *""#,
        r#""cron":"*/20 1-3 * * SUN""#,
        r#""cron":"0 0 L * *""#,
        r#""every":1"#,
        r#""every":86400000"#,
        r#""every":999999937"#,
        r#""interval":"P1D""#,
        r#""interval":"P1M""#,
        r#""interval":"P1Y2M3W4D""#,
    ]);
    let mut members = vec![rule.to_owned()];
    let options: [&[&str]; 9] = [
        &[
            r#""tz":"America/New_York""#,
            r#""tz":"UTC""#,
            r#""tz":"Australia/Lord_Howe""#,
        ],
        &[
            r#""start_at":"2024-01-31T02:30""#,
            r#""start_at":"2026-03-29T02:30""#,
            r#""start_at":0"#,
            r#""start_at":1800000000001"#,
        ],
        &[r#""endDate":"2027-06-01""#, r#""endDate":2000000000000"#],
        &[
            r#""except":["2026-03-29","2026-02-28","2026-03-08"]"#,
            r#""except":["2026-01-01"]"#,
        ],
        &[r#""limit":7"#],
        &[r#""misfire":"skip""#, r#""misfire":"all""#],
        &[r#""ifRunning":"allow""#],
        &[r#""spread":3600000"#, r#""spread":7"#],
        &[r#""grace":1"#],
    ];
    for choices in options {
        if random.below(2) == 0 {
            members.push(random.pick(choices).to_owned());
        }
    }
    if random.below(2) == 0 {
        let dst = random.pick(&[
            r#""dst":{"gap":"skip"}"#,
            r#""dst":{"overlap":"both"}"#,
            r#""dst":{"gap":"skip","overlap":"last"}"#,
        ]);
        members.push(dst.to_owned());
    }
    format!("{{{}}}", members.join(","))
}

#[test]
fn a_shown_schedule_dispatched_again_gives_the_same_occurrences() {
    let mut random = Random(1);
    for _ in 0..3_000 {
        let schedule = generated(&mut random);
        let recurrence = dispatched(&schedule, NOW);
        let text = shown(&recurrence);
        // At another time, and where other defaults are in force.
        let later = NOW + random.below(400) as i64 * DAY + random.below(DAY as u64) as i64;
        let again = read_plan_of(&text, "Pacific/Apia", "seed", later).unwrap();
        let again = again.recurrence.unwrap();
        let but_for_start = Recurrence {
            start_at: recurrence.start_at,
            ..again.clone()
        };
        assert_eq!(but_for_start, recurrence, "{schedule} is shown as {text}");
        assert_eq!(shown(&again), text);
        let (one, other) = (
            Timetable::compile(&recurrence).unwrap(),
            Timetable::compile(&again).unwrap(),
        );
        let mut at = later;
        for _ in 0..20 {
            let next = one.run_at_or_after(at + 1);
            assert_eq!(next, other.run_at_or_after(at + 1), "{schedule} is shown as {text}");
            let Some(next) = next else { break };
            at = next;
        }
    }
}
