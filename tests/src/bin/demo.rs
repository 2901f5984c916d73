//! `cargo demo`: the whole product on one machine.
//!
//! A private I2P network of packaged i2pd routers, a site in it, the appliance as QEMU boots it
//! from its disk, and a LAN client that knows nothing of I2P; the client opens the site. With
//! `--namespaces` our router and gateway run in a namespace instead, which needs no image and is
//! there sooner. `--stay` leaves everything up until Ctrl-C; in every case nothing is left behind.

use std::process::ExitCode;
use std::time::Duration;

use ramson_image::arch::Arch;
use ramson_image::{build, host};
use ramson_tests::appliance::Shape;
use ramson_tests::bins::{self, Profile};
use ramson_tests::fault::{Fault, Outcome};
use ramson_tests::network::Plan;
use ramson_tests::peers::Suite;
use ramson_tests::scene::Scene;
use ramson_tests::steps::Steps;
use ramson_tests::{places, setup, show, site, stop, wall};

const USAGE: &str = "\
cargo demo [--namespaces] [--arch x86_64|aarch64] [--stay] [--yes]
           [--suite trixie|forky|both] [--routers N] [--hops N]
    --namespaces  our programs without an image and without QEMU
    --arch        of the image; default: this machine's
    --stay        leave everything running until Ctrl-C
    --yes         install missing Debian packages without asking";

/// Megabytes of the appliance's memory.
const MEMORY: u32 = 160;

struct Options {
    namespaces: bool,
    arch: Option<Arch>,
    stay: bool,
    yes: bool,
    plan: Plan,
}

fn main() -> ExitCode {
    match options().and_then(|options| play(&options)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            eprintln!("demo: {fault}");
            ExitCode::FAILURE
        }
    }
}

fn options() -> Outcome<Options> {
    let plan = Plan {
        routers: 8,
        ..Plan::default()
    };
    let mut options = Options {
        namespaces: false,
        arch: None,
        stay: false,
        yes: false,
        plan,
    };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| Fault::new(USAGE));
        let number = |text: String| text.parse().map_err(|_| Fault::new(USAGE));
        match word.as_str() {
            "--namespaces" => options.namespaces = true,
            "--arch" => options.arch = Some(Arch::parse(&value()?).map_err(Fault::new)?),
            "--stay" => options.stay = true,
            "--yes" => options.yes = true,
            "--suite" => options.plan.suites = Suite::parse(&value()?)?,
            "--routers" => options.plan.routers = number(value()?)?,
            "--hops" => options.plan.hops = number(value()?)?,
            _ => return Err(Fault::new(USAGE)),
        }
    }
    Ok(options)
}

fn play(options: &Options) -> Outcome<()> {
    stop::install()?;
    let mut steps = Steps::default();
    if options.namespaces {
        in_namespaces(options, &mut steps)
    } else {
        in_a_machine(options, &mut steps)
    }
}

fn in_a_machine(options: &Options, steps: &mut Steps) -> Outcome<()> {
    let host = Arch::ALL.into_iter().find(|arch| arch.is_host());
    let arch = options.arch.or(host).unwrap_or(Arch::X86_64);
    let missing = [host::missing_to_build(arch), host::missing_to_boot(arch)].concat();
    setup::install(&missing, options.yes)?;
    setup::ready(&options.plan.suites, options.yes)?;
    steps.done("the machine has what is needed");
    let image = build::build(arch, &mut |what| steps.done(what)).map_err(Fault::new)?;
    let shape = Shape {
        memory: MEMORY,
        hops: options.plan.hops,
        // A device file of KVM does not tell that it works.
        kvm: false,
        disk: true,
    };
    show::appliance(&image, &options.plan, shape, options.stay, steps)
}

fn in_namespaces(options: &Options, steps: &mut Steps) -> Outcome<()> {
    setup::ready(&options.plan.suites, options.yes)?;
    steps.done("the machine has what is needed");
    bins::build(Profile::Release)?;
    steps.done("routerd, gatewayd and supervisor are built");
    let mut scene = Scene::up(&options.plan, &mut |what| steps.done(what))?;
    let page = scene.first_page(Duration::from_secs(180))?;
    let text = std::fs::read_to_string(scene.lan.fetched())?;
    steps.done(&format!("the client has opened {}", Scene::url("/")));
    println!("            {}", text.trim());
    println!("            first byte after {:.2} s", page.first_byte_s);
    let got = scene
        .lan
        .curl(&Scene::url("/bytes/2000000"), Duration::from_secs(120), &[])?;
    if !got.is_ok() {
        return Err(scene.with_logs(&format!("2 MB: code {} {}", got.code, got.complaint)));
    }
    site::check_bytes(&scene.lan.fetched(), 2_000_000)?;
    steps.done(&format!(
        "and fetched 2 MB, every byte right, {:.2} MB/s",
        got.megabytes_per_s()
    ));
    if options.stay {
        stay(&mut scene)?;
    }
    drop(scene);
    steps.done("everything is gone again");
    Ok(())
}

fn stay(scene: &mut Scene) -> Outcome<()> {
    let client = scene.lan.client.name();
    println!(
        "\nthe LAN client:  ip netns exec {client} curl {}",
        Scene::url("/")
    );
    println!(
        "the box:         ip netns exec {} sh",
        scene.network.slot()?.namespace.name()
    );
    println!("router's log:    {}", scene.router.log().display());
    println!("logs and files:  {}", scene.network.folder().display());
    println!("programs:        {}", places::target().display());
    println!("Ctrl-C takes everything down");
    while !stop::asked() {
        scene.check()?;
        if wall::pause(Duration::from_secs(2)).is_err() {
            break;
        }
    }
    println!();
    Ok(())
}
