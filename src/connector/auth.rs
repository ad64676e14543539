//! Credentials of HTTP requests, with their secrets in them.

use super::Failure;
use crate::engine::inputs::ExpressionResolver;
use crate::resources::HttpAuth;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{AUTHORIZATION, HeaderName, HeaderValue};

/// The header that carries them.
///
/// # Errors
/// `VALIDATION_ERROR` for what no header can carry; what the source of secrets says.
pub(super) async fn header(
    auth: &HttpAuth,
    expressions: &ExpressionResolver,
) -> Result<(HeaderName, HeaderValue), Failure> {
    let (name, value) = match auth {
        HttpAuth::Basic { username, password } => {
            let username = expressions.reveal(username.as_written()).await?;
            let password = expressions.reveal(password.as_written()).await?;
            let encoded = STANDARD.encode(format!("{username}:{password}"));
            expressions.add_masked_value(&encoded);
            (AUTHORIZATION, format!("Basic {encoded}"))
        }
        HttpAuth::Bearer(token) => {
            let token = expressions.reveal(token.as_written()).await?;
            (AUTHORIZATION, format!("Bearer {token}"))
        }
        HttpAuth::Header { name, value } => {
            let name = HeaderName::from_bytes(name.as_bytes())
                .map_err(|_| Failure::invalid("`auth` names a header that is none"))?;
            (name, expressions.reveal(value.as_written()).await?)
        }
    };
    let mut value = HeaderValue::from_bytes(value.as_bytes())
        .map_err(|_| Failure::invalid("`auth` holds a line break or another control character"))?;
    value.set_sensitive(true);
    Ok((name, value))
}
