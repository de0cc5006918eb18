//! Arrays of buffers (`iovec`, `ciovec`): validated whole, then handed to a file without a copy.
//!
//! Reading takes the guest's own memory as the target of `readv`. Since Rust (and the backends) want several writable
//! buffers to be disjoint, they are cut out of the memory in order of address; a guest whose buffers overlap gets
//! them filled one after the other, in its order, as the kernel would.

use std::io::{IoSlice, IoSliceMut};
use std::ops::Range;

use super::{Errno, guest};

/// Buffers in one call, at the most: Linux' `IOV_MAX`, which wasi-libc announces too. More are `EINVAL`.
pub(crate) const MAX: u32 = 1024;

/// Up to this many buffers are handled without an allocation.
const INLINE: usize = 8;

/// The ranges of validated buffers.
pub(crate) struct Spans {
    places: Places,
    total: u32,
}

/// Most calls have one buffer: it must not pay for places that are not used.
enum Places {
    One([Span; 1]),
    Few([Span; INLINE], usize),
    Many(Vec<Span>),
}

#[derive(Clone, Copy, Default)]
struct Span {
    start: u32,
    len: u32,
}

impl Places {
    fn as_slice(&self) -> &[Span] {
        match self {
            Places::One(one) => one,
            Places::Few(few, count) => &few[..*count],
            Places::Many(many) => many,
        }
    }

    fn as_mut_slice(&mut self) -> &mut [Span] {
        match self {
            Places::One(one) => one,
            Places::Few(few, count) => &mut few[..*count],
            Places::Many(many) => many,
        }
    }
}

impl Span {
    /// The buffer that a record names, if it is inside. Where an empty one points does not matter.
    #[inline]
    fn new(memory: &[u8], record: &[u8]) -> Result<Span, Errno> {
        let (start, len) = (guest::u32_at(record, 0), guest::u32_at(record, 4));
        guest::check(memory, start, len)?;
        Ok(if len == 0 { Span::default() } else { Span { start, len } })
    }

    fn range(self) -> Range<usize> {
        let start = self.start as usize;
        start..start + self.len as usize
    }
}

impl Spans {
    /// Reads and checks the array of `count` buffers at `pointer`: all of it before anything is moved.
    ///
    /// # Errors
    /// `EINVAL` for more than [`MAX`] buffers and for a sum of lengths that no 32-bit count can express,
    /// `EFAULT` where the array or a buffer is outside.
    #[inline]
    pub(crate) fn new(memory: &[u8], pointer: u32, count: u32) -> Result<Spans, Errno> {
        if count != 1 {
            return Spans::several(memory, pointer, count);
        }
        let span = Span::new(memory, guest::bytes(memory, pointer, 8)?)?;
        Ok(Spans { places: Places::One([span]), total: span.len })
    }

    #[inline(never)]
    fn several(memory: &[u8], pointer: u32, count: u32) -> Result<Spans, Errno> {
        if count > MAX {
            return Err(Errno::Inval);
        }
        let array = guest::bytes(memory, pointer, count * 8)?;
        let mut places = match count as usize {
            count @ ..=INLINE => Places::Few([Span::default(); INLINE], count),
            count => Places::Many(vec![Span::default(); count]),
        };
        let mut total = 0u32;
        for (place, record) in places.as_mut_slice().iter_mut().zip(array.chunks_exact(8)) {
            *place = Span::new(memory, record)?;
            total = total.checked_add(place.len).ok_or(Errno::Inval)?;
        }
        Ok(Spans { places, total })
    }

    /// Bytes of all buffers.
    pub(crate) fn total(&self) -> u32 {
        self.total
    }

