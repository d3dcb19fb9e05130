//! Changing valid bytes a little: most of it stays what a decoder expects, so that it gets far.

use rand::Rng;

/// Numbers at which lengths, counts and indices turn over.
const EDGES: [u64; 16] = [
    0,
    1,
    2,
    3,
    16,
    63,
    64,
    0x7f,
    0x80,
    0xff,
    0x7fff,
    0xffff,
    1 << 24,
    0x7fff_ffff,
    0xffff_ffff,
    u64::MAX,
];

/// Changes `bytes` in one to four places: bits and bytes, numbers of 1 to 8 bytes, pieces that are cut, doubled,
/// moved or taken from `other` bytes of the same kind.
pub fn mutate(rng: &mut impl Rng, bytes: &mut Vec<u8>, other: &[u8]) {
    for _ in 0..rng.random_range(1..=4) {
        change(rng, bytes, other);
    }
}

fn change(rng: &mut impl Rng, bytes: &mut Vec<u8>, other: &[u8]) {
    let len = bytes.len();
    if len == 0 {
        bytes.extend_from_slice(&other[..rng.random_range(0..=other.len())]);
        return;
    }
    // Half of all changes are near the front, where most numbers are.
    let most = if rng.random() { len } else { len.min(48) };
    let at = rng.random_range(0..most);
    let piece = at..(at + rng.random_range(1..=64)).min(len);
    match rng.random_range(0..14) {
        0..3 => bytes[at] ^= 1 << rng.random_range(0..8),
        3 => bytes[at] = rng.random(),
        4..7 => {
            let width = 1 << rng.random_range(0..4);
            let place = &mut bytes[at..(at + width).min(len)];
            let mut number = [0; 8];
            number[..place.len()].copy_from_slice(place);
            let number = match rng.random_range(0..4) {
                0 => u64::from_le_bytes(number).wrapping_add(1),
                1 => u64::from_le_bytes(number).wrapping_sub(1),
                2 => len as u64,
                _ => EDGES[rng.random_range(0..EDGES.len())],
            };
            place.copy_from_slice(&number.to_le_bytes()[..place.len()]);
        }
        7 => bytes.truncate(at),
        8 => {
            bytes.drain(piece);
        }
        9 => {
            let piece = bytes[piece].to_vec();
            bytes.splice(at..at, piece);
        }
        10 => {
            let to = rng.random_range(0..len - piece.len() + 1);
            bytes.copy_within(piece, to);
        }
        11 => bytes.insert(at, rng.random()),
        12 => {
            // The other's end behind this one's front.
            bytes.truncate(at);
            bytes.extend_from_slice(&other[at.min(other.len())..]);
        }
        _ => {
            let end = piece.end.min(other.len());
            if at < end {
                bytes[at..end].copy_from_slice(&other[at..end]);
            }
        }
    }
}
