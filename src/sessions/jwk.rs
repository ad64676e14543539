//! Key sets (JWKS).

use super::der::KeyKind;
use super::key::{Material, hmac_of, kind_of};
use super::unusable;
use crate::error::Result;
use crate::resources::Algorithm;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;
use serde::Deserialize;

/// Most keys of a set.
const MOST: usize = 100;

/// One key, as far as it is read.
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
struct Set {
    keys: Vec<Jwk>,
}

pub(super) fn read_set(json: &str) -> Result<Vec<Jwk>> {
    let set: Set = serde_json::from_str(json)
        .map_err(|_| unusable("the `jwks` must be { keys: [{ kty, … }] } or the path of a JSON file that holds it"))?;
    if set.keys.len() > MOST {
        return Err(unusable(format!("the `jwks` has more than {MOST} keys")));
    }
    Ok(set.keys)
}

impl Jwk {
    /// What signatures are checked with, if the key is for this algorithm and for signatures at all.
    pub(super) fn material(&self, algorithm: Algorithm) -> Option<Material> {
        let other = |given: &Option<Box<str>>, wanted| given.as_deref().is_some_and(|given| given != wanted);
        if other(&self.alg, algorithm.name()) || other(&self.purpose, "sig") {
            return None;
        }
        if algorithm.is_symmetric() {
            let secret = (&*self.kty == "oct").then(|| bytes(&self.k))??;
            return Some(Material::Shared(hmac::Key::new(hmac_of(algorithm), &secret)));
        }
        let curve = |kty: &str, crv: &str| &*self.kty == kty && self.crv.as_deref() == Some(crv);
        match kind_of(algorithm) {
            KeyKind::Rsa if &*self.kty == "RSA" => Some(Material::Rsa {
                n: bytes(&self.n)?,
                e: bytes(&self.e)?,
            }),
            KeyKind::P256 if curve("EC", "P-256") => self.point(32),
            KeyKind::P384 if curve("EC", "P-384") => self.point(48),
            KeyKind::Ed25519 if curve("OKP", "Ed25519") => Some(Material::Public(bytes(&self.x)?)),
            _ => None,
        }
    }

    /// An uncompressed point.
    fn point(&self, size: usize) -> Option<Material> {
        let (x, y) = (bytes(&self.x)?, bytes(&self.y)?);
        let fits = x.len() == size && y.len() == size;
        fits.then(|| Material::Public([&[4][..], &x, &y].concat()))
    }
}

fn bytes(text: &Option<Box<str>>) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text.as_deref()?.trim_end_matches('=')).ok()
}
