//! Keys that sign issued tokens, each bound to one algorithm.

use super::key::hmac_algorithm;
use super::{VerifyingKey, key_error};
use crate::error::Result;
use crate::resources::Algorithm;
use ring::rand::SystemRandom;
use ring::{hmac, signature};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;

/// Signed to see whether two keys are a pair.
const PROBE: &[u8] = b"ductape";

enum KeyPair {
    Shared(hmac::Key),
    Rsa(Box<signature::RsaKeyPair>),
    Ec(Box<signature::EcdsaKeyPair>),
    Ed25519(Box<signature::Ed25519KeyPair>),
}

/// A signing key.
pub struct SigningKey {
    algorithm: Algorithm,
    key_pair: KeyPair,
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SigningKey({:?})", self.algorithm)
    }
}

impl SigningKey {
    /// A shared secret, which [`super::VerifyingKey::from_secret`] has accepted.
    #[must_use]
    pub fn from_secret(algorithm: Algorithm, secret: &str) -> Self {
        Self {
            algorithm,
            key_pair: KeyPair::Shared(hmac::Key::new(hmac_algorithm(algorithm), secret.as_bytes())),
        }
    }

    /// A private key in PEM.
    ///
    /// # Errors
    /// The text is not a private key, or its kind does not fit the algorithm.
    pub fn from_pem(algorithm: Algorithm, pem: &str) -> Result<Self> {
        let key = PrivateKeyDer::from_pem_slice(pem.as_bytes())
            .map_err(|_| key_error("the `privateKey` must be PEM that begins with -----BEGIN PRIVATE KEY-----"))?;
        let wrong = || {
            key_error(format!(
                "the `privateKey` cannot sign with {}; give a PKCS#8 key of that kind (`openssl pkcs8 -topk8 -nocrypt` converts)",
                algorithm.name()
            ))
        };
        let key_pair = match algorithm {
            Algorithm::Es256 => Self::ec(&signature::ECDSA_P256_SHA256_FIXED_SIGNING, &key),
            Algorithm::Es384 => Self::ec(&signature::ECDSA_P384_SHA384_FIXED_SIGNING, &key),
            Algorithm::EdDsa => signature::Ed25519KeyPair::from_pkcs8_maybe_unchecked(key.secret_der())
                .ok()
                .map(|key_pair| KeyPair::Ed25519(Box::new(key_pair))),
            Algorithm::Hs256 | Algorithm::Hs384 | Algorithm::Hs512 => None,
            _ => match &key {
                PrivateKeyDer::Pkcs1(der) => signature::RsaKeyPair::from_der(der.secret_pkcs1_der()).ok(),
                other => signature::RsaKeyPair::from_pkcs8(other.secret_der()).ok(),
            }
            .map(|key_pair| KeyPair::Rsa(Box::new(key_pair))),
        };
        Ok(Self {
            algorithm,
            key_pair: key_pair.ok_or_else(wrong)?,
        })
    }

    fn ec(algorithm: &'static signature::EcdsaSigningAlgorithm, key: &PrivateKeyDer<'_>) -> Option<KeyPair> {
        let key_pair = signature::EcdsaKeyPair::from_pkcs8(algorithm, key.secret_der(), &SystemRandom::new()).ok()?;
        Some(KeyPair::Ec(Box::new(key_pair)))
    }

    /// Whether what this signs is what that verifies.
    ///
    /// # Errors
    /// It is not: every token that is issued would be refused.
    pub fn check_pair(&self, verifying: &VerifyingKey) -> Result<()> {
        let signature = self.sign(PROBE)?;
        verifying.verify(None, PROBE, &signature).map_err(|_| {
            key_error(
                "the `privateKey` does not belong to the key that tokens are verified with; give both of one pair",
            )
        })
    }

    /// The algorithm that issued tokens name.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    pub(super) fn sign(&self, message: &[u8]) -> Result<Vec<u8>> {
        let random = SystemRandom::new();
        let failed = |_| key_error("the token could not be signed");
        match &self.key_pair {
            KeyPair::Shared(key) => Ok(hmac::sign(key, message).as_ref().to_vec()),
            KeyPair::Ed25519(key_pair) => Ok(key_pair.sign(message).as_ref().to_vec()),
            KeyPair::Ec(key_pair) => Ok(key_pair.sign(&random, message).map_err(failed)?.as_ref().to_vec()),
            KeyPair::Rsa(key_pair) => {
                let mut signed = vec![0; key_pair.public().modulus_len()];
                key_pair
                    .sign(rsa_encoding(self.algorithm), &random, message, &mut signed)
                    .map_err(failed)?;
                Ok(signed)
            }
        }
    }
}

fn rsa_encoding(algorithm: Algorithm) -> &'static dyn signature::RsaEncoding {
    match algorithm {
        Algorithm::Rs384 => &signature::RSA_PKCS1_SHA384,
        Algorithm::Rs512 => &signature::RSA_PKCS1_SHA512,
        Algorithm::Ps256 => &signature::RSA_PSS_SHA256,
        Algorithm::Ps384 => &signature::RSA_PSS_SHA384,
        Algorithm::Ps512 => &signature::RSA_PSS_SHA512,
        _ => &signature::RSA_PKCS1_SHA256,
    }
}
