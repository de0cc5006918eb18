//! Machine code as text, of either machine on either machine.

use std::fmt::Write as _;
use std::ops::Range;

use iced_x86::{Decoder, DecoderOptions, Formatter as _, Instruction, NasmFormatter, OpKind};
use yaxpeax_arch::{Decoder as _, U8Reader};
use yaxpeax_arm::armv8::a64::InstDecoder;

use crate::TrapCode;
use crate::jit::{Code, Origin, Target};

/// A function's code.
pub(super) struct Instructions<'a, F> {
    target: Target,
    code: &'a Code,
    text: &'a [u8],
    start: u32,
    /// What a function is called, by its place.
    label: F,
}

impl<'a, F: Fn(usize) -> String> Instructions<'a, F> {
    /// Of the function at `place` of those defined.
    pub(super) fn new(target: Target, code: &'a Code, place: usize, label: F) -> Instructions<'a, F> {
        let function = code.functions[place];
        let text = &code.text[function.start as usize..function.end as usize];
        Instructions { target, code, text, start: function.start, label }
    }

    pub(super) fn bytes(&self) -> &'a [u8] {
        self.text
    }

    pub(super) fn len(&self) -> u32 {
        self.text.len() as u32
    }

    /// Writes what lies in `range`, a line each.
    pub(super) fn write(&self, range: Range<u32>, origin: Origin, out: &mut String) {
        match origin {
            Origin::Table => self.table(range, out),
            Origin::Constants => self.constants(range, out),
            _ if self.target.name() == "aarch64" => self.aarch64(range, out),
            _ => self.x86_64(range, out),
        }
    }

    /// Distances from the table's beginning.
    fn table(&self, range: Range<u32>, out: &mut String) {
        for at in range.clone().step_by(4) {
            let entry = &self.text[at as usize..at as usize + 4];
            let distance = entry.iter().rev().fold(0, |value, &byte| value << 8 | u32::from(byte));
            line(out, at, format_args!("-> {:#x}", range.start.wrapping_add(distance)));
        }
    }

    /// Sixteen bytes, as they lie there, after what aligns them.
    fn constants(&self, range: Range<u32>, out: &mut String) {
        for at in (range.start.next_multiple_of(16)..range.end).step_by(16) {
            let bytes = &self.text[at as usize..range.end.min(at + 16) as usize];
            let shown: String = bytes.iter().map(|byte| format!(" {byte:02x}")).collect();
            line(out, at, format_args!("data{shown}"));
        }
    }

    fn x86_64(&self, range: Range<u32>, out: &mut String) {
        let bytes = &self.text[range.start as usize..range.end as usize];
        let mut decoder = Decoder::with_ip(64, bytes, u64::from(range.start), DecoderOptions::NONE);
        let mut formatter = formatter();
        let mut instruction = Instruction::default();
        while decoder.can_decode() {
            decoder.decode_out(&mut instruction);
            let mut text = String::new();
            formatter.format(&instruction, &mut text);
            if let Some(callee) = self.callee(&instruction) {
                text.truncate(text.find(' ').unwrap_or(text.len()));
                _ = write!(text, " {callee}");
            }
            if text == "ud2" {
                // The byte behind it says why.
                let code = bytes.get(decoder.position()).copied();
                let cause = code.and_then(TrapCode::from_byte).map_or_else(String::new, |code| code.to_string());
                _ = write!(text, "  ; {cause}");
                let next = (decoder.position() + 1).min(bytes.len());
                _ = decoder.set_position(next);
                decoder.set_ip(u64::from(range.start) + next as u64);
            }
            line(out, instruction.ip() as u32, format_args!("{text}"));
        }
    }

    /// The function that an instruction calls or jumps to, if it is another.
    fn callee(&self, instruction: &Instruction) -> Option<String> {
        let near = instruction.op_count() > 0 && instruction.op0_kind() == OpKind::NearBranch64;
        let target = self.start.wrapping_add(instruction.near_branch64() as u32);
        let itself = self.start + 1..self.start + self.len();
        if !near || itself.contains(&target) {
            return None;
        }
        let place = self.code.functions.binary_search_by_key(&target, |function| function.start).ok()?;
        Some((self.label)(place))
    }

    fn aarch64(&self, range: Range<u32>, out: &mut String) {
        let decoder = InstDecoder::default();
        for at in range.step_by(4) {
            let bytes = &self.text[at as usize..at as usize + 4];
            let word = bytes.iter().rev().fold(0, |word, &byte| word << 8 | u32::from(byte));
            if let Some(special) = self.aarch64_trap(word).or_else(|| self.aarch64_call(at, word)) {
                line(out, at, format_args!("{special}"));
                continue;
            }
            match decoder.decode(&mut U8Reader::new(bytes)) {
                Ok(instruction) => line(out, at, format_args!("{instruction}")),
                Err(error) => line(out, at, format_args!("{word:08x}  ; {error:?}")),
            }
        }
    }

    /// An undefined instruction that says why.
    fn aarch64_trap(&self, word: u32) -> Option<String> {
        const TRAP: u32 = 0xb0;
        let code = TrapCode::from_byte(word as u8).filter(|_| word >> 8 == TRAP)?;
        Some(format!("udf  ; {code}"))
    }

    /// A call of another function, or a jump to one.
    fn aarch64_call(&self, at: u32, word: u32) -> Option<String> {
        const B: u32 = 0x14 >> 2;
        const BL: u32 = 0x94 >> 2;
        let name = match word >> 26 {
            B => "b",
            BL => "bl",
            _ => return None,
        };
        let target = self.start.wrapping_add(at).wrapping_add(word << 6 >> 4);
        // The distance has 26 bits and a sign, in instructions.
        let target = if word >> 25 & 1 != 0 { target.wrapping_sub(1 << 28) } else { target };
        let itself = self.start + 1..self.start + self.len();
        if itself.contains(&target) {
            return None;
        }
        let place = self.code.functions.binary_search_by_key(&target, |function| function.start).ok()?;
        Some(format!("{name} {}", (self.label)(place)))
    }
}

fn formatter() -> NasmFormatter {
    let mut formatter = NasmFormatter::new();
    let options = formatter.options_mut();
    options.set_hex_prefix("0x");
    options.set_hex_suffix("");
    options.set_uppercase_hex(false);
    options.set_space_after_operand_separator(true);
    options.set_branch_leading_zeros(false);
    options.set_small_hex_numbers_in_decimal(true);
    options.set_show_branch_size(false);
    formatter
}

fn line(out: &mut String, at: u32, text: std::fmt::Arguments<'_>) {
    _ = writeln!(out, "      {at:>6x}:  {text}");
}
