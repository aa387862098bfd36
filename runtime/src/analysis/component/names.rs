//! Reads the function names of a module.

use std::collections::HashMap;

use wasmparser::{BinaryReader, Name, NameSectionReader};

/// The function names in a name section, by index. Unreadable entries are skipped.
pub(super) fn read_names(section: &[u8]) -> HashMap<u32, &str> {
    let mut names = HashMap::new();
    for subsection in NameSectionReader::new(BinaryReader::new(section, 0)) {
        let Ok(Name::Function(functions)) = subsection else { continue };
        names.extend(functions.into_iter().flatten().map(|naming| (naming.index, naming.name)));
    }
    names
}
