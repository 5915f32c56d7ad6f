//! A cluster's slots, and the nodes that have them.

use std::{fmt, iter, ops::RangeInclusive};

use redis::Value;

use super::slot_set::SlotSet;

/// The number of slots, by the cluster's specification.
pub(super) const SLOTS: u16 = 16_384;

/// The longest name that DNS knows.
const LONGEST_HOST: usize = 253;

/// The slot of a key: the CRC-16 (XMODEM) of the text between its first braces, or of the whole key
/// if the braces are missing or empty.
pub(in super::super) fn slot(key: &str) -> u16 {
    let braced = key
        .split_once('{')
        .and_then(|(_, rest)| rest.split_once('}'));
    let hashed = match braced {
        Some((tag, _)) if !tag.is_empty() => tag,
        _ => key,
    };
    let crc = hashed.bytes().fold(0_u16, |crc, byte| {
        let crc = crc ^ (u16::from(byte) << 8);
        (0..8).fold(crc, |crc, _| match crc & 0x8000 {
            0 => crc << 1,
            _ => (crc << 1) ^ 0x1021,
        })
    });
    crc % SLOTS
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Address {
    pub(super) host: String,
    pub(super) port: u16,
}

impl Address {
    /// Reads an address from `MOVED` or `ASK`. An empty host means the host of the node that sent
    /// the response.
    pub(super) fn parse(address: &str, sender: &Self) -> Option<Self> {
        // The last colon, since an IPv6 address holds colons too.
        let (host, port) = address.rsplit_once(':')?;
        Self::new(host, port.parse().ok()?, sender)
    }

    fn new(host: &str, port: u16, sender: &Self) -> Option<Self> {
        match host {
            // The sender does not know the host.
            "?" => None,
            // A stranger's text, which errors show.
            host if host.len() > LONGEST_HOST || !host.chars().all(is_host_character) => None,
            "" => Some(Self {
                host: sender.host.clone(),
                port,
            }),
            host => Some(Self {
                host: host.to_owned(),
                port,
            }),
        }
    }
}

fn is_host_character(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '%')
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// The response to `CLUSTER SLOTS`.
#[derive(Debug, Default)]
pub(super) struct SlotMap(Vec<Range>);

#[derive(Debug)]
struct Range {
    slots: RangeInclusive<u16>,
    primary: Address,
    replicas: Vec<Address>,
}

impl SlotMap {
    /// Leaves out ranges that make no sense.
    pub(super) fn parse(response: &Value, sender: &Address) -> Self {
        let ranges = array(response).iter();
        Self(
            ranges
                .filter_map(|range| Range::parse(range, sender))
                .collect(),
        )
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn primary(&self, slot: u16) -> Option<&Address> {
        let range = self.0.iter().find(|range| range.slots.contains(&slot));
        range.map(|range| &range.primary)
    }

    /// The slots whose primary is at the address.
    pub(super) fn of_primary(&self, address: &Address) -> SlotSet {
        let mut set = SlotSet::default();
        for range in self.0.iter().filter(|range| range.primary == *address) {
            set.insert(*range.slots.start(), *range.slots.end());
        }
        set
    }

    /// All slots that have a primary.
    pub(super) fn served(&self) -> SlotSet {
        let mut set = SlotSet::default();
        for range in &self.0 {
            set.insert(*range.slots.start(), *range.slots.end());
        }
        set
    }

    /// All nodes, replicas included.
    pub(super) fn nodes(&self) -> impl Iterator<Item = &Address> {
        self.0
            .iter()
            .flat_map(|range| iter::once(&range.primary).chain(&range.replicas))
    }
}

impl Range {
    /// Reads the first slot, the last slot, the primary and its replicas.
    fn parse(range: &Value, sender: &Address) -> Option<Self> {
        let [first, last, primary, replicas @ ..] = array(range) else {
            return None;
        };
        let replicas = replicas.iter().filter_map(|node| address(node, sender));
        Some(Self {
            slots: number(first)?..=number(last)?,
            primary: address(primary, sender)?,
            replicas: replicas.collect(),
        })
    }
}

/// Reads a host and a port, and ignores further fields.
fn address(node: &Value, sender: &Address) -> Option<Address> {
    let [host, port, ..] = array(node) else {
        return None;
    };
    let host = match host {
        Value::BulkString(host) => std::str::from_utf8(host).ok()?,
        Value::SimpleString(host) => host,
        Value::Nil => "",
        _ => return None,
    };
    Address::new(host, number(port)?, sender)
}

fn array(value: &Value) -> &[Value] {
    match value {
        Value::Array(values) => values,
        _ => &[],
    }
}

fn number(value: &Value) -> Option<u16> {
    match value {
        Value::Int(number) => u16::try_from(*number).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(host: &str, port: u16) -> Address {
        let host = host.to_owned();
        Address { host, port }
    }

    #[test]
    fn slots_are_as_the_specification_says() {
        // The responses of `CLUSTER KEYSLOT`.
        for (key, expected) in [
            ("123456789", 0x31c3),
            ("foo", 12182),
            ("a{foo}b{bar}", 12182),
            ("a{b{c}d", 15725),
            ("", 0),
            ("{}foo", 9500),
            ("foo{", 7673),
        ] {
            assert_eq!(slot(key), expected, "{key}");
        }
    }

    #[test]
    fn a_node_without_a_host_has_the_host_of_the_sender() {
        let here = at("here", 1);
        for (address, expected) in [
            ("10.0.0.1:7000", Some(at("10.0.0.1", 7000))),
            ("2001:db8::1:7000", Some(at("2001:db8::1", 7000))),
            (":7000", Some(at("here", 7000))),
            ("?:7000", None),
            ("no host:7000", None),
            ("a\nb:7000", None),
            (&format!("{}:7000", "a".repeat(254)), None),
            ("host", None),
            ("host:port", None),
        ] {
            assert_eq!(Address::parse(address, &here), expected, "{address}");
        }
    }

    #[test]
    fn a_response_is_read_without_its_odd_ranges() {
        let text = |text: &str| Value::BulkString(text.as_bytes().to_vec());
        let node = |host: Value, port| {
            Value::Array(vec![
                host,
                Value::Int(port),
                text("id"),
                Value::Array(vec![]),
            ])
        };
        let range = |first, last, nodes: Vec<Value>| {
            let mut range = vec![Value::Int(first), Value::Int(last)];
            range.extend(nodes);
            Value::Array(range)
        };
        let response = Value::Array(vec![
            range(
                0,
                99,
                vec![node(text("a"), 1), node(Value::Nil, 2), node(text("?"), 3)],
            ),
            range(100, 199, vec![node(text("b"), 70_000)]),
            range(200, 299, vec![]),
            range(300, 399, vec![node(text("c"), 4)]),
            Value::Okay,
        ]);
        let map = SlotMap::parse(&response, &at("here", 9));
        for (slot, primary) in [
            (0, Some(at("a", 1))),
            (99, Some(at("a", 1))),
            (100, None),
            (250, None),
            (399, Some(at("c", 4))),
            (400, None),
        ] {
            assert_eq!(map.primary(slot), primary.as_ref(), "{slot}");
        }
        let nodes: Vec<_> = map.nodes().cloned().collect();
        assert_eq!(nodes, [at("a", 1), at("here", 2), at("c", 4)]);
        assert!(SlotMap::parse(&Value::Array(vec![]), &at("here", 9)).is_empty());
    }
}
