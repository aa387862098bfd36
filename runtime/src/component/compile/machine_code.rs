//! Machine code of a component: the one place that trusts bytes.

use wasmtime::Engine;
use wasmtime::component::Component;

/// A component as an engine of this program compiled it.
///
/// Only two functions make one, and neither takes bytes from a file, the network, or a person.
pub(crate) struct MachineCode(Vec<u8>);

impl MachineCode {
    /// Compiles a component in this process.
    pub(crate) fn compile(engine: &Engine, component: &[u8]) -> wasmtime::Result<MachineCode> {
        engine.precompile_component(component).map(MachineCode)
    }

    /// What [`serve`](super::serve) wrote to the pipe of the parent that started it, which is this process. To be called with
    /// nothing else.
    pub(super) fn from_own_child(bytes: Vec<u8>) -> MachineCode {
        MachineCode(bytes)
    }

    /// Its bytes, for the pipe.
    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Loads it.
    ///
    /// # Errors
    ///
    /// Where an engine with other settings or of another version made it.
    pub(crate) fn load(&self, engine: &Engine) -> wasmtime::Result<Component> {
        // SAFETY: `deserialize` runs what it is given, so it must be given what Wasmtime made. `self` is either the result of
        // `precompile_component` in this process, or what `serve` wrote, which writes nothing but that. Nobody else can have
        // written it: `compiler.rs` starts the executable file that this process runs (`/proc/self/exe`, which is that file
        // even where another has taken its name), reads from an anonymous pipe whose other end only that process has, and
        // takes only an answer that repeats the random number of its question and has the length that it announces. The
        // component, which may be hostile, is input of the compiler there as it would be here. Wasmtime checks besides that
        // version and settings are those of this engine.
        #[expect(unsafe_code, reason = "the argument is above, and `tests` show what is refused")]
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
    fn what_this_engine_compiled_is_loaded() {
        let engine = new_engine().unwrap();
        let code = MachineCode::compile(&engine, &wat::parse_str(EMPTY).unwrap()).unwrap();
        code.load(&engine).unwrap();
        // Another engine of the same settings, as the child has one.
        code.load(&new_engine().unwrap()).unwrap();
        let sent = MachineCode::from_own_child(code.as_bytes().to_vec());
        sent.load(&engine).unwrap();
    }

    /// Not what makes it safe, but what a mistake runs into.
    #[test]
    fn what_is_no_machine_code_is_refused() {
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
