use super::*;
use ed25519_dalek::SigningKey;
use ramson_layout::state::{COPIES, COPY_LEN, Slot, State};

const BOOT: usize = 70_000;
const ROOT: usize = 200_001;

fn signing() -> SigningKey {
    SigningKey::from_bytes(&[5; 32])
}

fn here() -> Here {
    Here {
        arch: Arch::X86_64,
        version: "0.1.0+100".parse().unwrap(),
        key: signing().verifying_key(),
    }
}

fn image(len: usize, seed: u8) -> Vec<u8> {
    (0..len).map(|n| (n % 251) as u8 ^ seed).collect()
}

fn body(image: &[u8]) -> Body {
    Body {
        len: image.len() as u64,
        sha256: Sha256::digest(image).into(),
    }
}

fn header() -> Header {
    Header {
        arch: Arch::X86_64,
        version: "0.1.0+200".parse().unwrap(),
        from: Version::ZERO,
        boot: body(&image(BOOT, 1)),
        root: body(&image(ROOT, 2)),
    }
}

fn file(header: &Header) -> Vec<u8> {
    [
        &header.sign(&signing())[..],
        &image(BOOT, 1),
        &image(ROOT, 2),
    ]
    .concat()
}

/// A disk whose power fails after some bytes, in the middle of whatever is written then.
struct Disk {
    state: Vec<u8>,
    boot: Vec<u8>,
    root: Vec<u8>,
    left: usize,
    /// A byte that is not kept.
    rotten: Option<usize>,
}

impl Disk {
    fn new(left: usize) -> Self {
        let mut state = vec![0; 65_536];
        let at = usize::try_from(COPIES[0]).unwrap();
        state[at..at + COPY_LEN].copy_from_slice(&State::FACTORY.encode());
        Self {
            state,
            boot: vec![0xee; BOOT + 500],
            root: vec![0xee; ROOT + 500],
            left,
            rotten: None,
        }
    }

    fn put(
        &mut self,
        which: fn(&mut Self) -> &mut Vec<u8>,
        at: u64,
        bytes: &[u8],
    ) -> io::Result<()> {
        let now = bytes.len().min(self.left);
        self.left -= now;
        let at = usize::try_from(at).unwrap();
        which(self)[at..at + now].copy_from_slice(&bytes[..now]);
        if now < bytes.len() {
            return Err(io::Error::other("the power is gone"));
        }
        Ok(())
    }

    fn part(&mut self, part: Part) -> &mut Vec<u8> {
        match part {
            Part::Boot => &mut self.boot,
            Part::Root => &mut self.root,
        }
    }

    fn read_state(&self) -> (State, usize) {
        let copy = |at: u64| {
            let at = usize::try_from(at).unwrap();
            <&[u8; COPY_LEN]>::try_from(&self.state[at..at + COPY_LEN]).unwrap()
        };
        State::newest(COPIES.map(copy)).expect("one copy is always whole")
    }

    fn change(&mut self, change: impl Fn(&State) -> State) -> io::Result<()> {
        let (state, copy) = self.read_state();
        self.put(
            |disk| &mut disk.state,
            COPIES[1 - copy],
            &change(&state).encode(),
        )
    }

    fn is_whole(&self) -> bool {
        self.boot.starts_with(&image(BOOT, 1)) && self.root.starts_with(&image(ROOT, 2))
    }

    fn is_untouched(&self) -> bool {
        self.boot.iter().chain(&self.root).all(|b| *b == 0xee)
            && self.read_state().0 == State::FACTORY
    }
}

impl Target for Disk {
    fn size(&mut self, part: Part) -> io::Result<u64> {
        Ok(self.part(part).len() as u64)
    }

    fn spoil(&mut self) -> io::Result<()> {
        self.change(|state| state.spoiled(Slot::B))
    }

    fn write(&mut self, part: Part, at: u64, bytes: &[u8]) -> io::Result<()> {
        assert_ne!(
            self.read_state().0.next(),
            Some(Slot::B),
            "a slot that may start"
        );
        match part {
            Part::Boot => self.put(|disk| &mut disk.boot, at, bytes),
            Part::Root => self.put(|disk| &mut disk.root, at, bytes),
        }
    }

    fn flush(&mut self, _: Part) -> io::Result<()> {
        Ok(())
    }

    fn read(&mut self, part: Part, at: u64, bytes: &mut [u8]) -> io::Result<()> {
        let at = usize::try_from(at).unwrap();
        bytes.copy_from_slice(&self.part(part)[at..at + bytes.len()]);
        if let Some(rotten) = self.rotten.filter(|n| (at..at + bytes.len()).contains(n)) {
            bytes[rotten - at] ^= 1;
        }
        Ok(())
    }

    fn try_next(&mut self) -> io::Result<()> {
        self.change(|state| state.trying(Slot::B))
    }
}

fn try_on(disk: &mut Disk, bytes: &[u8]) -> Result<Version, String> {
    install(&mut &*bytes, &here(), disk, &mut |_| {}).map_err(|e| e.to_string())
}

