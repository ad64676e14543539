//! Real clock changes: zone, instant, and the offsets before and after. No other change of the
//! zone lies within three days.
#![allow(dead_code, reason = "each test uses its part")]

use std::sync::OnceLock;

/// A clock change.
pub struct Transition {
    pub zone: &'static str,
    /// The first whole minute with the new offset, in UTC.
    pub at: &'static str,
    /// The offsets as decimal digits hours_minutes_seconds: -4_30_00 is 4 h 30 min west.
    before: i64,
    after: i64,
    minute: OnceLock<i64>,
}

const fn change(zone: &'static str, at: &'static str, before: i64, after: i64) -> Transition {
    Transition {
        zone,
        at,
        before,
        after,
        minute: OnceLock::new(),
    }
}

/// The changes of the table.
pub static TRANSITIONS: [Transition; 24] = [
    change("America/New_York", "2025-03-09T07:00Z", -5_00_00, -4_00_00),
    change("America/New_York", "2025-11-02T06:00Z", -4_00_00, -5_00_00),
    change("Europe/London", "2026-03-29T01:00Z", 0, 1_00_00),
    change("Europe/London", "2026-10-25T01:00Z", 1_00_00, 0),
    change("Europe/Dublin", "2026-10-25T01:00Z", 1_00_00, 0),
    change("Australia/Lord_Howe", "2025-10-04T15:30Z", 10_30_00, 11_00_00),
    change("Australia/Lord_Howe", "2026-04-04T15:00Z", 11_00_00, 10_30_00),
    change("Pacific/Apia", "2011-12-30T10:00Z", -10_00_00, 14_00_00),
    change("America/Havana", "2025-03-09T05:00Z", -5_00_00, -4_00_00),
    change("America/Havana", "2025-11-02T05:00Z", -4_00_00, -5_00_00),
    change("Africa/Casablanca", "2025-02-23T02:00Z", 1_00_00, 0),
    change("Africa/Casablanca", "2025-04-06T02:00Z", 0, 1_00_00),
    change("America/Vancouver", "2025-11-02T09:00Z", -7_00_00, -8_00_00),
    change("America/Vancouver", "2026-03-08T10:00Z", -8_00_00, -7_00_00),
    change("Antarctica/Troll", "2025-03-30T01:00Z", 0, 2_00_00),
    change("Antarctica/Troll", "2025-10-26T01:00Z", 2_00_00, 0),
    change("America/Sao_Paulo", "2018-11-04T03:00Z", -3_00_00, -2_00_00),
    change("America/Sao_Paulo", "2018-02-18T02:00Z", -2_00_00, -3_00_00),
    change("Africa/Cairo", "2025-04-24T22:00Z", 2_00_00, 3_00_00),
    change("America/Caracas", "2016-05-01T07:00Z", -4_30_00, -4_00_00),
    change("Asia/Kathmandu", "1985-12-31T18:30Z", 5_30_00, 5_45_00),
    change("Antarctica/Casey", "2010-03-04T15:00Z", 11_00_00, 8_00_00),
    change("Pacific/Kwajalein", "1969-09-30T13:00Z", 11_00_00, -12_00_00),
    change("Europe/Moscow", "1916-07-02T21:30Z", 2_30_17, 2_31_19),
];

impl Transition {
    /// The first minute after the change, since 1970.
    pub fn minute(&self) -> i64 {
        *self.minute.get_or_init(|| {
            let at = chrono::NaiveDateTime::parse_from_str(self.at, "%Y-%m-%dT%H:%MZ");
            at.expect("an instant").and_utc().timestamp() / 60
        })
    }

    /// Offsets before and after in seconds.
    pub fn offsets(&self) -> (i64, i64) {
        let seconds = |decimal: i64| {
            let (hours, rest) = (decimal / 1_00_00, decimal % 1_00_00);
            hours * 3_600 + rest / 1_00 * 60 + rest % 1_00
        };
        (seconds(self.before), seconds(self.after))
    }

    /// The wall clock at a minute, in minutes since 1970-01-01T00:00 local time.
    pub fn local(&self, minute: i64) -> i64 {
        let (before, after) = self.offsets();
        let offset = if minute < self.minute() { before } else { after };
        (minute * 60 + offset).div_euclid(60)
    }

    /// The local hour in which the change happens.
    pub fn hour(&self) -> i64 {
        self.local(self.minute() - 1).div_euclid(60).rem_euclid(24)
    }
}
