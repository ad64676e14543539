//! Certificates of a test's own.

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

/// An authority that nobody trusts who is not told to, and a server's certificate that it has signed; all PEM.
pub(crate) struct Authority {
    /// The authority's own certificate.
    pub(crate) ca: String,
    /// The server's certificate, for `localhost` and no other name.
    pub(crate) certificate: String,
    /// The server's key.
    pub(crate) key: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let own_key = KeyPair::generate().unwrap();
        let mut own = CertificateParams::new(Vec::new()).unwrap();
        own.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca = own.self_signed(&own_key).unwrap().pem();
        let issuer = Issuer::new(own, own_key);
        let key = KeyPair::generate().unwrap();
        let server = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        Self {
            ca,
            certificate: server.signed_by(&key, &issuer).unwrap().pem(),
            key: key.serialize_pem(),
            issuer,
        }
    }

    /// A client's certificate with this common name, and its key; both PEM.
    pub(crate) fn client(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let mut client = CertificateParams::new(Vec::new()).unwrap();
        client.distinguished_name.push(DnType::CommonName, name);
        (client.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }
}
