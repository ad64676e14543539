//! Reads `mongodb://user:password@host:port/database?…`, and certificates.
//!
//! Does not connect. Invariant: no error contains any part of an address.

use crate::connector::Failure;
use crate::connector::limits::DATABASE_CONNECT_TIMEOUT;
use crate::tls::{CertificateCheck, client_config};
use mongodb::options::{Acknowledgment, ClientOptions, ConnectionString, Tls, TlsOptions};
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

/// The options of an address, as far as they are read without asking anybody.
pub(super) struct Address {
    read: ConnectionString,
    /// The database's name.
    pub(super) database: String,
    ca: Option<String>,
    connections: u32,
}

impl Address {
    pub(super) fn read(url: &str, ca: Option<&str>, connections: usize) -> Result<Self, Failure> {
        let read = ConnectionString::parse(url).map_err(|_| {
            Failure::invalid(
                "connection_url is no address of MongoDB; it must look like 'mongodb://user:password@host:27017/database', with special characters in the password percent-encoded and options that MongoDB knows",
            )
        })?;
        let database = read.default_database.clone().ok_or_else(|| {
            Failure::invalid("connection_url names no database; it must end as in 'mongodb://host:27017/database'")
        })?;
        let concern = read.write_concern.as_ref().and_then(|concern| concern.w.as_ref());
        if concern == Some(&Acknowledgment::Nodes(0)) {
            return Err(Failure::invalid(
                "`w` of connection_url must not be 0: a job is done when the server has confirmed it",
            ));
        }
        if let Some(ca) = ca {
            client_config(CertificateCheck::AuthorityAndName, Some(ca))
                .map_err(|failure| Failure::invalid(format!("ca: {failure}")))?;
        }
        Ok(Self {
            read,
            database,
            ca: ca.map(str::to_owned),
            connections: u32::try_from(connections).unwrap_or(u32::MAX).max(1),
        })
    }

    /// How long the driver waits for a server.
    pub(super) fn patience(&self) -> Duration {
        let given = self.read.server_selection_timeout;
        given.map_or(DATABASE_CONNECT_TIMEOUT, |given| given.min(DATABASE_CONNECT_TIMEOUT))
    }

    /// The driver's options, and the file that they name as long as it is needed. Addresses with `mongodb+srv` are looked
    /// up in the DNS.
    pub(super) async fn options(&self) -> mongodb::error::Result<(ClientOptions, Option<CaFile>)> {
        let mut options = ClientOptions::parse(self.read.clone()).await?;
        let most = DATABASE_CONNECT_TIMEOUT;
        options.server_selection_timeout = Some(self.patience());
        options.connect_timeout = Some(options.connect_timeout.map_or(most, |given| given.min(most)));
        options.max_pool_size = Some(self.connections);
        options.min_pool_size = None;
        let mut file = None;
        if let Some(ca) = &self.ca {
            let path = if ca.contains("-----BEGIN") {
                let written = CaFile::write(ca)?;
                let path = written.0.clone();
                file = Some(written);
                path
            } else {
                PathBuf::from(ca)
            };
            let mut tls = match options.tls.take() {
                Some(Tls::Enabled(tls)) => tls,
                _ => TlsOptions::default(),
            };
            tls.ca_file_path = Some(path);
            options.tls = Some(Tls::Enabled(tls));
        }
        Ok((options, file))
    }
}

/// Certificates in a file, since the driver takes no other. Removed when dropped.
pub(super) struct CaFile(PathBuf);

impl CaFile {
    fn write(pem: &str) -> std::io::Result<Self> {
        let path = std::env::temp_dir().join(format!("ductape-ca-{}.pem", uuid::Uuid::now_v7().simple()));
        let mut file = std::fs::File::create_new(&path)?;
        let written = Self(path);
        file.write_all(pem.as_bytes())?;
        Ok(written)
    }
}

impl Drop for CaFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn address_error_does_not_reveal_the_password() {
        assert_eq!(Address::read("mongodb://u:p@h/d", None, 1).unwrap().database, "d");
        assert!(Address::read("mongodb://a:1,b:2/d?replicaSet=r", None, 1).is_ok());
        for url in [
            "mongodb://u:s3cret@h",
            "mongodb://u:s3cret@h/d?w=0",
            "mongodb://u:s3cret@h:port/d",
            "mongodb://u:s3cret/@h/d",
            "mongodb://u:s3cret@h/d?tls=s3cret",
            "mongodb://u:s3cret@h/d?noSuchOption=s3cret",
            "postgres://u:s3cret@h/d",
            "s3cret",
        ] {
            let Err(failure) = Address::read(url, None, 1) else {
                panic!("{url} was taken")
            };
            assert_eq!(&*failure.code, "VALIDATION_ERROR");
            assert!(!failure.message.contains("s3cret"), "{}", failure.message);
        }
    }
}
