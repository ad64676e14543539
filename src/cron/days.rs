//! Which days of a month an expression's two day fields select.
//!
//! It must not know hours, zones or syntax. Invariant: the answer depends only on the length of
//! the month and the weekday on which it begins, so 28 kinds of month exist in all.

/// The selection of days, ready to be applied to a month.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct DayRule {
    /// Whether day-of-month is exactly `*` or `?`.
    pub any_day: bool,
    /// Whether day-of-week is exactly `*` or `?`.
    pub any_weekday: bool,
    /// `L`: the last day of the month.
    pub last_day: bool,
    /// `LW`: the last day from Monday to Friday.
    pub last_workday: bool,
    /// Bit n: day n of the month.
    pub days: u32,
    /// Bit n: `nW`, the day from Monday to Friday nearest to day n, within the month.
    pub near_workday: u32,
    /// Bit w: every weekday w, 0 for Sunday.
    pub weekdays: u8,
    /// Bit `8 w + k`: `w#k`, the k-th weekday w; k = [`LAST_ORDINAL`] is `wL`, the last one.
    pub nth: u64,
}

/// The ordinal that stands for the last weekday of its kind in [`DayRule::nth`].
pub(super) const LAST_ORDINAL: u32 = 6;

impl DayRule {
    /// Selects no day; the parser starts from this.
    pub(super) const NONE: DayRule = DayRule {
        any_day: false,
        any_weekday: false,
        last_day: false,
        last_workday: false,
        days: 0,
        near_workday: 0,
        weekdays: 0,
        nth: 0,
    };

    /// The selected days of a month with `length` days whose first is weekday `first`: bit n for
    /// day n. Two restricted fields select a day when either does.
    pub(super) fn in_month(&self, length: u32, first: u32) -> u32 {
        let all = (2_u32 << length).wrapping_sub(2);
        let selected = match (self.any_day, self.any_weekday) {
            (true, true) => all,
            (true, false) => self.by_weekday(length, first),
            (false, true) => self.by_day(length, first),
            (false, false) => self.by_day(length, first) | self.by_weekday(length, first),
        };
        selected & all
    }

    fn by_day(&self, length: u32, first: u32) -> u32 {
        let mut selected = self.days;
        if self.last_day {
            selected |= 1 << length;
        }
        if self.last_workday {
            selected |= 1 << nearest_workday(length, length, first);
        }
        // Days that the month lacks are dropped first: `31W` does not fire in April.
        for day in bits(u64::from(self.near_workday)).take_while(|day| *day <= length) {
            selected |= 1 << nearest_workday(day, length, first);
        }
        selected
    }

    fn by_weekday(&self, length: u32, first: u32) -> u32 {
        let weekdays = u64::from(self.weekdays);
        // One week beginning with the weekday of day 1, repeated to cover the month.
        let week = ((weekdays >> first) | (weekdays << (7 - first))) & 0x7f;
        let repeated = week | week << 7 | week << 14 | week << 21 | week << 28;
        let mut selected = (repeated << 1) as u32;
        for bit in bits(self.nth) {
            let (weekday, ordinal) = (bit / 8, bit % 8);
            let earliest = 1 + (weekday + 7 - first) % 7;
            let day = match ordinal {
                LAST_ORDINAL => earliest + 7 * ((length - earliest) / 7),
                _ => earliest + 7 * (ordinal - 1),
            };
            if day <= length {
                selected |= 1 << day;
            }
        }
        selected
    }
}

/// The day from Monday to Friday nearest to `day` that lies in the same month.
fn nearest_workday(day: u32, length: u32, first: u32) -> u32 {
    match (first + day - 1) % 7 {
        0 if day < length => day + 1,
        0 => day - 2,
        6 if day > 1 => day - 1,
        6 => day + 2,
        _ => day,
    }
}

/// The positions of the bits that are set, lowest first.
fn bits(mut mask: u64) -> impl Iterator<Item = u32> {
    std::iter::from_fn(move || {
        let lowest = mask.trailing_zeros();
        mask &= mask.wrapping_sub(1);
        (lowest < u64::BITS).then_some(lowest)
    })
}
