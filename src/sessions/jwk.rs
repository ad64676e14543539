//! JSON Web Key Sets (JWKS).

use super::der::KeyKind;
use super::key::{KeyMaterial, required_key_kind, shared_key};
use super::key_error;
use crate::error::Result;
use crate::resources::Algorithm;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

/// Maximum number of keys in a set.
const MAX_KEYS: usize = 100;

/// A key of a set; only the members that are needed here.
#[derive(Deserialize)]
pub(super) struct Jwk {
    kty: Box<str>,
    pub(super) kid: Option<Box<str>>,
    alg: Option<Box<str>>,
    #[serde(rename = "use")]
    purpose: Option<Box<str>>,
    crv: Option<Box<str>>,
    n: Option<Box<str>>,
    e: Option<Box<str>>,
    x: Option<Box<str>>,
    y: Option<Box<str>>,
    k: Option<Box<str>>,
}

#[derive(Deserialize)]
struct KeySet {
    keys: Vec<Jwk>,
}

/// Parses a key set.
///
/// # Errors
/// `VALIDATION_ERROR` if the text is no key set, or one of more than [`MAX_KEYS`] keys.
pub(super) fn read_set(json: &str) -> Result<Vec<Jwk>> {
    let set: KeySet = serde_json::from_str(json)
        .map_err(|_| key_error("the `jwks` must be { keys: [{ kty, … }] } or the path of a JSON file that holds it"))?;
    if set.keys.len() > MAX_KEYS {
        return Err(key_error(format!("the `jwks` has more than {MAX_KEYS} keys")));
    }
    Ok(set.keys)
}

/// Whether the text is a key, or a set of keys.
pub(super) fn is_key_or_set(json: &str) -> bool {
    serde_json::from_str::<Jwk>(json).is_ok() || serde_json::from_str::<KeySet>(json).is_ok()
}

impl Jwk {
    /// The key material, if the key is for this algorithm and for signatures.
    ///
    /// # Errors
    /// It is a shared secret that others know or can guess.
    pub(super) fn key_material(&self, algorithm: Algorithm) -> Result<Option<KeyMaterial>> {
        if !self.is_for(algorithm) {
            return Ok(None);
        }
        if algorithm.is_symmetric() {
            let secret = (&*self.kty == "oct").then(|| decode_base64(&self.k)).flatten();
            let name = match &self.kid {
                Some(kid) => format!("key '{kid}' of the `jwks`"),
                None => "key of the `jwks`".to_owned(),
            };
            return secret.map(|secret| shared_key(algorithm, &name, &secret)).transpose();
        }
        Ok(self.public_key_material(algorithm))
    }

    fn is_for(&self, algorithm: Algorithm) -> bool {
        let differs = |given: &Option<Box<str>>, wanted| given.as_deref().is_some_and(|given| given != wanted);
        !differs(&self.alg, algorithm.name()) && !differs(&self.purpose, "sig")
    }

    fn public_key_material(&self, algorithm: Algorithm) -> Option<KeyMaterial> {
        let curve = |kty: &str, crv: &str| &*self.kty == kty && self.crv.as_deref() == Some(crv);
        match required_key_kind(algorithm) {
            KeyKind::Rsa if &*self.kty == "RSA" => Some(KeyMaterial::Rsa {
                n: decode_base64(&self.n)?,
                e: decode_base64(&self.e)?,
            }),
            KeyKind::P256 if curve("EC", "P-256") => self.uncompressed_point(32),
            KeyKind::P384 if curve("EC", "P-384") => self.uncompressed_point(48),
            KeyKind::Ed25519 if curve("OKP", "Ed25519") => Some(KeyMaterial::Public(decode_base64(&self.x)?)),
            _ => None,
        }
    }

    /// The point on an elliptic curve in uncompressed form (SEC 1), with coordinates of `size` bytes.
    fn uncompressed_point(&self, size: usize) -> Option<KeyMaterial> {
        let (x, y) = (decode_base64(&self.x)?, decode_base64(&self.y)?);
        let fits = x.len() == size && y.len() == size;
        fits.then(|| KeyMaterial::Public([&[4][..], &x, &y].concat()))
    }
}

fn decode_base64(text: &Option<Box<str>>) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text.as_deref()?.trim_end_matches('=')).ok()
}
