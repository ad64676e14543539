//! Signatures of the Standard Webhooks scheme: `v1,` and the HMAC-SHA256 of id, timestamp and body. Pure.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;

/// Signs a message; `timestamp` is in seconds since the epoch.
pub(super) fn sign(key: &[u8], id: &str, timestamp: i64, body: &[u8]) -> String {
    let mut signing = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, key));
    signing.update(format!("{id}.{timestamp}.").as_bytes());
    signing.update(body);
    format!("v1,{}", STANDARD.encode(signing.sign()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::WebhookSecret;

    /// The example of the scheme's reference libraries.
    #[test]
    fn the_reference_message_has_the_reference_signature() {
        let secret = WebhookSecret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let body = br#"{"test": 2432232314}"#;
        assert_eq!(
            sign(&secret.key(), "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, body),
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
        );
    }
}