    /// Hands the buffers to `write`.
    pub(crate) fn gather<R>(&self, memory: &[u8], write: impl FnOnce(&[IoSlice<'_>]) -> R) -> R {
        let slice = |span: &Span| IoSlice::new(&memory[span.range()]);
        match self.places.as_slice() {
            [span] => write(&[slice(span)]),
            spans if spans.len() <= INLINE => {
                let mut slices = [IoSlice::new(&[]); INLINE];
                slices.iter_mut().zip(spans).for_each(|(place, span)| *place = slice(span));
                write(&slices[..spans.len()])
            }
            spans => write(&spans.iter().map(slice).collect::<Vec<_>>()),
        }
    }

    /// Hands the buffers to `read`: all at once, or one by one where they overlap, until one is not filled.
    pub(crate) fn scatter<E>(
        &self,
        memory: &mut [u8],
        mut read: impl FnMut(&mut [IoSliceMut<'_>]) -> Result<usize, E>,
    ) -> Result<usize, E> {
        match self.places.as_slice() {
            [span] => read(&mut [IoSliceMut::new(&mut memory[span.range()])]),
            spans if !disjoint(spans) => one_by_one(memory, spans, read),
            spans if spans.len() <= INLINE => {
                let mut slices = std::array::from_fn::<_, INLINE, _>(|_| IoSliceMut::new(&mut []));
                let mut order: [usize; INLINE] = std::array::from_fn(|index| index);
                cut(memory, spans, &mut order[..spans.len()], &mut slices);
                read(&mut slices[..spans.len()])
            }
            spans => {
                let mut slices: Vec<_> = spans.iter().map(|_| IoSliceMut::new(&mut [])).collect();
                cut(memory, spans, &mut (0..spans.len()).collect::<Vec<_>>(), &mut slices);
                read(&mut slices)
            }
        }
    }
}

/// Whether no two spans share a byte. Few are compared pair by pair, many are sorted.
fn disjoint(spans: &[Span]) -> bool {
    let apart = |a: &Span, b: &Span| a.range().end <= b.range().start || b.range().end <= a.range().start;
    if spans.len() <= INLINE {
        return spans.iter().enumerate().all(|(i, a)| spans[..i].iter().all(|b| apart(a, b)));
    }
    let mut sorted: Vec<Span> = spans.iter().filter(|span| span.len > 0).copied().collect();
    sorted.sort_unstable_by_key(|span| span.start);
    sorted.windows(2).all(|pair| apart(&pair[0], &pair[1]))
}

/// Cuts disjoint spans out of the memory, each to the place it has in the guest's order.
fn cut<'m>(memory: &'m mut [u8], spans: &[Span], order: &mut [usize], slices: &mut [IoSliceMut<'m>]) {
    order.sort_unstable_by_key(|&index| spans[index].start);
    let (mut rest, mut cursor) = (memory, 0);
    for &index in order.iter() {
        let Range { start, end } = spans[index].range();
        if start < end {
            let (slice, after) = rest.split_at_mut(start - cursor).1.split_at_mut(end - start);
            slices[index] = IoSliceMut::new(slice);
            (rest, cursor) = (after, end);
        }
    }
}

fn one_by_one<E>(
    memory: &mut [u8],
    spans: &[Span],
    mut read: impl FnMut(&mut [IoSliceMut<'_>]) -> Result<usize, E>,
) -> Result<usize, E> {
    let mut done = 0;
    for span in spans {
        match read(&mut [IoSliceMut::new(&mut memory[span.range()])]) {
            Ok(count) => {
                done += count;
                if count < span.len as usize {
                    break;
                }
            }
            Err(error) if done == 0 => return Err(error),
            Err(_) => break,
        }
    }
    Ok(done)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory_with(iovecs: &[(u32, u32)]) -> Vec<u8> {
        let mut memory = vec![0; 4096];
        for (record, (start, len)) in memory.chunks_exact_mut(8).zip(iovecs) {
            record[..4].copy_from_slice(&start.to_le_bytes());
            record[4..].copy_from_slice(&len.to_le_bytes());
        }
        memory
    }

    /// Fills buffers with 1, 2, 3 …
    fn counting() -> impl FnMut(&mut [IoSliceMut<'_>]) -> Result<usize, Errno> {
        let mut next = 0;
        move |buffers| {
            let bytes = buffers.iter_mut().flat_map(|buffer| buffer.iter_mut());
            Ok(bytes.map(|byte| (next, *byte) = (next + 1, next + 1)).count())
        }
    }

    fn scattered(iovecs: &[(u32, u32)]) -> (usize, Vec<u8>) {
        let mut memory = memory_with(iovecs);
        let spans = Spans::new(&memory, 0, iovecs.len() as u32).unwrap();
        let done = spans.scatter(&mut memory, counting()).unwrap();
        (done, memory)
    }

    #[test]
    fn buffers_keep_the_guests_order_whatever_their_addresses() {
        let (done, memory) = scattered(&[(3000, 2), (2000, 3), (9999, 0), (2003, 1)]);
        assert_eq!((done, &memory[3000..3002], &memory[2000..2004]), (6, &[1, 2][..], &[3, 4, 5, 6][..]));
    }

    #[test]
    fn overlapping_buffers_are_filled_in_turn() {
        let (done, memory) = scattered(&[(2000, 4), (2002, 4)]);
        assert_eq!((done, &memory[2000..2006]), (8, &[1, 2, 5, 6, 7, 8][..]));
        let many: Vec<_> = (0..20).map(|_| (2000, 2)).collect();
        let (done, memory) = scattered(&many);
        assert_eq!((done, &memory[2000..2002]), (40, &[39, 40][..]));
    }

    #[test]
    fn more_buffers_than_have_places_inline() {
        let many: Vec<_> = (0..100u32).rev().map(|i| (2000 + 2 * i, 2)).collect();
        let (done, memory) = scattered(&many);
        assert_eq!((done, memory[2198], memory[2000]), (200, 1, 199));
        let spans = Spans::new(&memory, 0, 100).unwrap();
        assert_eq!(spans.gather(&memory, |slices| (slices.len(), slices[0][0])), (100, 1));
    }

    #[test]
    fn limits() {
        let memory = memory_with(&[(4090, 6), (4090, 7)]);
        assert_eq!(Spans::new(&memory, 0, 1).map(|spans| spans.total()), Ok(6));
        assert_eq!(Spans::new(&memory, 0, 2).err(), Some(Errno::Fault));
        assert_eq!(Spans::new(&memory, 4088, 1).map(|spans| spans.total()), Ok(0));
        assert_eq!(Spans::new(&memory, 4089, 1).err(), Some(Errno::Fault));
        assert_eq!(Spans::new(&memory, 0, u32::MAX).err(), Some(Errno::Inval));
        assert_eq!(Spans::new(&memory, 0, MAX).err(), Some(Errno::Fault));
        assert_eq!(Spans::new(&memory, u32::MAX, 0).map(|spans| spans.total()), Ok(0));
    }
}
