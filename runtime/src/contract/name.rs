//! The names of the contract, of its worlds and of its interfaces.

/// The interface to what elements carry besides their payloads.
pub(crate) const ATTRIBUTES: &str = "attributes";

/// The contract that this runtime runs.
pub const CONTRACT: &str = "torvyn:streaming@0.2.0";
pub(crate) const NAMESPACE: &str = "torvyn:streaming/";
pub(crate) const VERSION: &str = "0.2.0";

/// The full name of a world or an interface of the contract: `torvyn:streaming/router@0.2.0`.
pub fn full_name(name: &str) -> String {
    format!("{NAMESPACE}{name}@{VERSION}")
}

/// The name of a world or an interface that is of the contract by its full name.
pub fn short_name(full: &str) -> Option<&str> {
    of_contract(full).filter(|(_, version)| *version == VERSION).map(|(name, _)| name)
}

/// `torvyn:streaming/sink@0.2.0` as ("sink", "0.2.0").
pub(crate) fn of_contract(name: &str) -> Option<(&str, &str)> {
    name.strip_prefix(NAMESPACE)?.split_once('@')
}