#[test]
fn an_update_is_written_whole_and_tried_next() {
    let mut disk = Disk::new(usize::MAX);
    let mut told = Vec::new();
    let bytes = file(&header());
    let done = install(&mut &*bytes, &here(), &mut disk, &mut |p| told.push(p));
    assert_eq!(done.unwrap(), header().version);
    assert!(disk.is_whole());
    let state = disk.read_state().0;
    assert_eq!((state.next(), state.tries), (Some(Slot::B), 0));
    assert_eq!(told.last(), Some(&Progress::Reading(100)));
    assert!(told.contains(&Progress::Writing(100)) && told.len() <= 202);
}

#[test]
fn what_the_header_says_is_judged_before_anything_is_written() {
    let refused = |change: fn(&mut Header), why: &str| {
        let mut header = header();
        change(&mut header);
        let mut disk = Disk::new(usize::MAX);
        let said = try_on(&mut disk, &file(&header)).unwrap_err();
        assert!(said.contains(why), "{said}");
        assert!(disk.is_untouched(), "{said}");
    };
    refused(|h| h.arch = Arch::Aarch64, "for aarch64");
    refused(|h| h.version.build = 99, "older than 0.1.0+100");
    let between = |h: &mut Header| h.from = "0.1.0+101".parse().unwrap();
    refused(between, "needs one in between");
    refused(|h| h.from.release = [0, 1, 1], "needs one in between");
    refused(|h| h.boot.len = BOOT as u64 + 501, "boot image is larger");
    refused(
        |h| h.root.len = ROOT as u64 + 501,
        "root file system is larger",
    );
    let mut unsigned = file(&header());
    unsigned[300] ^= 1;
    for (bytes, why) in [
        (unsigned, "not signed"),
        (file(&header())[..319].to_vec(), "not whole"),
        (vec![0; 400], "no update"),
        (Vec::new(), "not whole"),
    ] {
        let mut disk = Disk::new(usize::MAX);
        let said = try_on(&mut disk, &bytes).unwrap_err();
        assert!(said.contains(why), "{said}");
        assert!(disk.is_untouched(), "{said}");
    }
}

#[test]
fn what_is_not_as_signed_is_never_started() {
    let whole = file(&header());
    let with = |at: usize| {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        bytes
    };
    let longer = [&whole[..], b"x"].concat();
    for (bytes, why) in [
        (with(LEN), "boot image is not the one"),
        (with(LEN + BOOT + 3), "root file system is not the one"),
        (with(whole.len() - 1), "root file system is not the one"),
        (whole[..whole.len() - 1].to_vec(), "not whole"),
        (whole[..LEN + 5].to_vec(), "not whole"),
        (longer, "something follows"),
    ] {
        let mut disk = Disk::new(usize::MAX);
        let said = try_on(&mut disk, &bytes).unwrap_err();
        assert!(said.contains(why), "{said}");
        let state = disk.read_state().0;
        assert_eq!(
            (state.next(), state.counted()),
            (Some(Slot::A), None),
            "{said}"
        );
    }
    for (rotten, why) in [(0, "keep the boot image"), (ROOT - 1, "keep the root")] {
        let mut disk = Disk::new(usize::MAX);
        disk.rotten = Some(rotten);
        let said = try_on(&mut disk, &whole).unwrap_err();
        assert!(said.contains(why), "{said}");
        assert_eq!(disk.read_state().0.next(), Some(Slot::A));
    }
}

#[test]
fn a_power_cut_at_any_moment_leaves_a_whole_system_to_start() {
    let bytes = file(&header());
    let all = BOOT + ROOT + 2 * COPY_LEN;
    let near = |at: usize| at.saturating_sub(2)..at + 1100;
    // Every byte of the state, and every few of the images.
    let cuts = (0..all + 1).filter(|left| {
        near(0).contains(left) || near(all - 1024).contains(left) || left % 1009 == 0
    });
    let (mut old, mut new) = (0, 0);
    for left in cuts {
        let mut disk = Disk::new(left);
        let done = try_on(&mut disk, &bytes);
        assert_eq!(done.is_ok(), left >= all);
        let mut state = disk.read_state().0;
        if state.next() == Some(Slot::B) {
            // A good one from before that was not touched yet, or the new one.
            let is_new = disk.is_whole();
            let is_old = state == State::FACTORY;
            assert!(is_new || is_old, "{left}");
            new += 1;
        } else {
            old += 1;
        }
        // Should it not come up, what ran before does, and it was never written to.
        while let Some(counted) = state.counted() {
            state = counted;
        }
        assert_eq!(state.next(), Some(Slot::A), "{left}");
        // Whatever is fallen back to is whole.
        let other_is_good = state.b == ramson_layout::state::Health::Good;
        assert!(
            !other_is_good || disk.boot.iter().all(|b| *b == 0xee),
            "{left}"
        );
        // Once more, with power: it is done as if nothing had been.
        if left % 64 == 0 {
            disk.left = usize::MAX;
            try_on(&mut disk, &bytes).unwrap();
            assert!(disk.is_whole() && disk.read_state().0.next() == Some(Slot::B));
        }
    }
    assert!(old > 500 && new > 100, "{old} {new}");
}
