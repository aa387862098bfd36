//! The bodies of functions: random statements that make calls and change the arguments of later calls.

use torvyn_tests::random::Random;

use super::generate::Role;

/// A local.
pub(crate) struct Variable {
    pub(crate) name: String,
    pub(crate) role: Role,
}

/// A callable function, and the instructions that call it once its arguments are on the stack.
pub(crate) struct Callee {
    pub(crate) params: Vec<Role>,
    pub(crate) results: Vec<Role>,
    pub(crate) call: String,
}

/// Writes the body of one function.
pub(crate) struct Writer<'r> {
    random: &'r mut Random,
    variables: Vec<Variable>,
    callees: Vec<Callee>,
    /// The enclosing labels, innermost last.
    labels: Vec<String>,
    /// The locals that the enclosing loops change, innermost last.
    moved: Vec<String>,
    made: usize,
    text: String,
}

const STEPS: [&str; 12] = ["1", "1", "1", "1", "1", "-1", "2", "3", "0", "0x80000000", "0x40000000", "0x55555555"];
const COMPARES: [&str; 10] = ["eq", "ne", "lt_u", "lt_s", "le_u", "le_s", "gt_u", "gt_s", "ge_u", "ge_s"];
const OPERATORS: [&str; 7] = ["add", "sub", "and", "or", "xor", "mul", "shl"];

