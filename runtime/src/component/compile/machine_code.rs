//! [`MachineCode`] of a component. This is the only place that trusts bytes.

use wasmtime::Engine;
use wasmtime::component::Component;

/// A component, compiled by an engine of this program.
///
/// Only three functions construct it. None takes bytes from the network or a user, and only one takes bytes from a file,
/// after they are verified.
pub(crate) struct MachineCode(Vec<u8>);

impl MachineCode {
    /// Compiles a component in this process.
    pub(crate) fn compile(engine: &Engine, component: &[u8]) -> wasmtime::Result<MachineCode> {
        engine.precompile_component(component).map(MachineCode)
    }

    /// Takes the bytes that [`serve`](super::serve), in a child that this process started, wrote to its pipe. Must not
    /// be called with any other bytes.
    pub(super) fn from_own_child(bytes: Vec<u8>) -> MachineCode {
        MachineCode(bytes)
    }

    /// Takes the bytes of an entry of the compile cache, in memory, after its authentication code was verified with the key of the cache.
    /// Must not be called with any other bytes.
    pub(super) fn from_verified_entry(bytes: Vec<u8>) -> MachineCode {
        MachineCode(bytes)
    }

    /// The bytes, to be written to the pipe or to the compile cache.
    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Loads the machine code.
    ///
    /// # Errors
    ///
    /// If an engine with other settings or of another version compiled it.
    pub(crate) fn load(&self, engine: &Engine) -> wasmtime::Result<Component> {
        // SAFETY: `deserialize` trusts its input to be machine code that Wasmtime compiled. `self` is the result of
        // `precompile_component`: in this process, in a child, or in an earlier process of this program.
        //
        // In a child, `serve` wrote it and writes nothing else. Nobody else can have written it: `compiler.rs` starts the executable file of this process
        // (`/proc/self/exe`, which is that file even if another has its name by now), reads from an anonymous pipe
        // whose other end only that child has, and accepts only a response that repeats the random number of the
        // request and has the announced length. The component, which may be hostile, is input of the compiler there as
        // it would be here.
        //
        // An earlier process wrote it to the compile cache, where `cache.rs` writes nothing but a `MachineCode`, and
        // with it an HMAC-SHA-256 over the component, the engine and all bytes. Only who knows the key of the cache can
        // make that: 256 random bits in a file that, like its folder, only this user can read, which is checked before
        // each use. Components have no access to files. Who acts as this user can replace this program as well. The
        // bytes were verified in the memory from which they are loaded, so that changing the file later has no effect.
        //
        // Wasmtime also checks that its version and settings are those of this engine.
        #[expect(unsafe_code, reason = "see the comment above; `tests` show what is refused")]
        unsafe {
            Component::deserialize(engine, &self.0)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::new_engine;
    use super::*;

    const EMPTY: &str = "(component (core module $m (func (export \"f\"))) (core instance (instantiate $m)))";

    #[test]
    fn loads_code_of_an_equal_engine() {
        let engine = new_engine().unwrap();
        let code = MachineCode::compile(&engine, &wat::parse_str(EMPTY).unwrap()).unwrap();
        code.load(&engine).unwrap();
        // Another engine with the same settings, like that of the child.
        code.load(&new_engine().unwrap()).unwrap();
        let sent = MachineCode::from_own_child(code.as_bytes().to_vec());
        sent.load(&engine).unwrap();
    }

    /// This is not what makes `load` safe; it only catches mistakes.
    #[test]
    fn rejects_other_bytes() {
        let engine = new_engine().unwrap();
        let code = MachineCode::compile(&engine, &wat::parse_str(EMPTY).unwrap()).unwrap();
        let refused = |bytes: &[u8]| MachineCode::from_own_child(bytes.to_vec()).load(&engine).unwrap_err();
        refused(b"");
        refused(&wat::parse_str(EMPTY).unwrap());
        refused(&code.as_bytes()[..64]);
        let mut config = wasmtime::Config::new();
        config.epoch_interruption(false);
        let other = wasmtime::Engine::new(&config).unwrap();
        refused(&other.precompile_component(&wat::parse_str(EMPTY).unwrap()).unwrap());
    }
}
