//! Random processors: functions that call the host, wrappers around them in other modules, called directly, through
//! tables that other modules fill, or through references, and a `process` with random control flow that calls any of
//! them.
//!
//! Every value has a role, so that most calls have arguments that the host accepts; a few have another value there.

use torvyn_tests::random::Random;

use super::code::{Callee, Variable, Writer};
use super::parts::{COMMON, EXPORTS, imports, nested};

/// What a value is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Batch,
    Index,
    Offset,
    Len,
    Result,
    /// An `i32` of no special use.
    Number,
    /// An `i64` of no special use.
    Wide,
}

impl Role {
    pub(crate) fn ty(self) -> &'static str {
        match self {
            Role::Batch | Role::Index | Role::Result | Role::Number => "i32",
            Role::Offset | Role::Len | Role::Wide => "i64",
        }
    }
}

/// The shape of the body of `process`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// An ordinary loop over the batch.
    Plain,
    /// A loop that only looks like one.
    Near,
    /// Anything.
    Any,
}

/// A core function of the component.
#[derive(Clone)]
struct Function {
    name: String,
    params: Vec<Role>,
    results: Vec<Role>,
}

impl Function {
    fn new(name: &str, params: &[Role], results: &[Role]) -> Function {
        Function { name: name.to_string(), params: params.to_vec(), results: results.to_vec() }
    }

    /// Its parameters and results, in WebAssembly text.
    fn form(&self) -> String {
        form(&self.params, &self.results)
    }
}

fn form(params: &[Role], results: &[Role]) -> String {
    let list = |roles: &[Role]| roles.iter().map(|role| format!(" {}", role.ty())).collect::<String>();
    format!("(param{}) (result{})", list(params), list(results))
}

/// The number of slots of every table.
const PLACES: usize = 4;

/// A component under construction.
struct Maker {
    random: Random,
    functions: Vec<Function>,
    text: String,
    /// Segments that are written to tables last: the instance with the table, the slot, and the function.
    late: Vec<(String, usize, Function)>,
}

/// The component of this seed, as text.
pub(crate) fn component(seed: u64) -> String {
    let mut maker = Maker { random: Random::new(seed), functions: Vec::new(), text: imports(), late: Vec::new() };
    maker.text += COMMON;
    maker.host_functions();
    for number in 0..1 + maker.random.below(4) {
        maker.wrapper(number);
    }
    maker.main();
    maker.fill_late();
    format!("(component {} {EXPORTS})", maker.text)
}

impl Maker {
    fn one_in(&mut self, times: usize) -> bool {
        self.random.below(times) == 0
    }

    fn host_functions(&mut self) {
        use Role::{Batch, Index, Len, Number, Offset, Result};
        let read = [Batch, Index, Offset, Len, Result];
        self.functions = vec![Function::new("$read", &read, &[]), Function::new("$read-again", &read, &[])];
        if self.one_in(2) {
            self.functions.push(Function::new("$read-all", &[Batch, Result], &[]));
        }
        if self.one_in(2) {
            self.functions.push(Function::new("$emit", &[Number], &[]));
        }
        if self.one_in(8) {
            self.functions.push(Function::new("$hold", &[Batch], &[]));
            self.functions.push(Function::new("$look-held", &[Index], &[]));
        }
        if self.one_in(4) {
            let once = "(call $read (local.get $batch) (local.get $index) (i64.const 0) (i64.const 1) (i32.const 64))";
            let body = [once.to_string(), once.repeat(2), format!("(if (local.get $index) (then {once}))")];
            self.text += &nested(&body[self.random.below(3)]);
            self.functions.push(Function::new("$nested", &[Batch, Index], &[]));
        }
    }

    fn any_function(&mut self) -> Function {
        // The function that was made last is the most likely one to be wrapped.
        let count = self.functions.len();
        let latest = (0..3).map(|_| self.random.below(count)).max().unwrap_or(0);
        self.functions[latest].clone()
    }

