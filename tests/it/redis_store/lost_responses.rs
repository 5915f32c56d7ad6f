//! A request whose response is lost takes effect once.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use dropbox_sign_oauth::store::{Record, Swap, TokenStore};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use super::{AT_ONCE, LEASE, RECORD, acme, save, store, tokens};
use crate::servers::Redis;

#[tokio::test]
async fn a_request_whose_response_was_lost_counts_as_done() {
    let Some(redis) = Redis::start() else { return };
    let network = LossyNetwork::to(redis.address()).await;
    let store = store(&format!("redis://{}/", network.address));
    let version = save(&store, None, "old").await;

    let record = Record::new(tokens("new"));
    network.lose_the_next_script_s_response();
    let swap = store
        .compare_and_swap(&acme(), Some(version), &record)
        .await;
    assert_eq!(swap.expect("saved"), Swap::Saved);
    assert_eq!(
        store.load(&acme()).await.expect("loads"),
        Some(record.clone())
    );

    // Teaches the server the scripts.
    let lease = store.lease(&acme(), AT_ONCE).await.expect("free");
    lease.release().await.expect("released");
    network.lose_the_next_script_s_response();
    let lease = store.lease(&acme(), AT_ONCE).await.expect("free");
    assert_eq!(redis.cli(&["EXISTS", LEASE]), "1");
    network.lose_the_next_script_s_response();
    lease.renew().await.expect("still ours");
    network.lose_the_next_script_s_response();
    lease.release().await.expect("released");
    assert_eq!(redis.cli(&["EXISTS", LEASE]), "0");

    network.lose_the_next_script_s_response();
    let deleted = store.delete(&acme(), record.version).await;
    assert!(deleted.expect("deleted"), "the first request removed it");
    assert_eq!(redis.cli(&["EXISTS", RECORD]), "0");
    network.assert_lost();

    // The record was never there for this call.
    let deleted = store.delete(&acme(), record.version).await;
    assert!(!deleted.expect("no record"), "nothing was there to remove");
}

/// A network that loses a response on demand, and breaks the connection.
struct LossyNetwork {
    address: SocketAddr,
    loses: Arc<AtomicBool>,
}

impl LossyNetwork {
    async fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let loses = Arc::new(AtomicBool::new(false));
        let state = Arc::clone(&loses);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(forward(client, server, Arc::clone(&state)));
            }
        });
        Self { address, loses }
    }

    fn lose_the_next_script_s_response(&self) {
        self.assert_lost();
        self.loses.store(true, Ordering::SeqCst);
    }

    fn assert_lost(&self) {
        let still_loses = self.loses.load(Ordering::SeqCst);
        assert!(!still_loses, "no response was lost");
    }
}

async fn forward(mut client: TcpStream, server: SocketAddr, loses: Arc<AtomicBool>) {
    let mut server = TcpStream::connect(server).await.expect("it runs");
    let (mut request, mut response) = ([0; 65_536], [0; 65_536]);
    let mut is_script = false;
    loop {
        tokio::select! {
            read = client.read(&mut request) => {
                let Ok(read @ 1..) = read else { return };
                // The store's commands are far smaller than the buffer.
                is_script = request[..read].windows(4).any(|window| window == b"EVAL");
                if server.write_all(&request[..read]).await.is_err() {
                    return;
                }
            }
            read = server.read(&mut response) => {
                let Ok(read @ 1..) = read else { return };
                // The server did not run a script that it does not know.
                let was_run = is_script && !response.starts_with(b"-NOSCRIPT");
                if was_run && loses.swap(false, Ordering::SeqCst) {
                    return;
                }
                if client.write_all(&response[..read]).await.is_err() {
                    return;
                }
            }
        }
    }
}
