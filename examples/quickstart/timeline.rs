//! What is printed, and whether it is what should be.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use dropbox_sign_oauth::{Event, EventKind};
use tokio::{sync::watch, time::timeout};

/// Prints lines with the time at which they come, and keeps count. Clones share both.
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

    /// Begins a scene.
    pub(crate) fn scene(&self, title: &str) {
        println!("\n{:6.2} s  {title}", self.seconds());
    }

    /// Something that happened in it.
    pub(crate) fn note(&self, text: impl fmt::Display) {
        println!("{:6.2} s    {text}", self.seconds());
    }

    /// Something that the middleware reports.
    pub(crate) fn event(&self, event: &Event) {
        match &event.kind {
            EventKind::RefreshStarted { reason, .. } => {
                let reason = format!("{reason:?}").to_lowercase();
                self.note(format_args!("> refresh started: the token was {reason}"));
            }
            EventKind::Refreshed { lifetime, .. } => {
                self.note(format_args!(
                    "> refreshed: a new token for {lifetime:?}, saved"
                ));
                self.0.refreshed.send_modify(|count| *count += 1);
            }
            // The scenes tell of these themselves.
            EventKind::Adopted { .. }
            | EventKind::Installed { .. }
            | EventKind::Rejected { .. } => {}
            other => self.note(format_args!("> {other:?}")),
        }
    }

    /// Waits until this many refreshes have been reported, but not for ever: a check tells then.
    pub(crate) async fn refreshes(&self, count: usize) {
        let mut refreshed = self.0.refreshed.subscribe();
        let reached = refreshed.wait_for(|refreshed| *refreshed >= count);
        let _ = timeout(Duration::from_secs(10), reached).await;
    }

    /// Compares a result with what it should be.
    pub(crate) fn check<T: PartialEq + fmt::Display>(&self, what: &str, seen: T, expected: T) {
        if seen == expected {
            println!("    ok     {what}: {seen}");
        } else {
            println!("    WRONG  {what}: {seen}, expected {expected}");
            *self.0.wrong.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        }
    }

    /// Whether every check held.
    pub(crate) fn is_right(&self) -> bool {
        *self.0.wrong.lock().unwrap_or_else(PoisonError::into_inner) == 0
    }

    fn seconds(&self) -> f64 {
        self.0.started.elapsed().as_secs_f64()
    }
}
