//! A session resource: how its tokens are verified and issued.

/// Signature algorithm of tokens. `none` is not supported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names are those of the standard")]
pub enum Algorithm {
    Hs256,
    Hs384,
    Hs512,
    Rs256,
    Rs384,
    Rs512,
    Ps256,
    Ps384,
    Ps512,
    Es256,
    Es384,
    EdDsa,
}

impl Algorithm {
    /// All algorithms, by their names in a token's header.
    pub const NAMES: [(&'static str, Self); 12] = [
        ("HS256", Self::Hs256),
        ("HS384", Self::Hs384),
        ("HS512", Self::Hs512),
        ("RS256", Self::Rs256),
        ("RS384", Self::Rs384),
        ("RS512", Self::Rs512),
        ("PS256", Self::Ps256),
        ("PS384", Self::Ps384),
        ("PS512", Self::Ps512),
        ("ES256", Self::Es256),
        ("ES384", Self::Es384),
        ("EdDSA", Self::EdDsa),
    ];

    /// Its name in a token's header.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::NAMES
            .iter()
            .find(|(_, algorithm)| *algorithm == self)
            .map_or("", |(name, _)| name)
    }

    /// Whether one secret both signs and verifies.
    #[must_use]
    pub fn is_symmetric(self) -> bool {
        matches!(self, Self::Hs256 | Self::Hs384 | Self::Hs512)
    }
}

/// Source of the verification key. Texts may hold `$Secret{…}`.
#[derive(Clone)]
pub enum KeySource {
    /// A shared secret.
    Secret(Box<str>),
    /// Public key in PEM.
    PublicKey(Box<str>),
    /// JSON Web Key Set.
    Jwks(Box<str>),
    /// No key: tokens cannot be verified.
    Absent,
}

impl std::fmt::Debug for KeySource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Secret(_) => "Secret(…)",
            Self::PublicKey(_) => "PublicKey(…)",
            Self::Jwks(_) => "Jwks(…)",
            Self::Absent => "Absent",
        })
    }
}

/// A session resource.
#[derive(Clone)]
pub struct SessionResource {
    /// Its name within the product.
    pub tag: Box<str>,
    /// Signature algorithm of its tokens.
    pub algorithm: Algorithm,
    /// Key that verifies them.
    pub key: KeySource,
    /// Key in PEM that signs issued tokens; a shared secret needs none.
    pub private_key: Option<Box<str>>,
    /// Lifetime of issued tokens, ms.
    pub expiry: i64,
    /// `false`: claims of tokens are accepted without verification.
    pub verify: bool,
}

impl std::fmt::Debug for SessionResource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SessionResource")
            .field("tag", &self.tag)
            .field("algorithm", &self.algorithm)
            .field("key", &self.key)
            .field("verify", &self.verify)
            .finish_non_exhaustive()
    }
}
