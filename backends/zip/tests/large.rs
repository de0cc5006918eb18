//! The cache and its budget, and entries that do not fit in.

use std::sync::Barrier;
use std::thread;

use proptest::prelude::*;

use super::*;

fn with_cache(items: &[Item], budget: u64) -> Zip {
    Zip::from_bytes(bytes(items), &Options::new().cache(budget)).unwrap()
}

#[test]
fn inflated_once_for_all_threads() {
    let text = prose(3_000_000, 3);
    let zip = with_cache(&[deflated("a", &text)], 10_000_000);
    let start = Barrier::new(8);
    let read = || {
        start.wait();
        let bytes = contents(&zip, "a").unwrap();
        assert!(bytes == text);
        bytes.as_ptr() as usize
    };
    let places: Vec<usize> = thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(read)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(places.windows(2).all(|pair| pair[0] == pair[1]));
    assert_eq!(zip.cached(), 3_000_000);
}

#[test]
fn the_budget_is_kept() {
    let texts: Vec<Vec<u8>> = (0..20).map(|seed| prose(1000, seed + 1)).collect();
    let items: Vec<Item> = texts.iter().enumerate().map(|(n, text)| deflated(&format!("f{n}"), text)).collect();
    let zip = with_cache(&items, 3500);
    for round in 0..3 {
        for (n, text) in texts.iter().enumerate() {
            assert_eq!(contents(&zip, &format!("f{n}")).unwrap(), &text[..], "{round} {n}");
            assert!(zip.cached() <= 3500);
        }
    }
    assert_eq!(zip.cached(), 3000);
}

#[test]
fn what_handles_hold_counts_and_stays() {
    let texts: Vec<Vec<u8>> = (0..6).map(|seed| prose(1000, seed + 1)).collect();
    let items: Vec<Item> = texts.iter().enumerate().map(|(n, text)| deflated(&format!("f{n}"), text)).collect();
    let zip = with_cache(&items, 3500);
    let held: Vec<Bytes> = (0..3).map(|n| contents(&zip, &format!("f{n}")).unwrap()).collect();
    // No room: it is read piece by piece, and has no shared bytes to give.
    let fourth = open(&zip, "f3").unwrap();
    let mut buffer = [0; 2000];
    assert_eq!(fourth.read_at(&mut buffer, 0), Ok(1000));
    assert_eq!(buffer[..1000], texts[3]);
    assert_eq!(fourth.read_all(), Err(Error::TooLarge));
    assert_eq!(held[0], texts[0]);
    // What is still held is not inflated again.
    assert_eq!(contents(&zip, "f0").unwrap().as_ptr(), held[0].as_ptr());
    drop((fourth, held));
    for (n, text) in texts.iter().enumerate() {
        assert_eq!(contents(&zip, &format!("f{n}")).unwrap(), &text[..], "{n}");
    }
    assert!(zip.cached() <= 3500);
}

/// More threads than there is room for, each with its own order: what is read is true and the budget holds.
#[test]
fn a_crowd() {
    let texts: Vec<Vec<u8>> = (0..40).map(|seed| prose(500 + 37 * seed as usize, seed + 1)).collect();
    let items: Vec<Item> = texts.iter().enumerate().map(|(n, text)| deflated(&format!("f{n}"), text)).collect();
    let zip = with_cache(&items, 5000);
    let visit = |first: usize| {
        let mut held = Vec::new();
        for step in 0..400 {
            let number = (first * 7 + step * (first + 3)) % texts.len();
            let file = open(&zip, &format!("f{number}")).unwrap();
            let mut buffer = vec![0; texts[number].len() + 1];
            assert_eq!(file.read_at(&mut buffer, 0), Ok(texts[number].len()));
            assert!(buffer[..texts[number].len()] == texts[number]);
            assert!(zip.cached() <= 5000);
            held.push(file);
            held.truncate(step % 4);
        }
    };
    let visit = &visit;
    thread::scope(|scope| (0..8).for_each(|n| drop(scope.spawn(move || visit(n)))));
    for (n, text) in texts.iter().enumerate() {
        assert_eq!(contents(&zip, &format!("f{n}")).unwrap(), &text[..]);
    }
}

#[test]
fn pieces_in_order_and_out_of_order() {
    let text = prose(5_000_001, 9);
    let zip = with_cache(&[deflated("a", &text)], 1_000_000);
    let file = open(&zip, "a").unwrap();
    let mut buffer = vec![0; 70_000];
    for offset in (0..text.len()).step_by(70_000) {
        let count = file.read_at(&mut buffer, offset as u64).unwrap();
        assert!(buffer[..count] == text[offset..text.len().min(offset + 70_000)], "{offset}");
    }
    for offset in (0..text.len()).step_by(70_000).rev() {
        let count = file.read_at(&mut buffer, offset as u64).unwrap();
        assert!(buffer[..count] == text[offset..text.len().min(offset + 70_000)], "{offset}");
    }
    assert_eq!(file.read_at(&mut buffer, 5_000_001), Ok(0));
    assert_eq!(file.read_all(), Err(Error::TooLarge));
}

#[test]
fn pieces_read_by_several_threads() {
    let text = prose(4_000_000, 5);
    let zip = with_cache(&[deflated("a", &text)], 500_000);
    let read = |first: usize| {
        let file = open(&zip, "a").unwrap();
        let mut buffer = vec![0; 40_000];
        for offset in (first..text.len()).step_by(130_000) {
            let count = file.read_at(&mut buffer, offset as u64).unwrap();
            assert!(buffer[..count] == text[offset..text.len().min(offset + 40_000)], "{offset}");
        }
    };
    thread::scope(|scope| (0..8).for_each(|n| drop(scope.spawn(move || read(n * 1000)))));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whole, stored and piece by piece: the same bytes everywhere.
    #[test]
    fn reads_anywhere(
        size in 0usize..2_500_000,
        seed in 1u64..1000,
        reads in prop::collection::vec((0.0f64..1.1, 0usize..200_000), 1..20),
    ) {
        let text = prose(size, seed);
        let items = [deflated("d", &text), stored("s", &text)];
        let mounts = [with_cache(&items, 0), with_cache(&items, 200_000), with_cache(&items, 10_000_000)];
        for (zip, name) in mounts.iter().flat_map(|zip| [(zip, "d"), (zip, "s")]) {
            let file = open(zip, name).unwrap();
            for &(place, len) in &reads {
                let offset = (size as f64 * place) as usize;
                let mut buffer = vec![0xaa; len];
                let count = file.read_at(&mut buffer, offset as u64).unwrap();
                let expected = text.get(offset..).unwrap_or_default();
                prop_assert!(buffer[..count] == expected[..expected.len().min(len)]);
            }
        }
    }
}
