//! The machines an image is for, and what the tools call them.

use crate::fault::Outcome;

/// An architecture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arch {
    /// PCs.
    X86_64,
    /// 64-bit ARM.
    Aarch64,
}

impl Arch {
    /// All there are.
    pub const ALL: [Self; 2] = [Self::X86_64, Self::Aarch64];

    /// From an argument.
    ///
    /// # Errors
    /// There is none of that name.
    pub fn parse(text: &str) -> Outcome<Self> {
        let found = Self::ALL.into_iter().find(|arch| arch.name() == text);
        found.ok_or_else(|| format!("{text}: x86_64 or aarch64"))
    }

    /// In file names and arguments.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::Aarch64 => "aarch64",
        }
    }

    /// Debian's name.
    #[must_use]
    pub fn debian(self) -> &'static str {
        match self {
            Self::X86_64 => "amd64",
            Self::Aarch64 => "arm64",
        }
    }

    /// The kernel's name.
    #[must_use]
    pub fn kernel(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::Aarch64 => "arm64",
        }
    }

    /// The kernel's target to build, and where the result lies: compressed, which the kernel of
    /// x86_64 does by itself, and for 64-bit ARM QEMU and GRUB undo.
    #[must_use]
    pub fn kernel_image(self) -> (&'static str, &'static str) {
        match self {
            Self::X86_64 => ("bzImage", "arch/x86/boot/bzImage"),
            Self::Aarch64 => ("Image.gz", "arch/arm64/boot/Image.gz"),
        }
    }

    /// The compiler's target for static programs.
    #[must_use]
    pub fn triple(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64-unknown-linux-musl",
            Self::Aarch64 => "aarch64-unknown-linux-musl",
        }
    }

    /// The C compiler for this architecture, as it is called on a machine of the other one.
    #[must_use]
    pub fn cross_compiler(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64-linux-gnu-gcc",
            Self::Aarch64 => "aarch64-linux-gnu-gcc",
        }
    }

    /// The Debian packages with that compiler and its library's headers.
    #[must_use]
    pub fn cross_packages(self) -> &'static [&'static str] {
        match self {
            Self::X86_64 => &["gcc-x86-64-linux-gnu", "libc6-dev-amd64-cross"],
            Self::Aarch64 => &["gcc-aarch64-linux-gnu", "libc6-dev-arm64-cross"],
        }
    }

    /// One of those headers, by which it shows whether they are there.
    #[must_use]
    pub fn cross_headers(self) -> &'static str {
        match self {
            Self::X86_64 => "/usr/x86_64-linux-gnu/include/stdint.h",
            Self::Aarch64 => "/usr/aarch64-linux-gnu/include/stdint.h",
        }
    }

    /// Debian's package of GRUB for EFI, GRUB's own name of the machine, and the name under which
    /// firmware looks for a boot loader.
    #[must_use]
    pub fn grub(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::X86_64 => ("grub-efi-amd64-bin", "x86_64-efi", "BOOTX64.EFI"),
            Self::Aarch64 => ("grub-efi-arm64-bin", "arm64-efi", "BOOTAA64.EFI"),
        }
    }

    /// Firmware that QEMU starts, and the image of its variables.
    #[must_use]
    pub fn firmware(self) -> [&'static str; 2] {
        match self {
            Self::X86_64 => [
                "/usr/share/OVMF/OVMF_CODE_4M.fd",
                "/usr/share/OVMF/OVMF_VARS_4M.fd",
            ],
            Self::Aarch64 => [
                "/usr/share/AAVMF/AAVMF_CODE.fd",
                "/usr/share/AAVMF/AAVMF_VARS.fd",
            ],
        }
    }

    /// Whether this machine is one.
    #[must_use]
    pub fn is_host(self) -> bool {
        std::env::consts::ARCH == self.name()
    }
}
