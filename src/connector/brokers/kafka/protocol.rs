//! Requests and answers, in the latest versions without tagged fields: servers from 0.11 to 4.x speak them.
//!
//! Pure. Invariants: an answer that is not whole is `None`; what is read of one takes a small multiple of its bytes.

use super::bytes::{Reader, Writer};
use std::sync::Arc;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RequestKind {
    Produce,
    Metadata,
    SaslHandshake,
    ApiVersions,
    InitProducerId,
    SaslAuthenticate,
}

impl RequestKind {
    /// Its number.
    pub(super) fn key(self) -> i16 {
        match self {
            Self::Produce => 0,
            Self::Metadata => 3,
            Self::SaslHandshake => 17,
            Self::ApiVersions => 18,
            Self::InitProducerId => 22,
            Self::SaslAuthenticate => 36,
        }
    }
}

/// The version of requests for metadata.
pub(super) const METADATA_VERSION: i16 = 4;
/// The version of the handshake before a login.
pub(super) const HANDSHAKE_VERSION: i16 = 1;
/// Oldest and newest version of produce requests that are spoken.
const PRODUCE_VERSIONS: (i16, i16) = (3, 8);
/// Oldest and newest version of requests for the number of a producer.
const INIT_PRODUCER_VERSIONS: (i16, i16) = (0, 1);

/// Versions that both sides speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Versions {
    pub(super) produce: i16,
    /// `None`: the server knows no numbers of producers, by which it would recognise what it has.
    pub(super) init_producer: Option<i16>,
}

impl Versions {
    /// Chooses among those of a server; the inner `None`: there are none in common.
    pub(super) fn read(answer: &[u8]) -> Option<Option<Self>> {
        let mut reader = Reader(answer);
        reader.int16()?;
        let offered = reader.list(|offered| Some((offered.int16()?, offered.int16()?, offered.int16()?)))?;
        let choose = |api: RequestKind, (oldest, newest): (i16, i16)| {
            let (_, from, to) = offered.iter().find(|(key, ..)| *key == api.key())?;
            let chosen = newest.min(*to);
            (chosen >= oldest.max(*from)).then_some(chosen)
        };
        let metadata = choose(RequestKind::Metadata, (METADATA_VERSION, METADATA_VERSION));
        let produce = choose(RequestKind::Produce, PRODUCE_VERSIONS);
        Some(metadata.and(produce).map(|produce| Self {
            produce,
            init_producer: choose(RequestKind::InitProducerId, INIT_PRODUCER_VERSIONS),
        }))
    }
}

/// Asks who leads the partitions of these topics. Topics that are missing are not made.
pub(super) fn metadata_request(topics: &[&str]) -> Vec<u8> {
    let mut request = Writer::default();
    request.length(topics.len());
    for topic in topics {
        request.string(topic);
    }
    request.boolean(false);
    request.0
}

/// The servers of a cluster, and topics that were asked for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Metadata {
    /// By their ids.
    pub(super) brokers: Vec<(i32, Arc<str>, u16)>,
    pub(super) topics: Vec<TopicMetadata>,
}

/// A topic, or why there is none.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TopicMetadata {
    pub(super) code: i16,
    pub(super) name: Box<str>,
    /// Numbers of partitions, and the ids of those who lead them.
    pub(super) leaders: Vec<(i32, i32)>,
}

impl Metadata {
    pub(super) fn read(answer: &[u8]) -> Option<Self> {
        let mut reader = Reader(answer);
        reader.int32()?;
        let brokers = reader.list(|broker| {
            let (id, host, port) = (broker.int32()?, broker.string()?.into(), broker.int32()?);
            broker.nullable_string()?;
            Some((id, host, u16::try_from(port).ok()?))
        })?;
        reader.nullable_string()?;
        reader.int32()?;
        let topics = reader.list(|topic| {
            let (code, name) = (topic.int16()?, topic.string()?.into());
            topic.boolean()?;
            let leaders = topic.list(|partition| {
                partition.int16()?;
                let (number, leader) = (partition.int32()?, partition.int32()?);
                partition.list(Reader::int32)?;
                partition.list(Reader::int32)?;
                Some((number, leader))
            })?;
            Some(TopicMetadata { code, name, leaders })
        })?;
        Some(Self { brokers, topics })
    }
}

/// Asks for the number of a producer without transactions.
pub(super) fn init_producer_request() -> Vec<u8> {
    let mut request = Writer::default();
    request.no_string();
    request.int32(60_000);
    request.0
}

/// A code, then number and epoch.
pub(super) fn read_init_producer(answer: &[u8]) -> Option<(i16, i64, i16)> {
    let mut reader = Reader(answer);
    reader.int32()?;
    Some((reader.int16()?, reader.int64()?, reader.int16()?))
}

