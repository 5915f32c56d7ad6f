//! A network that can fail.

use std::net::SocketAddr;

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::watch,
    task::{JoinHandle, JoinSet},
};

use super::loopback;

/// Forwards connections between a client and a server on the loopback interface.
#[derive(Debug)]
pub(crate) struct Proxy {
    address: SocketAddr,
    server: watch::Sender<SocketAddr>,
    network: watch::Sender<Network>,
    /// Counts the connections that arrived while the network was cut.
    in_vain: watch::Sender<usize>,
    task: JoinHandle<()>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Network {
    Whole,
    /// Connections break, and new connections break at once.
    Cut,
    /// Connections stay open, and no data passes.
    Silent,
}

impl Proxy {
    pub(crate) async fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind(loopback(0)).await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let (server, leads_to) = watch::channel(server);
        let (network, state) = watch::channel(Network::Whole);
        let in_vain = watch::Sender::new(0);
        let counter = in_vain.clone();
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                if *state.borrow() == Network::Cut {
                    counter.send_modify(|count| *count += 1);
                }
                let server = *leads_to.borrow();
                connections.spawn(forward(client, server, state.clone()));
            }
        });
        Self {
            address,
            server,
            network,
            in_vain,
            task,
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Leads new connections to another server, as a DNS name that follows a primary. Open connections
    /// stay as they are.
    pub(crate) fn lead_to(&self, server: SocketAddr) {
        self.server.send_replace(server);
    }

    /// Breaks all connections, and each new connection.
    pub(crate) fn cut(&self) {
        self.network.send_replace(Network::Cut);
    }

    /// Waits until `times` more connections have arrived while the network is cut.
    pub(crate) async fn until_tried_in_vain(&self, times: usize) {
        let goal = *self.in_vain.borrow() + times;
        let reached = |count: &usize| *count >= goal;
        let reached = self.in_vain.subscribe().wait_for(reached).await.is_ok();
        assert!(reached, "the proxy is alive");
    }

    /// Stops all data and keeps connections open, as when packets are lost.
    pub(crate) fn silence(&self) {
        self.network.send_replace(Network::Silent);
    }

    /// Lets new connections through again.
    pub(crate) fn mend(&self) {
        self.network.send_replace(Network::Whole);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn forward(mut client: TcpStream, server: SocketAddr, mut network: watch::Receiver<Network>) {
    let mut upstream = None;
    if *network.borrow_and_update() == Network::Whole {
        let Ok(server) = TcpStream::connect(server).await else {
            return;
        };
        tokio::select! {
            _ = copy_bidirectional(&mut client, upstream.insert(server)) => return,
            _ = network.wait_for(|network| *network != Network::Whole) => {}
        }
    }
    // The wait keeps both connections open.
    let _ = network
        .wait_for(|network| *network != Network::Silent)
        .await;
}
