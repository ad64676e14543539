//! One queue: messages that wait for it go out together, as many as a request takes.
//!
//! Without load nothing waits: a message is sent at once, and others gather only while all requests that may be under way
//! are. Invariants: a message whose attempt has ended is not sent any more; each message has an answer of its own.

use super::failure::entry_failure;
use super::refusal;
use crate::connector::Failure;
use crate::connector::aws::JsonService;
use serde_json::{Map, Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::AbortHandle;

/// Most messages of a request.
const MAX_ENTRIES: usize = 10;
/// Most requests of a queue under way.
const MAX_REQUESTS: usize = 8;

/// A message as a request has it.
pub(super) struct Entry {
    pub(super) members: Map<String, Value>,
    pub(super) bytes: usize,
}

/// What SQS says of a message that it has.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Sent {
    pub(super) id: Box<str>,
    /// FIFO: its place in the order.
    pub(super) sequence_number: Option<Box<str>>,
}

type Reply = oneshot::Sender<Result<Sent, Failure>>;

/// A queue that is sent to.
pub(super) struct Queue {
    waiting: mpsc::UnboundedSender<(Entry, Reply)>,
    task: AbortHandle,
}

impl Drop for Queue {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Queue {
    pub(super) fn new(service: Arc<JsonService>, address: Box<str>, within: Duration) -> Self {
        let (waiting, received) = mpsc::unbounded_channel();
        let task = tokio::spawn(run(service, address.into(), within, received)).abort_handle();
        Self { waiting, task }
    }

    /// Sends a message, and waits for what became of it.
    pub(super) async fn send(&self, entry: Entry) -> Result<Sent, Failure> {
        let (reply, answer) = oneshot::channel();
        let _ = self.waiting.send((entry, reply));
        answer.await.unwrap_or_else(|_| {
            Err(Failure::connection(
                "SQS: the broker was closed before the message was sent",
            ))
        })
    }
}

async fn run(
    service: Arc<JsonService>,
    address: Arc<str>,
    within: Duration,
    mut received: mpsc::UnboundedReceiver<(Entry, Reply)>,
) {
    let requests = Arc::new(Semaphore::new(MAX_REQUESTS));
    let mut next = None;
    loop {
        let first = match next.take() {
            Some(first) => first,
            None => match received.recv().await {
                Some(first) => first,
                None => return,
            },
        };
        // Attempts that are about to say something join in.
        tokio::task::yield_now().await;
        let Ok(permit) = Arc::clone(&requests).acquire_owned().await else {
            return;
        };
        let (mut batch, mut bytes) = (Vec::new(), 0);
        let mut candidate = Some(first);
        while let Some((entry, reply)) = candidate {
            if !reply.is_closed() {
                if !batch.is_empty() && bytes + entry.bytes > super::MAX_MESSAGE_BYTES {
                    next = Some((entry, reply));
                    break;
                }
                bytes += entry.bytes;
                batch.push((entry, reply));
            }
            candidate = if batch.len() < MAX_ENTRIES {
                received.try_recv().ok()
            } else {
                None
            };
        }
        if batch.is_empty() {
            continue;
        }
        let (service, address) = (Arc::clone(&service), Arc::clone(&address));
        tokio::spawn(async move {
            send_batch(&service, &address, within, batch).await;
            drop(permit);
        });
    }
}

async fn send_batch(service: &JsonService, address: &str, within: Duration, batch: Vec<(Entry, Reply)>) {
    let (mut entries, mut replies) = (Vec::new(), Vec::new());
    for (number, (entry, reply)) in batch.into_iter().enumerate() {
        let mut members = entry.members;
        members.insert("Id".to_owned(), number.to_string().into());
        entries.push(members);
        replies.push(reply);
    }
    let request = json!({ "QueueUrl": address, "Entries": entries }).to_string();
    let answer = ask(service, "SendMessageBatch", &request, within).await;
    for (number, reply) in replies.into_iter().enumerate() {
        let of_entry = answer
            .as_ref()
            .map_err(Clone::clone)
            .and_then(|answer| outcome(answer, number));
        let _ = reply.send(of_entry);
    }
}

/// What an answer says of the entry with this number.
fn outcome(answer: &Value, number: usize) -> Result<Sent, Failure> {
    let id = number.to_string();
    let find = |list: &str| {
        let list = answer.get(list)?.as_array()?;
        list.iter()
            .find(|entry| entry.get("Id").and_then(Value::as_str) == Some(&id))
    };
    let text = |entry: &Value, name: &str| entry.get(name).and_then(Value::as_str).map(Box::from);
    if let Some(sent) = find("Successful") {
        return Ok(Sent {
            id: text(sent, "MessageId").unwrap_or_default(),
            sequence_number: text(sent, "SequenceNumber"),
        });
    }
    match find("Failed") {
        Some(failed) => {
            let code = text(failed, "Code").unwrap_or_default();
            let ours = failed.get("SenderFault").and_then(Value::as_bool).unwrap_or(false);
            Err(entry_failure(&code, ours))
        }
        None => Err(Failure::connection(
            "SQS: the server's answer does not say what became of the message",
        )),
    }
}

/// Asks for an operation; once more with other credentials, where those that have expired were found.
pub(super) async fn ask(
    service: &JsonService,
    operation: &str,
    request: &str,
    within: Duration,
) -> Result<Value, Failure> {
    let mut renewed = false;
    loop {
        let answer = service.ask(operation, request, within).await?;
        if answer.status == 200 {
            return serde_json::from_slice(&answer.body)
                .map_err(|_| Failure::connection("SQS: the server's answer cannot be read"));
        }
        let (failure, is_expired) = refusal(answer.status, &answer.body);
        if !is_expired || renewed || !service.forget_credentials() {
            return Err(failure);
        }
        renewed = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_message_of_a_request_has_its_own_outcome() {
        let answer = json!({
            "Successful": [{ "Id": "1", "MessageId": "m", "SequenceNumber": "7" }, { "Id": "3", "MessageId": "n" }],
            "Failed": [
                { "Id": "0", "SenderFault": true, "Code": "InvalidMessageContents", "Message": "s3cret" },
                { "Id": "2", "SenderFault": false, "Code": "InternalError" },
            ],
        });
        let codes: Vec<String> = (0..5)
            .map(|number| match outcome(&answer, number) {
                Ok(sent) => format!("{} {:?}", sent.id, sent.sequence_number),
                Err(failure) => {
                    assert!(!failure.message.contains("s3cret"));
                    failure.code.to_string()
                }
            })
            .collect();
        let expected = [
            "VALIDATION_ERROR",
            "m Some(\"7\")",
            "SERVICE_UNAVAILABLE",
            "n None",
            "CONNECTION_ERROR",
        ];
        assert_eq!(codes, expected);
    }
}
