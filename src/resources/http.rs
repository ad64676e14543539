//! What several kinds of resources know of HTTP: credentials, and headers that are not theirs to set.

use super::Text;

/// Credentials of HTTP requests.
#[derive(Clone, Debug)]
pub enum HttpAuth {
    /// User and password.
    Basic {
        /// The user.
        username: Text,
        /// The password.
        password: Text,
    },
    /// A token after `Bearer`.
    Bearer(Text),
    /// A header of a name that the service chose.
    Header {
        /// Its name.
        name: Box<str>,
        /// Its value.
        value: Text,
    },
}

/// Headers that the connection sets, or that would make it another one.
const CONNECTION_HEADERS: [&str; 10] = [
    "connection",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Whether a header, by its name in lower case, is set by the connection and by nobody else.
#[must_use]
pub fn is_connection_header(name: &str) -> bool {
    CONNECTION_HEADERS.contains(&name)
}
