#!/usr/bin/env python3
"""Programs that throw and catch, in kitbag and in wasmtime.

    exceptions.py KITBAG WASMTIME FIRST [COUNT | --seconds N]

draws one module from each number, runs it in both commands, and compares what it returns: a hash of all memory, where every
function leaves its locals, and how many exceptions were caught. A module on which they differ is left in the working
directory. Functions call later ones, directly, through a table and by typed references; blocks keep operands below them on the
stack while something is thrown through them. Whatever holds a NaN is only looked at as a saturated integer.
"""

import os
import random
import subprocess
import sys
import time

TYPES = ["i32", "i64", "f32", "f64", "v128"]
TAGS = [[], ["i32"], ["i64", "f64"], ["f32", "i32", "i64"], ["v128", "i32"], ["i32"] * 4 + ["i64"] * 2 + ["f64", "f32"]]
JOIN = {"i32": "i32.xor", "i64": "i64.add", "f32": "f32.add", "f64": "f64.add", "v128": "v128.xor"}
INTEGER = ["add", "sub", "mul", "and", "or", "xor", "shl", "shr_u", "shr_s", "rotl"]

FUEL = 200  # function entries for each call from outside
CALLS = 3   # of each function
SHOWN = 1024  # bytes for the locals of a function


def results(types):
    return "".join(f" (result {ty})" for ty in types)


def params(types):
    return "".join(f" (param {ty})" for ty in types)


