//! Connections to a mail server: made, secured and authenticated.
//!
//! Invariant: with `starttls` nothing but the greeting is said in the clear; a server without it gets no e-mail.

use super::failures;
use super::lines::Lines;
use crate::connector::Failure;
use crate::resources::MailSecurity;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{AsyncSmtpConnection, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use std::time::Duration;
use tokio::net::TcpStream;

/// How long things may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// Until a connection stands, and is secured and authenticated.
    pub connecting: Duration,
    /// For one e-mail.
    pub sending: Duration,
    /// For a sign of life of a connection that was idle.
    pub probing: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            connecting: Duration::from_secs(15),
            sending: Duration::from_secs(30),
            probing: Duration::from_secs(3),
        }
    }
}

/// A mail server, and how it is spoken to.
pub(super) struct Server {
    pub host: String,
    pub port: u16,
    pub security: MailSecurity,
    pub tls: Option<TlsParameters>,
    pub credentials: Option<Credentials>,
    pub patience: Patience,
}

impl Server {
    /// A connection that takes e-mail.
    ///
    /// # Errors
    /// `CONNECTION_ERROR`, `TIMEOUT`, `SERVICE_UNAVAILABLE`, `UNAUTHORIZED`; `VALIDATION_ERROR` for a server that lacks what
    /// the definition asks for.
    pub(super) async fn connect(&self) -> Result<AsyncSmtpConnection, Failure> {
        let connecting = async {
            let mut connection = self.greet().await?;
            self.authenticate(&mut connection).await?;
            Ok(connection)
        };
        let late = || {
            Failure::timeout(format!(
                "the mail server {} is not ready within {} ms",
                self.host,
                self.patience.connecting.as_millis()
            ))
        };
        tokio::time::timeout(self.patience.connecting, connecting)
            .await
            .unwrap_or_else(|_| Err(late()))
    }

    async fn greet(&self) -> Result<AsyncSmtpConnection, Failure> {
        let hello = ClientId::default();
        let refused = |error| failures::refused(&error, &self.host);
        if let (MailSecurity::Tls, Some(tls)) = (self.security, &self.tls) {
            let address = (&*self.host, self.port);
            return AsyncSmtpConnection::connect_tokio1(address, None, &hello, Some(tls.clone()), None)
                .await
                .map_err(refused);
        }
        let stream = TcpStream::connect((&*self.host, self.port))
            .await
            .map_err(|error| Failure::connection(format!("no connection to the mail server {}: {error}", self.host)))?;
        let mut connection = AsyncSmtpConnection::connect_with_transport(Box::new(Lines::new(stream)), &hello)
            .await
            .map_err(refused)?;
        if let (MailSecurity::StartTls, Some(tls)) = (self.security, &self.tls) {
            if !connection.can_starttls() {
                return Err(Failure::invalid(format!(
                    "the mail server {} offers no STARTTLS; set `security` to 'tls' if its port takes TLS from the \
                     start, or to 'none' if e-mail may go in the clear",
                    self.host
                )));
            }
            connection.starttls(tls.clone(), &hello).await.map_err(refused)?;
        }
        Ok(connection)
    }

    async fn authenticate(&self, connection: &mut AsyncSmtpConnection) -> Result<(), Failure> {
        let Some(credentials) = &self.credentials else {
            return Ok(());
        };
        let known = [Mechanism::Plain, Mechanism::Login];
        if connection.server_info().get_auth_mechanism(&known).is_none() {
            return Err(Failure::invalid(format!(
                "the mail server {} takes no user name and password (AUTH PLAIN or LOGIN){}",
                self.host,
                if self.security == MailSecurity::None {
                    "; it may do so once the connection is secure"
                } else {
                    ""
                }
            )));
        }
        match connection.auth(&known, credentials).await {
            Ok(_) => Ok(()),
            Err(error) => Err(failures::credentials(&error, &self.host)),
        }
    }
}
