//! Keys that verify signatures, each bound to one algorithm.

use super::der::{KeyKind, is_public_key_or_certificate, public_key};
use super::jwk::{self, Jwk};
use super::{key_error, unauthorized};
use crate::error::Result;
use crate::resources::Algorithm;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use ring::{hmac, signature};
use rustls::pki_types::SubjectPublicKeyInfoDer;
use rustls::pki_types::pem::PemObject;

/// Minimum length of a shared secret.
const MIN_SECRET_BYTES: usize = 16;

/// The key in the form that `ring` takes.
pub(super) enum KeyMaterial {
    /// A shared secret.
    Shared(hmac::Key),
    /// A public key, encoded as `ring` expects it for the algorithm.
    Public(Vec<u8>),
    /// An RSA public key from a key set: modulus and exponent.
    Rsa { n: Vec<u8>, e: Vec<u8> },
}

/// The verification keys of one session resource.
pub struct VerifyingKey {
    algorithm: Algorithm,
    /// Each with its key id (`kid`), if it has one.
    keys: Vec<(Option<Box<str>>, KeyMaterial)>,
}

impl std::fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "VerifyingKey({:?}, {} keys)", self.algorithm, self.keys.len())
    }
}

impl VerifyingKey {
    /// A shared secret.
    ///
    /// # Errors
    /// The algorithm is not symmetric, the secret is too short, or it is a key in PEM: a public key is no secret.
    pub fn from_secret(algorithm: Algorithm, secret: &str) -> Result<Self> {
        if !algorithm.is_symmetric() {
            return Err(key_error(format!(
                "{} needs a `publicKey` or `jwks`, not a `secret`",
                algorithm.name()
            )));
        }
        let key = shared_key(algorithm, "`secret`", secret.as_bytes())?;
        Ok(Self {
            algorithm,
            keys: vec![(None, key)],
        })
    }

    /// A public key in PEM.
    ///
    /// # Errors
    /// The text is not a public key, or its kind does not fit the algorithm.
    pub fn from_pem(algorithm: Algorithm, pem: &str) -> Result<Self> {
        if algorithm.is_symmetric() {
            return Err(key_error(format!(
                "{} needs a `secret`, not a `publicKey`",
                algorithm.name()
            )));
        }
        let info = SubjectPublicKeyInfoDer::from_pem_slice(pem.as_bytes())
            .map_err(|_| key_error("the `publicKey` must be PEM that begins with -----BEGIN PUBLIC KEY-----"))?;
        let (kind, bytes) = public_key(&info)
            .ok_or_else(|| key_error("the `publicKey` is none of RSA, EC (P-256, P-384) or Ed25519"))?;
        if kind != required_key_kind(algorithm) {
            return Err(key_error(format!(
                "the `publicKey` is not for {}: it is {kind:?}",
                algorithm.name()
            )));
        }
        Ok(Self {
            algorithm,
            keys: vec![(None, KeyMaterial::Public(bytes.to_vec()))],
        })
    }

    /// The keys of a JSON Web Key Set that fit the algorithm.
    ///
    /// # Errors
    /// The text is not a key set, or no key fits.
    pub fn from_jwks(algorithm: Algorithm, json: &str) -> Result<Self> {
        let set = jwk::read_set(json)?;
        let usable = |key: &Jwk| {
            let material = key.key_material(algorithm).transpose()?;
            Some(material.map(|material| (key.kid.clone(), material)))
        };
        let keys: Vec<_> = set.iter().filter_map(usable).collect::<Result<_>>()?;
        if keys.is_empty() {
            return Err(key_error(format!("the `jwks` has no key for {}", algorithm.name())));
        }
        Ok(Self { algorithm, keys })
    }

    /// The algorithm that tokens must name.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Checks the signature of `message`; `kid` is the key id that the token names.
    pub(super) fn verify(&self, kid: Option<&str>, message: &[u8], signature_bytes: &[u8]) -> Result<()> {
        let may_be = |key_id: &Option<Box<str>>| match (key_id.as_deref(), kid) {
            (Some(key_id), Some(kid)) => key_id == kid,
            _ => true,
        };
        let mut candidates = self.keys.iter().filter(|(key_id, _)| may_be(key_id)).peekable();
        if candidates.peek().is_none() {
            return Err(unauthorized(
                "is signed with a key that is not in the `jwks` of its session resource",
            ));
        }
        // There is more than one candidate only if the token or some keys have no id; a set is bounded.
        if candidates.any(|(_, key)| self.matches(key, message, signature_bytes)) {
            Ok(())
        } else {
            Err(unauthorized("has a wrong signature"))
        }
    }

