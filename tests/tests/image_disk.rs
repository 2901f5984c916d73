//! The appliance's disk, started by firmware and boot loader as a board would: what is kept, which
//! of the systems is started when one is damaged, and what becomes of a plug that is pulled.
//!
//! A part of `cargo ci image`; by hand `cargo test -p ramson-tests --test image_disk -- --ignored
//! --nocapture`.

// Helpers too unwrap: by a panic a network learns to keep its files.
#![allow(clippy::unwrap_used)]

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::time::Duration;

use ramson_image::arch::Arch;
use ramson_layout::parts::Part;
use ramson_layout::state::{COPIES, COPY_LEN, Health, Slot, State};
use ramson_tests::appliance::{self, Appliance, Shape};
use ramson_tests::lan::Lan;
use ramson_tests::network::{Network, Plan};
use ramson_tests::{process, wall};

/// Firmware, boot loader, kernel, and all of it three times; emulated beside other work.
const SLOW: Duration = Duration::from_secs(180);

// With 128 MiB firmware and boot loader leave too little for the kernel to unpack itself.
const SHAPE: Shape = Shape {
    memory: 160,
    hops: 1,
    kvm: false,
    disk: true,
};

/// A box that is off, its disk, and a client plugged in to it.
struct Bench {
    disk: PathBuf,
    lan: Lan,
    network: Network,
    arch: Arch,
}

impl Bench {
    fn new(arch: Arch) -> Bench {
        let image = appliance::image(arch).unwrap();
        let plan = Plan {
            routers: 3,
            hops: 1,
            ..Plan::default()
        };
        let network = Network::up(&plan).unwrap();
        let slot = network.slot().unwrap();
        let disk = appliance::whole_disk(&image, slot, SHAPE.hops).unwrap();
        let lan = Lan::new(slot).unwrap();
        appliance::bridge(slot).unwrap();
        Bench {
            disk,
            lan,
            network,
            arch,
        }
    }

    fn on(&self) -> Appliance {
        let disks = vec![self.disk.clone()];
        let slot = self.network.slot().unwrap();
        Appliance::power_on_disks(self.arch, disks, slot, SHAPE).unwrap()
    }

    /// Switches it on, and off again once it has served the client; which systems were started.
    fn serves(&self, why: &str) -> String {
        let begin = wall::now();
        let mut box_ = self.on();
        self.leased(&mut box_, why);
        let seconds = wall::since(begin);
        box_.power_off(Duration::from_secs(60)).unwrap();
        let started = started(&box_);
        println!("{why}: {started}, an address after {seconds:.1} s");
        started
    }

    fn leased(&self, box_: &mut Appliance, why: &str) {
        let leased = self.lan.lease_anew(SLOW, &mut || box_.check());
        leased.unwrap_or_else(|f| panic!("{why}: {f}\n{}", box_.console()));
    }

    fn state(&self) -> State {
        let disk = File::open(&self.disk).unwrap();
        let copies = COPIES.map(|at| {
            let mut copy = [0; COPY_LEN];
            disk.read_exact_at(&mut copy, Part::State.start() + at)
                .unwrap();
            copy
        });
        State::newest(copies.each_ref()).unwrap().0
    }

    fn write(&self, part: Part, at: u64, bytes: &[u8]) {
        let disk = OpenOptions::new().write(true).open(&self.disk).unwrap();
        disk.write_all_at(bytes, part.start() + at).unwrap();
    }

    fn set(&self, state: &State) {
        for at in COPIES {
            self.write(Part::State, at, &state.encode());
        }
    }

    /// A file of the data partition.
    fn kept(&self, path: &str) -> String {
        let part = self.disk.with_extension("data");
        let (from, to) = (self.disk.to_string_lossy(), part.to_string_lossy());
        let skip = format!("skip={}", Part::Data.start() >> 20);
        let words = [
            "dd",
            &format!("if={from}"),
            &format!("of={to}"),
            &skip,
            "bs=1M",
        ];
        process::run(&[&words[..], &["conv=sparse", "status=none"]].concat()).unwrap();
        process::run(&["debugfs", "-R", &format!("cat {path}"), &to]).unwrap()
    }
}

