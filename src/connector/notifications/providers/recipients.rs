//! Who gets a message by a provider: the addresses of a job, without duplicates, and the names of their steps. Pure.

use crate::connector::Failure;
use crate::text::hex::hex;
use ring::digest;
use std::collections::HashSet;

/// Most recipients of one job: a run may have a thousand steps, and each recipient takes one, or two after a manual retry.
const MAX_RECIPIENTS: usize = 490;

/// One recipient.
#[derive(Clone, Debug)]
pub(in crate::connector::notifications) struct Recipient {
    /// The address as the job gave it.
    pub written: String,
    /// Its index in the list.
    pub place: usize,
    /// The address as the provider takes it.
    pub address: String,
    /// The name of whoever has it.
    pub name: Option<String>,
    /// Name of the step with its outcome; does not reveal the address.
    pub step: String,
    /// The same for all attempts of the run, and of this recipient alone.
    pub key: [u8; 16],
}

/// A message and those who get it.
pub(in crate::connector::notifications) struct Batch<C> {
    /// The channel's name in inputs.
    pub channel: &'static str,
    /// The name of the list in the input.
    pub list: &'static str,
    pub recipients: Vec<Recipient>,
    pub content: C,
}

/// An address that was read: as the provider takes it, and the name of whoever has it.
pub(super) struct ReadAddress {
    pub address: String,
    pub name: Option<String>,
}

/// Reads the recipients of a channel, each once. `key` is the same for all attempts of the run.
///
/// # Errors
/// `VALIDATION_ERROR` with the index of an invalid address.
pub(super) fn read(
    (channel, list): (&'static str, &'static str),
    written: Vec<String>,
    key: &str,
    read_one: impl Fn(&str) -> Result<ReadAddress, &'static str>,
) -> Result<Vec<Recipient>, Failure> {
    let path = format!("input.{channel}.{list}");
    if written.is_empty() {
        return Err(Failure::invalid(format!("{path}: must not be empty")));
    }
    if written.len() > MAX_RECIPIENTS {
        return Err(Failure::invalid(format!(
            "{path}: must have at most {MAX_RECIPIENTS} entries, got {}; dispatch several jobs",
            written.len()
        )));
    }
    let mut recipients = Vec::with_capacity(written.len());
    let mut known = HashSet::new();
    for (place, written) in written.into_iter().enumerate() {
        let ReadAddress { address, name } =
            read_one(&written).map_err(|why| Failure::invalid(format!("{path}[{place}]: {why}")))?;
        if known.insert(address.clone()) {
            recipients.push(Recipient {
                written,
                place,
                step: format!("{channel}:{}", hex(&digest_of("", &address))),
                key: digest_of(key, &address),
                address,
                name,
            });
        }
    }
    Ok(recipients)
}

impl Recipient {
    /// Its key as text.
    pub(super) fn key_text(&self) -> String {
        hex(&self.key)
    }
}

/// Identifies a recipient of a run.
fn digest_of(key: &str, address: &str) -> [u8; 16] {
    let digest = digest::digest(&digest::SHA256, format!("{key}\n{address}").as_bytes());
    let mut id = [0; 16];
    id.iter_mut().zip(digest.as_ref()).for_each(|(to, from)| *to = *from);
    id
}
