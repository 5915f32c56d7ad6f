//! Callers that ask at once, while the endpoint fails.

use std::{sync::Arc, time::Duration};

use futures_util::future::join_all;
use tokio::{runtime::Runtime, time::timeout};

use super::expiry::wait_all;
use crate::{
    endpoint::{Endpoint, Mode},
    peer::Peer,
    table::Table,
};

const CALLERS: usize = 50;

/// The end of a row whose callers are still waiting.
const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) fn fifty_callers(runtime: &Runtime, peers: &[Box<dyn Peer>]) {
    let mut table = Table::new(
        "The endpoint fails: 50 callers",
        &["token requests", "until the last error"],
    );
    for peer in peers {
        match runtime.block_on(row(peer.as_ref())) {
            Ok(cells) => table.row(peer.name(), cells),
            Err(no) => table.no(peer.name(), no),
        }
    }
}

async fn row(peer: &dyn Peer) -> crate::peer::Answer<Vec<String>> {
    let endpoint = Endpoint::new(Mode::Hold);
    let caller = peer.expired(&endpoint).await?;
    let callers = wait_all(Arc::new(caller), CALLERS).await;
    endpoint.first_post().await;
    let response = endpoint.set(Mode::Fail);
    let until = match timeout(PATIENCE, join_all(callers)).await {
        Err(_) => format!("> {} s", PATIENCE.as_secs()),
        Ok(results) => {
            let got_tokens = results.iter().flatten().filter(|(got, _)| *got).count();
            assert_eq!(
                got_tokens,
                0,
                "{}: a token of a failing endpoint",
                peer.name()
            );
            format!("{:.1} ms", response.elapsed().as_secs_f64() * 1e3)
        }
    };
    Ok(vec![endpoint.posts().to_string(), until])
}
