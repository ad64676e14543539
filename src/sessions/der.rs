//! Just enough of a DER parser to extract algorithm and key from a SubjectPublicKeyInfo.

/// The kind of a public key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeyKind {
    Rsa,
    P256,
    P384,
    Ed25519,
}

const SEQUENCE: u8 = 0x30;
const OBJECT_IDENTIFIER: u8 = 0x06;
const BIT_STRING: u8 = 0x03;
const INTEGER: u8 = 0x02;
/// Of Ed25519, the shortest.
const MIN_PUBLIC_KEY_BYTES: usize = 44;

const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
const EC: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
const P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
const P384: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x22];
const ED25519: &[u8] = &[0x2b, 0x65, 0x70];

/// Splits off an element with this tag; returns its content and the bytes after it.
fn read_element(tag: u8, bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (first, rest) = bytes.split_first()?;
    if *first != tag {
        return None;
    }
    let (short, rest) = rest.split_first()?;
    let (length, rest) = match short {
        0..=0x7f => (usize::from(*short), rest),
        0x81 => (usize::from(*rest.first()?), rest.get(1..)?),
        0x82 => {
            let high = usize::from(*rest.first()?);
            (high << 8 | usize::from(*rest.get(1)?), rest.get(2..)?)
        }
        _ => return None,
    };
    Some((rest.get(..length)?, rest.get(length..)?))
}

/// Extracts kind and key bytes from a SubjectPublicKeyInfo.
pub(super) fn public_key(info: &[u8]) -> Option<(KeyKind, &[u8])> {
    let (info, rest) = read_element(SEQUENCE, info)?;
    if !rest.is_empty() {
        return None;
    }
    let (algorithm, rest) = read_element(SEQUENCE, info)?;
    let (object, parameters) = read_element(OBJECT_IDENTIFIER, algorithm)?;
    let kind = match object {
        RSA => KeyKind::Rsa,
        ED25519 => KeyKind::Ed25519,
        EC => match read_element(OBJECT_IDENTIFIER, parameters)?.0 {
            P256 => KeyKind::P256,
            P384 => KeyKind::P384,
            _ => return None,
        },
        _ => return None,
    };
    let (bits, rest) = read_element(BIT_STRING, rest)?;
    // The first byte is the number of unused bits in the last one, which must be 0.
    match bits.split_first() {
        Some((0, key)) if rest.is_empty() => Some((kind, key)),
        _ => None,
    }
}

/// Whether these bytes are a public key or a certificate: a SubjectPublicKeyInfo, an RSA key of its own (PKCS #1), or X.509.
pub(super) fn is_public_key_or_certificate(bytes: &[u8]) -> bool {
    // Shorter than any of them; so short a text might be one by chance.
    if bytes.len() < MIN_PUBLIC_KEY_BYTES {
        return false;
    }
    let Some((content, [])) = read_element(SEQUENCE, bytes) else {
        return false;
    };
    let rsa = || {
        let (_, rest) = read_element(INTEGER, content)?;
        read_element(INTEGER, rest)
    };
    // What both begin with: the algorithm of the key, or what the certificate is about.
    read_element(SEQUENCE, content).is_some() || rsa().is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn malformed_der_is_rejected() {
        let ed25519 = [
            &[0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00][..],
            &[7; 32],
        ]
        .concat();
        assert_eq!(public_key(&ed25519), Some((KeyKind::Ed25519, &[7; 32][..])));
        for length in 0..ed25519.len() {
            assert_eq!(public_key(&ed25519[..length]), None);
        }
        assert_eq!(public_key(&[0x30, 0x84, 0xff, 0xff, 0xff, 0xff]), None);
        assert_eq!(public_key(&[&ed25519[..], &[0]].concat()), None);
    }
}
