//! Random valid expressions from a seeded generator, so that failures are reproducible.
#![allow(dead_code, reason = "each test uses its part")]

/// A SplitMix64 generator.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from `first` to `last`.
    pub fn between(&mut self, first: i64, last: i64) -> i64 {
        first + (self.next() % (last - first + 1) as u64) as i64
    }

    pub fn chance(&mut self, percent: i64) -> bool {
        self.between(1, 100) <= percent
    }

    pub fn pick<'t, T>(&mut self, values: &'t [T]) -> &'t T {
        &values[self.next() as usize % values.len()]
    }
}

const MONTHS: [&str; 12] = [
    "jan", "Feb", "MAR", "apr", "May", "JUN", "jul", "Aug", "SEP", "oct", "Nov", "DEC",
];
const WEEKDAYS: [&str; 7] = ["sun", "Mon", "TUE", "wed", "Thu", "FRI", "sat"];

/// Five random fields that use the whole syntax.
pub fn expression(random: &mut Random) -> String {
    let minute = list(random, 30, |random| plain(random, 0, 59, 60));
    let hour = list(random, 40, |random| plain(random, 0, 23, 24));
    let day = list(random, 50, |random| match random.between(0, 9) {
        0 => "L".to_owned(),
        1 => "LW".to_owned(),
        2 => format!("{}W", random.between(1, 31)),
        _ => plain(random, 1, 31, 31),
    });
    let month = list(random, 60, |random| match random.chance(30) {
        true => random.pick(&MONTHS).to_string(),
        false => plain(random, 1, 12, 12),
    });
    let weekday = list(random, 50, |random| match random.between(0, 9) {
        0 => format!("{}#{}", random.between(0, 7), random.between(1, 5)),
        1 => format!("{}L", random.between(0, 7)),
        2 | 3 => random.pick(&WEEKDAYS).to_string(),
        4 => "5-7".to_owned(),
        _ => plain(random, 0, 6, 7),
    });
    format!("{minute} {hour} {day} {month} {weekday}")
}

/// Five random fields without `L`, `W` and `#`, with frequent dates and with hours around
/// `hour`, so that matches are likely near a clock change.
pub fn expression_around(random: &mut Random, hour: i64) -> String {
    let minute = list(random, 25, |random| plain(random, 0, 59, 60));
    let hour = list(random, 25, |random| match random.chance(60) {
        true => (hour + random.between(-2, 2)).rem_euclid(24).to_string(),
        false => plain(random, 0, 23, 24),
    });
    let day = list(random, 75, |random| plain(random, 1, 31, 31));
    let month = list(random, 90, |random| plain(random, 1, 12, 12));
    let weekday = list(random, 75, |random| plain(random, 0, 6, 7));
    format!("{minute} {hour} {day} {month} {weekday}")
}

/// `*` in that many percent of cases, else one to three items.
fn list(random: &mut Random, stars: i64, item: impl Fn(&mut Random) -> String) -> String {
    if random.chance(stars) {
        return "*".to_owned();
    }
    let count = *random.pick(&[1, 1, 1, 2, 2, 3]);
    (0..count).map(|_| item(random)).collect::<Vec<_>>().join(",")
}

/// A value, a range, a stepped range or a stepped star.
fn plain(random: &mut Random, smallest: i64, largest: i64, steps: i64) -> String {
    let first = random.between(smallest, largest);
    let last = random.between(first, largest);
    let step = random.between(1, steps.min(20));
    match random.between(0, 9) {
        0 => format!("{first}-{last}"),
        1 => format!("{first}-{last}/{step}"),
        2 | 3 => format!("*/{step}"),
        _ => first.to_string(),
    }
}
