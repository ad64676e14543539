//! Amazon SES.

use super::{all_shown, check_answers, exchange, ses};
use crate::testing::api_server::Reply;
use crate::testing::aws_signature::SignedRequest;
use serde_json::json;

#[tokio::test]
async fn ses_requests_are_signed() {
    let replies = vec![Reply::new(200, r#"{"MessageId":"m1"}"#); 2];
    let (received, deliveries) = exchange(ses(), replies).await;
    let ann = received.iter().find(|one| one.body.contains("ann")).unwrap();
    assert_eq!(ann.line, "POST /v2/email/outbound-emails");
    assert_eq!(ann.header("x-amz-security-token"), "session-1");
    let authorization = ann.header("authorization");
    let day = ann.header("x-amz-date").get(..8).unwrap();
    let scope = format!("AWS4-HMAC-SHA256 Credential=AKID/{day}/eu-west-1/ses/aws4_request, ");
    assert!(authorization.starts_with(&scope), "{authorization}");
    let names = "content-type;host;x-amz-content-sha256;x-amz-date;x-amz-security-token";
    assert!(
        authorization.contains(&format!("SignedHeaders={names}, ")),
        "{authorization}"
    );
    let request = SignedRequest {
        method: "POST",
        path: "/v2/email/outbound-emails",
        header: &|name| ann.header(name),
        body: &ann.body,
    };
    assert!(request.is_signed_by("hunter2hunter2") && !request.is_signed_by("hunter3hunter3"));
    let part = |text: &str| json!({ "Data": text, "Charset": "UTF-8" });
    let expected = json!({
        "FromEmailAddress": "\"The shop\" <shop@b.example>",
        "ReplyToAddresses": ["help@b.example"],
        "Destination": { "ToAddresses": ["\"Ann\" <ann@a.example>"] },
        "Content": { "Simple": { "Subject": part("Hello"), "Body": { "Html": part("<p>Hi</p>"), "Text": part("Hi") } } },
    });
    assert_eq!(ann.json(), expected);
    assert_eq!(all_shown(&deliveries), ["sent m1", "sent m1"]);
}

#[tokio::test]
async fn ses_answers_are_told_apart_by_what_a_retry_can_change() {
    check_answers(vec![
        (
            ses,
            Reply::new(400, r#"{"message":"Illegal address"}"#).header("x-amzn-errortype", "BadRequestException:x"),
            "refused aws_ses: BadRequestException Illegal address",
        ),
        (
            ses,
            Reply::new(429, r#"{"message":"Maximum sending rate exceeded."}"#)
                .header("x-amzn-errortype", "TooManyRequestsException"),
            "RATE_LIMITED None",
        ),
        (
            ses,
            Reply::new(400, "{}").header("x-amzn-errortype", "SendingPausedException"),
            "VALIDATION_ERROR None",
        ),
        (
            ses,
            Reply::new(403, r#"{"message":"InvalidSignature"}"#),
            "FORBIDDEN None",
        ),
    ])
    .await;
}
