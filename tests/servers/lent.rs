//! Servers that serve one test after another. A start takes longer than most tests.
//!
//! A test has its server alone, and finds the server empty.

use std::{
    cell::RefCell,
    ops::Deref,
    sync::{Mutex, PoisonError},
    thread,
};

/// A kind of server that can be emptied.
pub(crate) trait Reusable: Sized + Send + 'static {
    /// The servers that no test uses. They end with the program.
    fn idle() -> &'static Mutex<Vec<Self>>;

    /// `None`: the server is not installed, and the test is skipped.
    fn start_new() -> Option<Self>;

    /// Makes the server look new. No test uses the server.
    fn empty(&self);
}

/// A server that a test may neither stop nor configure.
#[derive(Debug)]
pub(crate) struct Lent<S: Reusable>(Option<S>);

impl<S: Reusable> Lent<S> {
    /// A server that no other test uses meanwhile.
    pub(super) fn server() -> Option<Self> {
        // What an earlier test of this thread has left.
        AFTERWARDS.with_borrow_mut(GivesBack::run);
        let idle = lock(S::idle()).pop();
        let server = match idle {
            Some(server) => {
                server.empty();
                server
            }
            None => S::start_new()?,
        };
        Some(Self(Some(server)))
    }
}

impl<S: Reusable> Deref for Lent<S> {
    type Target = S;

    fn deref(&self) -> &S {
        self.0.as_ref().expect("taken by the drop alone")
    }
}

impl<S: Reusable> Drop for Lent<S> {
    fn drop(&mut self) {
        // A test that fails may have left the server in any state.
        let Some(server) = self.0.take().filter(|_| !thread::panicking()) else {
            return;
        };
        let give_back = move || lock(S::idle()).push(server);
        AFTERWARDS.with_borrow_mut(|afterwards| afterwards.0.push(Box::new(give_back)));
    }
}

thread_local! {
    /// Runs when the thread of the test ends: the test's runtime, whose tasks may still use the server,
    /// outlives the test's variables.
    static AFTERWARDS: RefCell<GivesBack> = const { RefCell::new(GivesBack(Vec::new())) };
}

struct GivesBack(Vec<Box<dyn FnOnce()>>);

impl GivesBack {
    fn run(&mut self) {
        self.0.drain(..).for_each(|give_back| give_back());
    }
}

impl Drop for GivesBack {
    fn drop(&mut self) {
        self.run();
    }
}

fn lock<S>(idle: &Mutex<Vec<S>>) -> std::sync::MutexGuard<'_, Vec<S>> {
    idle.lock().unwrap_or_else(PoisonError::into_inner)
}
