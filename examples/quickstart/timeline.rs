//! Prints the timeline, and counts the failed checks.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use dropbox_sign_oauth::{Event, EventKind};
use tokio::{sync::watch, time::timeout};

/// Prints lines with their time. Clones share the time and the counts.
#[derive(Clone)]
pub(crate) struct Timeline(Arc<Shared>);

struct Shared {
    started: Instant,
    refreshed: watch::Sender<usize>,
    wrong: Mutex<usize>,
}

impl Timeline {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Shared {
            started: Instant::now(),
            refreshed: watch::Sender::new(0),
            wrong: Mutex::new(0),
        }))
    }

    /// Prints the title of a scene.
    pub(crate) fn scene(&self, title: &str) {
        println!("\n{:6.2} s  {title}", self.seconds());
    }

    /// Prints a line of the scene.
    pub(crate) fn line(&self, text: impl fmt::Display) {
        println!("{:6.2} s    {text}", self.seconds());
    }

    /// Prints an event of the middleware.
    pub(crate) fn event(&self, event: &Event) {
        match &event.kind {
            EventKind::RefreshStarted { reason, .. } => {
                let reason = format!("{reason:?}").to_lowercase();
                self.line(format_args!(
                    "> refresh started: the token was {reason}"
                ));
            }
            EventKind::Refreshed { lifetime, .. } => {
                self.line(format_args!(
                    "> refreshed: a new token for {lifetime:?}, saved"
                ));
                self.0.refreshed.send_modify(|count| *count += 1);
            }
            // The scenes print other lines instead.
            EventKind::Adopted { .. }
            | EventKind::Installed { .. }
            | EventKind::Rejected { .. } => {}
            other => self.line(format_args!("> {other:?}")),
        }
    }

    /// Waits for the events of this number of refreshes. Gives up after 10 s:
    /// a check fails then.
    pub(crate) async fn refreshes(&self, count: usize) {
        let mut refreshed = self.0.refreshed.subscribe();
        let reached = refreshed.wait_for(|refreshed| *refreshed >= count);
        let _ = timeout(Duration::from_secs(10), reached).await;
    }

    /// Prints whether a result is the expected result.
    pub(crate) fn check<T: PartialEq + fmt::Display>(
        &self,
        name: &str,
        seen: T,
        expected: T,
    ) {
        if seen == expected {
            println!("    ok     {name}: {seen}");
        } else {
            println!("    WRONG  {name}: {seen}, expected {expected}");
            *self.0.wrong.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        }
    }

    /// Whether all checks held.
    pub(crate) fn is_right(&self) -> bool {
        *self.0.wrong.lock().unwrap_or_else(PoisonError::into_inner) == 0
    }

    fn seconds(&self) -> f64 {
        self.0.started.elapsed().as_secs_f64()
    }
}
