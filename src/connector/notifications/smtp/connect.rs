//! Opens, secures and authenticates connections to an SMTP server.
//!
//! Invariant: with `starttls` only the greeting is exchanged in plain text; a server that does not support it gets no
//! e-mail.

use super::failures;
use super::line_stream::LineStream;
use crate::connector::Failure;
use crate::resources::SmtpSecurity;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{AsyncSmtpConnection, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use std::time::Duration;
use tokio::net::TcpStream;

/// Timeouts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timeouts {
    /// For connecting, TLS and authentication together.
    pub connect: Duration,
    /// For one e-mail.
    pub send: Duration,
    /// For probing an idle connection.
    pub probe: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(15),
            send: Duration::from_secs(30),
            probe: Duration::from_secs(3),
        }
    }
}

/// An SMTP server and its settings.
pub(super) struct MailServer {
    pub host: String,
    pub port: u16,
    pub security: SmtpSecurity,
    pub tls: Option<TlsParameters>,
    pub credentials: Option<Credentials>,
    pub timeouts: Timeouts,
}

impl MailServer {
    /// Opens a connection that is ready for e-mail.
    ///
    /// # Errors
    /// `CONNECTION_ERROR`, `TIMEOUT`, `SERVICE_UNAVAILABLE`, `UNAUTHORIZED`; `VALIDATION_ERROR` for a server that lacks a
    /// feature which the definition requires.
    pub(super) async fn connect(&self) -> Result<AsyncSmtpConnection, Failure> {
        let connect = async {
            let mut connection = self.greet().await?;
            self.authenticate(&mut connection).await?;
            Ok(connection)
        };
        let late = || {
            Failure::timeout(format!(
                "the mail server {} is not ready within {} ms",
                self.host,
                self.timeouts.connect.as_millis()
            ))
        };
        tokio::time::timeout(self.timeouts.connect, connect)
            .await
            .unwrap_or_else(|_| Err(late()))
    }

    async fn greet(&self) -> Result<AsyncSmtpConnection, Failure> {
        let hello = ClientId::default();
        let refused = |error| failures::connection_refused(&error, &self.host);
        if let (SmtpSecurity::Tls, Some(tls)) = (self.security, &self.tls) {
            let address = (&*self.host, self.port);
            return AsyncSmtpConnection::connect_tokio1(address, None, &hello, Some(tls.clone()), None)
                .await
                .map_err(refused);
        }
        let stream = TcpStream::connect((&*self.host, self.port))
            .await
            .map_err(|error| Failure::connection(format!("no connection to the mail server {}: {error}", self.host)))?;
        let mut connection = AsyncSmtpConnection::connect_with_transport(Box::new(LineStream::new(stream)), &hello)
            .await
            .map_err(refused)?;
        if let (SmtpSecurity::StartTls, Some(tls)) = (self.security, &self.tls) {
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
                if self.security == SmtpSecurity::None {
                    "; it may do so once the connection is secure"
                } else {
                    ""
                }
            )));
        }
        match connection.auth(&known, credentials).await {
            Ok(_) => Ok(()),
            Err(error) => Err(failures::credentials_refused(&error, &self.host)),
        }
    }
}
