//! The first column: a name, an address, a CIDR block or a pattern.

use std::net::IpAddr;

use super::value::ValueRule;
use super::{Fault, Matching, Resolver};

/// Which peers an entry is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum HostRule {
    /// `*`.
    Any,
    /// The addresses whose first `prefix` bits are those of `network`; a single address is a block of one.
    Block { network: IpAddr, prefix: u8 },
    /// A pattern over the address as it is printed, such as `10.1.*`.
    AddressPattern(ValueRule),
    /// A host name or a pattern over host names.
    Name { text: String, rule: ValueRule, matching: Matching },
}

impl HostRule {
    pub(super) fn parse(column: &[u8], matching: Matching) -> Result<HostRule, Fault> {
        let text = std::str::from_utf8(column).map_err(|_| Fault::BadHost)?;
        if text == "*" {
            return Ok(HostRule::Any);
        }
        if let Some((address, prefix)) = text.split_once('/') {
            return block(address, prefix);
        }
        if let Ok(address) = text.parse::<IpAddr>() {
            let network = address.to_canonical();
            return Ok(HostRule::Block { network, prefix: width(network) });
        }
        let rule = ValueRule::new(column, matching);
        // What looks like an address must not be taken for a name: a peer could call itself `10.1.example.net` in
        // its own zone, and `10.1.2` or `10.1.2.300` is a slip of the pen.
        let looks_like_address =
            text.contains(':') || text.bytes().all(|b| b.is_ascii_digit() || b".*?".contains(&b));
        match (looks_like_address, text.contains(['*', '?']), matching) {
            (true, true, Matching::Default) => Ok(HostRule::AddressPattern(rule)),
            (true, ..) => Err(Fault::BadAddress),
            (false, ..) if text.bytes().all(is_name_byte) => {
                Ok(HostRule::Name { text: text.to_owned(), rule, matching })
            }
            (false, ..) => Err(Fault::BadHost),
        }
    }

    pub(super) fn matches(&self, peer: IpAddr, resolver: &dyn Resolver) -> bool {
        match self {
            HostRule::Any => true,
            HostRule::Block { network, prefix } => in_block(peer, *network, *prefix),
            HostRule::AddressPattern(rule) => rule.matches(peer.to_string().as_bytes()),
            HostRule::Name { text, rule, matching: Matching::Default } => {
                resolves_to(resolver, text, peer)
                    || verified_names(resolver, peer).any(|name| {
                        rule.matches(name.as_bytes())
                            || !text.contains('.') && rule.matches(short(&name).as_bytes())
                    })
            }
            // Name servers ignore case, so only the peer's own name can be compared exactly.
            HostRule::Name { rule, matching: Matching::Exact, .. } => {
                verified_names(resolver, peer).any(|name| rule.matches(name.as_bytes()))
            }
        }
    }
}

/// Peers as the first column of an entry names them, for lists that hold nothing else: an address, a block of addresses or
/// the name of a host, but no pattern.
///
/// ```
/// use protogen_core::hl7hosts::{NoNames, Peers};
///
/// let peers = Peers::parse(b"10.1.0.0/16")?;
/// assert!(peers.matches([10, 1, 2, 3].into(), &NoNames));
/// assert!(!peers.matches([10, 2, 2, 3].into(), &NoNames));
/// # Ok::<(), protogen_core::hl7hosts::Fault>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peers(HostRule);

impl Peers {
    /// Reads one.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &[u8]) -> Result<Peers, Fault> {
        if text.contains(&b'*') || text.contains(&b'?') {
            return Err(Fault::BadHost);
        }
        HostRule::parse(text, Matching::Default).map(Peers)
    }

    /// The host's name, where it is one that must be looked up.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        match &self.0 {
            HostRule::Name { text, .. } => Some(text),
            _ => None,
        }
    }

    /// Whether this peer is one of them. Only names are looked up.
    #[must_use]
    pub fn matches(&self, peer: IpAddr, resolver: &dyn Resolver) -> bool {
        self.0.matches(peer.to_canonical(), resolver)
    }
}

/// `ADDRESS/PREFIX`. Bits beyond the prefix are refused: `10.1.2.3/16` says two different things.
fn block(address: &str, prefix: &str) -> Result<HostRule, Fault> {
    let network = address.parse::<IpAddr>().map_err(|_| Fault::BadAddress)?;
    if !prefix.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Fault::BadPrefix);
    }
    let prefix = prefix.parse::<u8>().map_err(|_| Fault::BadPrefix)?;
    if prefix > width(network) {
        return Err(Fault::BadPrefix);
    }
    if bits(network) != masked(bits(network), width(network), prefix) {
        return Err(Fault::HostBits);
    }
    Ok(HostRule::Block { network, prefix })
}

fn in_block(peer: IpAddr, network: IpAddr, prefix: u8) -> bool {
    width(peer) == width(network) && masked(bits(peer), width(peer), prefix) == bits(network)
}

fn width(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u128::from(u32::from(v4)),
        IpAddr::V6(v6) => u128::from(v6),
    }
}

/// `bits` with everything after the first `prefix` of `width` bits cleared.
fn masked(bits: u128, width: u8, prefix: u8) -> u128 {
    let host_bits = u32::from(width - prefix);
    bits.checked_shr(host_bits).and_then(|network| network.checked_shl(host_bits)).unwrap_or(0)
}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"._-*?".contains(&byte)
}

/// The peer's names that also resolve to it: anyone can give an address of his own any name.
fn verified_names(resolver: &dyn Resolver, peer: IpAddr) -> impl Iterator<Item = String> + '_ {
    resolver
        .names(peer)
        .into_iter()
        .map(|name| name.trim_end_matches('.').to_owned())
        .filter(move |name| resolves_to(resolver, name, peer))
}

fn resolves_to(resolver: &dyn Resolver, name: &str, peer: IpAddr) -> bool {
    !name.contains(['*', '?'])
        && resolver.addresses(name).iter().any(|address| address.to_canonical() == peer)
}

/// The host name without its domain.
fn short(name: &str) -> &str {
    name.split_once('.').map_or(name, |(host, _domain)| host)
}
