//! What one request to a cluster has met so far.

use std::collections::HashSet;

use redis::{ErrorKind, RedisError, ServerErrorKind};

use super::{
    super::super::{StoreErrorKind, fault::Fault},
    slots::Address,
};

#[derive(Default)]
pub(super) struct Search {
    /// An answer was lost: the request may have taken effect.
    pub(super) again: bool,
    /// A node that takes this request already, since the key is moving there.
    pub(super) asked: Option<Address>,
    /// Failed once, as a connection does that broke while it was idle.
    doubtful: HashSet<Address>,
    /// Not to be tried for now.
    out: HashSet<Address>,
    failure: Option<(Address, RedisError)>,
}

impl Search {
    pub(super) fn may_try(&self, node: &Address) -> bool {
        !self.out.contains(node)
    }

    /// Since there is no other way.
    pub(super) fn may_try_all(&mut self) {
        self.out.clear();
    }

    /// Takes note of a failure that may pass.
    ///
    /// # Errors
    ///
    /// Those that do not.
    pub(super) fn failed(&mut self, node: &Address, error: RedisError) -> Result<(), Fault> {
        use ServerErrorKind::{BusyLoading, ClusterDown, MasterDown, TryAgain};

        match error.kind() {
            ErrorKind::Io => {
                let is_first = self.doubtful.insert(node.clone());
                if !is_first || error.is_timeout() {
                    self.out.insert(node.clone());
                }
            }
            ErrorKind::Server(BusyLoading | ClusterDown | MasterDown | TryAgain) => {}
            _ => return Err(error.into()),
        }
        self.failure = Some((node.clone(), error));
        Ok(())
    }

    /// The last failure, if there was one.
    pub(super) fn into_failure(self) -> Option<Fault> {
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
    fn a_broken_connection_is_tried_once_more_and_a_silent_node_is_not() {
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
        let failure = search.into_failure().expect("the last one");
        let failure = failure.into_error("store", None).to_string();
        assert!(failure.contains("its node node:2 cannot"), "{failure}");
    }

    #[test]
    fn only_what_passes_by_itself_is_waited_for() {
        let mut search = Search::default();
        for kind in [ServerErrorKind::ClusterDown, ServerErrorKind::BusyLoading] {
            search.failed(&node(1), server(kind)).expect("may pass");
            assert!(search.may_try(&node(1)));
        }
        for kind in [ServerErrorKind::NoPerm, ServerErrorKind::ReadOnly] {
            search.failed(&node(1), server(kind)).expect_err("stays");
        }
    }
}
