//! Timeouts of SMTP. Tests against a real server are in `__test__/notifications.test.ts`.

use super::connect::Timeouts;
use super::*;
use crate::connector::test_support;
use crate::engine::steps::Steps;
use crate::model::{JobId, Namespace};
use crate::resources::Text;
use crate::store::Store;
use crate::store::sqlite::{Location, SqliteConfig, SqliteStore};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// A server that gives these replies, one to each line, and then goes silent. Returns its port, and a signal for each closed
/// connection.
fn silent_after(answers: &'static [&'static str]) -> (u16, Receiver<()>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let (ended, ends) = channel();
    std::thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            let ended = ended.clone();
            std::thread::spawn(move || {
                let mut answers = answers.iter();
                let mut say = |stream: &mut std::net::TcpStream| {
                    if let Some(answer) = answers.next() {
                        let _ = stream.write_all(answer.as_bytes());
                    }
                };
                say(&mut stream);
                let mut bytes = [0; 4_096];
                while let Ok(count @ 1..) = stream.read(&mut bytes) {
                    let lines = bytes[..count].iter().filter(|byte| **byte == b'\n').count();
                    (0..lines).for_each(|_| say(&mut stream));
                }
                let _ = ended.send(());
            });
        }
    });
    (port, ends)
}

async fn mailer(port: u16) -> Mailer {
    let smtp = Smtp {
        host: Text::from("127.0.0.1"),
        port,
        security: SmtpSecurity::None,
        credentials: None,
        from: Text::from("shop@b.example"),
        reply_to: None,
        ca: None,
    };
    let short = Duration::from_millis(100);
    let timeouts = Timeouts {
        connect: short,
        send: short,
        probe: short,
    };
    Mailer::with_timeouts(&smtp, &ExpressionResolver::default(), timeouts)
        .await
        .unwrap()
}

#[tokio::test]
async fn smtp_server_without_greeting_times_out() {
    let (port, ends) = silent_after(&[]);
    let failure = mailer(port).await.check().await.unwrap_err();
    assert_eq!(&*failure.code, "TIMEOUT");
    assert!(failure.message.contains("127.0.0.1"));
    ends.recv_timeout(Duration::from_secs(5)).unwrap();
}

#[tokio::test]
async fn stalled_smtp_server_defers_the_recipient_and_closes_the_connection() {
    let (port, ends) = silent_after(&["220 hello\r\n", "250 hello\r\n", "250 fine\r\n"]);
    let mailer = mailer(port).await;
    let store: Arc<dyn Store> = SqliteStore::open(SqliteConfig::new(Location::Memory)).unwrap();
    let attempt = test_support::attempt(Namespace::Notifications, ["n", "m"], (JobId::generate(), 1), "{}");
    let steps = Steps::new(Arc::downgrade(&store), &attempt);
    let history = DeliveryHistory::load(&steps, 1).await.unwrap();
    let texts = Texts {
        subject: "s".into(),
        html: "h".into(),
        plain: None,
    };
    let email = mailer.email(texts, vec!["a@b.example".into()], "key").unwrap();
    let outcomes = mailer.send(&email, &history).await;
    let [DeliveryOutcome::Failed(failure)] = outcomes.as_slice() else {
        panic!("{outcomes:?}");
    };
    assert_eq!(&*failure.code, "TIMEOUT");
    // The connection is in the middle of an exchange: it is closed, not kept.
    ends.recv_timeout(Duration::from_secs(5)).unwrap();
}
