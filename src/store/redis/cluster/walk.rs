//! A walk through the keys of all primaries, one after another.
//!
//! The walk counts slots, not nodes, since a failover or a new node may move slots meanwhile. A slot is
//! done if one process had the slot from the first step of its walk to the last.

use std::fmt;

use tokio::time::timeout;

use super::{
    super::{
        super::fault::Fault,
        listing::unknown_cursor,
        scan::{Position, Scan},
    },
    Cluster,
    search::Search,
    slot_set::SlotSet,
    slots::slot,
};

/// How far a walk has come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Progress {
    done: SlotSet,
    /// The slots that the present node has had since its first step.
    current: SlotSet,
    /// Where the next step begins on the present node, which has the first slot that is not done.
    position: Option<Position>,
}

type Keys = Vec<Vec<u8>>;

impl Cluster {
    /// Makes a step of the walk from this cursor on. Returns the keys and the next cursor.
    pub(in super::super) async fn scan(
        &self,
        scan: &Scan,
        from: Option<&str>,
    ) -> Result<(Keys, Option<String>), Fault> {
        let progress = from.map_or_else(|| Some(Progress::default()), Progress::parse);
        let progress = progress.ok_or_else(unknown_cursor)?;
        let mut search = Search::default();
        let step = async {
            loop {
                if let Some(step) = self.step(scan, &progress, &mut search).await? {
                    return Ok(step);
                }
                search.pause().await;
            }
        };
        let step = timeout(self.timeout, step).await;
        let (keys, progress) = step.unwrap_or_else(|_| Err(self.no_success(search)))?;
        let goes_on = progress.done.first_missing().is_some();
        Ok((keys, goes_on.then(|| progress.to_string())))
    }

    /// Makes a step on one node. `None`: the attempt failed, and another may succeed.
    async fn step(
        &self,
        scan: &Scan,
        progress: &Progress,
        search: &mut Search,
    ) -> Result<Option<(Keys, Progress)>, Fault> {
        let mut progress = progress.clone();
        let Some(next) = progress.done.first_missing() else {
            return Ok(Some((Vec::new(), progress)));
        };
        let Some(address) = self.primary(next, search).await? else {
            return Ok(None);
        };
        // The node itself knows best which slots are the node's own.
        let Some(slots) = self.slots_by(&address, search).await? else {
            return Ok(None);
        };
        let owned = slots.of_primary(&address);
        self.directory.update(slots, &address)?;
        if !owned.contains(next) {
            return Ok(None);
        }
        let node = self.directory.node(&address)?;
        let scanned = self.bounded(node.scan(scan, progress.position.as_ref()));
        let mut step = match scanned.await {
            Ok(step) => step,
            Err(error) => {
                search.failed(&address, error)?;
                return Ok(None);
            }
        };
        // Keys of slots that are done were listed before.
        step.keys.retain(|key| {
            let slot = slot(&String::from_utf8_lossy(key));
            !(owned.contains(slot) && progress.done.contains(slot))
        });
        match step.is_first {
            true => progress.current = owned,
            false => progress.current.intersect(&owned),
        }
        progress.position = step.next;
        if progress.position.is_none() {
            progress.done.unite(&progress.current);
            progress.current = SlotSet::default();
        }
        Ok(Some((step.keys, progress)))
    }
}

impl Progress {
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('/');
        let (done, current) = (parts.next()?, parts.next()?);
        let position = match parts.next()? {
            "" => None,
            position => Some(Position::parse(position)?),
        };
        let progress = Self {
            done: SlotSet::parse(done)?,
            current: SlotSet::parse(current)?,
            position,
        };
        parts.next().is_none().then_some(progress)
    }
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/", self.done, self.current)?;
        self.position.iter().try_for_each(|at| at.fmt(f))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_progress_is_read_as_it_was_written() {
        for text in ["//", "0-99/100-199/ab12:7", "0-16383//"] {
            let progress = Progress::parse(text).expect(text);
            assert_eq!(progress.to_string(), text);
        }
        for text in ["", "acme", "ab12:7", "0/1", "0/1/2", "//ab12:7/", "a//"] {
            assert_eq!(Progress::parse(text), None, "{text}");
        }
    }
}
