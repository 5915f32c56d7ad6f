//! The listener, which can stop and come back at the same address.

use std::{io, net::SocketAddr, sync::Arc};

use parking_lot::Mutex;
use tokio::{
    net::{TcpListener, TcpSocket},
    task::JoinSet,
};
use tokio_util::task::AbortOnDropHandle;

use super::{connection, service::Service};

/// Serves one port until it is stopped or dropped.
pub(super) struct Server {
    service: Arc<Service>,
    port: u16,
    listening: Mutex<Option<AbortOnDropHandle<()>>>,
}

impl Server {
    /// Listens on a free port.
    pub(super) fn start(service: Arc<Service>) -> io::Result<Self> {
        let listener = bind(0)?;
        let port = listener.local_addr()?.port();
        let listening = spawn(Arc::clone(&service), listener);
        Ok(Self {
            service,
            port,
            listening: Mutex::new(Some(listening)),
        })
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    pub(super) async fn stop(&self) {
        let listening = self.listening.lock().take();
        if let Some(listening) = listening {
            listening.abort();
            // The port is free once the task is gone.
            let _ = listening.await;
        }
    }

    pub(super) fn resume(&self) -> io::Result<()> {
        let mut listening = self.listening.lock();
        if listening.is_none() {
            *listening = Some(spawn(Arc::clone(&self.service), bind(self.port)?));
        }
        Ok(())
    }
}

fn bind(port: u16) -> io::Result<TcpListener> {
    const BACKLOG: u32 = 4096;

    let socket = TcpSocket::new_v4()?;
    // `resume` binds a port on which closed connections still linger.
    socket.set_reuseaddr(true)?;
    socket.bind(SocketAddr::from(([127, 0, 0, 1], port)))?;
    socket.listen(BACKLOG)
}

fn spawn(service: Arc<Service>, listener: TcpListener) -> AbortOnDropHandle<()> {
    AbortOnDropHandle::new(tokio::spawn(listen(service, listener)))
}

/// Owns the connections: they end with this future.
async fn listen(service: Arc<Service>, listener: TcpListener) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                if let Ok((stream, _)) = accepted {
                    connections.spawn(connection::serve(Arc::clone(&service), stream));
                }
            }
            Some(_) = connections.join_next() => {}
        }
    }
}
