//! `cargo image`: builds the appliance, and boots it between a LAN client and a private network.

use std::path::PathBuf;
use std::process::ExitCode;

use ramson_image::agreement;
use ramson_image::arch::Arch;
use ramson_image::build;
use ramson_image::host;
use ramson_tests::appliance::Shape;
use ramson_tests::fault::{Fault, Outcome};
use ramson_tests::network::Plan;
use ramson_tests::peers::Suite;
use ramson_tests::steps::Steps;
use ramson_tests::{setup, show, stop};

const USAGE: &str = "\
cargo image build [--arch x86_64|aarch64] [--key FILE] [--yes]
    builds the kernel and the root file system
cargo image qemu [--arch x86_64|aarch64] [--memory MB] [--kvm] [--direct] [--stay]
                 [--yes]
    boots its disk by firmware and boot loader, between a LAN client and a private network, and
    opens its site
cargo image check
    whether buildroot/ and what `cargo image` does agree; with BUILDROOT=DIR a release of
    Buildroot, unpacked there, is asked too

    --arch     default: this machine's
    --key      signs updates, 64 hexadecimal digits; default: one made for this build directory
    --memory   default: 256
    --direct   kernel and root file system without firmware and boot loader
    --kvm      with the help of the machine's processor; emulated otherwise
    --stay     leave everything running until Ctrl-C
    --yes      install missing Debian packages without asking";

struct Options {
    boot: bool,
    arch: Option<Arch>,
    key: Option<PathBuf>,
    memory: u32,
    kvm: bool,
    direct: bool,
    stay: bool,
    yes: bool,
}

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    let only_check = words.next().as_deref() == Some("check") && words.next().is_none();
    let done = if only_check {
        check()
    } else {
        options().and_then(|options| run(&options))
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            eprintln!("image: {fault}");
            ExitCode::FAILURE
        }
    }
}

fn options() -> Outcome<Options> {
    let mut words = std::env::args().skip(1);
    let usage = || Fault::new(USAGE);
    let boot = match words.next().as_deref() {
        Some("build") => false,
        Some("qemu") => true,
        _ => return Err(usage()),
    };
    let mut options = Options {
        boot,
        arch: None,
        key: None,
        memory: 256,
        kvm: false,
        direct: false,
        stay: false,
        yes: false,
    };
    while let Some(word) = words.next() {
        match word.as_str() {
            "--arch" => {
                let name = words.next().ok_or_else(usage)?;
                options.arch = Some(Arch::parse(&name).map_err(Fault::new)?);
            }
            "--key" => options.key = Some(words.next().ok_or_else(usage)?.into()),
            "--memory" if boot => {
                let number = words.next().and_then(|text| text.parse().ok());
                options.memory = number.ok_or_else(usage)?;
            }
            "--kvm" if boot => options.kvm = true,
            "--direct" if boot => options.direct = true,
            "--stay" if boot => options.stay = true,
            "--yes" => options.yes = true,
            _ => return Err(usage()),
        }
    }
    Ok(options)
}

fn check() -> Outcome<()> {
    let mut found = agreement::complaints().map_err(Fault::new)?;
    match std::env::var_os("BUILDROOT") {
        Some(release) => {
            found.extend(agreement::buildroot::complaints(release.as_ref()).map_err(Fault::new)?);
        }
        None => println!("BUILDROOT is not set: Buildroot itself was not asked"),
    }
    if found.is_empty() {
        println!("both sides agree");
        return Ok(());
    }
    Err(Fault::new(found.join("\n")))
}

fn run(options: &Options) -> Outcome<()> {
    stop::install()?;
    let host = Arch::ALL.into_iter().find(|arch| arch.is_host());
    let arch = options.arch.or(host).unwrap_or(Arch::X86_64);
    let mut steps = Steps::default();
    let mut missing = host::missing_to_build(arch);
    if options.boot {
        missing.extend(host::missing_to_boot(arch));
    }
    setup::install(&missing, options.yes)?;
    if options.boot {
        setup::ready(&[Suite::Trixie], options.yes)?;
    }
    steps.done("the machine has what is needed");
    let key = options.key.as_deref();
    let image = build::build_signed(arch, key, &mut |what| steps.done(what));
    let image = image.map_err(Fault::new)?;
    let (raw, disk) = (&image.disk.raw, &image.disk);
    for path in [
        &image.kernel,
        &image.root,
        raw,
        &disk.packed,
        &disk.qcow2,
        &disk.vmdk,
        &image.update,
    ] {
        println!(
            "            {}: {} bytes",
            path.display(),
            std::fs::metadata(path)?.len()
        );
    }
    if options.boot {
        let plan = Plan {
            routers: 8,
            ..Plan::default()
        };
        let shape = Shape {
            memory: options.memory,
            hops: plan.hops,
            kvm: options.kvm,
            disk: !options.direct,
        };
        show::appliance(&image, &plan, shape, options.stay, &mut steps)?;
    }
    Ok(())
}
