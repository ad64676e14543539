//! How long a mail server is waited for. What real servers do is in `__test__/notifications.test.ts`.

use super::connecting::Patience;
use super::*;
use crate::connector::kit;
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

/// A server that gives these answers, one to each line, and then none: its port, and the ends of its connections.
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
        security: MailSecurity::None,
        credentials: None,
        from: Text::from("shop@b.example"),
        reply_to: None,
        ca: None,
    };
    let short = Duration::from_millis(100);
    let patience = Patience {
        connecting: short,
        sending: short,
        probing: short,
    };
    Mailer::with(&smtp, &Preparation::default(), patience).await.unwrap()
}

#[tokio::test]
async fn a_server_that_does_not_greet_is_given_up() {
    let (port, ends) = silent_after(&[]);
    let failure = mailer(port).await.check().await.unwrap_err();
    assert_eq!(&*failure.code, "TIMEOUT");
    assert!(failure.message.contains("127.0.0.1"));
    ends.recv_timeout(Duration::from_secs(5)).unwrap();
}

#[tokio::test]
async fn a_server_that_stalls_in_the_middle_puts_the_recipient_off_and_is_left() {
    let (port, ends) = silent_after(&["220 hello\r\n", "250 hello\r\n", "250 fine\r\n"]);
    let mailer = mailer(port).await;
    let store: Arc<dyn Store> = SqliteStore::open(SqliteConfig::new(Location::Memory)).unwrap();
    let attempt = kit::attempt(Namespace::Notifications, ["n", "m"], (JobId::generate(), 1), "{}");
    let steps = Steps::new(Arc::downgrade(&store), &attempt);
    let memory = Memory::of(&steps, 1).await.unwrap();
    let texts = Texts {
        subject: "s".into(),
        html: "h".into(),
        plain: None,
    };
    let letter = mailer.letter(texts, vec!["a@b.example".into()], "key").unwrap();
    let fates = mailer.send(&letter, &memory).await;
    let [Fate::Failed(failure)] = fates.as_slice() else {
        panic!("{fates:?}");
    };
    assert_eq!(&*failure.code, "TIMEOUT");
    // The connection is in the middle of an exchange: it is closed, not kept.
    ends.recv_timeout(Duration::from_secs(5)).unwrap();
}
