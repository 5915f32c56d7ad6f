//! A walk through the keys of one server, step by step.
//!
//! The cursor of `SCAN` is a position in the table of one process: each process places its keys by a
//! secret of its own. After a restart or a failover, the cursor would skip keys. So a position names the
//! process, and a walk begins anew on another process.

use std::fmt;

use redis::{Cmd, RedisResult, aio::MultiplexedConnection, cmd, pipe};

/// The least number of keys that a step looks at.
const LEAST_COUNT: usize = 10;

/// Where the next step begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Position {
    /// The `run_id` of the process.
    process: String,
    cursor: u64,
}

/// The keys to walk through.
pub(super) struct Scan {
    pub(super) pattern: String,
    /// How many keys a step looks at, about.
    pub(super) count: usize,
}

pub(super) struct Step {
    pub(super) keys: Vec<Vec<u8>>,
    /// `None`: this was the last step.
    pub(super) next: Option<Position>,
    /// Whether the step was the first on its process.
    pub(super) is_first: bool,
}

impl Scan {
    pub(super) async fn step(
        &self,
        connection: &mut MultiplexedConnection,
        from: Option<&Position>,
    ) -> RedisResult<Step> {
        // In one round trip, on the connection of the step, which stays with one process.
        let cursor = from.map_or(0, |from| from.cursor);
        let mut step = pipe();
        step.cmd("INFO").arg("server").add_command(self.at(cursor));
        let (server, (mut cursor, mut keys)): (String, (u64, Vec<Vec<u8>>)) =
            step.query_async(connection).await?;
        let process = run_id(&server).to_owned();
        let is_foreign = from.is_some_and(|from| from.process != process);
        if is_foreign {
            (cursor, keys) = self.at(0).query_async(connection).await?;
        }
        Ok(Step {
            keys,
            next: (cursor != 0).then_some(Position { process, cursor }),
            is_first: is_foreign || from.is_none(),
        })
    }

    fn at(&self, cursor: u64) -> Cmd {
        let mut scan = cmd("SCAN");
        scan.arg(cursor).arg("MATCH").arg(&self.pattern);
        scan.arg("COUNT").arg(self.count.max(LEAST_COUNT));
        scan
    }
}

/// A server behind a proxy may have no id: the proxy then keeps the walk together.
fn run_id(server: &str) -> &str {
    let mut lines = server.lines();
    let id = lines.find_map(|line| line.strip_prefix("run_id:"));
    id.filter(|id| is_id(id)).unwrap_or_default()
}

fn is_id(id: &str) -> bool {
    id.len() <= 64 && id.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

impl Position {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (process, cursor) = text.split_once(':')?;
        let cursor = cursor.parse().ok()?;
        is_id(process).then(|| Self {
            process: process.to_owned(),
            cursor,
        })
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.process, self.cursor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_is_read_as_it_was_written() {
        for text in ["ab12:7", ":18446744073709551615"] {
            let position = Position::parse(text).expect(text);
            assert_eq!(position.to_string(), text);
        }
        for text in ["", "7", "ab12:", "ab12:-1", "a b:7", "acme"] {
            assert_eq!(Position::parse(text), None, "{text}");
        }
    }

    #[test]
    fn the_id_of_a_process_is_found_among_the_server_s_fields() {
        let server = "# Server\r\nredis_version:7.0.15\r\nrun_id:0a1b\r\ntcp_port:1\r\n";
        assert_eq!(run_id(server), "0a1b");
        assert_eq!(run_id("run_id:a b\r\n"), "");
        assert_eq!(run_id(""), "");
    }
}
