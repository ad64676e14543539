//! Timeouts of SMTP. Tests against a real server are in `__test__/notifications.test.ts`.

use super::connect::Timeouts;
use super::*;
use crate::connector::test_support;
use crate::engine::steps::Steps;
use crate::model::{JobId, Namespace};
use crate::resources::Text;
use crate::store::Store;
use crate::store::sqlite::{Location, SqliteConfig, SqliteStore};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
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
    mailer_within(port, Duration::from_millis(100)).await
}

async fn mailer_within(port: u16, limit: Duration) -> Mailer {
    let smtp = Smtp {
        host: Text::from("127.0.0.1"),
        port,
        security: SmtpSecurity::None,
        credentials: None,
        from: Text::from("shop@b.example"),
        reply_to: None,
        ca: None,
    };
    let timeouts = Timeouts {
        connect: limit,
        send: limit,
        probe: limit,
    };
    Mailer::with_timeouts(&smtp, &ExpressionResolver::default(), timeouts)
        .await
        .unwrap()
}

/// Sends an e-mail, as one job.
async fn send(mailer: &Mailer) -> DeliveryOutcome {
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
    mailer.send(&email, &history).await.remove(0)
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
    let DeliveryOutcome::Failed(failure) = send(&mailer).await else {
        panic!("it was sent");
    };
    assert_eq!(&*failure.code, "TIMEOUT");
    // The connection is in the middle of an exchange: it is closed, not kept.
    ends.recv_timeout(Duration::from_secs(5)).unwrap();
}

/// When a server closes a connection: at this command of an e-mail after so many others, with this reply before.
#[derive(Clone, Copy)]
struct Closing {
    after: usize,
    command: &'static str,
    reply: &'static str,
}

/// Speaks SMTP with one client.
fn serve(stream: TcpStream, closing: Closing) {
    let say = |text: &str| {
        let _ = (&stream).write_all(text.as_bytes());
    };
    let mut lines = BufReader::new(&stream).lines();
    let mut emails = 0;
    say("220 hello\r\n");
    while let Some(Ok(line)) = lines.next() {
        if emails == closing.after && line.starts_with(closing.command) {
            return say(closing.reply);
        }
        match line.get(..4).unwrap_or_default() {
            "DATA" => {
                say("354 go on\r\n");
                while lines.next().is_some_and(|line| line.is_ok_and(|line| line != ".")) {}
                emails += 1;
                say("250 taken\r\n");
            }
            "QUIT" => return say("221 bye\r\n"),
            _ => say("250 fine\r\n"),
        }
    }
}

/// Starts a server; counts its connections.
fn closing_server(closing: Closing) -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let count = Arc::<AtomicUsize>::default();
    let counted = Arc::clone(&count);
    std::thread::spawn(move || {
        while let Ok((stream, _)) = listener.accept() {
            counted.fetch_add(1, Ordering::SeqCst);
            std::thread::spawn(move || serve(stream, closing));
        }
    });
    (port, count)
}

/// Whether the server has taken an e-mail: what comes next, writing that down, fails without a claimed run.
fn is_taken(outcome: &DeliveryOutcome) -> bool {
    matches!(outcome, DeliveryOutcome::Failed(failure) if &*failure.code == "LEASE_LOST")
}

#[tokio::test]
async fn an_email_goes_by_a_new_connection_where_the_server_has_closed_the_one_in_the_pool() {
    for command in ["MAIL", "RCPT", "DATA"] {
        for reply in ["", "421 4.4.2 too many e-mails\r\n"] {
            let (port, connections) = closing_server(Closing {
                after: 1,
                command,
                reply,
            });
            let mailer = mailer_within(port, Duration::from_secs(20)).await;
            assert!(is_taken(&send(&mailer).await));
            let second = send(&mailer).await;
            assert!(is_taken(&second), "{command} {reply:?}: {second:?}");
            assert_eq!(connections.load(Ordering::SeqCst), 2, "{command} {reply:?}");
        }
    }
}

#[tokio::test]
async fn a_new_connection_that_is_closed_at_once_is_a_failure() {
    for (reply, code) in [
        ("", "CONNECTION_ERROR"),
        ("421 4.3.2 going down\r\n", "SERVICE_UNAVAILABLE"),
    ] {
        let (port, connections) = closing_server(Closing {
            after: 0,
            command: "MAIL",
            reply,
        });
        let mailer = mailer_within(port, Duration::from_secs(20)).await;
        let DeliveryOutcome::Failed(failure) = send(&mailer).await else {
            panic!("it was sent");
        };
        assert_eq!(&*failure.code, code);
        assert_eq!(connections.load(Ordering::SeqCst), 1);
    }
}