/// The letters of the systems that the boot loader has started.
fn started(box_: &Appliance) -> String {
    let console = box_.console();
    let named = console.split("Ramson: system ").skip(1);
    named.filter_map(|rest| rest.chars().next()).collect()
}

fn it_keeps_its_identity(bench: &Bench) {
    assert_eq!(bench.serves("as it left the factory"), "a");
    let keys = bench.kept("/i2p/router.keys");
    assert!(!keys.is_empty());
    assert_eq!(bench.serves("once more"), "a");
    assert!(keys == bench.kept("/i2p/router.keys"), "another identity");
    assert_eq!(bench.state(), State::FACTORY);
}

fn a_plug_that_is_pulled(bench: &Bench) {
    for seconds in [3, 6, 9] {
        let mut box_ = bench.on();
        wall::pause(Duration::from_secs(seconds)).unwrap();
        box_.cut();
    }
    assert_eq!(bench.serves("after three power cuts"), "a");
    assert_eq!(bench.state(), State::FACTORY);
}

fn one_on_trial_that_does_not_start(bench: &Bench) {
    let root = vec![0; 1 << 20];
    bench.write(Part::RootB, 0, &root);
    bench.set(&State::FACTORY.trying(Slot::B));
    assert_eq!(bench.serves("a root that cannot be mounted"), "bba");
    assert_eq!((bench.state().tries, bench.state().b), (2, Health::Trial));
    // It is not tried a third time.
    assert_eq!(bench.serves("and again"), "a");

    bench.write(Part::BootB, 0, &root);
    bench.set(&State::FACTORY.trying(Slot::B));
    assert_eq!(bench.serves("a kernel that cannot be read"), "ba");
}

fn a_state_that_is_damaged(bench: &Bench) {
    bench.write(Part::BootB, 0, &[0; 4096]);
    // The younger copy is torn: the older one wants the system that is good.
    let younger = State::FACTORY.trying(Slot::B);
    bench.set(&State::FACTORY);
    let mut torn = younger.encode();
    torn[100..].fill(0);
    bench.write(Part::State, COPIES[1], &torn);
    assert_eq!(bench.serves("a torn copy of the state"), "a");
    bench.write(Part::State, COPIES[0], &[0; COPY_LEN]);
    bench.write(Part::State, COPIES[1], &State::FACTORY.encode());
    assert_eq!(bench.serves("a zeroed copy of the state"), "a");
    bench.write(Part::State, COPIES[1], &[0; COPY_LEN]);
    let started = bench.serves("both copies zeroed");
    assert!(started.ends_with('a'), "{started}");
}

fn neither_is_good(bench: &Bench) {
    let mut state = State::FACTORY.spoiled(Slot::B);
    state.a = Health::Bad;
    bench.set(&state);
    assert_eq!(bench.serves("neither is good"), "r");
}

fn a_partition_that_is_not_there(bench: &Bench) {
    let disk = bench.disk.to_string_lossy();
    let number = Part::RootB.number().to_string();
    process::run(&["sgdisk", "-d", &number, &disk]).unwrap();
    bench.set(&State::FACTORY.trying(Slot::B));
    assert_eq!(bench.serves("a root partition that is not there"), "a");
}

#[test]
#[ignore = "needs root, namespaces and QEMU, and builds a kernel"]
fn the_disk_starts_what_is_good() {
    let bench = Bench::new(Arch::X86_64);
    it_keeps_its_identity(&bench);
    a_plug_that_is_pulled(&bench);
    one_on_trial_that_does_not_start(&bench);
    a_state_that_is_damaged(&bench);
    neither_is_good(&bench);
    a_partition_that_is_not_there(&bench);
}

#[test]
#[ignore = "needs root, namespaces and QEMU, and builds a kernel"]
fn the_disk_of_aarch64() {
    it_keeps_its_identity(&Bench::new(Arch::Aarch64));
}
