//! All code of the process, for handlers of signals: read without a lock, changed by copying.
//!
//! A reader announces itself in [`READERS`], loads the list, and leaves. A writer, one at a time, publishes a new
//! list and waits until it has seen no reader before it frees the old one; readers are short and never wait for
//! a writer, so the wait is, too. A list behind an `RwLock` would not do: a thread that faults while
//! it changes the list would wait for itself.
//!
//! # Safety
//! The list that [`LIST`] points to is freed only after it was replaced and `READERS` was seen at 0, both sequentially
//! consistent: a reader that could still see it had announced itself before.

#![allow(unsafe_code, reason = "a list that signal handlers read; see the module's Safety section")]

use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};

use super::{CodeMemory, Places};
use crate::jit::FunctionCode;
use crate::jit::unwind::Unwind;

/// What is known of a module's code.
#[derive(Debug)]
pub(crate) struct CodeInfo {
    pub(crate) memory: CodeMemory,
    /// In order of address.
    pub(crate) functions: Places,
    /// Code between instances, in order of address.
    pub(crate) stubs: Places,
    /// Where exceptions are caught.
    pub(crate) unwind: Unwind,
    /// Where traps continue.
    pub(crate) trap_exit: u32,
}

/// The one that `offset` is in, by its place.
fn containing(codes: &[FunctionCode], offset: u32) -> Option<usize> {
    let index = codes.partition_point(|code| code.start <= offset).checked_sub(1)?;
    (offset < codes[index].end).then_some(index)
}

impl CodeInfo {
    /// The function that `pc` is in, by its place among those defined, and `pc`'s offset in it.
    pub(crate) fn function_at(&self, pc: usize) -> Option<(usize, u32)> {
        let offset = self.offset(pc)?;
        let index = containing(&self.functions, offset)?;
        Some((index, offset - self.functions[index].start))
    }

    /// The function or stub that `pc` is in.
    pub(crate) fn code_at(&self, pc: usize) -> Option<FunctionCode> {
        let offset = self.offset(pc)?;
        let code = |codes: &[FunctionCode]| containing(codes, offset).map(|index| codes[index]);
        code(&self.functions).or_else(|| code(&self.stubs))
    }

    /// The size of the frame of what `pc` is in.
    pub(crate) fn frame_at(&self, pc: usize) -> Option<u32> {
        self.code_at(pc).map(|code| code.frame)
    }

    fn offset(&self, pc: usize) -> Option<u32> {
        u32::try_from(pc.checked_sub(self.memory.base())?).ok()
    }
}

static LIST: AtomicPtr<Vec<Arc<CodeInfo>>> = AtomicPtr::new(ptr::null_mut());
static READERS: AtomicUsize = AtomicUsize::new(0);
static WRITER: Mutex<()> = Mutex::new(());

/// Keeps code in the registry.
#[derive(Debug)]
pub(crate) struct Registration(Arc<CodeInfo>);

impl Registration {
    pub(crate) fn new(info: CodeInfo) -> Registration {
        let info = Arc::new(info);
        change(|list| {
            let place = list.partition_point(|other| other.memory.base() < info.memory.base());
            list.insert(place, Arc::clone(&info));
        });
        Registration(info)
    }

    pub(crate) fn info(&self) -> &CodeInfo {
        &self.0
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        change(|list| list.retain(|other| !Arc::ptr_eq(other, &self.0)));
    }
}

fn change(edit: impl FnOnce(&mut Vec<Arc<CodeInfo>>)) {
    let _writer = WRITER.lock().unwrap_or_else(PoisonError::into_inner);
    // SAFETY: only a writer frees a list, and this is the only one.
    let mut list = unsafe { LIST.load(SeqCst).as_ref() }.cloned().unwrap_or_default();
    edit(&mut list);
    let old = LIST.swap(Box::into_raw(Box::new(list)), SeqCst);
    while READERS.load(SeqCst) != 0 {
        std::hint::spin_loop();
    }
    if !old.is_null() {
        // SAFETY: made by a box, replaced, and seen by no reader.
        drop(unsafe { Box::from_raw(old) });
    }
}

/// Calls `look` with the code that `pc` is in. Takes no lock and allocates nothing.
pub(crate) fn find<R>(pc: usize, look: impl FnOnce(&CodeInfo) -> R) -> Option<R> {
    READERS.fetch_add(1, SeqCst);
    // SAFETY: announced, so it is not freed before we leave.
    let list = unsafe { LIST.load(SeqCst).as_ref() };
    let found = list.and_then(|list| {
        let after = list.partition_point(|info| info.memory.base() <= pc);
        list[..after].last().filter(|info| info.memory.contains(pc))
    });
    let result = found.map(|info| look(info));
    READERS.fetch_sub(1, SeqCst);
    result
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jit::Buffer;

    fn info(bytes: usize) -> CodeInfo {
        let memory = CodeMemory::new(Buffer::from(&vec![0xcc; bytes][..])).unwrap();
        let function = |start: u32| FunctionCode { start, end: start + 16, frame: 0, saved: 0 };
        let functions = vec![function(16), function(48)];
        let unwind = Unwind::default();
        CodeInfo { memory, functions: functions.into(), stubs: Vec::new().into(), unwind, trap_exit: 0 }
    }

    #[test]
    fn code_is_found_by_any_address_in_it_until_it_is_dropped() {
        let codes: Vec<_> = (0..8).map(|_| Registration::new(info(5000))).collect();
        for code in &codes {
            let base = code.info().memory.base();
            for pc in [base, base + 4999] {
                assert_eq!(find(pc, |found| found.memory.base()), Some(base));
            }
        }
        let base = codes[3].info().memory.base();
        drop(codes);
        assert_eq!(find(base, |found| found.memory.base()).filter(|&found| found == base), None);
    }

    #[test]
    fn functions_are_found_by_address_and_gaps_are_not() {
        let code = Registration::new(info(100));
        let base = code.info().memory.base();
        let at = |offset: usize| code.info().function_at(base + offset);
        assert_eq!((at(0), at(15), at(32), at(64)), (None, None, None, None));
        assert_eq!((at(16), at(31), at(50)), (Some((0, 0)), Some((0, 15)), Some((1, 2))));
    }

    #[test]
    fn readers_and_writers_do_not_disturb_each_other() {
        let fixed = Registration::new(info(4096));
        let base = fixed.info().memory.base();
        std::thread::scope(|scope| {
            scope.spawn(|| (0..300).for_each(|_| drop(Registration::new(info(4096)))));
            scope.spawn(|| (0..20_000).for_each(|_| assert_eq!(find(base, |code| code.functions.len()), Some(2))));
        });
    }
}
