//! Signatures of requests to AWS, version 4:
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/create-signed-request.html>. Pure.
//!
//! For requests without a query. What finds credentials where a machine has them is elsewhere: here a definition names them.

use super::request::ApiRequest;
use crate::text::hex::hex;
use reqwest::Url;
use ring::digest::{SHA256, digest};
use ring::hmac;

/// A key, and what it signs for.
pub(super) struct SigningKey {
    pub id: String,
    pub secret: String,
    pub session_token: Option<String>,
    pub region: String,
    pub service: &'static str,
}

impl SigningKey {
    /// Adds the headers of a signature made at `now`, ms.
    pub(super) fn sign(&self, request: &mut ApiRequest, now: i64) {
        let time = iso_basic(now);
        request.headers.push(("x-amz-date", time.clone()));
        if let Some(token) = &self.session_token {
            request.headers.push(("x-amz-security-token", token.clone()));
        }
        let authorization = self.authorization(request, &time);
        request.headers.push(("authorization", authorization));
    }

    fn authorization(&self, request: &ApiRequest, time: &str) -> String {
        let host = host_header(&request.url);
        let mut headers: Vec<(&str, &str)> = request
            .headers
            .iter()
            .map(|(name, value)| (*name, value.trim()))
            .collect();
        headers.push(("host", &host));
        headers.sort_unstable();
        let names: Vec<&str> = headers.iter().map(|(name, _)| *name).collect();
        let names = names.join(";");
        let lines: String = headers
            .iter()
            .map(|(name, value)| format!("{name}:{value}\n"))
            .collect();
        let canonical = format!(
            "{}\n{}\n\n{lines}\n{names}\n{}",
            request.method,
            request.url.path(),
            sha256(&request.body)
        );
        let day = time.get(..8).unwrap_or_default();
        let scope = format!("{day}/{}/{}/aws4_request", self.region, self.service);
        let to_sign = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{}", sha256(&canonical));
        let mut key = format!("AWS4{}", self.secret).into_bytes();
        for part in [day, &self.region, self.service, "aws4_request"] {
            key = hmac_sha256(&key, part);
        }
        let signature = hex(&hmac_sha256(&key, &to_sign));
        format!(
            "AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={names}, Signature={signature}",
            self.id
        )
    }
}

/// The header that the HTTP client sends: the port only if it is not the usual one.
fn host_header(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

fn sha256(text: &str) -> String {
    hex(digest(&SHA256, text.as_bytes()).as_ref())
}

fn hmac_sha256(key: &[u8], text: &str) -> Vec<u8> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    hmac::sign(&key, text.as_bytes()).as_ref().to_vec()
}

/// `20150830T123600Z`
fn iso_basic(now: i64) -> String {
    let seconds = now.div_euclid(1_000);
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    format!("{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}Z")
}

/// Year, month and day of a number of days since 1970, in the Gregorian calendar. A year begins with March here, so that
/// the leap day is its last.
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `get-vanilla` of the test suite that AWS publishes.
    #[test]
    fn signature_is_that_of_the_published_example() {
        let key = SigningKey {
            id: "AKIDEXAMPLE".into(),
            secret: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".into(),
            session_token: None,
            region: "us-east-1".into(),
            service: "service",
        };
        let mut request = ApiRequest::get(Url::parse("https://example.amazonaws.com/").unwrap());
        key.sign(&mut request, 1_440_938_160_000);
        let (_, authorization) = request.headers.last().unwrap();
        assert_eq!(request.headers[0], ("x-amz-date", "20150830T123600Z".to_owned()));
        assert!(
            authorization.contains("SignedHeaders=host;x-amz-date,"),
            "{authorization}"
        );
        assert!(
            authorization.ends_with("Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
            "{authorization}"
        );
    }

    #[test]
    fn instant_is_written_in_basic_form() {
        assert_eq!(iso_basic(0), "19700101T000000Z");
        assert_eq!(iso_basic(951_782_399_999), "20000228T235959Z");
        assert_eq!(iso_basic(951_782_400_000), "20000229T000000Z");
        assert_eq!(iso_basic(1_767_225_599_000), "20251231T235959Z");
    }
}
