//! Identifies files that are not stages, by their first bytes, sections and exports, for the error message.

use std::panic;

use wasmparser::names::{ComponentName, ComponentNameKind};
use wasmparser::{BinaryReaderError, ComponentExternalKind, Parser, Payload};
use wit_component::DecodedWasm;
use wit_parser::{Resolve, WorldId};

use crate::contract::{CONTRACT, NAMESPACE};
use crate::error::LoadError;

/// The most exports that a message lists.
const MAX_LISTED: usize = 4;

/// Decodes the world of the component in `bytes`.
pub(super) fn decode(bytes: &[u8]) -> Result<(Resolve, WorldId), LoadError> {
    check_preamble(bytes)?;
    check_externs(bytes)?;
    check_sections(bytes).map_err(|error| LoadError::Malformed(error.to_string()))?;
    // The decoder is made for components that tools build. It refuses some other valid components, and panics on some.
    match panic::catch_unwind(|| wit_component::decode(bytes)) {
        Ok(Ok(DecodedWasm::Component(resolve, world))) => Ok((resolve, world)),
        Ok(Ok(DecodedWasm::WitPackage(..))) => {
            Err(LoadError::NotAComponent("a WIT package in binary form".to_string()))
        }
        Ok(Err(error)) if error.chain().any(|cause| cause.is::<BinaryReaderError>()) => {
            Err(LoadError::Malformed(format!("{error:#}")))
        }
        Ok(Err(error)) => Err(other(format!("one that WIT cannot describe: {error:#}"))),
        Err(_) => Err(other("one that WIT cannot describe".to_string())),
    }
}

/// Refuses a file that ends within a section. Without this check the decoder would allocate the announced size of each
/// section, up to 4 GiB at a time, before it reads the bytes.
pub(crate) fn check_sections(bytes: &[u8]) -> Result<(), BinaryReaderError> {
    Parser::new(0).parse_all(bytes).try_for_each(|payload| payload.map(drop))
}

fn other(found: String) -> LoadError {
    LoadError::World { expected: format!("a component for {CONTRACT}"), found }
}

/// A component starts with `\0asm`, version 13 and layer 1; a core module with `\0asm`, version 1 and layer 0.
fn check_preamble(bytes: &[u8]) -> Result<(), LoadError> {
    let found = match bytes {
        [] => "an empty file",
        [0, b'a', b's', b'm', 0x0d, 0, 1, 0, ..] => return Ok(()),
        [0, b'a', b's', b'm', 1, 0, 0, 0, ..] => describe_core_module(bytes),
        [0, b'a', b's', b'm', ..] => "WebAssembly of another version",
        [0x7f, b'E', b'L', b'F', ..] => "a native executable (ELF)",
        _ if bytes.trim_ascii_start().starts_with(b"(") => "WebAssembly text",
        _ => "something that is not WebAssembly",
    };
    Err(LoadError::NotAComponent(found.to_string()))
}

/// Describes a core module, and how to make a component of it.
fn describe_core_module(bytes: &[u8]) -> &'static str {
    for payload in Parser::new(0).parse_all(bytes) {
        let Ok(Payload::ImportSection(imports)) = payload else { continue };
        let mut imports = imports.into_imports().filter_map(Result::ok);
        if imports.any(|import| import.module == "wasi_snapshot_preview1") {
            return "a core WebAssembly module for `wasm32-wasip1`; build it for `wasm32-wasip2`";
        }
    }
    "a core WebAssembly module; build it for `wasm32-wasip2`, or wrap it with `wasm-tools component new`"
}

/// Refuses imports and exports that WIT cannot express, because they are not interfaces. Malformed binaries are
/// reported elsewhere.
fn check_externs(bytes: &[u8]) -> Result<(), LoadError> {
    let mut depth = 0;
    for payload in Parser::new(0).parse_all(bytes) {
        match payload {
            Ok(Payload::Version { .. }) => depth += 1,
            Ok(Payload::End(_)) => depth -= 1,
            Ok(Payload::ComponentImportSection(imports)) if depth == 1 => {
                for import in imports.into_iter().filter_map(Result::ok) {
                    check_extern("imports", import.name.name, import.ty.kind())?;
                }
            }
            Ok(Payload::ComponentExportSection(exports)) if depth == 1 => {
                for export in exports.into_iter().filter_map(Result::ok) {
                    check_extern("exports", export.name.name, export.kind)?;
                }
            }
            Ok(_) => {}
            Err(_) => return Ok(()),
        }
    }
    Ok(())
}

fn check_extern(does: &str, name: &str, kind: ComponentExternalKind) -> Result<(), LoadError> {
    let kind = match kind {
        ComponentExternalKind::Module => "a core module",
        ComponentExternalKind::Component => "a component",
        ComponentExternalKind::Value => "a value",
        ComponentExternalKind::Func | ComponentExternalKind::Instance | ComponentExternalKind::Type => {
            match ComponentName::new(name, 0).as_ref().map(|name| name.kind()) {
                Ok(ComponentNameKind::Url(_)) => "a URL",
                Ok(ComponentNameKind::Hash(_)) => "a hash",
                Ok(ComponentNameKind::Dependency(_)) => "a dependency",
                _ => return Ok(()),
            }
        }
    };
    Err(other(format!("one that {does} {kind}, `{}`", name.escape_debug())))
}

/// Describes a component with these exports.
pub(super) fn describe_exports(exports: &[String]) -> String {
    let has = |prefix: &str| exports.iter().any(|export| export.starts_with(prefix));
    let known = match () {
        () if has(NAMESPACE) => "one that exports",
        () if has("wasi:http/incoming-handler@") || has("wasi:http/handler@") => "an HTTP handler, which exports",
        () if has("wasi:cli/run@") => "a command, which exports",
        () => "one that exports",
    };
    // Exports of the contract first: they say most about what is missing.
    let mut exports = exports.iter().map(String::as_str).collect::<Vec<_>>();
    exports.sort_by_key(|export| !export.starts_with(NAMESPACE));
    let more = exports.len().saturating_sub(MAX_LISTED);
    let named = exports.iter().take(MAX_LISTED).map(|export| format!("`{export}`")).collect::<Vec<_>>().join(", ");
    match (exports.is_empty(), more) {
        (true, _) => "one that exports nothing".to_string(),
        (false, 0) => format!("{known} {named}"),
        (false, more) => format!("{known} {named} and {more} more"),
    }
}
