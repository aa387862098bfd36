//! Random guests: straight code, branches, loops and calls, on a few locals, one of which is sometimes the index of a
//! read.

use torvyn_tests::random::Random;

use crate::cheat::read;

/// How deep blocks are nested.
const DEPTH: usize = 4;
const LOCALS: [&str; 4] = ["$a", "$b", "$c", "$count"];
/// The step of an index: mostly 1.
const STEPS: [&str; 12] = ["1", "1", "1", "1", "1", "-1", "-1", "2", "3", "0", "0x80000000", "0x55555556"];
const TESTS: [&str; 10] = ["lt_u", "lt_u", "ge_u", "ne", "eq", "gt_u", "le_u", "lt_s", "ge_s", "gt_s"];

/// Writes the text of guests.
pub(crate) struct Maker {
    random: Random,
    label: usize,
    /// Whether this guest can be analysed: loops are side by side, and steps are constant.
    tame: bool,
    /// The index of the loop that is being written.
    index: Option<&'static str>,
    /// The number of functions that can be called: those that were written before.
    functions: usize,
}

impl Maker {
    pub(crate) fn new(seed: u64) -> Maker {
        Maker { random: Random::new(seed), label: 0, tame: false, index: None, functions: 0 }
    }

    /// The fields of a module, and the reading part of its `process`.
    pub(crate) fn guest(&mut self) -> (String, String) {
        self.functions = 0;
        self.tame = !self.tame;
        let mut fields = "(global $fuel (mut i32) (i32.const 0))
            (type $takes (func (param i32 i32 i32)))"
            .to_string();
        for number in 0..self.random.below(3) {
            let body = self.body();
            fields += &format!(
                "(func $f{number} (type $takes) (param $batch i32) (param $a i32) (param $count i32)
                  (local $b i32) (local $c i32) {body})"
            );
            self.functions += 1;
        }
        let entries: String = (0..self.functions).map(|number| format!(" $f{number}")).collect();
        fields += &format!("(table $table funcref (elem{entries}))");
        let body = self.body();
        let work = format!("(local $a i32) (local $b i32) (local $c i32) (global.set $fuel (i32.const 300)) {body}");
        (fields, work)
    }

    fn one_of<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.random.below(of.len())]
    }

    fn body(&mut self) -> String {
        let all = self.statements(0);
        // Most stages loop over their batch.
        if self.random.below(3) > 0 {
            let each = self.loops(1);
            format!("(block $end {all} {each})")
        } else {
            format!("(block $end {all})")
        }
    }

    fn statements(&mut self, depth: usize) -> String {
        (0..1 + self.random.below(3)).map(|_| self.statement(depth)).collect()
    }

    fn local(&mut self) -> &'static str {
        let written = self.random.below(3);
        LOCALS[written]
    }

    /// A value: usually a local, or a number close to one.
    fn value(&mut self) -> String {
        let any = self.one_of(&LOCALS);
        let local = self.index.filter(|_| self.tame).unwrap_or(any);
        let step = self.one_of(&STEPS);
        let kind = self.random.below(16);
        match if self.tame && kind > 3 { 16 } else { kind } {
            0 => format!("(i32.const {})", self.random.below(4)),
            1 | 2 => format!("(i32.add (local.get {local}) (i32.const {step}))"),
            3 => format!("(i32.sub (local.get {local}) (i32.const {step}))"),
            4 => format!("(i32.add (local.get {local}) (local.get {}))", self.local()),
            5 => format!("(i32.sub (local.get {local}) (local.get {}))", self.local()),
            6 => format!("(select (local.get {local}) (local.get {}) {})", self.local(), self.condition()),
            7 => format!(
                "(if (result i32) {} (then (local.get {local})) (else (local.get {})))",
                self.condition(),
                self.local()
            ),
            8 => format!("(local.tee {} (local.get {local}))", self.local()),
            9 => format!("(i32.wrap_i64 (i64.extend_i32_u (local.get {local})))"),
            10 => format!("(i32.and (local.get {local}) (i32.const 7))"),
            _ => format!("(local.get {local})"),
        }
    }

    fn condition(&mut self) -> String {
        match self.random.below(6) {
            0 => format!("(i32.and (local.get {}) (i32.const 1))", self.local()),
            1 => format!("(i32.eqz (local.get {}))", self.local()),
            2 => format!(
                "(i32.{} (local.get {}) (i32.const {}))",
                self.one_of(&TESTS),
                self.local(),
                self.random.below(9)
            ),
            _ => format!(
                "(i32.{} (local.get {}) (local.get {}))",
                self.one_of(&TESTS),
                self.local(),
                self.one_of(&LOCALS)
            ),
        }
    }

    fn step(&mut self, local: &str) -> String {
        format!("(local.set {local} (i32.add (local.get {local}) (i32.const {})))", self.one_of(&STEPS))
    }

    fn statement(&mut self, depth: usize) -> String {
        let deeper = depth < DEPTH;
        let (kind, again) = (self.random.below(20), self.random.below(20));
        // Writing to the locals is what makes most loops impossible to analyse.
        let kind = if self.tame && matches!(kind, 5 | 6 | 16) { again } else { kind };
        match kind {
            0..=4 => read(&self.value()),
            5 => format!("(local.set {} {})", self.local(), self.value()),
            6 => {
                let local = self.local();
                self.step(local)
            }
            7 | 8 if deeper => {
                format!(
                    "(if {} (then {}) (else {}))",
                    self.condition(),
                    self.statements(depth + 1),
                    self.statements(depth + 1)
                )
            }
            9 if deeper => format!("(if {} (then {}))", self.condition(), self.statements(depth + 1)),
            10 | 11 if deeper && !(self.tame && depth > 0) => self.loops(depth + 1),
            12 if deeper => {
                self.label += 1;
                let label = self.label;
                let (before, condition, after) =
                    (self.statements(depth + 1), self.condition(), self.statements(depth + 1));
                format!("(block $skip{label} {before} (br_if $skip{label} {condition}) {after})")
            }
            13 if deeper => {
                self.label += 1;
                let label = self.label;
                let (on, one, two) = (self.value(), self.statements(depth + 1), self.statements(depth + 1));
                format!(
                    "(block $out{label} (block $two{label} (block $one{label}
                      (br_table $one{label} $two{label} $out{label} (i32.rem_u {on} (i32.const 3))))
                      {one} (br $out{label})) {two})"
                )
            }
            14 | 15 if self.functions > 0 => {
                let arguments = format!("(local.get $batch) {} {}", self.value(), self.value());
                if self.random.below(3) == 0 {
                    let entry = self.random.below(self.functions);
                    format!("(call_indirect $table (type $takes) {arguments} (i32.const {entry}))")
                } else {
                    format!("(call $f{} {arguments})", self.random.below(self.functions))
                }
            }
            16 => {
                let (a, b, c, d) = (self.local(), self.local(), self.local(), self.local());
                format!("(local.get {a}) (local.get {b}) (local.set {c}) (local.set {d})")
            }
            17 if self.random.below(4) == 0 => "(call $read_all (local.get $batch) (i32.const 64))".to_string(),
            18 if self.random.below(4) == 0 => format!("(br_if $end {})", self.condition()),
            19 if self.random.below(4) == 0 => {
                format!("(if {} (then {} unreachable))", self.condition(), read("(local.get $a)"))
            }
            _ => String::new(),
        }
    }

    /// A loop that ends when the fuel does, if not before.
    fn loops(&mut self, depth: usize) -> String {
        self.label += 1;
        let label = self.label;
        let local = self.local();
        let fuel = "(global.set $fuel (i32.sub (global.get $fuel) (i32.const 1)))
            (br_if $end (i32.le_s (global.get $fuel) (i32.const 0)))";
        let begin =
            if self.random.below(3) == 0 { String::new() } else { format!("(local.set {local} (i32.const 0))") };
        let outer = self.index.replace(local);
        let before = self.statements(depth + 1);
        let after = if self.random.below(2) == 0 { self.statement(depth + 1) } else { String::new() };
        self.index = outer;
        let again = if self.random.below(if self.tame { 30 } else { 5 }) == 0 {
            format!("(br_if $next{label} {})", self.condition())
        } else {
            String::new()
        };
        let step = match self.random.below(if self.tame { 40 } else { 12 }) {
            0 => String::new(),
            1 => self.step(local),
            2 => format!("(if {} (then {}))", self.condition(), self.step(local)),
            _ => format!("(local.set {local} (i32.add (local.get {local}) (i32.const 1)))"),
        };
        let test = if self.random.below(5) == 0 {
            self.condition()
        } else {
            format!("(i32.lt_u (local.get {local}) (local.get $count))")
        };
        match self.random.below(3) {
            0 => format!(
                "{begin} (block $done{label} (loop $next{label} {fuel}
                  (br_if $done{label} (i32.eqz {test})) {before} {again} {step} {after} (br $next{label})))"
            ),
            1 => format!("{begin} (loop $next{label} {fuel} {before} {again} {after} {step} (br_if $next{label} {test}))"),
            _ => format!(
                "{begin} (block $done{label} (loop $next{label} {fuel} {before}
                  (br_if $done{label} (i32.ge_u (local.get {local}) (local.get $count))) {step} {again} {after} (br $next{label})))"
            ),
        }
    }
}
