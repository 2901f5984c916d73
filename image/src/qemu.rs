//! The words that start an image in QEMU: kernel and root directly, no firmware, no boot loader.

use crate::arch::Arch;
use crate::build::Image;
use std::path::PathBuf;
use std::process::Command;

/// Seconds that the kernel waits for its root; then it panics, and begins anew after five more.
const ROOT_WAIT: u32 = 10;

/// A machine to be.
#[derive(Clone, Debug)]
pub struct Machine {
    /// What it starts.
    pub image: Image,
    /// A raw image with an ext4 for what is kept; without one nothing is kept.
    pub data: Option<PathBuf>,
    /// Names of the tap interfaces of the LAN and of the WAN.
    pub taps: [String; 2],
    /// Megabytes of memory.
    pub memory: u32,
    /// Where its serial line listens as a Unix socket.
    pub serial: PathBuf,
    /// Where what it says on that line is kept too.
    pub log: PathBuf,
    /// Where QEMU's own monitor listens.
    pub monitor: PathBuf,
    /// A shell on the serial line instead of the log.
    pub shell: bool,
}

impl Machine {
    /// The kernel's command line.
    #[must_use]
    pub fn command_line(&self) -> String {
        let console = match self.image.arch {
            Arch::X86_64 => "ttyS0",
            Arch::Aarch64 => "ttyAMA0",
        };
        let mut line = format!(
            "console={console} quiet panic=5 root=/dev/vda rootfstype=squashfs ro \
             rootwait={ROOT_WAIT}"
        );
        if self.data.is_some() {
            line += " ramson.data=/dev/vdb";
        }
        if self.shell {
            line += " ramson.shell";
        }
        line
    }

    /// The command to be run where the taps are. `kvm`: with the machine's own help, where its
    /// processor is of the image's kind.
    #[must_use]
    pub fn command(&self, kvm: bool) -> Command {
        let (program, machine, cpu) = match self.image.arch {
            Arch::X86_64 => ("qemu-system-x86_64", "q35", "max"),
            // Pointer authentication is slow to emulate.
            Arch::Aarch64 => ("qemu-system-aarch64", "virt", "cortex-a72"),
        };
        let mut command = Command::new(program);
        let mut say = |words: &[&str]| {
            command.args(words);
        };
        if kvm && self.image.arch.is_host() {
            say(&["-accel", "kvm", "-cpu", "host"]);
        } else {
            say(&["-accel", "tcg", "-cpu", cpu]);
        }
        say(&["-M", machine, "-smp", "2", "-m", &self.memory.to_string()]);
        say(&[
            "-nodefaults",
            "-no-user-config",
            "-display",
            "none",
            "-no-reboot",
        ]);
        let path = |path: &PathBuf| path.to_string_lossy().into_owned();
        say(&[
            "-kernel",
            &path(&self.image.kernel),
            "-append",
            &self.command_line(),
        ]);
        let root = path(&self.image.root);
        let drive = format!("if=none,id=root,format=raw,readonly=on,file={root}");
        say(&["-drive", &drive, "-device", "virtio-blk-pci,drive=root"]);
        if let Some(data) = &self.data {
            let drive = format!("if=none,id=data,format=raw,file={}", path(data));
            say(&["-drive", &drive, "-device", "virtio-blk-pci,drive=data"]);
        }
        for (number, tap) in (1..).zip(&self.taps) {
            let netdev = format!("tap,id=n{number},ifname={tap},script=no,downscript=no");
            let mac = format!("52:54:00:12:34:{number:02x}");
            let device = format!("virtio-net-pci,netdev=n{number},romfile=,mac={mac}");
            say(&["-netdev", &netdev, "-device", &device]);
        }
        say(&["-device", "virtio-rng-pci"]);
        let socket =
            |id: &str, at: &PathBuf| format!("socket,id={id},path={},server=on,wait=off", path(at));
        let serial = format!(
            "{},logfile={}",
            socket("serial", &self.serial),
            path(&self.log)
        );
        say(&["-chardev", &serial, "-serial", "chardev:serial"]);
        say(&[
            "-chardev",
            &socket("monitor", &self.monitor),
            "-mon",
            "chardev=monitor",
        ]);
        command
    }
}
