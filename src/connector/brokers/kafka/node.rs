//! One server of the cluster: what waits for it goes out together, one request at a time.
//!
//! While a request is under way, further messages gather for the next; without load nothing waits. Invariants: a message
//! whose attempt has ended is not sent any more; a batch is sent a second time only with the numbers by which the server
//! recognises it.

use super::batch::{self, BATCH_OVERHEAD, Record, Sequence};
use super::connection::{Connection, Lost};
use super::failure::{Refusal, code, refusal, too_large};
use super::producer::Producer;
use super::protocol::{self, METADATA_VERSION, Metadata, RequestKind, TopicBatches};
use super::settings::{Address, Settings};
use crate::clock::{Clock, SystemClock};
use crate::connector::Failure;
use std::collections::VecDeque;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;

/// Largest batch of several messages: the limit of servers that set no other (`message.max.bytes`). A message that is
/// larger goes by itself, and the server decides.
const MAX_BATCH_BYTES: usize = 1_000_000;
/// Most bytes of a request with several batches.
const MAX_REQUEST_BYTES: usize = 8 << 20;

/// Where a message is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) partition: i32,
    /// `None`: it was there already.
    pub(super) offset: Option<i64>,
}

/// A message that waits.
struct Pending {
    topic: Arc<str>,
    partition: i32,
    record: Record,
    /// Whether it was too large together with others.
    alone: bool,
    reply: oneshot::Sender<Result<Place, Refusal>>,
}

enum Command {
    Produce(Pending),
    Metadata(Vec<Box<str>>, oneshot::Sender<Result<Metadata, Failure>>),
}

/// A server that is talked to.
pub(super) struct Node {
    commands: mpsc::UnboundedSender<Command>,
    task: AbortHandle,
}

impl Drop for Node {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Node {
    /// Connects when there is something to say, unless there is a connection.
    pub(super) fn new(
        address: Address,
        settings: Arc<Settings>,
        producer: Arc<Producer>,
        connection: Option<Connection>,
    ) -> Self {
        let (commands, received) = mpsc::unbounded_channel();
        let worker = Worker {
            address,
            settings,
            producer,
            connection,
            commands: received,
            waiting: VecDeque::new(),
        };
        let task = tokio::spawn(worker.run()).abort_handle();
        Self { commands, task }
    }

    /// Ends it; what waits is not sent any more.
    pub(super) fn abandon(&self) {
        self.task.abort();
    }

    /// Stores a message.
    pub(super) async fn produce(&self, topic: Arc<str>, partition: i32, record: Record) -> Result<Place, Refusal> {
        let (reply, answer) = oneshot::channel();
        let pending = Pending {
            topic,
            partition,
            record,
            alone: false,
            reply,
        };
        let _ = self.commands.send(Command::Produce(pending));
        answer.await.unwrap_or_else(|_| Err(Refusal::Unknown(given_up())))
    }

    /// Asks for servers and topics.
    pub(super) async fn metadata(&self, topics: &[&str]) -> Result<Metadata, Failure> {
        let (reply, answer) = oneshot::channel();
        let topics = topics.iter().map(|topic| Box::from(*topic)).collect();
        let _ = self.commands.send(Command::Metadata(topics, reply));
        answer.await.unwrap_or_else(|_| Err(given_up()))
    }
}

fn given_up() -> Failure {
    Failure::connection("the connection was given up before the server answered; the message may have arrived")
}

fn broken(why: &Lost) -> Failure {
    match why {
        Lost::Late => Failure::timeout("the message was not acknowledged in time; it may have arrived"),
        _ => Failure::connection(format!(
            "the connection broke before the message was acknowledged, which may have arrived: {why}"
        )),
    }
}

/// Messages for one partition.
struct Batch {
    topic: Arc<str>,
    partition: i32,
    messages: Vec<Pending>,
    bytes: usize,
    sequence: Sequence,
}

impl Batch {
    fn takes(&self, pending: &Pending, bytes: usize) -> bool {
        !pending.alone && !self.messages.iter().any(|other| other.alone) && self.bytes + bytes <= MAX_BATCH_BYTES
    }

    fn fail(self, refusal: &Refusal) {
        for message in self.messages {
            let _ = message.reply.send(Err(refusal.clone()));
        }
    }

