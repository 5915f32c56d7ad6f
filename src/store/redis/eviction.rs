//! The check whether the server may evict records.

use redis::{RedisResult, aio::MultiplexedConnection, cmd, make_extension_error};

/// An error code of this crate, beside the server's own codes.
pub(super) const EVICTS: &str = "EVICTS";

/// Fails if the server may evict any key: an account without its record looks like an account that
/// never signed in. A server that does not permit `INFO` passes.
pub(super) async fn check(connection: &mut MultiplexedConnection) -> RedisResult<()> {
    let memory: RedisResult<String> = cmd("INFO").arg("memory").query_async(connection).await;
    match memory {
        Ok(memory) if evicts_records(&memory) => Err(make_extension_error(EVICTS.to_owned(), None)),
        Err(error) if error.is_io_error() => Err(error),
        _ => Ok(()),
    }
}

fn evicts_records(memory: &str) -> bool {
    let field = |name| {
        let mut lines = memory.lines();
        lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
    };
    let limited = field("maxmemory").is_some_and(|limit| limit != "0");
    limited && field("maxmemory_policy").is_some_and(|policy| policy.starts_with("allkeys"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_allkeys_policy_under_a_limit_evicts_records() {
        for (memory, evicts) in [
            ("maxmemory:100\r\nmaxmemory_policy:allkeys-lru\r\n", true),
            ("maxmemory:0\r\nmaxmemory_policy:allkeys-lru\r\n", false),
            ("maxmemory:100\r\nmaxmemory_policy:volatile-lru\r\n", false),
            ("maxmemory:100\r\nmaxmemory_policy:noeviction\r\n", false),
            ("maxmemory_policy:allkeys-lru\r\n", false),
            ("", false),
        ] {
            assert_eq!(evicts_records(memory), evicts, "{memory}");
        }
    }
}