    /// Adds a module with a function that calls others, and sometimes looks like a mere wrapper.
    fn wrapper(&mut self, number: usize) {
        let mut module = Module::new(format!("w{number}"));
        let (params, results, body) = if self.one_in(2) {
            // Tools put an import of the host behind a shim of this form.
            let callee = if self.one_in(2) { self.functions[0].clone() } else { self.any_function() };
            self.forwarding(&callee, &mut module)
        } else {
            let callee = self.any_function();
            self.general(&callee, &mut module)
        };
        let named = params.iter().enumerate().map(|(at, role)| format!("(param $p{at} {})", role.ty()));
        let signature = named.collect::<String>() + &form(&[], &results);
        let function = Function { name: format!("$f{number}"), params, results };
        module.fields += &format!("(func (export \"f\") {signature} {body})");
        self.instantiate(module);
        self.text += &format!("(alias core export $w{number} \"f\" (core func {}))", function.name);
        self.functions.push(function);
    }

    /// All parameters in order, then one call: correctly, with others before them, or with fewer of them.
    fn forwarding(&mut self, callee: &Function, module: &mut Module) -> (Vec<Role>, Vec<Role>, String) {
        let called = self.callee(callee, module);
        let mut params = callee.params.clone();
        let mut results = callee.results.clone();
        let mut locals = String::new();
        match self.random.below(6) {
            0 | 1 => {}
            2..=4 => {
                let before: Vec<_> = (0..[1, 2, 2, 3][self.random.below(4)]).map(|_| self.spare()).collect();
                results.splice(0..0, before.iter().map(|role| plain(*role)));
                params.splice(0..0, before);
            }
            _ => {
                let kept = self.random.below(params.len() + 1);
                locals = params.drain(kept..).map(|role| format!("(local {})", role.ty())).collect();
            }
        }
        let count = params.len().max(callee.params.len());
        let gets: String = (0..count).map(|at| format!("local.get {at} ")).collect();
        (params, results, format!("{locals} {gets} {}", called.call))
    }

    /// A parameter that the callee does not have: most often one that looks like its index.
    fn spare(&mut self) -> Role {
        [Role::Index, Role::Index, Role::Index, Role::Number, Role::Batch, Role::Wide][self.random.below(6)]
    }

    /// Parameters in any order, and a body that uses them in any way.
    fn general(&mut self, callee: &Function, module: &mut Module) -> (Vec<Role>, Vec<Role>, String) {
        let mut params: Vec<_> =
            callee.params.iter().copied().filter(|role| *role == Role::Batch || !self.one_in(6)).collect();
        for _ in 0..self.random.below(3) {
            let at = self.random.below(params.len() + 1);
            let spare = self.spare();
            params.insert(at, spare);
        }
        if self.one_in(3) && params.len() > 1 {
            let (a, b) = (self.random.below(params.len()), self.random.below(params.len()));
            params.swap(a, b);
        }
        let results: Vec<_> = (0..self.random.below(3)).map(|_| plain(self.spare())).collect();
        let mut callees = vec![self.callee(callee, module)];
        if self.one_in(4) {
            let other = self.any_function();
            callees.push(self.callee(&other, module));
        }
        module.uses_fuel();
        let variables = params.iter().enumerate().map(|(at, role)| Variable { name: format!("$p{at}"), role: *role });
        let (locals, more) = locals(&[("$i", Role::Index), ("$j", Role::Index), ("$x", Role::Wide)]);
        let mut writer = Writer::new(&mut self.random, variables.chain(more).collect(), callees);
        let body = writer.function(&results, 2, 1);
        (params, results, format!("{locals} {body}"))
    }

