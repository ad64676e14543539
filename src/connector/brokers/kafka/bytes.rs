//! Numbers and texts as Kafka's protocol writes them, in the versions without tagged fields.
//!
//! Pure. Invariant: reading never goes beyond what is there; what is cut short is `None`.

/// What is written, one value after the other.
#[derive(Default)]
pub(super) struct Writer(pub(super) Vec<u8>);

impl Writer {
    pub(super) fn int8(&mut self, value: i8) {
        self.0.extend(value.to_be_bytes());
    }

    pub(super) fn int16(&mut self, value: i16) {
        self.0.extend(value.to_be_bytes());
    }

    pub(super) fn int32(&mut self, value: i32) {
        self.0.extend(value.to_be_bytes());
    }

    pub(super) fn int64(&mut self, value: i64) {
        self.0.extend(value.to_be_bytes());
    }

    pub(super) fn boolean(&mut self, value: bool) {
        self.0.push(u8::from(value));
    }

    /// The number of bytes or elements that follow.
    pub(super) fn length(&mut self, length: usize) {
        self.int32(i32::try_from(length).unwrap_or(i32::MAX));
    }

    /// A text of less than 32 KiB; longer ones are refused where they come from.
    pub(super) fn string(&mut self, text: &str) {
        self.int16(i16::try_from(text.len()).unwrap_or(i16::MAX));
        self.0.extend(text.as_bytes());
    }

    /// The text that there is none.
    pub(super) fn no_string(&mut self) {
        self.int16(-1);
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.length(bytes.len());
        self.0.extend(bytes);
    }

    /// A number in as few bytes as it needs, near zero on either side.
    pub(super) fn varint(&mut self, value: i64) {
        let mut rest = ((value << 1) ^ (value >> 63)).cast_unsigned();
        loop {
            let [low, ..] = rest.to_le_bytes();
            rest >>= 7;
            if rest == 0 {
                self.0.push(low & 0x7F);
                return;
            }
            self.0.push(low | 0x80);
        }
    }

    /// The number of bytes that follow, then the bytes; `None`: that there are none.
    pub(super) fn varint_bytes(&mut self, bytes: Option<&[u8]>) {
        match bytes {
            Some(bytes) => {
                self.varint(i64::try_from(bytes.len()).unwrap_or(i64::MAX));
                self.0.extend(bytes);
            }
            None => self.varint(-1),
        }
    }
}

/// What is read, one value after the other.
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*taken)
    }

    pub(super) fn int16(&mut self) -> Option<i16> {
        self.take().map(i16::from_be_bytes)
    }

    pub(super) fn int32(&mut self) -> Option<i32> {
        self.take().map(i32::from_be_bytes)
    }

    pub(super) fn int64(&mut self) -> Option<i64> {
        self.take().map(i64::from_be_bytes)
    }

    pub(super) fn boolean(&mut self) -> Option<bool> {
        self.take::<1>().map(|[byte]| byte != 0)
    }

    fn slice(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    /// A text, or the inner `None` where there is none.
    pub(super) fn nullable_string(&mut self) -> Option<Option<&'a str>> {
        match usize::try_from(self.int16()?) {
            Ok(length) => std::str::from_utf8(self.slice(length)?).ok().map(Some),
            Err(_) => Some(None),
        }
    }

    pub(super) fn string(&mut self) -> Option<&'a str> {
        self.nullable_string()?
    }

    pub(super) fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.int32()?).ok()?;
        self.slice(length)
    }

    /// The elements of a list; one that there is not has none.
    pub(super) fn list<T>(&mut self, mut element: impl FnMut(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let count = self.int32()?;
        // Nothing is set aside for a number that may be wrong.
        let mut all = Vec::new();
        for _ in 0..count {
            all.push(element(self)?);
        }
        Some(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_numbers_take_few_bytes() {
        for (value, expected) in [
            (0, &[0][..]),
            (-1, &[1]),
            (1, &[2]),
            (-64, &[0x7F]),
            (64, &[0x80, 0x01]),
            (300, &[0xD8, 0x04]),
            (i64::MAX, &[0xFE, 255, 255, 255, 255, 255, 255, 255, 255, 1]),
            (i64::MIN, &[255, 255, 255, 255, 255, 255, 255, 255, 255, 1]),
        ] {
            let mut writer = Writer::default();
            writer.varint(value);
            assert_eq!(writer.0, expected, "{value}");
        }
    }

    #[test]
    fn what_is_cut_short_is_not_read() {
        let mut writer = Writer::default();
        writer.string("ab");
        writer.no_string();
        writer.length(2);
        writer.int32(7);
        writer.int32(8);
        let read = |bytes: &[u8]| {
            let mut reader = Reader(bytes);
            let first = reader.string()?.to_owned();
            let second = reader.nullable_string()?.is_none();
            Some((first, second, reader.list(Reader::int32)?))
        };
        assert_eq!(read(&writer.0), Some(("ab".to_owned(), true, vec![7, 8])));
        for length in 0..writer.0.len() {
            assert_eq!(read(&writer.0[..length]), None, "{length}");
        }
    }
}
