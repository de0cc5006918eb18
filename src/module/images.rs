//! Which memories of a module begin with an image, and what it shows.

use super::info::{ConstOp, Mode, ModuleInfo};
use crate::memory::image::{self, Image};

/// Bytes of an active segment and their place.
type Part<'a> = (usize, &'a [u8]);

impl ModuleInfo {
    /// An image for each memory defined here that has enough data. None for any where a segment's place depends on the
    /// instance, is outside, or is in a memory of others: then what is written when something fails depends on their order.
    pub(super) fn images(&self) -> Box<[Option<Image>]> {
        let image = |parts: Vec<Part<'_>>| is_worthwhile(&parts).then(|| Image::new(&parts).ok()).flatten();
        self.parts().into_iter().flatten().map(image).collect()
    }

    /// The active segments of each memory defined here.
    fn parts(&self) -> Option<Vec<Vec<Part<'_>>>> {
        let mut parts = vec![Vec::new(); self.memories.len() - self.imported_memories];
        for segment in &self.data {
            if let Mode::Active(memory, offset) = &segment.mode {
                let memory = (*memory as usize).checked_sub(self.imported_memories)?;
                let &[ConstOp::Value(at)] = &offset[..] else { return None };
                let ty = &self.memories[self.imported_memories + memory];
                let end = (at as u64).checked_add(segment.bytes.len() as u64)?;
                if end > ty.minimum.checked_mul(ty.page_size())? {
                    return None;
                }
                // Pages of an image are the system's, so that a memory of smaller ones may end within one.
                if ty.page_shift >= 16 {
                    parts[memory].push((usize::try_from(at).ok()?, &segment.bytes[..]));
                }
            }
        }
        Some(parts)
    }
}

fn is_worthwhile(parts: &[Part<'_>]) -> bool {
    let data: usize = parts.iter().map(|part| part.1.len()).sum();
    let (start, end) = image::span(parts);
    data >= image::WORTHWHILE && (end - start) / image::SPARSE <= data
}