class Function:
    def __init__(self, rng, index, signatures):
        self.rng, self.index, self.signatures = rng, index, signatures
        own, self.results = signatures[index]
        self.locals = list(own)
        for ty in TYPES:
            self.locals += [ty] * rng.randint(1, 2 if ty == "v128" else 5)
        self.parameters, self.free = len(own), len(self.locals)
        self.exception = self.free
        self.locals.append("exnref")
        self.budget = rng.randint(10, 60)
        self.depth = self.loops = self.names = 0
        self.labels = []

    def name(self, what):
        self.names += 1
        return f"${what}{self.names}"

    def local(self, ty):
        return self.rng.choice([i for i in range(self.free) if self.locals[i] == ty])

    # Values.

    def constant(self, ty):
        rng = self.rng
        if ty in ("i32", "i64"):
            bits = int(ty[1:])
            return f"({ty}.const {rng.choice([0, 1, -1, rng.randint(-9, 9), rng.getrandbits(bits) - (1 << (bits - 1))])})"
        if ty == "v128":
            return f"(v128.const i64x2 {rng.randint(-9, 9)} {rng.getrandbits(62)})"
        return f"({ty}.const {rng.choice([0, 1, -1.5, rng.randint(-99, 99)])})"

    def value(self, ty, depth=0):
        rng = self.rng
        if depth > 3 or rng.random() < 0.35:
            return f"(local.get {self.local(ty)})"
        if rng.random() < 0.25:
            return self.constant(ty)
        sub = lambda ty: self.value(ty, depth + 1)
        address = lambda: f"offset={rng.randint(0, 64)} (i32.and {sub('i32')} (i32.const 255))"
        forms = {
            "i32": [
                lambda: f"(i32.wrap_i64 {sub('i64')})",
                lambda: f"(i32.load8_u {address()})",
                lambda: f"(i64.lt_s {sub('i64')} {sub('i64')})",
                lambda: f"(i32x4.extract_lane {rng.randint(0, 3)} {sub('v128')})",
                lambda: f"(select {sub('i32')} {sub('i32')} {sub('i32')})",
            ],
            "i64": [
                lambda: f"(i64.extend_i32_{rng.choice('su')} {sub('i32')})",
                lambda: f"(i64.load {address()})",
                lambda: f"(i64.trunc_sat_f64_s {sub('f64')})",
            ],
            "f32": [lambda: f"(f32.convert_i32_s {sub('i32')})"],
            "f64": [lambda: f"(f64.convert_i32_s {sub('i32')})"],
            "v128": [lambda: f"(i64x2.splat {sub('i64')})"],
        }[ty]
        if rng.random() < 0.4:
            return rng.choice(forms)()
        operator = {
            "v128": lambda: rng.choice(["i32x4.add", "i64x2.sub", "v128.xor", "i16x8.add"]),
            "f32": lambda: "f32." + rng.choice(["add", "sub", "mul", "max", "min"]),
            "f64": lambda: "f64." + rng.choice(["add", "sub", "mul", "max", "min"]),
        }.get(ty, lambda: f"{ty}.{rng.choice(INTEGER)}")()
        return f"({operator} {sub(ty)} {sub(ty)})"

    def values(self, types):
        return " ".join(self.value(ty) for ty in types)

    def take(self, types):
        """Puts what is on the stack into locals."""
        places = [self.exception if ty == "exnref" else self.local(ty) for ty in reversed(types)]
        return " ".join(f"(local.set {place})" for place in places)

    def sometimes(self):
        return f"(i32.eqz (i32.and {self.value('i32', 1)} (i32.const {self.rng.choice([1, 3, 3, 7])})))"

    # Statements.

    def statements(self, most):
        text = []
        for _ in range(self.rng.randint(1, most)):
            if self.budget > 0:
                self.budget -= 1
                text.append(self.statement())
        return "\n".join(text)

    def inner(self, most, label=None):
        self.depth += 1
        outside = self.labels
        self.labels = outside + ([label] if label else [])
        text = self.statements(most)
        self.labels = outside
        self.depth -= 1
        return text

    def statement(self):
        choice = self.rng.random() * (0.5 if self.depth > 5 else 1)
        if choice < 0.2:
            ty = self.rng.choice(TYPES)
            return f"(local.set {self.local(ty)} {self.value(ty)})"
        if choice < 0.28:
            address = f"(i32.and {self.value('i32', 2)} (i32.const 255))"
            return f"(i64.store offset={self.rng.randint(0, 64)} {address} {self.value('i64', 1)})"
        if choice < 0.37:
            tag = self.rng.randrange(len(TAGS))
            return f"(if {self.sometimes()} (then (throw $e{tag} {self.values(TAGS[tag])})))"
        if choice < 0.5:
            return self.call()
        if choice < 0.57:
            return f"(if {self.sometimes()} (then {self.inner(3)}) (else {self.inner(3)}))"
        if choice < 0.65 and self.loops < 2:
            return self.loop()
        if choice < 0.7:
            return self.block()
        return self.try_table()

    def block(self):
        name, types = self.name("block"), self.rng.choice([[], ["i32"], ["i64", "f64"]])
        return f"(block {name}{results(types)} {self.inner(4, (name, types))} {self.values(types)}) {self.take(types)}"

    def loop(self):
        name, counter = self.name("loop"), len(self.locals)
        self.locals.append("i32")
        self.loops += 1
        body = self.inner(5)
        self.loops -= 1
        again = f"(br_if {name} (local.tee {counter} (i32.sub (local.get {counter}) (i32.const 1))))"
        return f"(local.set {counter} (i32.const {self.rng.randint(1, 5)})) (loop {name} {body} {again})"

    def call(self):
        if self.index + 1 == len(self.signatures):
            return f"(local.set {self.local('i32')} {self.value('i32')})"
        callee = self.rng.randint(self.index + 1, len(self.signatures) - 1)
        takes, gives = self.signatures[callee]
        arguments = self.values(takes)
        call = self.rng.choice([
            f"(call $f{callee} {arguments})",
            f"(call $f{callee} {arguments})",
            f"(call_indirect (type $t{callee}) {arguments} (i32.const {callee}))",
            f"(call_ref $t{callee} {arguments} (ref.func $f{callee}))",
        ])
        if len(gives) == 1 and self.rng.random() < 0.5:
            return f"(local.set {self.local(gives[0])} ({JOIN[gives[0]]} {self.value(gives[0])} {call}))"
        return f"{call} {self.take(gives)}"

    def clause(self):
        """Its text but for the label, and what it brings."""
        tag = self.rng.randrange(len(TAGS))
        return self.rng.choice([
            (f"catch $e{tag}", TAGS[tag]),
            (f"catch $e{tag}", TAGS[tag]),
            (f"catch_ref $e{tag}", TAGS[tag] + ["exnref"]),
            (f"catch_ref $e{tag}", TAGS[tag] + ["exnref"]),
            ("catch_all", []),
            ("catch_all_ref", ["exnref"]),
        ])

    def outer_clauses(self):
        """To blocks around this one that take just what an exception brings."""
        fitting = [(tag, name) for name, types in self.labels for tag in range(len(TAGS)) if TAGS[tag] == types]
        return "".join(f" (catch $e{tag} {name})" for tag, name in fitting if self.rng.random() < 0.3)

    def try_table(self):
        types = [self.rng.choice(TYPES) for _ in range(self.rng.choice([0, 0, 1, 2]))]
        done = self.name("done")
        clauses = [(*self.clause(), self.name("handler")) for _ in range(self.rng.randint(1, 3))]
        below = self.rng.choice([None, "i32", "i64", "f64"])
        text = [self.value(below)] if below else []
        text.append(f"(block {done}{results(types)}")
        text += [f"(block {name}{results(brings)}" for _, brings, name in reversed(clauses)]
        text.append(f"(try_table{results(types)} " + " ".join(f"({what} {name})" for what, _, name in clauses))
        text += [self.outer_clauses(), self.inner(6, (done, types)), self.values(types), f") (br {done})"]
        for _, brings, _ in clauses:
            text += [") (global.set $caught (i64.add (global.get $caught) (i64.const 1)))", self.take(brings)]
            text.append(self.inner(2))
            if "exnref" in brings and self.rng.random() < 0.4:
                text.append(f"(if {self.sometimes()} (then (throw_ref (local.get {self.exception}))))")
            text.append(f"{self.values(types)} (br {done})")
        text += [")", self.take(types)]
        if below:
            text.append(f"({JOIN[below]} {self.value(below)}) (local.set {self.local(below)})")
        return "\n".join(text)

    def show(self):
        """Adds each local to its place in memory."""
        integers = {
            "i32": "(i64.extend_i32_u {0})",
            "i64": "{0}",
            "f32": "(i64.trunc_sat_f32_s {0})",
            "f64": "(i64.trunc_sat_f64_s {0})",
            "v128": "(i64.add (i64x2.extract_lane 0 {0}) (i64x2.extract_lane 1 {0}))",
        }
        for i in range(self.free):
            place = SHOWN * (self.index + 1) + 16 * i
            integer = integers[self.locals[i]].format(f"(local.get {i})")
            before = f"(i64.mul (i64.load (i32.const {place})) (i64.const 31))"
            yield f"(i64.store (i32.const {place}) (i64.add {before} {integer}))"

    def text(self):
        body = self.statements(12)
        declared = "".join(f" (local {ty})" for ty in self.locals[self.parameters:])
        pay = "(global.set $fuel (i32.sub (global.get $fuel) (i32.const 1)))"
        parts = [f"(func $f{self.index} (type $t{self.index}){declared}"]
        parts += ["(if (i32.eqz (global.get $fuel)) (then (throw $spent)))", pay, body, *self.show()]
        return "\n".join([*parts, self.values(self.results), ")"])


