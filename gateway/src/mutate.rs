//! What a hostile sender makes of a good message, for tests: cut, changed at one place, doubled.

/// Calls `f` with every cut of `good`, with every byte of it changed to values that parsers trip
/// over, and with pieces of it repeated.
pub fn each(good: &[u8], mut f: impl FnMut(&[u8])) {
    for end in 0..=good.len() {
        f(&good[..end]);
    }
    for at in 0..good.len() {
        let byte = good[at];
        for value in [0, 1, 2, 0x7f, 0x80, 0xff, !byte, byte.wrapping_add(1)] {
            let mut bytes = good.to_vec();
            bytes[at] = value;
            f(&bytes);
        }
        let (head, tail) = good.split_at(at);
        f(&[head, tail, tail].concat());
        f(&[head, &[byte; 300], tail].concat());
    }
}
