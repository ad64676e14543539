//! Batches of records, in the format that every server from 0.11 on stores as it gets it.
//!
//! Pure. Invariant: what a batch's checksum covers is never changed after it was computed.

use super::bytes::Writer;

/// What a batch is besides its records, in bytes.
pub(super) const BATCH_OVERHEAD: usize = 61;
/// Bytes before the length that a batch says of itself, and that length.
const LENGTH_END: usize = 12;
/// Where the checksum is.
const CHECKSUM: usize = 17;
/// From there on it covers everything.
const CHECKED: usize = 21;
/// The format.
const MAGIC: i8 = 2;

/// A message as it is stored.
#[derive(Clone, Debug)]
pub(super) struct Record {
    pub(super) key: Option<Vec<u8>>,
    /// `None`: a tombstone, with which a compacted topic forgets the key.
    pub(super) value: Option<Vec<u8>>,
    pub(super) headers: Vec<(Box<str>, Vec<u8>)>,
}

impl Record {
    /// Its size in a batch, at most.
    pub(super) fn size(&self) -> usize {
        // Five lengths of at most five bytes, and two for each header.
        let headers: usize = self
            .headers
            .iter()
            .map(|(name, value)| name.len() + value.len() + 10)
            .sum();
        25 + self.key.as_ref().map_or(0, Vec::len) + self.value.as_ref().map_or(0, Vec::len) + headers
    }

    fn write(&self, batch: &mut Writer, index: i64) {
        let mut record = Writer::default();
        record.int8(0);
        // Since the batch's timestamp.
        record.varint(0);
        record.varint(index);
        record.varint_bytes(self.key.as_deref());
        record.varint_bytes(self.value.as_deref());
        record.varint(i64::try_from(self.headers.len()).unwrap_or(i64::MAX));
        for (name, value) in &self.headers {
            record.varint_bytes(Some(name.as_bytes()));
            record.varint_bytes(Some(value));
        }
        batch.varint_bytes(Some(&record.0));
    }
}

/// By which the server tells a batch that it has from a new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sequence {
    pub(super) producer: i64,
    pub(super) epoch: i16,
    /// Number of its first record among all of this producer in this partition.
    pub(super) first: i32,
}

impl Sequence {
    /// That there is none.
    pub(super) const NONE: Self = Self {
        producer: -1,
        epoch: -1,
        first: -1,
    };
}

/// One batch; `now` is in milliseconds of Unix time.
pub(super) fn encode<'a>(records: impl ExactSizeIterator<Item = &'a Record>, sequence: Sequence, now: i64) -> Vec<u8> {
    let count = i32::try_from(records.len()).unwrap_or(i32::MAX);
    let mut batch = Writer::default();
    // Offset; the server's business. Then length and checksum, which are not known yet.
    batch.int64(0);
    batch.int32(0);
    batch.int32(-1);
    batch.int8(MAGIC);
    batch.int32(0);
    // Neither compressed nor of a transaction; the time is the client's.
    batch.int16(0);
    batch.int32(count.saturating_sub(1));
    batch.int64(now);
    batch.int64(now);
    batch.int64(sequence.producer);
    batch.int16(sequence.epoch);
    batch.int32(sequence.first);
    batch.int32(count);
    for (index, record) in (0..).zip(records) {
        record.write(&mut batch, index);
    }
    let mut batch = batch.0;
    let length = i32::try_from(batch.len() - LENGTH_END).unwrap_or(i32::MAX);
    put(&mut batch, LENGTH_END - 4, length.to_be_bytes());
    let checksum = crc32c(batch.get(CHECKED..).unwrap_or_default());
    put(&mut batch, CHECKSUM, checksum.to_be_bytes());
    batch
}

fn put(batch: &mut [u8], at: usize, bytes: [u8; 4]) {
    if let Some(place) = batch.get_mut(at..at + 4) {
        place.copy_from_slice(&bytes);
    }
}

/// Remainders of the bytes by Castagnoli's polynomial, lowest bit first.
const REMAINDERS: [u32; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut remainder = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            remainder = (remainder >> 1) ^ ((remainder & 1) * 0x82F6_3B78);
            bit += 1;
        }
        table[byte] = remainder;
        byte += 1;
    }
    table
};

/// CRC-32C.
fn crc32c(bytes: &[u8]) -> u32 {
    let mut checksum = u32::MAX;
    for byte in bytes {
        let [low, ..] = checksum.to_le_bytes();
        checksum = REMAINDERS[usize::from(low ^ byte)] ^ (checksum >> 8);
    }
    !checksum
}

/// Of which partition a key is: MurmurHash2 as Kafka's own client takes it, so that messages with a key from here and from
/// there are in one order.
pub(super) fn partition_of_key(key: &[u8], partitions: usize) -> usize {
    let positive = murmur2(key) & 0x7FFF_FFFF;
    usize::try_from(positive).unwrap_or_default() % partitions.max(1)
}

fn murmur2(bytes: &[u8]) -> u32 {
    const SEED: u32 = 0x9747_B28C;
    const FACTOR: u32 = 0x5BD1_E995;
    let [a, b, c, d, ..] = bytes.len().to_le_bytes();
    let mut hash = SEED ^ u32::from_le_bytes([a, b, c, d]);
    let mut words = bytes.chunks_exact(4);
    for word in &mut words {
        let mut word = word.iter().rev().fold(0, |word, byte| (word << 8) | u32::from(*byte));
        word = word.wrapping_mul(FACTOR);
        word ^= word >> 24;
        hash = hash.wrapping_mul(FACTOR) ^ word.wrapping_mul(FACTOR);
    }
    let rest = words.remainder();
    if !rest.is_empty() {
        hash ^= rest.iter().rev().fold(0, |word, byte| (word << 8) | u32::from(*byte));
        hash = hash.wrapping_mul(FACTOR);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(FACTOR);
    hash ^ (hash >> 15)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksum_is_that_of_castagnoli() {
        // RFC 3720, appendix B.4, and the usual check.
        assert_eq!(crc32c(b"123456789"), 0xE306_9283);
        assert_eq!(crc32c(&[0; 32]), 0x8A91_36AA);
        assert_eq!(crc32c(&[0xFF; 32]), 0x62A8_AB43);
    }

    #[test]
    fn keys_have_the_partitions_of_kafkas_own_client() {
        for (key, hash) in [
            ("21", -973_932_308),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            ("abc", 479_470_107),
        ] {
            assert_eq!(murmur2(key.as_bytes()).cast_signed(), hash, "{key}");
            let partition = partition_of_key(key.as_bytes(), 7);
            assert_eq!(partition, usize::try_from(hash & 0x7FFF_FFFF).unwrap() % 7);
        }
        assert_eq!(partition_of_key(b"any", 0), 0);
    }

    #[test]
    fn batch_has_its_length_and_its_number_of_records() {
        let record = Record {
            key: None,
            value: Some(b"value".to_vec()),
            headers: vec![("h".into(), b"v".to_vec())],
        };
        let records = [record.clone(), record];
        let batch = encode(records.iter(), Sequence::NONE, 5);
        assert_eq!(&batch[8..12], (i32::try_from(batch.len()).unwrap() - 12).to_be_bytes());
        assert_eq!(&batch[57..61], 2_i32.to_be_bytes());
        let most: usize = records.iter().map(Record::size).sum();
        assert!(batch.len() <= BATCH_OVERHEAD + most);
    }
}
