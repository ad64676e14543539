//! URLs that an account of Azure has signed for one blob: "service SAS", by the rules of version 2020-12-06 and later.
//!
//! They are signed here since what is signed is the name itself and not how it is encoded in a URL.

use super::bucket::below;
use crate::clock::{Clock, SystemClock};
use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use object_store::path::Path;
use object_store::signer::Signer;
use reqwest::{Method, Url};
use ring::hmac::{HMAC_SHA256, Key, sign};
use std::fmt;
use std::time::Duration;

/// The version whose rules these are.
const VERSION: &str = "2021-12-02";

/// Signs by the key of an account.
pub(super) struct SasSigner {
    account: String,
    container: String,
    /// Where the blobs of the container are.
    url: Url,
    key: Key,
}

impl fmt::Debug for SasSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SasSigner")
    }
}

impl SasSigner {
    /// `key` is base64; `None`: it is not.
    pub(super) fn new(account: &str, container: &str, url: Url, key: &str) -> Option<Self> {
        Some(Self {
            account: account.to_owned(),
            container: container.to_owned(),
            url,
            key: Key::new(HMAC_SHA256, &STANDARD.decode(key).ok()?),
        })
    }

    fn sign(&self, permissions: &str, name: &str, until: i64) -> Url {
        let expiry = iso_8601(until);
        let blob = format!("/blob/{}/{}/{name}", self.account, self.container);
        // Fields that are not used are empty: start, identifier, addresses, protocol; then snapshot, encryption and headers.
        let text = format!("{permissions}\n\n{expiry}\n{blob}\n\n\n\n{VERSION}\nb\n\n\n\n\n\n\n");
        let signature = STANDARD.encode(sign(&self.key, text.as_bytes()));
        let mut url = name.split('/').fold(self.url.clone(), below);
        url.query_pairs_mut()
            .append_pair("sv", VERSION)
            .append_pair("sp", permissions)
            .append_pair("se", &expiry)
            .append_pair("sr", "b")
            .append_pair("sig", &signature);
        url
    }
}

#[async_trait]
impl Signer for SasSigner {
    async fn signed_url(&self, method: Method, path: &Path, expires_in: Duration) -> object_store::Result<Url> {
        let lifetime = i64::try_from(expires_in.as_millis()).unwrap_or(i64::MAX);
        let permissions = if method == Method::GET { "r" } else { "cw" };
        let until = SystemClock.now().saturating_add(lifetime);
        Ok(self.sign(permissions, path.as_ref(), until))
    }
}

/// A time, ms since the epoch, as `2026-01-31T09:00:00Z`.
fn iso_8601(time: i64) -> String {
    let seconds = time.div_euclid(1_000);
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    // Years begin in March, so that a leap day comes last; 719,468 days from the first of them to the epoch.
    let days = days + 719_468;
    let (era, day) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    let year = era * 400 + year + next;
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_azure_reads_them() {
        for (time, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400_000, "2000-02-29T00:00:00Z"),
            (1_767_225_599_999, "2025-12-31T23:59:59Z"),
            (1_769_850_000_000, "2026-01-31T09:00:00Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(iso_8601(time), text);
        }
    }
}
