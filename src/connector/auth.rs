//! Credentials of HTTP requests, with their secrets in them.

use super::Failure;
use crate::engine::preparation::Preparation;
use crate::resources::HttpAuth;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{AUTHORIZATION, HeaderName, HeaderValue};

/// The header that carries them.
///
/// # Errors
/// `VALIDATION_ERROR` for what no header can carry; what the source of secrets says.
pub(super) async fn header(auth: &HttpAuth, preparation: &Preparation) -> Result<(HeaderName, HeaderValue), Failure> {
    let (name, value) = match auth {
        HttpAuth::Basic { username, password } => {
            let username = preparation.reveal(username.as_written()).await?;
            let password = preparation.reveal(password.as_written()).await?;
            let encoded = STANDARD.encode(format!("{username}:{password}"));
            preparation.secrets.masker.add_secret(&encoded);
            (AUTHORIZATION, format!("Basic {encoded}"))
        }
        HttpAuth::Bearer(token) => {
            let token = preparation.reveal(token.as_written()).await?;
            (AUTHORIZATION, format!("Bearer {token}"))
        }
        HttpAuth::Header { name, value } => {
            let name = HeaderName::from_bytes(name.as_bytes())
                .map_err(|_| Failure::invalid("`auth` names a header that is none"))?;
            (name, preparation.reveal(value.as_written()).await?)
        }
    };
    let mut value = HeaderValue::from_bytes(value.as_bytes())
        .map_err(|_| Failure::invalid("`auth` holds a line break or another control character"))?;
    value.set_sensitive(true);
    Ok((name, value))
}
