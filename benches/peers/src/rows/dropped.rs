//! A caller that is dropped while the endpoint has the refresh token.

use futures_util::future::{Either, select};
use std::pin::pin;
use tokio::runtime::Runtime;

use crate::{
    endpoint::{Endpoint, Mode},
    peer::{Answer, Peer},
    table::Table,
};

pub(crate) fn in_mid_refresh(runtime: &Runtime, peers: &[Box<dyn Peer>]) {
    let mut table = Table::new(
        "The caller is dropped in mid-refresh",
        &["the next token", "token requests"],
    );
    for peer in peers {
        match runtime.block_on(row(peer.as_ref())) {
            Ok(cells) => table.row(peer.name(), cells),
            Err(no) => table.no(peer.name(), no),
        }
    }
}

/// The endpoint rotates the refresh token at the first request. If the second request presents the same
/// refresh token, the cache has lost the next one.
async fn row(peer: &dyn Peer) -> Answer<Vec<String>> {
    peer.rotates()?;
    let endpoint = Endpoint::new(Mode::Hold);
    let caller = peer.expired(&endpoint).await?;
    {
        let first = caller();
        let post = pin!(endpoint.first_post());
        if let Either::Left(_) = select(first, post).await {
            panic!("{}: a token before the response", peer.name());
        }
    }
    endpoint.set(Mode::Grant);
    assert!(caller().await, "{}: no token", peer.name());
    let fate = match endpoint.lost_a_token() {
        true => "lost",
        false => "kept",
    };
    Ok(vec![fate.to_owned(), endpoint.posts().to_string()])
}