    fn succeed(self, first: Option<i64>) {
        for (index, message) in (0..).zip(self.messages) {
            let place = Place {
                partition: self.partition,
                offset: first.map(|first| first + index),
            };
            let _ = message.reply.send(Ok(place));
        }
    }
}

struct Worker {
    address: Address,
    settings: Arc<Settings>,
    producer: Arc<Producer>,
    connection: Option<Connection>,
    commands: mpsc::UnboundedReceiver<Command>,
    waiting: VecDeque<Pending>,
}

impl Worker {
    async fn run(mut self) {
        loop {
            if self.waiting.is_empty() {
                let Some(command) = self.commands.recv().await else {
                    return;
                };
                self.take(command).await;
                // Attempts that are about to say something join in.
                tokio::task::yield_now().await;
            }
            while let Ok(command) = self.commands.try_recv() {
                self.take(command).await;
            }
            self.produce().await;
        }
    }

    async fn take(&mut self, command: Command) {
        match command {
            Command::Produce(pending) => self.waiting.push_back(pending),
            Command::Metadata(topics, reply) if !reply.is_closed() => {
                let topics: Vec<&str> = topics.iter().map(|topic| &**topic).collect();
                let request = protocol::metadata_request(&topics);
                let answer = self.ask(RequestKind::Metadata, METADATA_VERSION, &request).await;
                let read = answer
                    .and_then(|answer| Metadata::read(&answer).ok_or_else(|| self.address.unreachable(Lost::Foreign)));
                let _ = reply.send(read);
            }
            Command::Metadata(..) => {}
        }
    }

