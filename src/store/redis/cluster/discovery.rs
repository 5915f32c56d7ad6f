//! The search for the node that serves a slot.

use redis::{ServerErrorKind, Value, cmd};

use super::{
    super::{
        super::{StoreErrorKind, fault::Fault},
        script::Request,
    },
    Cluster,
    search::Search,
    slots::{Address, SlotMap},
};

impl Cluster {
    /// The slot's primary. `None`: no node has the slot, or only a node that has just failed.
    pub(super) async fn primary(
        &self,
        slot: u16,
        search: &mut Search,
    ) -> Result<Option<Address>, Fault> {
        let known = |search: &Search| {
            let primary = self.directory.primary(slot);
            primary.filter(|primary| search.may_try(primary))
        };
        if let Some(primary) = known(search) {
            return Ok(Some(primary));
        }
        self.learn(search).await?;
        let primary = known(search);
        if primary.is_none() {
            search.may_try_all();
        }
        Ok(primary)
    }

    /// Asks the nodes, one after another, which node has which slots.
    ///
    /// # Errors
    ///
    /// If no node can be reached. A node that can be reached, but does not know the slots, may know
    /// the slots soon.
    async fn learn(&self, search: &mut Search) -> Result<(), Fault> {
        // In random order, since one node may know less than the others.
        let nodes = self.directory.shuffled();
        for address in &nodes {
            // Twice, for a connection that broke while idle.
            for _ in 0..2 {
                if search.may_try(address) && self.learn_from(address, search).await? {
                    return Ok(());
                }
            }
        }
        if nodes.iter().any(|address| search.may_try(address)) {
            return Ok(());
        }
        let unreachable = || Fault::new(StoreErrorKind::Unavailable, "no node can be reached");
        Err(search.tls_failure().unwrap_or_else(unreachable))
    }

    /// Asks one node which node has which slots. Returns whether the node knew.
    ///
    /// # Errors
    ///
    /// A failure that does not pass by itself, and a node that may not be connected to: one node
    /// outside the cluster makes the whole response doubtful.
    pub(super) async fn learn_from(
        &self,
        address: &Address,
        search: &mut Search,
    ) -> Result<bool, Fault> {
        let Some(slots) = self.slots_by(address, search).await? else {
            return Ok(false);
        };
        self.directory.update(slots, address)?;
        Ok(true)
    }

    /// The slots and their nodes by the word of one node, unchecked. `None`: the node does not know.
    ///
    /// # Errors
    ///
    /// A failure that does not pass by itself.
    pub(super) async fn slots_by(
        &self,
        address: &Address,
        search: &mut Search,
    ) -> Result<Option<SlotMap>, Fault> {
        let node = self.directory.node(address)?;
        let request: &Request<'_> = &|_| {
            let mut command = cmd("CLUSTER");
            command.arg("SLOTS");
            command
        };
        let error = match self.bounded(node.send::<Value>(request)).await {
            Ok(slots) => {
                let slots = SlotMap::parse(&slots, address);
                if !slots.is_empty() {
                    return Ok(Some(slots));
                }
                (ServerErrorKind::ClusterDown.into(), "it knows no slots").into()
            }
            Err(error) if error.code() == Some("ERR") => {
                let message = "the server does not belong to a cluster";
                let fault = Fault::new(StoreErrorKind::Unsupported, message);
                return Err(fault.with_help("use `RedisStore::builder`"));
            }
            Err(error) => error,
        };
        search.failed(address, error)?;
        Ok(None)
    }
}
