//! Sequences of operations.

use arbitrary::{Result, Unstructured};
use kitbag_fs::conformance::operations::Op;
use kitbag_fs::{Access, Create, Follow, OpenOptions};

/// Operations at the most: every one of them can leave a descriptor open.
const OPS: usize = 200;

/// All operations that the bytes are enough for.
pub(super) fn operations(u: &mut Unstructured<'_>) -> Vec<Op> {
    let mut ops = Vec::new();
    while !u.is_empty() && ops.len() < OPS {
        ops.extend(operation(u));
    }
    ops
}

fn name(u: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    Ok(match u.arbitrary::<u8>()? % 32 {
        0..8 => b"a".to_vec(),
        8..16 => b"b".to_vec(),
        16..22 => b"c".to_vec(),
        22..25 => b"..".to_vec(),
        25..27 => b".".to_vec(),
        27 => b".kitbag-overlay".to_vec(),
        28 => b"\xff\xfe".to_vec(),
        29 => vec![b'n'; 255],
        30 => vec![b'n'; 256],
        _ => b"a b".to_vec(),
    })
}

fn path(u: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    let shape = u.arbitrary::<u8>()?;
    let separator: &[u8] = if shape % 16 == 15 { b"//" } else { b"/" };
    let mut path = name(u)?;
    for _ in 0..shape / 16 % 4 {
        path.extend(separator);
        path.extend(name(u)?);
    }
    match shape / 64 {
        1 if shape % 8 == 0 => path.push(b'/'),
        2 if shape % 16 == 0 => path.extend(b"/."),
        3 if shape % 32 == 0 => path.insert(0, b'/'),
        _ => {}
    }
    Ok(path)
}

/// The disk refuses absolute targets, and before it looks.
fn target(u: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    path(u).map(|path| path.strip_prefix(b"/").map_or(path.clone(), <[u8]>::to_vec))
}

fn follow(u: &mut Unstructured<'_>) -> Result<Follow> {
    Ok(if u.arbitrary()? { Follow::Yes } else { Follow::No })
}

fn options(u: &mut Unstructured<'_>) -> Result<OpenOptions> {
    let bits = u.arbitrary::<u8>()?;
    Ok(OpenOptions {
        access: Access { read: bits & 1 == 0, write: bits & 2 != 0 },
        create: [Create::No, Create::IfMissing, Create::IfMissing, Create::New][usize::from(bits / 4 % 4)],
        truncate: bits & 0x30 == 0x30,
        directory: bits & 0xC0 == 0xC0,
        follow: follow(u)?,
    })
}

fn offset(u: &mut Unstructured<'_>) -> Result<u64> {
    Ok(match u.arbitrary::<u8>()? % 16 {
        0..9 => u64::from(u.arbitrary::<u8>()? % 64),
        9..13 => (64 << 10) - 50 + u64::from(u.arbitrary::<u8>()?),
        13..15 => u64::from(u.arbitrary::<u16>()?) * 7,
        _ => [1 << 40, i64::MAX as u64 - 1, i64::MAX as u64, u64::MAX][usize::from(u.arbitrary::<u8>()? % 4)],
    })
}

/// Within what a quota of memory has room for many times.
fn length(u: &mut Unstructured<'_>) -> Result<usize> {
    Ok(match u.arbitrary::<u8>()? % 8 {
        0..6 => usize::from(u.arbitrary::<u8>()? % 32),
        _ => usize::from(u.arbitrary::<u16>()?) * 2,
    })
}

/// A size that files get: not so far out that reading them whole is a matter of each file system's limits.
fn size(u: &mut Unstructured<'_>) -> Result<u64> {
    Ok(offset(u)?.min(1 << 20))
}

fn operation(u: &mut Unstructured<'_>) -> Result<Op> {
    let kind = u.arbitrary::<u8>()?;
    let number = usize::from(u.arbitrary::<u8>()? % 16);
    Ok(match kind % 32 {
        0..6 => Op::Open { at: number, path: path(u)?, options: options(u)? },
        6 | 7 => Op::Stat { at: number, path: path(u)?, follow: follow(u)? },
        8 => Op::List { at: number },
        9 => Op::ReadLink { at: number, path: path(u)? },
        10..13 => Op::CreateDir { at: number, path: path(u)? },
        13 => Op::RemoveDir { at: number, path: path(u)? },
        14 | 15 => Op::Unlink { at: number, path: path(u)? },
        16 | 17 => Op::Symlink { at: number, path: path(u)?, target: target(u)? },
        18 => {
            Op::Link { at: number, path: path(u)?, follow: follow(u)?, to: u.arbitrary::<u8>()?.into(), new: path(u)? }
        }
        19..22 => Op::Rename { at: number, path: path(u)?, to: u.arbitrary::<u8>()?.into(), new: path(u)? },
        22 => Op::SetTimes { at: number, path: path(u)?, follow: follow(u)?, time: i128::from(u.arbitrary::<u32>()?) },
        23 | 24 => Op::Write { on: number, offset: size(u)?, length: length(u)?, byte: u.arbitrary()? },
        25 => Op::WriteParts { on: number, offset: size(u)?, lengths: [length(u)?, length(u)?, length(u)?] },
        26 => Op::ReadParts { on: number, offset: offset(u)?, lengths: [length(u)?, length(u)?, length(u)?] },
        27 => Op::Append { on: number, length: length(u)?, byte: u.arbitrary()? },
        28 => Op::Read { on: number, offset: offset(u)?, length: length(u)? },
        29 => Op::ReadAll { on: number },
        30 if kind & 32 == 0 => Op::SetLen { on: number, size: size(u)? },
        30 => Op::Allocate { on: number, offset: size(u)?, length: size(u)? },
        _ => Op::FileMetadata { on: number },
    })
}
