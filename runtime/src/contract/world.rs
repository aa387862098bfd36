//! [`World`]: the worlds of the contract, and the payload interfaces that each imports.

use std::fmt;

use serde::Serialize;

use super::{Kind, Payloads};

/// The narrowest world of the contract that a component fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum World {
    /// A processor that neither reads nor writes payloads.
    Router,
    /// A processor that reads payloads.
    Inspector,
    /// A processor that cuts payloads into parts without a copy, and neither reads nor writes payloads.
    Chunker,
    /// A processor that reads payloads, and cuts them into parts without a copy.
    Slicer,
    /// A processor that writes payloads, and does not read them.
    Replacer,
    /// A processor that reads and writes payloads.
    Transform,
    /// A processor that holds payloads beyond the call that lent them, and neither reads nor writes them.
    Holder,
    /// A processor that holds payloads and reads them, and does not write them.
    Collector,
    /// A processor that holds payloads and also writes or cuts them, that both cuts and writes them, or that writes
    /// them piece by piece.
    Windowed,
    /// A source.
    DataSource,
    /// A source that writes payloads piece by piece.
    BulkSource,
    /// A sink that reads payloads.
    DataSink,
    /// A sink that does not read payloads.
    MetadataSink,
}

impl fmt::Display for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            World::Router => "router",
            World::Inspector => "inspector",
            World::Chunker => "chunker",
            World::Slicer => "slicer",
            World::Replacer => "replacer",
            World::Transform => "transform",
            World::Holder => "holder",
            World::Collector => "collector",
            World::Windowed => "windowed",
            World::DataSource => "data-source",
            World::BulkSource => "bulk-source",
            World::DataSink => "data-sink",
            World::MetadataSink => "metadata-sink",
        })
    }
}

impl World {
    /// The narrowest world for a stage of this kind with these payload interfaces.
    pub fn narrowest(kind: Kind, payloads: Payloads) -> World {
        let Payloads { read, write, view, buffer, lease } = payloads;
        match kind {
            Kind::Source if buffer => World::BulkSource,
            Kind::Source => World::DataSource,
            Kind::Sink if read => World::DataSink,
            Kind::Sink => World::MetadataSink,
            Kind::Processor if buffer || (lease && (write || view)) || (view && write) => World::Windowed,
            Kind::Processor if lease && read => World::Collector,
            Kind::Processor if lease => World::Holder,
            Kind::Processor if write && read => World::Transform,
            Kind::Processor if write => World::Replacer,
            Kind::Processor if view && read => World::Slicer,
            Kind::Processor if view => World::Chunker,
            Kind::Processor if read => World::Inspector,
            Kind::Processor => World::Router,
        }
    }

    /// The payload interfaces that the world imports.
    pub fn payloads(self) -> Payloads {
        let none = Payloads::default();
        match self {
            World::Router | World::MetadataSink => none,
            World::Inspector | World::DataSink => Payloads { read: true, ..none },
            World::Chunker => Payloads { view: true, ..none },
            World::Slicer => Payloads { read: true, view: true, ..none },
            World::Transform => Payloads { read: true, write: true, ..none },
            World::Holder => Payloads { lease: true, ..none },
            World::Collector => Payloads { read: true, lease: true, ..none },
            World::Windowed => Payloads { read: true, write: true, view: true, buffer: true, lease: true },
            World::DataSource | World::Replacer => Payloads { write: true, ..none },
            World::BulkSource => Payloads { write: true, buffer: true, ..none },
        }
    }
}
