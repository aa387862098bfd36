//! The names of the contract and of its worlds and interfaces.

/// The interface to the attributes of elements.
pub(crate) const ATTRIBUTES: &str = "attributes";

/// The contract that this runtime supports.
pub const CONTRACT: &str = "torvyn:streaming@0.2.0";
pub(crate) const NAMESPACE: &str = "torvyn:streaming/";
pub(crate) const VERSION: &str = "0.2.0";

/// The full name of a world or an interface of the contract: `torvyn:streaming/router@0.2.0`.
pub fn full_name(name: &str) -> String {
    format!("{NAMESPACE}{name}@{VERSION}")
}

/// The short name of a world or an interface, if `full` is the full name of one of this contract.
pub fn short_name(full: &str) -> Option<&str> {
    split_contract_name(full).filter(|(_, version)| *version == VERSION).map(|(name, _)| name)
}

/// Splits `torvyn:streaming/sink@0.2.0` into ("sink", "0.2.0"). `None` for names outside the package
/// `torvyn:streaming`.
pub(crate) fn split_contract_name(name: &str) -> Option<(&str, &str)> {
    name.strip_prefix(NAMESPACE)?.split_once('@')
}