    async fn connection(&mut self) -> Result<&mut Connection, Failure> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => Connection::open(&self.address, &self.settings).await?,
        };
        Ok(self.connection.insert(connection))
    }

    /// Asks for something that may be asked for twice: a connection that was idle may be gone.
    async fn ask(&mut self, api: RequestKind, version: i16, request: &[u8]) -> Result<Vec<u8>, Failure> {
        let within = self.settings.timeouts.silence;
        let mut is_fresh = self.connection.is_none();
        loop {
            let asked = self.connection().await?.request(api, version, request, within).await;
            let why = match asked {
                Ok(answer) => return Ok(answer),
                Err(why) => why,
            };
            self.connection = None;
            if is_fresh || !matches!(why, Lost::Broken(_)) {
                return Err(self.address.unreachable(why));
            }
            is_fresh = true;
        }
    }

    /// Has the producer numbered, where the cluster does that.
    async fn number(&mut self) -> Result<(), Failure> {
        if !self.producer.wants_id() {
            return Ok(());
        }
        let Some(version) = self.connection().await?.versions.init_producer else {
            self.producer.go_without_id();
            return Ok(());
        };
        let request = protocol::init_producer_request();
        let answer = self.ask(RequestKind::InitProducerId, version, &request).await?;
        match protocol::read_init_producer(&answer) {
            Some((code::NONE, id, epoch)) => self.producer.set_id(id, epoch),
            // The user may not be numbered, as before 2.8 only some could.
            Some((31 | 53, ..)) => self.producer.go_without_id(),
            Some((other, ..)) => {
                return Err(Failure::unavailable(format!(
                    "{}: it cannot number the producer now: error {other}",
                    self.address
                )));
            }
            None => return Err(self.address.unreachable(Lost::Foreign)),
        }
        Ok(())
    }

    /// What waits and is still wanted, as batches for one request.
    fn gather(&mut self) -> Vec<Batch> {
        let mut batches: Vec<Batch> = Vec::new();
        let (mut total, mut later) = (0, VecDeque::new());
        while let Some(pending) = self.waiting.pop_front() {
            if pending.reply.is_closed() {
                continue;
            }
            let bytes = pending.record.size();
            let of_partition = batches
                .iter_mut()
                .find(|batch| batch.partition == pending.partition && batch.topic == pending.topic);
            let is_full = total > 0 && total + bytes > MAX_REQUEST_BYTES;
            match of_partition {
                _ if is_full => later.push_back(pending),
                Some(batch) if !batch.takes(&pending, bytes) => later.push_back(pending),
                Some(batch) => {
                    batch.bytes += bytes;
                    batch.messages.push(pending);
                    total += bytes;
                }
                None => {
                    total += bytes;
                    batches.push(Batch {
                        topic: Arc::clone(&pending.topic),
                        partition: pending.partition,
                        messages: vec![pending],
                        bytes: BATCH_OVERHEAD + bytes,
                        sequence: Sequence::NONE,
                    });
                }
            }
        }
        self.waiting = later;
        batches
    }

    /// Sends one request, and tells those who wait for it.
    async fn produce(&mut self) {
        let mut ready = self.connection().await.map(|_| ());
        if ready.is_ok() {
            ready = self.number().await;
        }
        let mut batches = self.gather();
        if let Err(failure) = ready {
            let refusal = match &*failure.code {
                "UNAUTHORIZED" | "VALIDATION_ERROR" => Refusal::Refused(failure),
                "CONNECTION_ERROR" => Refusal::Unreached(self.address.clone(), failure),
                _ => Refusal::Elsewhere(failure),
            };
            for pending in self.waiting.drain(..) {
                let _ = pending.reply.send(Err(refusal.clone()));
            }
            batches.into_iter().for_each(|batch| batch.fail(&refusal));
            return;
        }
        if batches.is_empty() {
            return;
        }
        let now = SystemClock.now();
        let mut encoded = Vec::with_capacity(batches.len());
        for batch in &mut batches {
            batch.sequence = self.producer.take(&batch.topic, batch.partition, batch.messages.len());
            let records = batch.messages.iter().map(|message| &message.record);
            encoded.push(batch::encode(records, batch.sequence, now));
        }
        let mut topics: Vec<TopicBatches<'_>> = Vec::new();
        for (batch, bytes) in batches.iter().zip(&encoded) {
            let of_partition = (batch.partition, bytes.as_slice());
            match topics.iter_mut().find(|(topic, _)| **topic == *batch.topic) {
                Some((_, partitions)) => partitions.push(of_partition),
                None => topics.push((&batch.topic, vec![of_partition])),
            }
        }
        // The server gives up first, and says so.
        let within = self.settings.timeouts.answer * 3 / 4;
        let request = protocol::produce_request(&topics, i32::try_from(within.as_millis()).unwrap_or(i32::MAX));
        match self
            .send(&request, batches.iter().all(|batch| batch.sequence != Sequence::NONE))
            .await
        {
            Ok((answer, version)) => self.settle(batches, protocol::read_produce(&answer, version)),
            Err(why) => {
                let refusal = Refusal::Unknown(broken(&why));
                for batch in batches {
                    self.producer.forget(batch.sequence);
                    batch.fail(&refusal);
                }
            }
        }
    }

    /// Sends a request; once more if the connection breaks and the server recognises what it has.
    async fn send(&mut self, request: &[u8], is_recognised: bool) -> Result<(Vec<u8>, i16), Lost> {
        let within = self.settings.timeouts.answer;
        let mut may_repeat = is_recognised;
        loop {
            let connection = match self.connection().await {
                Ok(connection) => connection,
                Err(failure) => return Err(Lost::Broken(failure.message)),
            };
            let version = connection.versions.produce;
            match connection.request(RequestKind::Produce, version, request, within).await {
                Ok(answer) => return Ok((answer, version)),
                Err(why) => {
                    self.connection = None;
                    if !may_repeat || !matches!(why, Lost::Broken(_)) {
                        return Err(why);
                    }
                    may_repeat = false;
                }
            }
        }
    }

    fn settle(&mut self, batches: Vec<Batch>, stored: Option<Vec<protocol::Stored>>) {
        let stored = stored.unwrap_or_default();
        for batch in batches {
            let is_of =
                |stored: &&protocol::Stored| stored.partition == batch.partition && *stored.topic == *batch.topic;
            let Some(stored) = stored.iter().find(is_of) else {
                self.producer.forget(batch.sequence);
                batch.fail(&Refusal::Unknown(broken(&Lost::Foreign)));
                continue;
            };
            match stored.code {
                code::NONE => batch.succeed((stored.offset >= 0).then_some(stored.offset)),
                code::DUPLICATE => batch.succeed(None),
                other => self.refuse(batch, refusal(other, &stored.topic, stored.words.as_deref())),
            }
        }
    }

    fn refuse(&mut self, batch: Batch, refusal: Refusal) {
        match refusal {
            Refusal::Outdated(_) | Refusal::Unknown(_) => self.producer.forget(batch.sequence),
            _ => self
                .producer
                .give_back(&batch.topic, batch.partition, batch.sequence, batch.messages.len()),
        }
        match refusal {
            Refusal::TooLarge if batch.messages.len() > 1 => {
                let alone = batch
                    .messages
                    .into_iter()
                    .map(|message| Pending { alone: true, ..message });
                self.waiting.extend(alone);
            }
            Refusal::TooLarge => {
                let size = batch.messages.iter().map(|message| message.record.size()).sum();
                batch.fail(&Refusal::Refused(too_large(size)));
            }
            other => batch.fail(&other),
        }
    }
}
