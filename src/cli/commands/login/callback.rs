//! A server for one callback, behind a tunnel.

use std::{convert::Infallible, net::SocketAddr, time::Duration};

use dropbox_sign_oauth::{
    AuthorizationError, AuthorizationErrorKind, AuthorizationResponse, AuthorizationState,
};
use http_body_util::Full;
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Bytes, Incoming},
    header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue, REFERRER_POLICY},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use reqwest::Url;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{mpsc, oneshot},
    task::{JoinHandle, JoinSet},
    time::{sleep, timeout},
};

use crate::{
    failure::{Exit, Failure},
    output::note,
};

/// How long the last page may take on its way to the browser.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long a request may take to arrive.
const ARRIVAL: Duration = Duration::from_secs(10);

/// The most connections at one time. The tunnel leads to the internet.
const CONNECTIONS: usize = 32;

/// The pause after a connection that cannot be accepted: the process has too many open files.
const PAUSE: Duration = Duration::from_millis(100);

/// What the browser shows.
#[derive(Clone, Copy, Debug)]
pub(super) enum Page {
    SignedIn,
    Failed,
    /// The callback belongs to another sign-in, or is forged.
    Foreign,
    NotHere,
}

/// The query of a callback, and the way back to the browser.
struct Callback {
    query: String,
    browser: oneshot::Sender<Page>,
}

/// Listens until the end.
pub(super) struct Server {
    address: SocketAddr,
    callbacks: mpsc::Receiver<Callback>,
    stop: oneshot::Sender<()>,
    accepts: JoinHandle<()>,
}

pub(super) async fn listen(address: SocketAddr) -> Result<Server, Failure> {
    let in_use = |error| {
        Failure::new(
            Exit::Usage,
            format!("--listen {address}: {error}; name another address"),
        )
    };
    let listener = TcpListener::bind(address).await.map_err(in_use)?;
    let address = listener.local_addr().map_err(in_use)?;
    let (sender, callbacks) = mpsc::channel(1);
    let (stop, stopped) = oneshot::channel();
    Ok(Server {
        address,
        callbacks,
        stop,
        accepts: tokio::spawn(accept(listener, sender, stopped)),
    })
}

impl Server {
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits for the callback of the sign-in with this state. A callback with another state gets a 400 and
    /// ends nothing: the address is public. Requests for other pages, for an icon for example, get a 404.
    pub(super) async fn response(
        &mut self,
        state: &AuthorizationState,
    ) -> Result<
        (
            Result<AuthorizationResponse, AuthorizationError>,
            oneshot::Sender<Page>,
        ),
        Failure,
    > {
        let mut is_noted = false;
        while let Some(Callback { query, browser }) = self.callbacks.recv().await {
            match AuthorizationResponse::parse(&query, state) {
                Err(error) if error.kind() == AuthorizationErrorKind::StateMismatch => {
                    // Strangers must not fill the terminal.
                    if !is_noted {
                        note(format_args!(
                            "{}; still waiting for the callback of this sign-in",
                            error.problem()
                        ));
                    }
                    is_noted = true;
                    let _ = browser.send(Page::Foreign);
                }
                parsed => return Ok((parsed, browser)),
            }
        }
        Err(Failure::new(
            Exit::Failed,
            "the server for the callback has ended",
        ))
    }

    /// Sends the last page, and stops listening.
    pub(super) async fn end(self, browser: oneshot::Sender<Page>, page: Page) {
        // The browser may have gone.
        let _ = browser.send(page);
        let _ = self.stop.send(());
        let _ = timeout(PATIENCE, self.accepts).await;
    }
}

async fn accept(
    listener: TcpListener,
    callbacks: mpsc::Sender<Callback>,
    mut stopped: oneshot::Receiver<()>,
) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            _ = &mut stopped => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept(), if connections.len() < CONNECTIONS => match accepted {
                Ok((stream, _)) => drop(connections.spawn(serve(stream, callbacks.clone()))),
                Err(_) => sleep(PAUSE).await,
            },
        }
    }
    drop((listener, callbacks));
    connections.join_all().await;
}

async fn serve(stream: TcpStream, callbacks: mpsc::Sender<Callback>) {
    let service = service_fn(|request| respond(request, callbacks.clone()));
    // A browser that hangs up is no failure.
    let _ = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(ARRIVAL)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

async fn respond(
    request: Request<Incoming>,
    callbacks: mpsc::Sender<Callback>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let query = request.uri().query().unwrap_or_default();
    let page = match request.method() == Method::GET && is_callback(query) {
        true => {
            let (browser, page) = oneshot::channel();
            let query = query.to_owned();
            // A callback after the true callback waits in vain, and learns so at the end.
            let _ = callbacks.send(Callback { query, browser }).await;
            page.await.unwrap_or(Page::NotHere)
        }
        false => Page::NotHere,
    };
    Ok(page.into_response())
}

fn is_callback(query: &str) -> bool {
    let url = Url::parse(&format!("http://localhost/?{query}"));
    let mut names = url.iter().flat_map(Url::query_pairs).map(|(name, _)| name);
    names.any(|name| matches!(&*name, "code" | "error" | "state"))
}

impl Page {
    pub(super) fn of<T>(result: &Result<T, Failure>) -> Self {
        match result {
            Ok(_) => Self::SignedIn,
            Err(_) => Self::Failed,
        }
    }

    fn into_response(self) -> Response<Full<Bytes>> {
        let (status, text) = match self {
            Self::SignedIn => (
                StatusCode::OK,
                "You are signed in. You can close this page.",
            ),
            Self::Failed => (
                StatusCode::BAD_REQUEST,
                "The sign-in failed. The terminal says why.",
            ),
            Self::Foreign => (
                StatusCode::BAD_REQUEST,
                "This callback belongs to another sign-in. Open the page that the terminal names.",
            ),
            Self::NotHere => (StatusCode::NOT_FOUND, "There is nothing here."),
        };
        let mut response = Response::new(Full::from(text));
        *response.status_mut() = status;
        for (name, value) in [
            (CONTENT_TYPE, "text/plain; charset=utf-8"),
            // The page's URL holds the code.
            (CACHE_CONTROL, "no-store"),
            (REFERRER_POLICY, "no-referrer"),
        ] {
            response
                .headers_mut()
                .insert(name, HeaderValue::from_static(value));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_callback_has_a_parameter_of_the_service() {
        for query in ["code=a&state=b", "error=access_denied", "tenant=1&state=b"] {
            assert!(is_callback(query), "{query}");
        }
        for query in ["", "encode=a", "v=1"] {
            assert!(!is_callback(query), "{query}");
        }
    }
}