    /// Makes a function available to a module. Returns how it is called there.
    fn callee(&mut self, function: &Function, module: &mut Module) -> Callee {
        let id = module.import(function);
        let place = self.random.below(PLACES);
        let ty = format!("$t{id}");
        // A wrapper is usually called directly, and calls through a table.
        let is_around = function.name.starts_with("$f") && self.one_in(2);
        let way = if is_around { 0 } else { self.random.below(16) };
        let call = match way {
            0..=3 => format!("call $c{id}"),
            4..=10 => {
                self.fill(module, place, function, id);
                format!("i32.const {place} call_indirect $t (type {ty})")
            }
            11 => {
                self.fill(module, place, function, id);
                format!("global.get $zero i32.const {place} i32.add call_indirect $t (type {ty})")
            }
            12 => {
                module.declare(id);
                format!("ref.func $c{id} call_ref {ty}")
            }
            13 => {
                module.fields += &format!("(global $g{id} (mut (ref null {ty})) (ref.func $c{id}))");
                format!("global.get $g{id} call_ref {ty}")
            }
            14 => {
                module.declare(id);
                module.has_table = true;
                let set = format!("i32.const {place} ref.func $c{id} table.set $t");
                format!("{set} i32.const {place} call_indirect $t (type {ty})")
            }
            _ => {
                module.has_table = true;
                module.fields += &format!("(elem $e{id} func $c{id})");
                let init = format!("i32.const {place} i32.const 0 i32.const 1 table.init $t $e{id}");
                format!("{init} i32.const {place} call_indirect $t (type {ty})")
            }
        };
        Callee { params: function.params.clone(), results: function.results.clone(), call }
    }

    /// Puts a function into the table of a module, at instantiation or later; another function before, after or beside
    /// it.
    fn fill(&mut self, module: &mut Module, place: usize, function: &Function, id: usize) {
        module.has_table = true;
        let same = |other: &&Function| other.form() == function.form();
        let others: Vec<_> = self.functions.iter().filter(same).cloned().collect();
        let other = others[self.random.below(others.len())].clone();
        let early = match self.random.below(4) {
            0 => format!("(elem (table $t) (i32.const {place}) func $c{id})"),
            1 => format!("(elem (table $t) (i32.const {place}) funcref (ref.func $c{id}))"),
            2 if place == 1 => format!("(elem (table $t) (global.get $one) func $c{id})"),
            _ => String::new(),
        };
        let instance = format!("${}", module.name);
        let also = if self.one_in(2) { place } else { self.random.below(PLACES) };
        if self.one_in(8) {
            self.late.push((instance.clone(), also, other.clone()));
        }
        if early.is_empty() {
            self.late.push((instance.clone(), place, function.clone()));
        }
        module.fields += &early;
        if self.one_in(8) {
            self.late.push((instance, also, other));
        }
    }

    /// Defines a module, and its instance with its imports.
    fn instantiate(&mut self, module: Module) {
        let Module { name, imports, fields, given, has_table, .. } = module;
        let table = if has_table { format!("(table $t (export \"t\") {PLACES} funcref)") } else { String::new() };
        self.text += &format!(
            r#"
  (core module ${name} (import "store" "memory" (memory 1)) (import "store" "one" (global $one i32)) {imports}
    (global $zero (mut i32) (i32.const 0)) {table} {fields})
  (core instance ${name} (instantiate ${name} (with "store" (instance $store)) (with "keep" (instance $keep))
    (with "f" (instance {given}))))"#
        );
    }

