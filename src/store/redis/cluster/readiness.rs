//! Whether each primary takes the requests of the store.

use std::collections::HashSet;

use tokio::time::timeout;

use super::{
    super::{
        super::{StoreErrorKind, fault::Fault},
        fault::no_response,
        readiness,
        script::Request,
    },
    Cluster,
    slots::slot,
};

/// Enough keys to meet each primary of the largest clusters.
const MOST_KEYS: usize = 16_384;

impl Cluster {
    /// Checks each primary, one after another, within the timeout. `key` makes keys that nobody has.
    pub(in super::super) async fn check(
        &self,
        key: &(dyn Fn(usize) -> String + Sync),
    ) -> Result<(), Fault> {
        let checked = timeout(self.timeout, self.check_primaries(key));
        checked
            .await
            .unwrap_or_else(|_| Err(no_response(self.timeout)))
    }

    async fn check_primaries(&self, key: &(dyn Fn(usize) -> String + Sync)) -> Result<(), Fault> {
        // Learns the slots, too.
        self.check_node_of(&key(0)).await?;
        let slots: Vec<_> = (0..MOST_KEYS).map(|n| slot(&key(n))).collect();
        // A prefix with a hash tag puts all keys into one slot.
        let has_one_slot = slots.iter().all(|slot| *slot == slots[0]);
        if let Some(slot) = self.directory.first_unserved()
            && !has_one_slot
        {
            return Err(unserved(slot));
        }
        let mut checked: HashSet<_> = self.directory.primary(slots[0]).into_iter().collect();
        for (n, slot) in slots.into_iter().enumerate() {
            if let Some(primary) = self.directory.primary(slot)
                && checked.insert(primary)
            {
                self.check_node_of(&key(n)).await?;
            }
        }
        Ok(())
    }

    async fn check_node_of(&self, key: &str) -> Result<(), Fault> {
        let request: &Request<'_> = &|form| readiness::command(key, form);
        self.query::<i64>(slot(key), request).await.map(drop)
    }
}

fn unserved(slot: u16) -> Fault {
    let message = format!("no node of the cluster serves the slot {slot}");
    Fault::new(StoreErrorKind::Unavailable, message)
        .with_help("wait for the failover to end, or else assign the slot to a node")
}
