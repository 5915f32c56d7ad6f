//! Serving, and the graceful stop: first the requests, then the tokens.

use std::{future::Future, pin::pin, time::Duration};

use axum::Router;
use dropbox_sign_oauth::TokenManager;
use tokio::{net::TcpListener, sync::oneshot, time::timeout};

use crate::Result;

/// How long the requests under way may take after the stop. Together with the
/// shutdown of the manager, this has to end before the supervisor kills the
/// process: ten seconds with Docker, thirty with Kubernetes. The docs of
/// `TokenManager::shutdown` say how long that takes; set a longer time there.
const GRACE: Duration = Duration::from_secs(5);

/// One listener for users, and one for operators.
pub struct Listeners {
    pub app: TcpListener,
    pub operations: TcpListener,
}

/// Serves until `stop` is ready. Then accepts no more connections, ends the
/// requests under way, and saves what refreshes under way bring.
///
/// # Errors
///
/// An error means that new tokens are lost: their tenants have to sign in
/// again. Log the error, and exit with a failure.
pub async fn serve(
    listeners: Listeners,
    app: Router,
    operations: Router,
    stop: impl Future<Output = ()>,
    manager: TokenManager,
) -> Result<()> {
    tracing::info!(
        app = %listeners.app.local_addr()?,
        operations = %listeners.operations.local_addr()?,
        "serving"
    );
    // Until the very end: a shutdown is worth watching.
    let operations = tokio::spawn(
        axum::serve(listeners.operations, operations).into_future(),
    );
    let (stopping, stopped) = oneshot::channel::<()>();
    let server = axum::serve(listeners.app, app);
    let server = server.with_graceful_shutdown(async {
        let _ = stopped.await;
    });
    let mut server = pin!(server.into_future());
    let served = tokio::select! {
        served = &mut server => served,
        () = stop => {
            tracing::info!("stopping");
            drop(stopping);
            let ended = timeout(GRACE, server).await;
            ended.unwrap_or_else(|_| {
                tracing::warn!("requests under way were left");
                Ok(())
            })
        }
    };
    // After a failure of the server too: a refresh under way would be lost.
    let saved = manager.shutdown().await;
    operations.abort();
    saved?;
    served?;
    tracing::info!("stopped");
    Ok(())
}

/// Ready at `SIGTERM` or Ctrl-C. From the call on, the signals no longer end
/// the process.
pub fn stop_signal() -> Result<impl Future<Output = ()>> {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};

        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        Ok(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        })
    }
    #[cfg(windows)]
    {
        let mut interrupt = tokio::signal::windows::ctrl_c()?;
        Ok(async move {
            interrupt.recv().await;
        })
    }
}