    /// `process` and `flush`, and sometimes a function before `process`.
    fn main(&mut self) {
        let mut module = Module::new("main".to_string());
        let shape = [Shape::Plain, Shape::Near, Shape::Any][self.random.below(3)];
        // If one of many functions has no bound, there is no bound at all.
        let count = if shape == Shape::Near { 1 } else { 1 + self.random.below(3) };
        let mut callees = Vec::new();
        for _ in 0..count {
            let reads = shape == Shape::Near && !self.one_in(3);
            let function = if reads { self.functions[0].clone() } else { self.any_function() };
            callees.push(self.callee(&function, &mut module));
        }
        module.uses_fuel();
        let (locals, more) = locals(&[
            ("$i", Role::Index),
            ("$j", Role::Index),
            ("$k", Role::Index),
            ("$n", Role::Number),
            ("$x", Role::Wide),
        ]);
        let given = [("$batch", Role::Batch), ("$count", Role::Number)];
        let variables = given.map(|(name, role)| Variable { name: name.to_string(), role }).into_iter().chain(more);
        let mut writer = Writer::new(&mut self.random, variables.collect(), callees);
        let body = match shape {
            Shape::Plain => writer.plain_loop("$i"),
            Shape::Near => writer.near_loop(),
            Shape::Any => writer.function(&[], 3, 2),
        };
        let flush = if self.one_in(4) { "(call $begin) (call $emit (i32.const 0))" } else { "(call $begin)" };
        module.imports += r#"(import "keep" "begin" (func $begin)) (import "keep" "emit" (func $emit (param i32)))
            (import "keep" "end" (func $end (param i32 i32) (result i32)))
            (import "keep" "ended" (func $ended (param i32) (result i32)))"#;
        module.fields += &format!(
            r#"(func (export "process") (param $batch i32) (param $count i32) (param i32 i32) (result i32) {locals}
                (call $begin) {body} (call $end (local.get $batch) (local.get $count)))
              (func (export "flush") (result i32) {flush} (call $ended (i32.const 0)))"#
        );
        self.instantiate(module);
        self.text += "(alias core export $main \"flush\" (core func $flush))";
        if self.one_in(8) {
            let work = Function::new("$work", &[Role::Number; 4], &[Role::Number]);
            self.text += "(alias core export $main \"process\" (core func $work))";
            let mut before = Module::new("before".to_string());
            self.functions.push(work.clone());
            let called = self.callee(&work, &mut before);
            before.fields += &format!(
                "(func (export \"process\") (param i32 i32 i32 i32) (result i32)
                   local.get 0 local.get 1 local.get 2 local.get 3 {})",
                called.call
            );
            self.instantiate(before);
            self.text += "(alias core export $before \"process\" (core func $process))";
        } else {
            self.text += "(alias core export $main \"process\" (core func $process))";
        }
    }

    /// Fills the tables that wait for it, with one module per segment.
    fn fill_late(&mut self) {
        for (number, (instance, place, mut function)) in std::mem::take(&mut self.late).into_iter().enumerate() {
            // With an arbitrary function of that type, a function could call itself.
            if self.one_in(24) {
                let same: Vec<_> = self.functions.iter().filter(|other| other.form() == function.form()).collect();
                function = same[self.random.below(same.len())].clone();
            }
            let Function { name, .. } = &function;
            self.text += &format!(
                r#"
  (core module $fix{number} (import "" "t" (table {PLACES} funcref)) (import "" "f" (func $f {form}))
    (elem (i32.const {place}) func $f))
  (core instance (instantiate $fix{number}
    (with "" (instance (export "t" (table {instance} "t")) (export "f" (func {name}))))))"#,
                form = function.form()
            );
        }
    }
}

/// The role of the same type without a special use.
fn plain(role: Role) -> Role {
    if role.ty() == "i32" { Role::Number } else { Role::Wide }
}

fn locals(of: &[(&str, Role)]) -> (String, Vec<Variable>) {
    let declared = of.iter().map(|(name, role)| format!("(local {name} {})", role.ty())).collect();
    (declared, of.iter().map(|(name, role)| Variable { name: (*name).to_string(), role: *role }).collect())
}

/// A core module under construction.
struct Module {
    name: String,
    imports: String,
    fields: String,
    /// The arguments for the functions that it imports.
    given: String,
    functions: usize,
    has_table: bool,
}

impl Module {
    fn new(name: String) -> Module {
        let nothing = String::new;
        Module { name, imports: nothing(), fields: nothing(), given: nothing(), functions: 0, has_table: false }
    }

    /// Imports a function, as `$c0` and so on, of type `$t0`.
    fn import(&mut self, function: &Function) -> usize {
        let id = self.functions;
        self.functions += 1;
        self.imports += &format!(
            "(type $t{id} (func {form})) (import \"f\" \"c{id}\" (func $c{id} (type $t{id})))",
            form = function.form()
        );
        self.given += &format!("(export \"c{id}\" (func {}))", function.name);
        id
    }

    fn uses_fuel(&mut self) {
        self.imports += "(import \"keep\" \"burn\" (func $burn (result i32)))";
    }

    fn declare(&mut self, id: usize) {
        self.fields += &format!("(elem declare func $c{id})");
    }
}
