//! Addresses as the SMTP client has them.

use crate::connector::notifications::address;
use lettre::Address;
use lettre::message::Mailbox;

/// Parses `name@domain` or `Somebody <name@domain>`.
///
/// # Errors
/// What is wrong, without repeating the text.
pub(super) fn mailbox(text: &str) -> Result<Mailbox, &'static str> {
    let read = address::mailbox(text)?;
    let address =
        Address::new(&read.local, &read.domain).map_err(|_| "must be an address, as in 'name@example.com'")?;
    Ok(Mailbox::new(read.name, address))
}
