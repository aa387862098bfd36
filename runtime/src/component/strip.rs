//! Strips a component of custom sections: names, line tables and producers. All other bytes stay the same.

use wasm_encoder::{Component, ComponentSectionId, Encode as _, Module, RawSection, Section as _};
use wasmparser::{Encoding, Parser, Payload};

use crate::error::LoadError;

/// The ID of custom sections, in modules and components.
const CUSTOM: u8 = 0;

/// The component in `bytes` without custom sections, also without those of nested modules and components.
///
/// # Errors
///
/// If `bytes` cannot be parsed to the end.
pub fn strip(bytes: &[u8]) -> Result<Vec<u8>, LoadError> {
    strip_named(bytes, |_| true)
}

/// The component without the custom sections whose names are `unwanted`.
///
/// # Errors
///
/// As [`strip`].
pub(crate) fn strip_named(bytes: &[u8], unwanted: impl Fn(&str) -> bool) -> Result<Vec<u8>, LoadError> {
    let malformed = |error: wasmparser::BinaryReaderError| LoadError::Malformed(error.to_string());
    // The enclosing modules and components, outermost first.
    let mut around: Vec<Vec<u8>> = Vec::new();
    let mut output = Vec::new();
    for payload in Parser::new(0).parse_all(bytes) {
        let payload = payload.map_err(malformed)?;
        match &payload {
            Payload::Version { encoding, .. } => output.extend_from_slice(match encoding {
                Encoding::Module => &Module::HEADER,
                Encoding::Component => &Component::HEADER,
            }),
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => {
                around.push(std::mem::take(&mut output));
                continue;
            }
            Payload::End(_) => {
                let Some(mut outer) = around.pop() else { break };
                let id = if output.starts_with(&Component::HEADER) {
                    ComponentSectionId::Component
                } else {
                    ComponentSectionId::CoreModule
                };
                outer.push(id as u8);
                output.encode(&mut outer);
                output = outer;
            }
            _ => {}
        }
        let is_unwanted = |id| id == CUSTOM && matches!(&payload, Payload::CustomSection(one) if unwanted(one.name()));
        if let Some((id, range)) = payload.as_section().filter(|(id, _)| !is_unwanted(*id)) {
            let data =
                bytes.get(range).ok_or_else(|| LoadError::Malformed("a section extends beyond the end".to_string()))?;
            RawSection { id, data }.append_to(&mut output);
        }
    }
    Ok(output)
}
