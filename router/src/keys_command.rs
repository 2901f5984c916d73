//! `routerd keys`: private-key files of destinations shown, brought in and taken out.

use crate::config_file::ConfigFile;
use crate::data_dir::DataDir;
use crate::dest_keys::{DestFile, LEN_MAX};
use crate::log::Log;
use ramson_proto::trace::Level;
use std::fs::OpenOptions;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// What is asked.
pub enum Command {
    /// Which destination a file is of.
    Show(PathBuf),
    /// A file from elsewhere becomes one of the data directory.
    Import(PathBuf, String),
    /// A file of the data directory is copied elsewhere.
    Export(String, PathBuf),
}

impl Command {
    /// Does it.
    ///
    /// # Errors
    /// File and reason.
    pub fn run(self, config: &ConfigFile) -> Result<(), String> {
        match self {
            Self::Show(file) => show(&file),
            Self::Import(from, name) => import(config, &from, &name),
            Self::Export(name, to) => export(config, &name, &to),
        }
    }
}

/// Prints the destination of a file.
///
/// # Errors
/// File and reason.
pub fn show(file: &Path) -> Result<(), String> {
    let (_, keys) = read(file)?;
    println!("{}", keys.destination().hash().b32());
    Ok(())
}

fn import(config: &ConfigFile, from: &Path, name: &str) -> Result<(), String> {
    if !is_name(name) {
        return Err(format!("{name}: must be a file name that ends with .dat"));
    }
    let (bytes, keys) = read(from)?;
    let dir = DataDir::open(&config.data_dir, Log::new(Level::Warn))?;
    let path = dir.path(name);
    if path.symlink_metadata().is_ok() {
        return Err(format!("{}: is there already", path.display()));
    }
    dir.write(name, &bytes)
        .map_err(|e| format!("{}: {e}", path.display()))?;
    println!("{}", keys.destination().hash().b32());
    Ok(())
}

fn export(config: &ConfigFile, name: &str, to: &Path) -> Result<(), String> {
    let named = |e: &dyn std::fmt::Display| format!("{}: {e}", to.display());
    if !is_name(name) {
        return Err(format!("{name}: must be a file name that ends with .dat"));
    }
    let missing = || format!("{}: is not there", config.path(Path::new(name)).display());
    let dir = DataDir::look(&config.data_dir)?.ok_or_else(missing)?;
    let keys = DestFile::load(&dir, name)?.ok_or_else(missing)?;
    let bytes = dir.read(name, LEN_MAX).map_err(|e| named(&e))?;
    let mut options = OpenOptions::new();
    let mut file = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(to)
        .map_err(|e| named(&e))?;
    file.write_all(&bytes).map_err(|e| named(&e))?;
    file.sync_all().map_err(|e| named(&e))?;
    println!("{}", keys.destination().hash().b32());
    Ok(())
}

fn is_name(name: &str) -> bool {
    let plain = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_' | b'.');
    name.len() <= 100 && name.ends_with(".dat") && name.bytes().all(plain)
}

fn read(file: &Path) -> Result<(Zeroizing<Vec<u8>>, DestFile), String> {
    let named = |e: &dyn std::fmt::Display| format!("{}: {e}", file.display());
    let open = std::fs::File::open(file).map_err(|e| named(&e))?;
    // Room for one byte more than allowed: a buffer that grows leaves copies behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(LEN_MAX + 1));
    let mut limited = open.take(LEN_MAX as u64 + 1);
    limited.read_to_end(&mut bytes).map_err(|e| named(&e))?;
    if bytes.len() > LEN_MAX {
        return Err(named(&format!("is longer than {LEN_MAX} bytes")));
    }
    let keys = DestFile::parse(&bytes).map_err(|e| named(&e))?;
    Ok((bytes, keys))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ramson_proto::rng::Rng;

    #[test]
    fn out_and_in_again() {
        let place =
            std::env::temp_dir().join(format!("ramson-keys-command-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&place);
        let config = |name: &str| ConfigFile {
            data_dir: place.join(name),
            ..ConfigFile::default()
        };
        let (ours, theirs) = (config("ours"), config("theirs"));
        let dir = DataDir::open(&ours.data_dir, Log::new(Level::Error)).unwrap();
        let mut rng = Rng::from_number(1);
        let keys = DestFile::load_or_create(&dir, "a.dat", &mut rng).unwrap();
        let out = place.join("out");
        export(&ours, "a.dat", &out).unwrap();
        assert!(export(&ours, "a.dat", &out).is_err(), "never replaced");
        assert!(export(&ours, "b.dat", &place.join("b")).is_err());
        import(&theirs, &out, "c.dat").unwrap();
        assert!(import(&theirs, &out, "c.dat").is_err(), "never replaced");
        assert!(import(&theirs, &out, "../c.dat").is_err());
        assert!(import(&theirs, &out, "router.keys").is_err());
        let dir = DataDir::look(&theirs.data_dir).unwrap().unwrap();
        let got = DestFile::load(&dir, "c.dat").unwrap().unwrap();
        assert_eq!(got.destination(), keys.destination());
        std::fs::write(&out, vec![1; LEN_MAX + 1]).unwrap();
        assert!(
            import(&theirs, &out, "d.dat")
                .unwrap_err()
                .contains("longer")
        );
        std::fs::remove_dir_all(&place).unwrap();
    }
}
