//! How fast the allocator of `routerd` is at what the router does: packets that one thread makes
//! and another one frees, small values that come and go, and growing buffers.
//!
//! `allocator [ROUNDS]` prints nanoseconds for each operation.

use ramson_router::clock;
use std::error::Error;
use std::hint::black_box;
use std::sync::mpsc::sync_channel;

#[global_allocator]
static ALLOCATOR: ramson_router::Allocator = ramson_router::ALLOCATOR;

/// Bytes of a tunnel cell, a fragment, a small control message.
const SIZES: [usize; 4] = [1028, 1730, 96, 16 * 1024];

fn timed(what: &str, rounds: u64, run: impl FnOnce()) {
    let start = clock::now().mono;
    run();
    let micros = clock::now().mono.since(start).as_micros() as u64;
    println!("{what}: {} ns", micros * 1000 / rounds.max(1));
}

/// Packets cross from one thread to another, two hundred at once under way.
fn handed_over(rounds: u64) {
    let (out, inbox) = sync_channel::<Vec<u8>>(200);
    let taker = std::thread::spawn(move || inbox.iter().map(|p| p.len()).sum::<usize>());
    for n in 0..rounds {
        let size = SIZES[n as usize % SIZES.len()];
        if out.send(black_box(vec![1; size])).is_err() {
            break;
        }
    }
    drop(out);
    let _ = taker.join();
}

/// A window of packets of which the oldest goes for each new one.
fn window(rounds: u64) {
    let mut kept: Vec<Vec<u8>> = vec![Vec::new(); 512];
    for n in 0..rounds {
        let size = SIZES[n as usize % SIZES.len()];
        kept[n as usize % 512] = black_box(Vec::with_capacity(size));
    }
}

/// Buffers that grow to 64 KiB.
fn grown(rounds: u64) {
    for _ in 0..rounds {
        let mut buffer = Vec::new();
        for _ in 0..64 {
            buffer.extend_from_slice(black_box(&[7_u8; 1024]));
        }
        black_box(buffer);
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let rounds = std::env::args().nth(1).map(|w| w.parse()).transpose()?;
    let rounds = rounds.unwrap_or(2_000_000);
    timed("window of packets, each", rounds, || window(rounds));
    timed("handed to another thread, each", rounds, || {
        handed_over(rounds)
    });
    timed("grown to 64 KiB, each", rounds / 50, || grown(rounds / 50));
    let both = [0; 2].map(|_| std::thread::spawn(move || window(rounds)));
    timed("window in two threads, each", 2 * rounds, || {
        both.into_iter().for_each(|t| drop(t.join()))
    });
    Ok(())
}