impl<'r> Writer<'r> {
    pub(crate) fn new(random: &'r mut Random, variables: Vec<Variable>, callees: Vec<Callee>) -> Writer<'r> {
        Writer { random, variables, callees, labels: Vec::new(), moved: Vec::new(), made: 0, text: String::new() }
    }

    /// A body with at most this many statements in sequence and this depth, with values for these results.
    pub(crate) fn function(&mut self, results: &[Role], most: usize, depth: usize) -> String {
        self.open("block", "exit");
        for _ in 0..1 + self.random.below(most) {
            self.statement(depth);
        }
        self.close();
        for role in results {
            let value = self.value(*role, 1);
            self.add(&value);
        }
        std::mem::take(&mut self.text)
    }

    /// A body with an ordinary loop over the batch and calls in it.
    pub(crate) fn plain_loop(&mut self, index: &str) -> String {
        self.open("block", "exit");
        self.add(&format!("i32.const 0 local.set {index}"));
        self.open("loop", "next");
        self.moved.push(index.to_string());
        self.add("call $burn br_if $exit");
        for _ in 0..1 + self.random.below(2) {
            self.call();
        }
        if self.one_in(2) {
            self.statement(1);
        }
        let end = self.count();
        self.add(&format!("local.get {index} i32.const 1 i32.add local.tee {index} {end} i32.lt_u br_if $next"));
        self.close();
        self.close();
        std::mem::take(&mut self.text)
    }

    pub(super) fn add(&mut self, text: &str) {
        self.text.push_str(text);
        self.text.push(' ');
    }

    pub(super) fn one_in(&mut self, times: usize) -> bool {
        self.random.below(times) == 0
    }

    pub(super) fn of<'a>(&mut self, list: &[&'a str]) -> &'a str {
        list[self.random.below(list.len())]
    }

    pub(super) fn open(&mut self, what: &str, label: &str) {
        self.labels.push(label.to_string());
        self.add(&format!("{what} ${label}"));
    }

    pub(super) fn close(&mut self) {
        self.labels.pop();
        self.add("end");
    }

    pub(super) fn below(&mut self, count: usize) -> usize {
        self.random.below(count)
    }

    pub(super) fn callee_count(&self) -> usize {
        self.callees.len()
    }

    pub(super) fn params(&self, callee: usize) -> &[Role] {
        &self.callees[callee].params
    }

    /// The text of the body.
    pub(super) fn take(&mut self) -> String {
        std::mem::take(&mut self.text)
    }

    fn label(&mut self) -> String {
        self.made += 1;
        format!("l{}", self.made)
    }

    fn statements(&mut self, depth: usize) {
        for _ in 0..1 + self.random.below(2) {
            self.statement(depth);
        }
    }

    fn statement(&mut self, depth: usize) {
        match self.random.below(if depth == 0 { 9 } else { 16 }) {
            0..=5 => self.call(),
            6 => self.step(),
            7 => self.set(),
            8 => self.leave(),
            9..=12 => self.cycle(depth - 1),
            13 => self.either(depth - 1),
            14 => self.choose(depth - 1),
            _ => {
                let (label, skip) = (self.label(), self.condition());
                self.open("block", &label);
                if self.one_in(2) {
                    self.add(&format!("{skip} br_if ${label}"));
                    self.set();
                }
                self.statements(depth - 1);
                self.close();
            }
        }
    }

    /// Calls some function.
    fn call(&mut self) {
        let number = self.random.below(self.callees.len());
        for at in 0..self.callees[number].params.len() {
            let role = self.callees[number].params[at];
            let argument = self.argument(role);
            self.add(&argument);
        }
        self.finish_call(number);
    }

    /// Calls a function whose arguments are on the stack. Its result is dropped, or stored in a local.
    pub(super) fn finish_call(&mut self, number: usize) {
        let call = self.callees[number].call.clone();
        self.add(&call);
        for at in (0..self.callees[number].results.len()).rev() {
            let role = self.callees[number].results[at];
            match self.changing(role.ty()).filter(|_| self.one_in(4)) {
                Some(name) => self.add(&format!("local.set {name}")),
                None => self.add("drop"),
            }
        }
    }

    /// The name of a local of a type that may be set. Rarely that of the element count.
    fn changing(&mut self, ty: &str) -> Option<String> {
        let spares = !self.one_in(12);
        let may = |variable: &&Variable| {
            matches!(variable.role, Role::Index | Role::Number | Role::Wide) && !(spares && variable.name == "$count")
        };
        let may = self.variables.iter().filter(may).filter(|variable| variable.role.ty() == ty);
        let names: Vec<_> = may.map(|variable| variable.name.clone()).collect();
        if names.is_empty() { None } else { Some(names[self.random.below(names.len())].clone()) }
    }

    /// A local of type `i32`: in half of the cases the one that the innermost loop changes.
    fn counting(&mut self) -> Option<String> {
        match self.moved.last().cloned() {
            Some(name) if self.one_in(2) => Some(name),
            _ => self.changing("i32"),
        }
    }

    fn variable(&mut self, is: impl Fn(Role) -> bool) -> Option<String> {
        let names: Vec<_> =
            self.variables.iter().filter(|variable| is(variable.role)).map(|variable| variable.name.clone()).collect();
        if names.is_empty() { None } else { Some(names[self.random.below(names.len())].clone()) }
    }

    /// The number of elements, if it is known.
    fn count(&mut self) -> String {
        if self.variables.iter().any(|variable| variable.name == "$count") && !self.one_in(6) {
            return "local.get $count".to_string();
        }
        self.get(|role| role == Role::Number, "i32.const 4")
    }

    fn get(&mut self, is: impl Fn(Role) -> bool, otherwise: &str) -> String {
        self.variable(is).map_or_else(|| otherwise.to_string(), |name| format!("local.get {name}"))
    }

    fn argument(&mut self, role: Role) -> String {
        match role {
            Role::Batch => self.get(|role| role == Role::Batch, "i32.const 0"),
            Role::Result => "i32.const 64".to_string(),
            Role::Offset | Role::Len if self.one_in(12) => self.value(Role::Wide, 1),
            Role::Offset => self.get(|role| role == Role::Offset, "i64.const 0"),
            Role::Len => self.get(|role| role == Role::Len, "i64.const 1"),
            Role::Index => {
                let any = self.get(|role| role == Role::Index, "i32.const 0");
                let moved = self.moved.last().map_or_else(|| any.clone(), |name| format!("local.get {name}"));
                match self.random.below(10) {
                    0..=4 => moved,
                    5 => any,
                    6 => format!("{moved} i32.const {} i32.add", self.of(&STEPS)),
                    7 | 8 => format!("i32.const {}", [0, 0, 1][self.random.below(3)]),
                    _ => self.value(Role::Number, 2),
                }
            }
            Role::Number => self.value(Role::Number, 2),
            Role::Wide => self.value(Role::Wide, 2),
        }
    }

    /// Instructions that leave a value of the type of a role.
    fn value(&mut self, role: Role, depth: usize) -> String {
        let ty = role.ty();
        match self.random.below(if depth == 0 { 4 } else { 14 }) {
            0..=2 => self.get(|role| role.ty() == ty && role != Role::Batch, &format!("{ty}.const 1")),
            3 => format!("{ty}.const {}", self.of(&["0", "1", "2", "3", "-1", "0x7fffffff"])),
            4..=6 => {
                let (a, b) = (self.value(role, depth - 1), self.value(role, depth - 1));
                format!("{a} {b} {ty}.{}", self.of(&OPERATORS))
            }
            7 => {
                let (a, b, c) = (self.value(role, depth - 1), self.value(role, depth - 1), self.condition());
                format!("{a} {b} {c} select")
            }
            8 => match self.changing(ty) {
                Some(name) => format!("{} local.tee {name}", self.value(role, depth - 1)),
                None => format!("{ty}.const 2"),
            },
            9 if ty == "i32" => format!("{} i32.wrap_i64", self.value(Role::Wide, depth - 1)),
            9 => format!("{} i64.extend_i32_{}", self.value(Role::Number, depth - 1), self.of(&["u", "s"])),
            10 => format!("i32.const {} {ty}.load", 128 + 8 * self.random.below(4)),
            11 => {
                let (a, b) = (self.value(role, depth - 1), self.value(role, depth - 1));
                let condition = self.condition();
                format!("{condition} if (result {ty}) {a} else {b} end")
            }
            12 => {
                // The second of two values of a block, or the first of them.
                let (a, b) = (self.value(role, depth - 1), self.value(role, depth - 1));
                let rest = match self.changing(ty) {
                    Some(name) if self.one_in(2) => format!("local.set {name}"),
                    _ => "drop".to_string(),
                };
                format!("block (result {ty} {ty}) {a} {b} end {rest}")
            }
            _ if ty == "i32" => self.condition(),
            _ => format!("{} {} i64.rotl", self.value(role, depth - 1), self.value(role, depth - 1)),
        }
    }

    /// Instructions that leave 0, or another number.
    fn condition(&mut self) -> String {
        let a = self.get(|role| role.ty() == "i32" && role != Role::Batch, "i32.const 0");
        let b = match self.random.below(4) {
            0 => format!("i32.const {}", self.random.below(5)),
            1 => "i32.const 128 i32.load".to_string(),
            _ => self.get(|role| role == Role::Number || role == Role::Index, "i32.const 2"),
        };
        match self.random.below(4) {
            0 => a,
            1 => format!("{a} i32.eqz"),
            _ => format!("{a} {b} i32.{}", self.of(&COMPARES)),
        }
    }

    fn set(&mut self) {
        let ty = self.of(&["i32", "i32", "i32", "i64"]);
        let name = if ty == "i32" { self.counting() } else { self.changing(ty) };
        let Some(name) = name else { return };
        let role = if ty == "i32" { Role::Number } else { Role::Wide };
        let value = if self.one_in(3) { format!("{ty}.const 0") } else { self.value(role, 2) };
        if ty == "i32" && self.one_in(4) {
            let cell = 128 + 8 * self.random.below(4);
            self.add(&format!("i32.const {cell} {value} i32.store"));
        } else {
            self.add(&format!("{value} local.set {name}"));
        }
    }

    /// Moves a local on.
    fn step(&mut self) {
        if let Some(name) = self.counting() {
            self.step_of(&name);
        }
    }

    fn step_of(&mut self, name: &str) {
        let (step, operator) = (self.of(&STEPS), self.of(&["add", "add", "sub"]));
        self.add(&format!("local.get {name} i32.const {step} i32.{operator} local.set {name}"));
    }

    /// A branch to a label around, if a condition holds or by a number.
    fn leave(&mut self) {
        let target = self.labels[self.random.below(self.labels.len())].clone();
        if self.one_in(3) {
            let other = self.labels[self.random.below(self.labels.len())].clone();
            let (label, number) = (self.label(), self.value(Role::Number, 1));
            self.open("block", &label);
            self.add(&format!("{number} br_table ${target} ${other} ${label}"));
            self.close();
        } else {
            let condition = self.condition();
            self.add(&format!("{condition} br_if ${target}"));
        }
    }

    fn either(&mut self, depth: usize) {
        let (label, condition) = (self.label(), self.condition());
        self.add(&condition);
        self.open("if", &label);
        self.statements(depth);
        if self.one_in(2) {
            self.add("else");
            self.statements(depth);
        }
        self.close();
    }

    fn choose(&mut self, depth: usize) {
        let (outer, inner, number) = (self.label(), self.label(), self.value(Role::Number, 1));
        self.open("block", &outer);
        self.open("block", &inner);
        self.add(&format!("{number} br_table ${inner} ${outer} ${inner}"));
        self.close();
        self.statements(depth);
        self.close();
        self.statements(depth);
    }

    /// A loop: over the batch in most cases, in one of the ways that loops are written.
    fn cycle(&mut self, depth: usize) {
        let Some(name) = self.changing("i32") else { return };
        let (around, label) = (self.label(), self.label());
        if self.one_in(2) {
            let first = self.of(&["i32.const 0", "i32.const 0", "i32.const -1", "local.get $p0"]);
            let first = if first.starts_with("local") { self.value(Role::Number, 0) } else { first.to_string() };
            self.add(&format!("{first} local.set {name}"));
        }
        self.open("block", &around);
        self.open("loop", &label);
        self.moved.push(name.clone());
        self.add("call $burn br_if $exit");
        let more = self.more(&name);
        match self.random.below(6) {
            0 => {
                self.add(&format!("{more} i32.eqz br_if ${around}"));
                self.statements(depth);
                self.step_of(&name);
                self.add(&format!("br ${label}"));
            }
            1 => {
                self.step_of(&name);
                self.statements(depth);
                self.add(&format!("{more} br_if ${label}"));
            }
            2 => {
                // Rounds that end in two ways.
                let condition = self.condition();
                self.statements(depth);
                self.step_of(&name);
                self.add(&format!("{condition} br_if ${label}"));
                self.statements(depth);
                self.add(&format!("{more} br_if ${label}"));
            }
            3 => {
                self.statements(depth);
                let condition = self.condition();
                self.add(&format!("{condition} br_if ${label}"));
            }
            4 => {
                // Another local counts the rounds.
                self.statements(depth);
                self.step_of(&name);
                let counter = self.changing("i32").unwrap_or(name);
                let more = self.more(&counter);
                self.add(&format!("local.get {counter} i32.const 1 i32.add local.set {counter} {more} br_if ${label}"));
            }
            _ => {
                self.statements(depth);
                self.step_of(&name);
                self.add(&format!("{more} br_if ${label}"));
            }
        }
        self.moved.pop();
        self.close();
        self.close();
    }

    /// Whether there is another round, by the local that counts them.
    fn more(&mut self, name: &str) -> String {
        let end = match self.random.below(6) {
            0 => "i32.const 4".to_string(),
            1 => "i32.const 0".to_string(),
            2 => "i32.const 128 i32.load".to_string(),
            _ => self.count(),
        };
        match self.random.below(8) {
            0 => format!("local.get {name}"),
            1 => format!("local.get {name} {end} i32.{}", self.of(&COMPARES)),
            2 => format!("{end} local.get {name} i32.gt_u"),
            3 => format!("local.get {name} {end} i32.ne"),
            _ => format!("local.get {name} {end} i32.lt_u"),
        }
    }
}
