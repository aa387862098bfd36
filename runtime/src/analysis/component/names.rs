//! The names of functions that a module has.

use std::collections::HashMap;

use wasmparser::{BinaryReader, Name, NameSectionReader};

/// The functions of a name section, by index; what cannot be read of it is left out.
pub(super) fn names(section: &[u8]) -> HashMap<u32, &str> {
    let mut names = HashMap::new();
    for subsection in NameSectionReader::new(BinaryReader::new(section, 0)) {
        let Ok(Name::Function(functions)) = subsection else { continue };
        names.extend(functions.into_iter().flatten().map(|naming| (naming.index, naming.name)));
    }
    names
}
