//! The words that start an image in QEMU: kernel and root directly, or a whole disk by firmware and
//! boot loader.

use crate::arch::Arch;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Seconds that the kernel waits for its root; then it panics, and begins anew after five more.
const ROOT_WAIT: u32 = 10;

/// What a machine starts.
#[derive(Clone, Debug)]
pub enum Start {
    /// A kernel with its root, without firmware and boot loader.
    Direct {
        /// The kernel.
        kernel: PathBuf,
        /// The root file system.
        root: PathBuf,
        /// A raw image with an ext4 for what is kept; without one nothing is kept.
        data: Option<PathBuf>,
        /// A shell on the serial line instead of the log.
        shell: bool,
    },
    /// Whole disks, raw; firmware looks at the first.
    Disks {
        /// The disks.
        disks: Vec<PathBuf>,
        /// Where the firmware keeps its variables: made of the empty ones if it is not there.
        variables: PathBuf,
    },
}

/// A machine to be.
#[derive(Clone, Debug)]
pub struct Machine {
    /// Its processor.
    pub arch: Arch,
    /// What it starts.
    pub start: Start,
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
}

impl Machine {
    /// The kernel's command line, where no boot loader gives one.
    fn command_line(&self, data: bool, shell: bool) -> String {
        let console = match self.arch {
            Arch::X86_64 => "ttyS0",
            Arch::Aarch64 => "ttyAMA0",
        };
        let mut line = format!(
            "console={console} quiet panic=5 root=/dev/vda rootfstype=squashfs ro \
             rootwait={ROOT_WAIT}"
        );
        if data {
            line += " ramson.data=/dev/vdb";
        }
        if shell {
            line += " ramson.shell";
        }
        line
    }

    /// The words for what it starts.
    fn start(&self) -> Vec<String> {
        let mut words = Vec::new();
        let mut drive = |id: &str, path: &Path, more: &str| {
            let path = path.display();
            words.push("-drive".to_owned());
            words.push(format!("if=none,id={id},format=raw,file={path}{more}"));
            words.push("-device".to_owned());
            words.push(format!("virtio-blk-pci,drive={id}"));
        };
        match &self.start {
            Start::Direct {
                kernel,
                root,
                data,
                shell,
            } => {
                drive("root", root, ",readonly=on");
                if let Some(data) = data {
                    drive("data", data, "");
                }
                let line = self.command_line(data.is_some(), *shell);
                let kernel = kernel.display().to_string();
                words.extend(["-kernel".to_owned(), kernel, "-append".to_owned(), line]);
            }
            Start::Disks { disks, variables } => {
                for (number, disk) in (0..).zip(disks) {
                    drive(&format!("disk{number}"), disk, "");
                }
                let [code, _] = self.arch.firmware();
                let flash = "if=pflash,format=raw,unit=";
                let variables = variables.display();
                words.extend([
                    "-drive".to_owned(),
                    format!("{flash}0,readonly=on,file={code}"),
                    "-drive".to_owned(),
                    format!("{flash}1,file={variables}"),
                ]);
            }
        }
        words
    }

    /// The command to be run where the taps are. `kvm`: with the machine's own help, where its
    /// processor is of the image's kind. Without `-no-reboot` whatever restarts it starts it again.
    #[must_use]
    pub fn command(&self, kvm: bool) -> Command {
        let (program, machine, cpu) = match self.arch {
            Arch::X86_64 => ("qemu-system-x86_64", "q35", "max"),
            // Pointer authentication is slow to emulate.
            Arch::Aarch64 => ("qemu-system-aarch64", "virt", "cortex-a72"),
        };
        let mut command = Command::new(program);
        let mut say = |words: &[&str]| {
            command.args(words);
        };
        if kvm && self.arch.is_host() {
            say(&["-accel", "kvm", "-cpu", "host"]);
        } else {
            say(&["-accel", "tcg", "-cpu", cpu]);
        }
        say(&["-M", machine, "-smp", "2", "-m", &self.memory.to_string()]);
        say(&["-nodefaults", "-no-user-config", "-display", "none"]);
        if matches!(self.start, Start::Direct { .. }) {
            say(&["-no-reboot"]);
        }
        let path = |path: &PathBuf| path.to_string_lossy().into_owned();
        for word in self.start() {
            say(&[&word]);
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
