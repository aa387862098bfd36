//! The contract as it is written: its WIT files.

macro_rules! files {
    ($($name:literal)*) => {
        [$(($name, include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/wit/", $name)))),*]
    };
}

/// The files of the contract: their names and contents.
pub const WIT: [(&str, &str); 12] = files![
    "attributes.wit" "lifecycle.wit" "payload-buffer.wit" "payload-lease.wit" "payload-read.wit" "payload-view.wit"
    "payload-write.wit" "processor.wit" "sink.wit" "source.wit" "types.wit" "worlds.wit"
];
