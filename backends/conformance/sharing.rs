//! Several threads at once.

use std::io::IoSlice;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use super::{Scene, at, bytes, creating};
use crate::{Create, Dir, Error, OpenOptions, Result};

const THREADS: usize = 4;

/// Of several that make a file exclusively, one does.
pub(super) fn exclusive(scene: &mut Scene<'_>) -> Result<()> {
    let (made, refused) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let dir = &*scene.dir;
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                for name in 0..50 {
                    match dir.open(at(&format!("f{name}")), creating(Create::New)) {
                        Ok(_) => made.fetch_add(1, Ordering::Relaxed),
                        Err(Error::Exists) => refused.fetch_add(1, Ordering::Relaxed),
                        Err(_) => 0,
                    };
                }
            });
        }
    });
    scene.same("made", made.into_inner(), 50);
    scene.same("refused", refused.into_inner(), 50 * (THREADS - 1));
    scene.same("listed", scene.dir.list()?.len(), 50);
    Ok(())
}

/// Records that several append stay whole, and none is lost.
pub(super) fn appenders(scene: &mut Scene<'_>) -> Result<()> {
    let file = scene.put("log", b"")?;
    thread::scope(|scope| {
        for letter in 0..THREADS {
            let file = &file;
            scope.spawn(move || {
                let half = [b'a' + letter as u8; 8];
                for _ in 0..100 {
                    _ = file.append(&[IoSlice::new(&half), IoSlice::new(&half)]);
                }
            });
        }
    });
    let all = bytes(&*file)?;
    scene.same("length", all.len(), THREADS * 100 * 16);
    scene.holds("whole records", all.chunks(16).all(|record| record.iter().all(|byte| *byte == record[0])));
    Ok(())
}

/// Whoever opens a name that is being replaced finds the old file or the new one, each whole.
pub(super) fn replacing(scene: &mut Scene<'_>) -> Result<()> {
    scene.put("name", &[b'0'; 5000])?;
    let (over, torn) = (AtomicBool::new(false), AtomicUsize::new(0));
    let dir = &*scene.dir;
    let written = thread::scope(|scope| {
        for _ in 1..THREADS {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    if !whole(dir) {
                        torn.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
        let written = replace(dir);
        over.store(true, Ordering::Relaxed);
        written
    });
    scene.same("torn or missing", torn.into_inner(), 0);
    written
}

fn replace(dir: &dyn Dir) -> Result<()> {
    for round in 0..100_u8 {
        let file = dir.open(at("temporary"), OpenOptions::write())?.file()?;
        file.write_at(&[b'0' + round % 10; 5000], 0)?;
        dir.rename(at("temporary"), dir, at("name"))?;
    }
    Ok(())
}

fn whole(dir: &dyn Dir) -> bool {
    let read = || bytes(&*dir.open(at("name"), OpenOptions::read())?.file()?);
    read().is_ok_and(|all| all.len() == 5000 && all.iter().all(|byte| *byte == all[0]))
}
