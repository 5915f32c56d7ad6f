//! Signals that end the program. The first ends the command, and the session still saves; the second
//! ends the process.

use std::future::Future;

use tokio::signal;

use crate::{
    failure::{Exit, Failure},
    output::note,
};

/// Does the work, unless a signal comes first.
pub(crate) async fn interruptible<T>(
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    tokio::select! {
        // The handlers are there before the work tells anybody that it has begun.
        biased;
        exit = signal() => Err(Failure::new(exit, "interrupted")),
        result = work => result,
    }
}

/// Does the last work of a command, which a further signal ends. Work that goes on after a signal is
/// announced.
pub(crate) async fn last<T>(
    work: impl Future<Output = T>,
    is_interrupted: bool,
) -> Result<T, Failure> {
    let work = async {
        tokio::pin!(work);
        if is_interrupted {
            tokio::select! {
                biased;
                result = &mut work => return result,
                () = tokio::task::yield_now() => {}
            }
            note("finishing the work under way; a second Ctrl-C may lose the sign-in");
        }
        work.await
    };
    tokio::select! {
        result = work => Ok(result),
        exit = signal() => Err(Failure::new(exit, "interrupted while tokens were saved")),
    }
}

/// Waits for a signal.
async fn signal() -> Exit {
    #[cfg(unix)]
    {
        use signal::unix::{SignalKind, signal};

        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            return tokio::select! {
                exit = interrupt() => exit,
                _ = terminate.recv() => Exit::Terminated,
            };
        }
    }
    interrupt().await
}

async fn interrupt() -> Exit {
    match signal::ctrl_c().await {
        Ok(()) => Exit::Interrupted,
        // Without a handler, the system ends the process.
        Err(_) => std::future::pending().await,
    }
}