    fn matches(&self, key: &KeyMaterial, message: &[u8], signature_bytes: &[u8]) -> bool {
        match key {
            KeyMaterial::Shared(key) => hmac::verify(key, message, signature_bytes).is_ok(),
            KeyMaterial::Rsa { n, e } => rsa_parameters(self.algorithm).is_some_and(|rsa| {
                signature::RsaPublicKeyComponents { n, e }
                    .verify(rsa, message, signature_bytes)
                    .is_ok()
            }),
            KeyMaterial::Public(bytes) => verification_algorithm(self.algorithm).is_some_and(|algorithm| {
                signature::UnparsedPublicKey::new(algorithm, bytes)
                    .verify(message, signature_bytes)
                    .is_ok()
            }),
        }
    }
}

/// A secret that signs and verifies; `name` is what it is called in messages.
///
/// # Errors
/// It is so short that it can be guessed, or known to everybody: a public key.
pub(super) fn shared_key(algorithm: Algorithm, name: &str, secret: &[u8]) -> Result<KeyMaterial> {
    if let Some(form) = public_form(secret) {
        return Err(key_error(format!(
            "the {name} is a key in {form}; give a public key as `publicKey`, or in `jwks`, with the algorithm of that key"
        )));
    }
    if secret.len() < MIN_SECRET_BYTES {
        return Err(key_error(format!(
            "the {name} must have at least {MIN_SECRET_BYTES} bytes; make one with `openssl rand -base64 32`"
        )));
    }
    Ok(KeyMaterial::Shared(hmac::Key::new(hmac_algorithm(algorithm), secret)))
}

/// The form in which a secret is a key that others may know, if it is one.
fn public_form(secret: &[u8]) -> Option<&'static str> {
    if is_public_key_or_certificate(secret) {
        return Some("DER");
    }
    let text = std::str::from_utf8(secret).ok()?.trim();
    if text.contains("-----BEGIN ") {
        return Some("PEM");
    }
    if text.starts_with('{') && jwk::is_key_or_set(text) {
        return Some("JSON (JWK)");
    }
    // As it stands between the lines of a PEM, perhaps with its line breaks.
    let compact: String = text.split_whitespace().collect();
    let unpadded = compact.trim_end_matches('=');
    [STANDARD_NO_PAD, URL_SAFE_NO_PAD]
        .iter()
        .any(|base64| {
            base64
                .decode(unpadded)
                .is_ok_and(|bytes| is_public_key_or_certificate(&bytes))
        })
        .then_some("base64 of DER")
}

pub(super) fn hmac_algorithm(algorithm: Algorithm) -> hmac::Algorithm {
    match algorithm {
        Algorithm::Hs384 => hmac::HMAC_SHA384,
        Algorithm::Hs512 => hmac::HMAC_SHA512,
        _ => hmac::HMAC_SHA256,
    }
}

fn rsa_parameters(algorithm: Algorithm) -> Option<&'static signature::RsaParameters> {
    Some(match algorithm {
        Algorithm::Rs256 => &signature::RSA_PKCS1_2048_8192_SHA256,
        Algorithm::Rs384 => &signature::RSA_PKCS1_2048_8192_SHA384,
        Algorithm::Rs512 => &signature::RSA_PKCS1_2048_8192_SHA512,
        Algorithm::Ps256 => &signature::RSA_PSS_2048_8192_SHA256,
        Algorithm::Ps384 => &signature::RSA_PSS_2048_8192_SHA384,
        Algorithm::Ps512 => &signature::RSA_PSS_2048_8192_SHA512,
        _ => return None,
    })
}

fn verification_algorithm(algorithm: Algorithm) -> Option<&'static dyn signature::VerificationAlgorithm> {
    if let Some(rsa) = rsa_parameters(algorithm) {
        return Some(rsa);
    }
    Some(match algorithm {
        Algorithm::Es256 => &signature::ECDSA_P256_SHA256_FIXED,
        Algorithm::Es384 => &signature::ECDSA_P384_SHA384_FIXED,
        Algorithm::EdDsa => &signature::ED25519,
        _ => return None,
    })
}

/// The kind of key that an asymmetric algorithm needs.
pub(super) fn required_key_kind(algorithm: Algorithm) -> KeyKind {
    match algorithm {
        Algorithm::Es256 => KeyKind::P256,
        Algorithm::Es384 => KeyKind::P384,
        Algorithm::EdDsa => KeyKind::Ed25519,
        _ => KeyKind::Rsa,
    }
}