def main_function(rng, signatures):
    parts = ['(func (export "main") (result i64 i64) (local $hash i64) (local $at i32)']
    for index, (takes, gives) in enumerate(signatures):
        for call in range(CALLS):
            arguments = " ".join(Function(rng, index, signatures).constant(ty) for ty in takes)
            parts.append(f"(global.set $fuel (i32.const {FUEL})) (block $done{index}_{call} (block $all")
            parts.append(f"(try_table (catch_all $all) (call $f{index} {arguments}) {'drop ' * len(gives)})")
            parts.append(f"(br $done{index}_{call}))")
            parts.append(f"(local.set $hash (i64.add (local.get $hash) (i64.const {index * 7 + call + 1}))))")
    parts.append("""(loop $next
        (local.set $hash (i64.xor (i64.mul (local.get $hash) (i64.const 0x100000001b3)) (i64.load (local.get $at))))
        (br_if $next (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 8))) (i32.const 32768))))
        (local.get $hash) (global.get $caught))""")
    return "\n".join(parts)


def module(number):
    rng = random.Random(number)
    some = lambda counts: [rng.choice(TYPES) for _ in range(rng.choice(counts))]
    signatures = [(some([0, 1, 2, 3, 5, 9]), some([0, 1, 1, 2, 4])) for _ in range(rng.randint(2, 6))]
    parts = ["(module"]
    parts += [f"(type $t{i} (func{params(takes)}{results(gives)}))" for i, (takes, gives) in enumerate(signatures)]
    parts += [f"(tag $e{i}{params(types)})" for i, types in enumerate(TAGS)]
    parts.append("(tag $spent) (memory 1) (global $fuel (mut i32) (i32.const 0)) (global $caught (mut i64) (i64.const 0))")
    parts.append("(table funcref (elem " + " ".join(f"$f{i}" for i in range(len(signatures))) + "))")
    parts += [Function(rng, index, signatures).text() for index in range(len(signatures))]
    return "\n".join([*parts, main_function(rng, signatures), ")"])


def run(command):
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    return done.stdout.split() or [done.stderr[-300:]]


def main():
    kitbag, wasmtime, first, *bound = sys.argv[1:]
    end = time.monotonic() + float(bound[1]) if bound[:1] == ["--seconds"] else None
    count = int(bound[0]) if bound and end is None else 10**9
    proposals = "exceptions=y,function-references=y,gc=y"
    tried = caught = different = 0
    for number in range(int(first), int(first) + count):
        if end and time.monotonic() > end:
            break
        file = f"exceptions-{number}.wat"
        with open(file, "w") as text:
            text.write(module(number))
        ours = run([kitbag, "run", "--no-cache", "--invoke", "main", file])
        theirs = run([wasmtime, "run", "-C", "cache=n", "-W", proposals, "--invoke", "main", file])
        tried += 1
        if ours == theirs and len(ours) == 2:
            caught += int(ours[1])
            os.remove(file)
        else:
            different += 1
            print(f"{file}: kitbag {ours}, wasmtime {theirs}")
    print(f"{tried} modules, {caught} exceptions caught in them, {different} differences")
    sys.exit(1 if different or not caught else 0)


if __name__ == "__main__":
    main()
