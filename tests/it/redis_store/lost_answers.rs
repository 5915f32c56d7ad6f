//! What was done, though its answer was lost, is done once.

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
async fn what_was_done_before_its_answer_was_lost_counts_as_done() {
    let Some(redis) = Redis::start() else { return };
    let network = Forgetful::to(redis.address()).await;
    let store = store(&format!("redis://{}/", network.address));
    let version = save(&store, None, "old").await;

    let record = Record::new(tokens("new"));
    network.lose_the_next_script_s_answer();
    let swap = store
        .compare_and_swap(&acme(), Some(version), &record)
        .await;
    assert_eq!(swap.expect("saved"), Swap::Saved);
    assert_eq!(
        store.load(&acme()).await.expect("loads"),
        Some(record.clone())
    );

    store
        .lease(&acme(), AT_ONCE)
        .await
        .expect("free")
        .release()
        .await
        .expect("known by now");
    network.lose_the_next_script_s_answer();
    let lease = store.lease(&acme(), AT_ONCE).await.expect("free");
    assert_eq!(redis.cli(&["EXISTS", LEASE]), "1");
    network.lose_the_next_script_s_answer();
    lease.renew().await.expect("still ours");
    network.lose_the_next_script_s_answer();
    lease.release().await.expect("released");
    assert_eq!(redis.cli(&["EXISTS", LEASE]), "0");

    network.lose_the_next_script_s_answer();
    let deleted = store.delete(&acme(), record.version).await;
    assert!(deleted.expect("deleted"), "it was us");
    assert_eq!(redis.cli(&["EXISTS", RECORD]), "0");
    assert!(!network.loses.load(Ordering::SeqCst), "none was lost");
}

/// A network that breaks on demand, just when the server has answered.
struct Forgetful {
    address: SocketAddr,
    loses: Arc<AtomicBool>,
}

impl Forgetful {
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

    fn lose_the_next_script_s_answer(&self) {
        assert!(!self.loses.swap(true, Ordering::SeqCst), "none was lost");
    }
}

async fn forward(mut client: TcpStream, server: SocketAddr, loses: Arc<AtomicBool>) {
    let mut server = TcpStream::connect(server).await.expect("it runs");
    let (mut question, mut answer) = ([0; 65_536], [0; 65_536]);
    let mut is_script = false;
    loop {
        tokio::select! {
            read = client.read(&mut question) => {
                let Ok(read @ 1..) = read else { return };
                // Commands are far smaller than what is read at once here.
                is_script = question[..read].windows(4).any(|window| window == b"EVAL");
                if server.write_all(&question[..read]).await.is_err() {
                    return;
                }
            }
            read = server.read(&mut answer) => {
                let Ok(read @ 1..) = read else { return };
                // One that the server does not know was not run.
                let was_run = is_script && !answer.starts_with(b"-NOSCRIPT");
                if was_run && loses.swap(false, Ordering::SeqCst) {
                    return;
                }
                if client.write_all(&answer[..read]).await.is_err() {
                    return;
                }
            }
        }
    }
}
