//! Servers behind TLS: what each scheme accepts.

use super::support::{TestGraph, open_with, run};
use crate::connector::Connector;
use crate::connector::graphs::address::Credentials;
use crate::testing::authority::Authority;
use crate::testing::tls_terminator::TlsTerminator;

#[tokio::test]
async fn tls_follows_the_scheme_of_the_address() {
    let Some(graph) = TestGraph::new().await else { return };
    let authority = Authority::new();
    let stranger = Authority::new();
    let (_, target) = graph.url.rsplit_once('@').unwrap();
    let server = TlsTerminator::to(target, &authority).await;
    let (known, strange) = (Some(&*authority.ca), Some(&*stranger.ca));
    for (scheme, host, ca, expected) in [
        ("bolt+s", "localhost", known, true),
        ("bolt+s", "127.0.0.1", known, false),
        ("bolt+s", "localhost", strange, false),
        // Not signed by a CA of the system.
        ("bolt+s", "localhost", None, false),
        ("bolt+ssc", "127.0.0.1", None, true),
        ("bolt", "127.0.0.1", None, false),
    ] {
        let credentials = Credentials {
            ca,
            ..Credentials::default()
        };
        let url = format!("{scheme}://neo4j:password@{host}:{}", server.port);
        let connector = open_with(&url, &credentials, None).unwrap();
        let answer = run(&connector, "countNodes", "{}").await;
        let checked = connector.check().await;
        connector.close().await;
        if expected {
            answer.unwrap_or_else(|failure| panic!("{url}: {failure:?}"));
            checked.unwrap();
        } else {
            for failure in [answer.map(|_| ()).unwrap_err(), checked.unwrap_err()] {
                assert_eq!(&*failure.code, "CONNECTION_ERROR", "{url}: {failure:?}");
            }
        }
    }
}
