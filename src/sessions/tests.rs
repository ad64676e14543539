//! Accepted and rejected tokens. Tokens of other issuers are tested from JavaScript.

use super::*;
use crate::resources::Algorithm;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::rand::SystemRandom;
use ring::signature::{self, KeyPair};

const SECRET: &str = "0123456789abcdef0123456789abcdef";
const CLAIMS: &str = r#"{"sub":"u","exp":1000,"nbf":10,"jti":"t1"}"#;

fn pem(label: &str, der: &[u8]) -> String {
    format!(
        "-----BEGIN {label}-----\n{}\n-----END {label}-----\n",
        STANDARD.encode(der)
    )
}

/// A new key pair in PEM: private and public key.
fn ed25519() -> (String, String) {
    let private = signature::Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
    let pair = signature::Ed25519KeyPair::from_pkcs8(private.as_ref()).unwrap();
    let info = [
        &[0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00],
        pair.public_key().as_ref(),
    ];
    (pem("PRIVATE KEY", private.as_ref()), pem("PUBLIC KEY", &info.concat()))
}

fn rejection_message(token: &str, key: &VerifyingKey) -> String {
    let error = verify(token, key).expect_err("was accepted");
    assert_eq!(error.code, ErrorCode::Unauthorized);
    assert!(token.len() < 8 || !error.message.contains(&token[..8]), "{error}");
    error.message
}

fn unsigned(header: &str, claims: &str) -> String {
    format!("{}.{}.", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims))
}

#[test]
fn token_signed_with_the_secret_verifies() {
    for algorithm in [Algorithm::Hs256, Algorithm::Hs384, Algorithm::Hs512] {
        let token = issue(CLAIMS, &SigningKey::from_secret(algorithm, SECRET)).unwrap();
        let key = VerifyingKey::from_secret(algorithm, SECRET).unwrap();
        let payload = verify(&token, &key).unwrap();
        assert_eq!(&*payload.claims, CLAIMS);
        assert_eq!((payload.expires, payload.id.as_deref()), (Some(1_000_000), Some("t1")));
    }
}

#[test]
fn private_key_signs_and_public_key_verifies() {
    let (private, public) = ed25519();
    let token = issue(CLAIMS, &SigningKey::from_pem(Algorithm::EdDsa, &private).unwrap()).unwrap();
    let key = VerifyingKey::from_pem(Algorithm::EdDsa, &public).unwrap();
    assert!(verify(&token, &key).is_ok());
    let other = VerifyingKey::from_pem(Algorithm::EdDsa, &ed25519().1).unwrap();
    assert!(rejection_message(&token, &other).contains("wrong signature"));
}

