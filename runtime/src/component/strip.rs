//! A component without what is there for people: names, line tables and who made it. What runs stays as it is, byte for
//! byte.

use wasm_encoder::{Component, ComponentSectionId, Encode as _, Module, RawSection, Section as _};
use wasmparser::{Encoding, Parser, Payload};

use crate::error::LoadError;

/// The id of custom sections, in modules and components.
const CUSTOM: u8 = 0;

/// The component in `bytes` without custom sections, those of its modules and components included.
///
/// # Errors
///
/// Where `bytes` is no component that can be read to its end.
pub fn strip(bytes: &[u8]) -> Result<Vec<u8>, LoadError> {
    let malformed = |error: wasmparser::BinaryReaderError| LoadError::Malformed(error.to_string());
    // What is around the module or component that is being read, outermost first.
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
        if let Some((id, range)) = payload.as_section().filter(|(id, _)| *id != CUSTOM) {
            let data = bytes.get(range).ok_or_else(|| LoadError::Malformed("a section beyond the end".to_string()))?;
            RawSection { id, data }.append_to(&mut output);
        }
    }
    Ok(output)
}
