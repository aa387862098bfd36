//! [`MachineCode`] of a component. This is the only place that trusts bytes.

use wasmtime::Engine;
use wasmtime::component::Component;

/// A component, compiled by an engine of this program.
///
/// Only two functions construct it, and neither takes bytes from a file, the network or a user.
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

    /// The bytes, to be written to the pipe.
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
        // `precompile_component`, either in this process, or in a child in which `serve` wrote it and writes nothing
        // else. Nobody else can have written it: `compiler.rs` starts the executable file of this process
        // (`/proc/self/exe`, which is that file even if another has its name by now), reads from an anonymous pipe
        // whose other end only that child has, and accepts only a response that repeats the random number of the
        // request and has the announced length. The component, which may be hostile, is input of the compiler there as
        // it would be here. Wasmtime also checks that its version and settings are those of this engine.
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
