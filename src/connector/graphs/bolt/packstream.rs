//! PackStream, the encoding of Bolt: values to bytes and back. Pure.
//!
//! Invariants: reading is bounded in depth and in the number of values, and never panics; integers are written in their
//! shortest form.

/// A value of Bolt.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::connector::graphs) enum Value {
    Null,
    Bool(bool),
    Integer(i64),
    Float(f64),
    Bytes(Vec<u8>),
    Text(Box<str>),
    List(Vec<Value>),
    Map(Vec<(Box<str>, Value)>),
    /// A node, a point, a date and so on, by its tag; also each message.
    Structure(u8, Vec<Value>),
}

/// Nesting of values that is read.
const MAX_DEPTH: usize = 64;
/// Values in one message; a result of the largest size has fewer.
const MAX_VALUES: usize = 1_000_000;

impl Value {
    pub(in crate::connector::graphs) fn text(text: &str) -> Self {
        Self::Text(text.into())
    }

    /// The member of a map.
    pub(in crate::connector::graphs) fn get(&self, name: &str) -> Option<&Self> {
        let Self::Map(entries) = self else { return None };
        entries.iter().find(|(key, _)| **key == *name).map(|(_, value)| value)
    }

    pub(in crate::connector::graphs) fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(in crate::connector::graphs) fn as_integer(&self) -> Option<i64> {
        match self {
            Self::Integer(number) => Some(*number),
            _ => None,
        }
    }

    pub(in crate::connector::graphs) fn as_list(&self) -> Option<&[Self]> {
        match self {
            Self::List(list) => Some(list),
            _ => None,
        }
    }

    /// Appends the value's bytes.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Null => out.push(0xC0),
            Self::Bool(value) => out.push(if *value { 0xC3 } else { 0xC2 }),
            Self::Integer(number) => write_integer(*number, out),
            Self::Float(number) => {
                out.push(0xC1);
                out.extend(number.to_be_bytes());
            }
            Self::Bytes(bytes) => {
                write_size(bytes.len(), None, [0xCC, 0xCD, 0xCE], out);
                out.extend(bytes);
            }
            Self::Text(text) => {
                write_size(text.len(), Some(0x80), [0xD0, 0xD1, 0xD2], out);
                out.extend(text.as_bytes());
            }
            Self::List(list) => {
                write_size(list.len(), Some(0x90), [0xD4, 0xD5, 0xD6], out);
                list.iter().for_each(|value| value.write(out));
            }
            Self::Map(entries) => {
                write_size(entries.len(), Some(0xA0), [0xD8, 0xD9, 0xDA], out);
                for (key, value) in entries {
                    write_size(key.len(), Some(0x80), [0xD0, 0xD1, 0xD2], out);
                    out.extend(key.as_bytes());
                    value.write(out);
                }
            }
            Self::Structure(tag, fields) => {
                // Structures have at most 15 fields.
                out.push(0xB0 | (fields.len() as u8 & 0x0F));
                out.push(*tag);
                fields.iter().for_each(|field| field.write(out));
            }
        }
    }
}

fn write_integer(number: i64, out: &mut Vec<u8>) {
    if (-16..=127).contains(&number) {
        out.push(number as u8);
    } else if let Ok(number) = i8::try_from(number) {
        out.push(0xC8);
        out.extend(number.to_be_bytes());
    } else if let Ok(number) = i16::try_from(number) {
        out.push(0xC9);
        out.extend(number.to_be_bytes());
    } else if let Ok(number) = i32::try_from(number) {
        out.push(0xCA);
        out.extend(number.to_be_bytes());
    } else {
        out.push(0xCB);
        out.extend(number.to_be_bytes());
    }
}

/// Writes a size below 16 into the marker `tiny`, if there is one, else in one, two or four bytes behind a marker of `wide`.
fn write_size(size: usize, tiny: Option<u8>, wide: [u8; 3], out: &mut Vec<u8>) {
    match (tiny, size) {
        (Some(marker), 0..=15) => out.push(marker | size as u8),
        (_, 0..=0xFF) => out.extend([wide[0], size as u8]),
        (_, 0x100..=0xFFFF) => {
            out.push(wide[1]);
            out.extend((size as u16).to_be_bytes());
        }
        _ => {
            out.push(wide[2]);
            // What is sent comes from inputs, which are bounded far below.
            out.extend(u32::try_from(size).unwrap_or(u32::MAX).to_be_bytes());
        }
    }
}

