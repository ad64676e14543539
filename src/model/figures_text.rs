//! Reads figures from their stored form: a chart reads tens of thousands of rows, and nothing of them is kept but their sums.
//!
//! Invariant: what it reads is what `serde_json` reads; of anything else than what this package writes it says so.

use super::figures::Figures;

/// A text that is read from its beginning.
struct Cursor<'a>(&'a [u8]);

impl Cursor<'_> {
    fn take(&mut self, expected: u8) -> Option<()> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        (*first == expected).then_some(())
    }

    /// The next byte, if it is one of these two.
    fn either(&mut self, one: u8, other: u8) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        (*first == one || *first == other).then_some(*first)
    }

    fn number(&mut self) -> Option<u64> {
        let digits = self.0.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (text, rest) = self.0.split_at_checked(digits)?;
        self.0 = rest;
        let mut number = 0_u64;
        for digit in text {
            number = number.checked_mul(10)?.checked_add(u64::from(digit - b'0'))?;
        }
        (digits > 0).then_some(number)
    }

    /// The name of a field, which has one letter.
    fn name(&mut self) -> Option<u8> {
        let (&[b'"', name, b'"', b':'], rest) = self.0.split_first_chunk()? else {
            return None;
        };
        self.0 = rest;
        Some(name)
    }

    /// The fields of an object, each read by `field`.
    fn object(&mut self, mut field: impl FnMut(&mut Self, u8) -> Option<()>) -> Option<()> {
        self.take(b'{')?;
        if self.0.first() == Some(&b'}') {
            return self.take(b'}');
        }
        loop {
            let name = self.name()?;
            field(self, name)?;
            if self.either(b',', b'}')? == b'}' {
                return Some(());
            }
        }
    }

    fn bins(&mut self, mut bin: impl FnMut(u8, u64)) -> Option<()> {
        self.take(b'[')?;
        loop {
            self.take(b'[')?;
            let number = self.number()?;
            self.take(b',')?;
            bin(u8::try_from(number).ok()?, self.number()?);
            self.take(b']')?;
            if self.either(b',', b']')? == b']' {
                return Some(());
            }
        }
    }
}

impl Figures {
    /// Becomes what this text says, in the memory that it has. `None`: this package did not write it; what is there then means nothing.
    pub fn read(&mut self, text: &str) -> Option<()> {
        self.clear();
        let mut cursor = Cursor(text.as_bytes());
        cursor.object(|cursor, name| {
            let counter = match name {
                b'n' => &mut self.dispatched,
                b'c' => &mut self.completed,
                b't' => &mut self.first_try,
                b'f' => &mut self.failed,
                b'e' => &mut self.spent_retries,
                b'r' => &mut self.retried,
                b'z' => &mut self.snoozed,
                b'k' => &mut self.crashed,
                b'd' | b'l' => {
                    let histogram = if name == b'd' {
                        &mut self.duration
                    } else {
                        &mut self.lateness
                    };
                    return cursor.object(|cursor, name| match name {
                        b'b' => cursor.bins(|bin, count| histogram.push(bin, count)),
                        b's' => histogram.set_sum(cursor.number()?),
                        b'm' => histogram.set_max(cursor.number()?),
                        _ => None,
                    });
                }
                _ => return None,
            };
            *counter = cursor.number()?;
            Some(())
        })?;
        let is_whole = cursor.0.is_empty() && self.duration.is_ascending() && self.lateness.is_ascending();
        is_whole.then_some(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_is_written_is_read_and_anything_else_is_told() {
        let mut figures = Figures {
            dispatched: 1,
            completed: 20,
            first_try: 300,
            failed: u64::MAX,
            spent_retries: 5,
            retried: 6,
            snoozed: 7,
            crashed: 8,
            ..Figures::default()
        };
        for ms in [0, 5, 5, 70_000, i64::MAX] {
            figures.duration.record(ms);
        }
        figures.lateness.record(3);
        let mut read = Figures::default();
        for known in [figures, Figures::default()] {
            let text = serde_json::to_string(&known).unwrap();
            // Into what another text has left.
            read.read(&text).unwrap();
            assert_eq!(read, known);
            for end in 0..text.len() {
                assert_eq!(Figures::default().read(&text[..end]), None, "{}", &text[..end]);
            }
        }
        for text in [
            r#"{"n":1} "#,
            r#"{ "n":1}"#,
            r#"{"n":-1}"#,
            r#"{"n":1.5}"#,
            r#"{"n":18446744073709551616}"#,
            r#"{"x":1}"#,
            r#"{"nn":1}"#,
            r#"{"n":1,}"#,
            r#"{"d":{"b":[]}}"#,
            r#"{"d":{"b":[[256,1]]}}"#,
            r#"{"d":{"b":[[5,1],[4,1]]}}"#,
            "[]",
            "",
        ] {
            assert_eq!(Figures::default().read(text), None, "{text}");
        }
    }
}
