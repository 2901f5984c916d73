//! After its keys have been made, written and read, a process holds each of them where it is used,
//! and no copy of the file.

// Helpers of a test may panic.
#![allow(clippy::unwrap_used)]

use ramson_proto::rng::Rng;
use ramson_proto::trace::Level;
use ramson_router::data_dir::DataDir;
use ramson_router::keys::{FILE, KeyFile};
use ramson_router::log::Log;
use std::fs::{self, File};
use std::hint::black_box;
use std::os::unix::fs::FileExt as _;

/// Most of the two keys of the identity, which follow each other nowhere else; an allocator writes
/// over the first bytes of what it takes back.
const KEYS: std::ops::Range<usize> = 24..72;
const MASK: u8 = 0x5a;

/// How often the masked bytes stand unmasked in the writable memory of this process.
fn copies(masked: &[u8]) -> usize {
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let memory = File::open("/proc/self/mem").unwrap();
    let (mut found, mut page) = (0, vec![0; 1 << 20]);
    for line in maps.lines().filter(|l| l.contains(" rw")) {
        let (from, to) = line.split(' ').next().unwrap().split_once('-').unwrap();
        let mut at = u64::from_str_radix(from, 16).unwrap();
        let to = u64::from_str_radix(to, 16).unwrap();
        while at < to {
            let want = usize::try_from(to - at).unwrap().min(page.len());
            let Ok(n) = memory.read_at(&mut page[..want], at) else {
                break;
            };
            if n == 0 {
                break;
            }
            let is_copy = |w: &&[u8]| w.iter().zip(masked).all(|(a, b)| a ^ MASK == *b);
            found += page[..n].windows(masked.len()).filter(is_copy).count();
            // What straddles two pieces is seen in the second one.
            let back = if at + (n as u64) < to {
                masked.len()
            } else {
                0
            };
            at += (n.max(back + 1) - back) as u64;
            page.fill(0);
        }
    }
    found
}

#[test]
fn no_copy_of_the_key_file_stays_in_memory() {
    let place = std::env::temp_dir().join(format!("ramson-secrets-{}", std::process::id()));
    let _ = fs::remove_dir_all(&place);
    let dir = DataDir::open(&place, Log::new(Level::Error)).unwrap();
    let made = KeyFile::load_or_create(&dir, &mut Rng::from_number(7)).unwrap();
    let read = KeyFile::load_or_create(&dir, &mut Rng::from_number(8)).unwrap();
    let mut file = fs::read(place.join(FILE)).unwrap();
    let masked: Vec<u8> = file[KEYS].iter().map(|b| b ^ MASK).collect();
    // The search finds what is there.
    assert!(copies(&masked) >= 1);
    black_box(&mut file).fill(0);
    drop(file);
    assert_eq!(copies(&masked), 0);
    assert_eq!(made.router.identity, read.router.identity);
    fs::remove_dir_all(&place).unwrap();
}