/// A topic, with partitions and a batch for each.
pub(super) type TopicBatches<'a> = (&'a str, Vec<(i32, &'a [u8])>);

/// Hands batches over that all replicas in sync must have before the server says so.
pub(super) fn produce_request(batches: &[TopicBatches<'_>], within_ms: i32) -> Vec<u8> {
    let mut request = Writer::default();
    request.no_string();
    // All replicas in sync.
    request.int16(-1);
    request.int32(within_ms);
    request.length(batches.len());
    for (topic, partitions) in batches {
        request.string(topic);
        request.length(partitions.len());
        for (number, batch) in partitions {
            request.int32(*number);
            request.bytes(batch);
        }
    }
    request.0
}

/// What became of a batch.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Stored {
    /// Of all its partitions the same.
    pub(super) topic: Arc<str>,
    pub(super) partition: i32,
    pub(super) code: i16,
    /// Of its first record.
    pub(super) offset: i64,
    /// The server's words.
    pub(super) words: Option<Box<str>>,
}

/// Reads what became of all batches of a request of this version.
pub(super) fn read_produce(answer: &[u8], version: i16) -> Option<Vec<Stored>> {
    let mut reader = Reader(answer);
    let topics = reader.list(|topic| {
        let name: Arc<str> = topic.string()?.into();
        topic.list(|partition| {
            let (number, code, offset) = (partition.int32()?, partition.int16()?, partition.int64()?);
            partition.int64()?;
            if version >= 5 {
                partition.int64()?;
            }
            let mut words = None;
            if version >= 8 {
                let records = partition.list(|record| {
                    record.int32()?;
                    record.nullable_string()
                })?;
                let whole = partition.nullable_string()?;
                words = records.into_iter().flatten().next().or(whole).map(Into::into);
            }
            Some(Stored {
                topic: Arc::clone(&name),
                partition: number,
                code,
                offset,
                words,
            })
        })
    })?;
    Some(topics.into_iter().flatten().collect())
}

/// Begins a login.
pub(super) fn handshake_request(mechanism: &str) -> Vec<u8> {
    let mut request = Writer::default();
    request.string(mechanism);
    request.0
}

/// A code, and the mechanisms that the server has.
pub(super) fn read_handshake(answer: &[u8]) -> Option<(i16, Vec<String>)> {
    let mut reader = Reader(answer);
    let code = reader.int16()?;
    Some((code, reader.list(|name| Some(name.string()?.to_owned()))?))
}

/// A step of a login.
pub(super) fn authenticate_request(token: &[u8]) -> Vec<u8> {
    let mut request = Writer::default();
    request.bytes(token);
    request.0
}

/// A code, and the server's part.
pub(super) fn read_authenticate(answer: &[u8]) -> Option<(i16, &[u8])> {
    let mut reader = Reader(answer);
    let code = reader.int16()?;
    reader.nullable_string()?;
    Some((code, reader.bytes()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offer(apis: &[(i16, i16, i16)]) -> Vec<u8> {
        let mut answer = Writer::default();
        answer.int16(0);
        answer.length(apis.len());
        for (key, from, to) in apis {
            answer.int16(*key);
            answer.int16(*from);
            answer.int16(*to);
        }
        answer.0
    }

    #[test]
    fn newest_common_versions_are_spoken() {
        let chosen = |produce, init_producer| Some(Some(Versions { produce, init_producer }));
        for (apis, expected) in [
            (&[(0, 3, 13), (3, 0, 13), (22, 0, 6)][..], chosen(8, Some(1))),
            (&[(0, 0, 3), (3, 0, 5), (22, 0, 0)], chosen(3, Some(0))),
            (&[(0, 0, 7), (3, 0, 5)], chosen(7, None)),
            (&[(0, 3, 13), (3, 4, 13), (22, 2, 6)], chosen(8, None)),
            // Before 0.11, and of a day when these versions are gone.
            (&[(0, 0, 2), (3, 0, 3)], Some(None)),
            (&[(0, 9, 15), (3, 9, 15)], Some(None)),
            (&[], Some(None)),
        ] {
            assert_eq!(Versions::read(&offer(apis)), expected, "{apis:?}");
        }
        assert_eq!(Versions::read(&[0, 0, 0]), None);
    }

    #[test]
    fn partitions_share_the_name_of_their_topic() {
        let mut answer = Writer::default();
        answer.length(1);
        answer.string(&"t".repeat(30_000));
        answer.length(2);
        for partition in 0..2 {
            answer.int32(partition);
            answer.int16(0);
            answer.int64(0);
            answer.int64(-1);
        }
        let stored = read_produce(&answer.0, 3).unwrap();
        assert!(Arc::ptr_eq(&stored[0].topic, &stored[1].topic));
    }

    #[test]
    fn answer_to_a_produce_request_is_read_in_each_version() {
        for version in 3..=8 {
            let mut answer = Writer::default();
            answer.length(1);
            answer.string("t");
            answer.length(1);
            answer.int32(4);
            answer.int16(10);
            answer.int64(77);
            answer.int64(-1);
            if version >= 5 {
                answer.int64(0);
            }
            if version >= 8 {
                answer.length(1);
                answer.int32(0);
                answer.string("why");
                answer.no_string();
            }
            answer.int32(0);
            let expected = Stored {
                topic: "t".into(),
                partition: 4,
                code: 10,
                offset: 77,
                words: (version >= 8).then(|| "why".into()),
            };
            assert_eq!(read_produce(&answer.0, version), Some(vec![expected]), "{version}");
            // The last number says how long the client is to be slow.
            for length in 0..answer.0.len() - 4 {
                assert_eq!(read_produce(&answer.0[..length], version), None);
            }
        }
    }
}