#[test]
fn unsigned_tokens_are_rejected() {
    let key = VerifyingKey::from_secret(Algorithm::Hs256, SECRET).unwrap();
    for alg in ["none", "None", "NONE", "HS256"] {
        let token = unsigned(&format!(r#"{{"alg":"{alg}"}}"#), CLAIMS);
        assert!(rejection_message(&token, &key).contains("is not signed"));
        assert!(!rejection_message(&format!("{token}AAAA"), &key).is_empty());
    }
}

#[test]
fn algorithm_comes_from_the_resource_not_the_token() {
    let (_, public) = ed25519();
    // Signed with the public key as if it were a secret.
    let forged = issue(CLAIMS, &SigningKey::from_secret(Algorithm::Hs256, &public)).unwrap();
    let key = VerifyingKey::from_pem(Algorithm::EdDsa, &public).unwrap();
    assert!(rejection_message(&forged, &key).contains("is not signed with EdDSA"));
    // Nor can a resource be set up so that such a token would be accepted.
    assert!(VerifyingKey::from_secret(Algorithm::Hs256, &public).is_err());
    assert!(VerifyingKey::from_pem(Algorithm::Hs256, &public).is_err());
    assert!(VerifyingKey::from_pem(Algorithm::Rs256, &public).is_err());
    assert!(VerifyingKey::from_secret(Algorithm::Rs256, SECRET).is_err());
    let longer = issue(CLAIMS, &SigningKey::from_secret(Algorithm::Hs512, SECRET)).unwrap();
    let key = VerifyingKey::from_secret(Algorithm::Hs256, SECRET).unwrap();
    assert!(rejection_message(&longer, &key).contains("is not signed with HS256"));
}

#[test]
fn tampered_tokens_are_rejected() {
    let key = VerifyingKey::from_secret(Algorithm::Hs256, SECRET).unwrap();
    let token = issue(CLAIMS, &SigningKey::from_secret(Algorithm::Hs256, SECRET)).unwrap();
    let parts: Vec<&str> = token.split('.').collect();
    let claims = URL_SAFE_NO_PAD.encode(r#"{"sub":"admin"}"#);
    assert!(rejection_message(&format!("{}.{claims}.{}", parts[0], parts[2]), &key).contains("wrong signature"));
    let other = issue(
        CLAIMS,
        &SigningKey::from_secret(Algorithm::Hs256, "another secret of some length"),
    )
    .unwrap();
    assert!(rejection_message(&other, &key).contains("wrong signature"));
}

#[test]
fn malformed_tokens_are_rejected() {
    let key = VerifyingKey::from_secret(Algorithm::Hs256, SECRET).unwrap();
    let long = "a".repeat(100_000);
    for token in ["", ".", "..", "a.b", "a.b.c", "a.b.c.d", "é.é.é", &long, "e30.e30.AAAA"] {
        assert!(!rejection_message(token, &key).is_empty(), "{token}");
    }
    let signing = SigningKey::from_secret(Algorithm::Hs256, SECRET);
    for claims in ["[]", "1", "", "{", r#"{"exp":"soon"}"#] {
        assert!(
            rejection_message(&issue(claims, &signing).unwrap(), &key).contains("claims"),
            "{claims}"
        );
    }
}

#[test]
fn expiry_and_not_before_are_checked_with_leeway() {
    let token = issue(CLAIMS, &SigningKey::from_secret(Algorithm::Hs256, SECRET)).unwrap();
    let payload = read_unverified(&token).unwrap();
    assert!(check_validity_period(&payload, 999_000).is_ok());
    assert!(check_validity_period(&payload, 1_000_000 + 4_999).is_ok());
    assert!(
        check_validity_period(&payload, 1_000_000 + 5_000)
            .unwrap_err()
            .message
            .contains("expired")
    );
    assert!(
        check_validity_period(&payload, 4_999)
            .unwrap_err()
            .message
            .contains("not valid yet")
    );
}

#[test]
fn key_is_chosen_by_the_tokens_kid() {
    let (private, public) = ed25519();
    let token = issue(CLAIMS, &SigningKey::from_pem(Algorithm::EdDsa, &private).unwrap()).unwrap();
    let body: String = public.lines().filter(|line| !line.starts_with('-')).collect();
    let x = URL_SAFE_NO_PAD.encode(&STANDARD.decode(body).unwrap()[12..]);
    let set = |more: &str| {
        format!(r#"{{"keys":[{{"kty":"RSA","n":"AQAB","e":"AQAB"}},{{"kty":"OKP","crv":"Ed25519","x":"{x}"{more}}}]}}"#)
    };
    let key = VerifyingKey::from_jwks(Algorithm::EdDsa, &set("")).unwrap();
    assert!(verify(&token, &key).is_ok());
    assert!(VerifyingKey::from_jwks(Algorithm::EdDsa, &set(r#","use":"enc""#)).is_err());
    assert!(VerifyingKey::from_jwks(Algorithm::EdDsa, &set(r#","alg":"ES256""#)).is_err());
    assert!(VerifyingKey::from_jwks(Algorithm::Es256, &set("")).is_err());
    assert!(VerifyingKey::from_jwks(Algorithm::EdDsa, "{}").is_err());
}

#[test]
fn short_secrets_are_rejected() {
    assert!(VerifyingKey::from_secret(Algorithm::Hs256, "short").is_err());
}
