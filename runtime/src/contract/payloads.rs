//! The payload interfaces of the contract: one entry for each, from which everything else here follows.

use serde::Serialize;

use super::Kind;

/// `field: "interface", [(kind, why)]`: the kinds of stages that have no use for the interface, and why. No world of the contract
/// for such a stage imports it.
macro_rules! payload_interfaces {
    ($($field:ident: $name:literal, [$(($kind:ident, $why:literal)),*];)*) => {
        /// A set of the payload interfaces of the contract, for example those that a stage imports or uses.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
        pub struct Payloads {
            $(#[doc = concat!("`", $name, "`")] pub $field: bool,)*
        }

        impl Payloads {
            const NAMES: &[&str] = &[$($name),*];

            /// The names of all payload interfaces, in the order of the contract, with whether each is in the set.
            pub fn interfaces(self) -> [(&'static str, bool); Payloads::NAMES.len()] {
                [$(($name, self.$field)),*]
            }

            /// The union with `other`.
            #[must_use]
            pub fn union(self, other: Payloads) -> Payloads {
                Payloads { $($field: self.$field || other.$field),* }
            }

            /// The interfaces that are not in `other`.
            #[must_use]
            pub fn without(self, other: Payloads) -> Payloads {
                Payloads { $($field: self.$field && !other.$field),* }
            }

            /// The set with only the interface of this short name; `None` if it is not a payload interface.
            pub(crate) fn from_name(interface: &str) -> Option<Payloads> {
                let only = Payloads { $($field: interface == $name),* };
                (only != Payloads::default()).then_some(only)
            }
        }

        const FOREIGN: &[(Kind, &str, &str)] = &[$($((Kind::$kind, $name, $why)),*),*];
    };
}

payload_interfaces! {
    read: "payload-read", [(Source, "a source is lent no elements, so it has none to read")];
    write: "payload-write", [(Sink, "a sink has no output that could take what it writes")];
    view: "payload-view", [
        (Source, "a source is lent no elements, so it has none to cut"),
        (Sink, "a sink has no output that could take what it makes")
    ];
    buffer: "payload-buffer", [(Sink, "a sink has no output that could take what it writes")];
    lease: "payload-lease", [
        (Source, "a source is lent no elements, so it has none to hold"),
        (Sink, "a sink has no output that could take what it holds")
    ];
}

impl Payloads {
    /// The first interface in the set that a stage of this kind has no use for, and why.
    pub(crate) fn foreign_to(self, kind: Kind) -> Option<(&'static str, &'static str)> {
        let imports = |interface| self.interfaces().contains(&(interface, true));
        let foreign = FOREIGN.iter().find(|(of, interface, _)| *of == kind && imports(*interface));
        foreign.map(|(_, interface, why)| (*interface, *why))
    }
}
