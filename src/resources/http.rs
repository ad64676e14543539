//! HTTP credentials and reserved headers, shared by several kinds of resources.

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
    /// A bearer token.
    Bearer(Text),
    /// A header with a name of the service's choice.
    Header {
        /// Its name.
        name: Box<str>,
        /// Its value.
        value: Text,
    },
}

/// Headers that the HTTP client sets, or that would change the connection.
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

/// Whether a header, given in lower case, is reserved for the HTTP client.
#[must_use]
pub fn is_connection_header(name: &str) -> bool {
    CONNECTION_HEADERS.contains(&name)
}
