//! Signatures of AWS, version 4, checked by code that shares nothing with what makes them: test servers take any.

use ring::digest::{SHA256, digest};
use ring::hmac::{HMAC_SHA256, Key, sign};

/// A request without a query, as it arrived.
pub(crate) struct SignedRequest<'a> {
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    /// A header by its name in lower case.
    pub(crate) header: &'a dyn Fn(&str) -> &'a str,
    pub(crate) body: &'a str,
}

/// What the header `authorization` says.
pub(crate) struct Authorization<'a> {
    /// Id of the key.
    pub(crate) key_id: &'a str,
    /// `20150830/us-east-1/service/aws4_request`
    pub(crate) scope: &'a str,
    /// Names of headers.
    pub(crate) signed: Vec<&'a str>,
    signature: &'a str,
}

impl<'a> Authorization<'a> {
    fn read(text: &'a str) -> Self {
        let text = text.strip_prefix("AWS4-HMAC-SHA256 ").unwrap();
        let part = |name: &str| text.split(", ").find_map(|part| part.strip_prefix(name)).unwrap();
        let (key_id, scope) = part("Credential=").split_once('/').unwrap();
        Self {
            key_id,
            scope,
            signed: part("SignedHeaders=").split(';').collect(),
            signature: part("Signature="),
        }
    }
}

impl<'a> SignedRequest<'a> {
    pub(crate) fn authorization(&self) -> Authorization<'a> {
        Authorization::read((self.header)("authorization"))
    }

    /// Whether its signature is the one that this key makes of it.
    pub(crate) fn is_signed_by(&self, secret: &str) -> bool {
        let said = self.authorization();
        said.signature == self.signature(secret, said.scope, &said.signed)
    }

    fn signature(&self, secret: &str, scope: &str, signed: &[&str]) -> String {
        let line = |name: &&str| format!("{name}:{}\n", (self.header)(name).trim());
        let headers: String = signed.iter().map(line).collect();
        let canonical = format!(
            "{}\n{}\n\n{headers}\n{}\n{}",
            self.method,
            self.path,
            signed.join(";"),
            sha256(self.body)
        );
        let date = (self.header)("x-amz-date");
        let text = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{}", sha256(&canonical));
        let mut key = format!("AWS4{secret}").into_bytes();
        for part in scope.split('/') {
            key = hmac(&key, part);
        }
        hex(&hmac(&key, &text))
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn sha256(text: &str) -> String {
    hex(digest(&SHA256, text.as_bytes()).as_ref())
}

fn hmac(key: &[u8], text: &str) -> Vec<u8> {
    sign(&Key::new(HMAC_SHA256, key), text.as_bytes()).as_ref().to_vec()
}

/// `get-vanilla` of the test suite that AWS publishes, so that the check above is itself checked.
#[test]
fn signature_is_that_of_the_published_example() {
    let request = SignedRequest {
        method: "GET",
        path: "/",
        header: &|name| match name {
            "host" => "example.amazonaws.com",
            _ => "20150830T123600Z",
        },
        body: "",
    };
    let scope = "20150830/us-east-1/service/aws4_request";
    let secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
    assert_eq!(
        request.signature(secret, scope, &["host", "x-amz-date"]),
        "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"
    );
}