/// Reads the one value that the bytes hold; `None`: they hold something else, or more than is read.
pub(in crate::connector::graphs) fn read(bytes: &[u8]) -> Option<Value> {
    let mut reader = Reader { bytes, values: 0 };
    let value = reader.value(0)?;
    reader.bytes.is_empty().then_some(value)
}

/// What is left to be read.
struct Reader<'a> {
    bytes: &'a [u8],
    values: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.bytes.split_at_checked(count)?;
        self.bytes = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    /// A size of one, two or four bytes.
    fn size(&mut self, exponent: u8) -> Option<usize> {
        match exponent {
            0 => self.array().map(|[byte]: [u8; 1]| usize::from(byte)),
            1 => self.array().map(|bytes| usize::from(u16::from_be_bytes(bytes))),
            _ => usize::try_from(u32::from_be_bytes(self.array()?)).ok(),
        }
    }

    fn value(&mut self, depth: usize) -> Option<Value> {
        self.values += 1;
        if depth > MAX_DEPTH || self.values > MAX_VALUES {
            return None;
        }
        let [marker] = self.array()?;
        let tiny = usize::from(marker & 0x0F);
        Some(match marker {
            0x00..=0x7F | 0xF0..=0xFF => Value::Integer(i64::from(marker as i8)),
            0x80..=0x8F => self.text(tiny)?,
            0x90..=0x9F => self.list(tiny, depth)?,
            0xA0..=0xAF => self.map(tiny, depth)?,
            0xB0..=0xBF => {
                let [tag] = self.array()?;
                let Value::List(fields) = self.list(tiny, depth)? else {
                    return None;
                };
                Value::Structure(tag, fields)
            }
            0xC0 => Value::Null,
            0xC1 => Value::Float(f64::from_be_bytes(self.array()?)),
            0xC2 => Value::Bool(false),
            0xC3 => Value::Bool(true),
            0xC8 => Value::Integer(i8::from_be_bytes(self.array()?).into()),
            0xC9 => Value::Integer(i16::from_be_bytes(self.array()?).into()),
            0xCA => Value::Integer(i32::from_be_bytes(self.array()?).into()),
            0xCB => Value::Integer(i64::from_be_bytes(self.array()?)),
            0xCC..=0xCE => {
                let size = self.size(marker - 0xCC)?;
                Value::Bytes(self.take(size)?.to_vec())
            }
            0xD0..=0xD2 => {
                let size = self.size(marker - 0xD0)?;
                self.text(size)?
            }
            0xD4..=0xD6 => {
                let size = self.size(marker - 0xD4)?;
                self.list(size, depth)?
            }
            0xD8..=0xDA => {
                let size = self.size(marker - 0xD8)?;
                self.map(size, depth)?
            }
            _ => return None,
        })
    }

    fn string(&mut self, size: usize) -> Option<Box<str>> {
        std::str::from_utf8(self.take(size)?).ok().map(Into::into)
    }

    fn text(&mut self, size: usize) -> Option<Value> {
        self.string(size).map(Value::Text)
    }

    fn list(&mut self, size: usize, depth: usize) -> Option<Value> {
        // Each element has a byte at least: a size that lies reserves nothing.
        let mut list = Vec::with_capacity(size.min(self.bytes.len()).min(MAX_VALUES));
        for _ in 0..size {
            list.push(self.value(depth + 1)?);
        }
        Some(Value::List(list))
    }

    fn map(&mut self, size: usize, depth: usize) -> Option<Value> {
        let mut entries = Vec::with_capacity(size.min(self.bytes.len()).min(MAX_VALUES));
        for _ in 0..size {
            let Value::Text(key) = self.value(depth + 1)? else {
                return None;
            };
            entries.push((key, self.value(depth + 1)?));
        }
        Some(Value::Map(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(value: &Value) -> Vec<u8> {
        let mut out = Vec::new();
        value.write(&mut out);
        out
    }

    fn map(entries: &[(&str, Value)]) -> Value {
        let entries = entries.iter().map(|(key, value)| ((*key).into(), value.clone()));
        Value::Map(entries.collect())
    }

    fn hex(text: &str) -> Vec<u8> {
        let digits: Vec<u8> = text.bytes().filter(|byte| *byte != b' ').collect();
        let pairs = digits.chunks(2);
        pairs
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect()
    }

    #[test]
    fn values_have_the_bytes_of_the_published_examples() {
        let letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
        let mut of_letters = hex("D0 1A");
        of_letters.extend(letters.bytes());
        let mut pairs_of_letters = hex("D8 1A");
        for (value, letter) in letters.chars().enumerate() {
            pairs_of_letters.extend([0x81, letter as u8, value as u8 + 1]);
        }
        let counted: Vec<_> = letters
            .chars()
            .zip(1..)
            .map(|(letter, at)| (letter.to_string(), at))
            .collect();
        let counted = counted
            .iter()
            .map(|(letter, at)| (letter.as_str().into(), Value::Integer(*at)));
        let counted = Value::Map(counted.collect());
        let mut forty = hex("D4 28");
        forty.extend(1..=40);
        for (value, expected) in [
            (Value::Null, hex("C0")),
            (Value::Bool(true), hex("C3")),
            (Value::Bool(false), hex("C2")),
            (Value::Integer(1), hex("01")),
            (Value::Integer(42), hex("2A")),
            (Value::Integer(1_234), hex("C9 04 D2")),
            (Value::Integer(-1), hex("FF")),
            (Value::Integer(-16), hex("F0")),
            (Value::Integer(-17), hex("C8 EF")),
            (Value::Integer(-128), hex("C8 80")),
            (Value::Integer(128), hex("C9 00 80")),
            (Value::Integer(32_767), hex("C9 7F FF")),
            (Value::Integer(32_768), hex("CA 00 00 80 00")),
            (Value::Integer(-2_147_483_649), hex("CB FF FF FF FF 7F FF FF FF")),
            (Value::Integer(i64::MIN), hex("CB 80 00 00 00 00 00 00 00")),
            (Value::Integer(i64::MAX), hex("CB 7F FF FF FF FF FF FF FF")),
            (Value::Float(1.23), hex("C1 3F F3 AE 14 7A E1 47 AE")),
            (Value::Bytes(vec![]), hex("CC 00")),
            (Value::Bytes(vec![1, 2, 3]), hex("CC 03 01 02 03")),
            (Value::text(""), hex("80")),
            (Value::text("A"), hex("81 41")),
            (Value::text(letters), of_letters),
            (
                Value::text("Größenmaßstäbe"),
                hex("D0 12 47 72 C3 B6 C3 9F 65 6E 6D 61 C3 9F 73 74 C3 A4 62 65"),
            ),
            (Value::List(vec![]), hex("90")),
            (Value::List((1..=3).map(Value::Integer).collect()), hex("93 01 02 03")),
            (
                Value::List(vec![Value::Integer(1), Value::Float(2.0), Value::text("three")]),
                hex("93 01 C1 40 00 00 00 00 00 00 00 85 74 68 72 65 65"),
            ),
            (Value::List((1..=40).map(Value::Integer).collect()), forty),
            (map(&[]), hex("A0")),
            (
                map(&[("one", Value::text("eins"))]),
                hex("A1 83 6F 6E 65 84 65 69 6E 73"),
            ),
            (counted, pairs_of_letters),
            (
                Value::Structure(
                    0x4E,
                    vec![
                        Value::Integer(3),
                        Value::List(vec![Value::text("Example"), Value::text("Node")]),
                        map(&[("name", Value::text("example"))]),
                    ],
                ),
                hex("B3 4E 03 92 87 45 78 61 6D 70 6C 65 84 4E 6F 64 65 A1 84 6E 61 6D 65 87 65 78 61 6D 70 6C 65"),
            ),
        ] {
            assert_eq!(bytes(&value), expected, "{value:?}");
            assert_eq!(read(&expected), Some(value));
        }
    }

    #[test]
    fn sizes_of_two_and_four_bytes_are_written_and_read() {
        for size in [255, 256, 65_535, 65_536] {
            for value in [
                Value::text(&"a".repeat(size)),
                Value::Bytes(vec![7; size]),
                Value::List(vec![Value::Null; size]),
                Value::Map((0..size).map(|at| (at.to_string().into(), Value::Bool(true))).collect()),
            ] {
                assert_eq!(read(&bytes(&value)), Some(value), "{size}");
            }
        }
    }

    #[test]
    fn what_is_no_value_is_refused_without_a_panic() {
        for text in [
            "",
            "C4",
            "C7",
            "CF",
            "D3",
            "D7",
            "DB",
            "EF",
            "81",
            "D0",
            "D0 05 41",
            "D2 FF FF FF FF",
            "D6 FF FF FF FF",
            "DA FF FF FF FF",
            "B1",
            "B1 4E",
            "A1 01 02",
            "81 FF",
            "01 02",
            "C1 00",
            "CB 00",
        ] {
            assert_eq!(read(&hex(text)), None, "{text}");
        }
        // Nested deeper than is read.
        assert_eq!(read(&[0x91; 100_000]), None);
        let mut many = hex("D6 00 1E 84 80");
        many.resize(5 + 2_000_000, 0xC0);
        assert_eq!(read(&many), None);
    }
}
