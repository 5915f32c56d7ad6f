//! How far one request to a cluster has come: the nodes that failed, and the last failure.

use std::{collections::HashSet, time::Duration};

use redis::{ErrorKind, RedisError, ServerErrorKind};
use tokio::time::sleep;

use super::{
    super::{
        super::{StoreErrorKind, fault::Fault},
        fault::passes,
        tls,
    },
    slots::Address,
};

/// The first attempts follow each other at once: enough for a connection that broke and a key that
/// moved.
const AT_ONCE: u32 = 4;

/// The pause after each further attempt, for the cluster to settle.
const PAUSE: Duration = Duration::from_millis(100);

#[derive(Default)]
pub(super) struct Search {
    attempts: u32,
    /// The node to ask next, since the key is moving there.
    pub(super) asked: Option<Address>,
    /// Nodes that failed once. Their connections may have broken while idle.
    failed_once: HashSet<Address>,
    /// Nodes that the request leaves out for now.
    out: HashSet<Address>,
    failure: Option<(Address, RedisError)>,
}

impl Search {
    /// Waits before the next attempt, after the first few attempts.
    pub(super) async fn pause(&mut self) {
        self.attempts += 1;
        if self.attempts >= AT_ONCE {
            sleep(PAUSE).await;
        }
    }

    pub(super) fn may_try(&self, node: &Address) -> bool {
        !self.out.contains(node)
    }

    /// Lets the request try every node again, since no other node is left.
    pub(super) fn may_try_all(&mut self) {
        self.out.clear();
    }

    /// Remembers a failure that may pass.
    ///
    /// # Errors
    ///
    /// A failure that does not pass by itself.
    pub(super) fn failed(&mut self, node: &Address, error: RedisError) -> Result<(), Fault> {
        match error.kind() {
            ErrorKind::Io => {
                let is_first = self.failed_once.insert(node.clone());
                if !is_first || error.is_timeout() {
                    self.out.insert(node.clone());
                }
            }
            // The node is no primary any more, and other nodes may know the new primary.
            ErrorKind::Server(ServerErrorKind::ReadOnly) => {
                self.out.insert(node.clone());
            }
            _ if passes(&error) => {}
            _ => return Err(error.into()),
        }
        self.failure = Some((node.clone(), error));
        Ok(())
    }

    /// The last failure, if the failure is one of TLS, and lasts.
    pub(super) fn tls_failure(&self) -> Option<Fault> {
        let (node, error) = self.failure.as_ref()?;
        tls::fault(error, &format!("its node {node}"))
    }

    /// The last failure, if any.
    pub(super) fn into_failure(self) -> Option<Fault> {
        if let Some(failure) = self.tls_failure() {
            return Some(failure);
        }
        let (node, error) = self.failure?;
        if !error.is_io_error() {
            return Some(error.into());
        }
        let message = format!("its node {node} cannot be reached");
        let failure = Fault::new(StoreErrorKind::Unavailable, message);
        Some(failure.with_source(error))
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    fn node(port: u16) -> Address {
        let host = "node".to_owned();
        Address { host, port }
    }

    fn io(kind: io::ErrorKind) -> RedisError {
        io::Error::from(kind).into()
    }

    fn server(kind: ServerErrorKind) -> RedisError {
        (ErrorKind::Server(kind), "canary").into()
    }

    #[test]
    fn a_search_tries_a_broken_connection_again_and_leaves_a_silent_node_out() {
        let mut search = Search::default();
        for may_try in [true, false] {
            let error = io(io::ErrorKind::BrokenPipe);
            search.failed(&node(1), error).expect("may pass");
            assert_eq!(search.may_try(&node(1)), may_try);
        }
        search
            .failed(&node(2), io(io::ErrorKind::TimedOut))
            .expect("may pass");
        assert!(!search.may_try(&node(2)));
        assert!(search.may_try(&node(3)));

        search.may_try_all();
        assert!(search.may_try(&node(1)) && search.may_try(&node(2)));
        let failure = search.into_failure().expect("the last failure");
        let failure = failure.into_error("store", None).to_string();
        assert!(failure.contains("its node node:2 cannot"), "{failure}");
    }

    #[test]
    fn a_search_waits_only_for_failures_that_pass_by_themselves() {
        let mut search = Search::default();
        for kind in [ServerErrorKind::ClusterDown, ServerErrorKind::BusyLoading] {
            search.failed(&node(1), server(kind)).expect("may pass");
            assert!(search.may_try(&node(1)));
        }
        search
            .failed(&node(1), server(ServerErrorKind::NoPerm))
            .expect_err("stays");

        let deposed = server(ServerErrorKind::ReadOnly);
        search.failed(&node(1), deposed).expect("may pass");
        assert!(!search.may_try(&node(1)), "another node is the primary");
    }
}
