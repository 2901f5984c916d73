//! How much memory `routerd` keeps resident, alone and with many RouterInfos.
//!
//! `memory ROUTERD [ROUTERS] [SECONDS]` starts that program in a directory of its own, without and
//! then with so many RouterInfos as seeds (2000), and prints what the kernel counts after so many
//! seconds (10). The routers are of a network of their own and cannot be dialled. A program for
//! another machine runs under the command in `MEMORY_RUNNER`, such as `qemu-aarch64-static`.

use ramson_proto::crypto::sig::SigningKey;
use ramson_proto::rng::Rng;
use ramson_proto::wire::hash::base64;
use ramson_proto::wire::identity::{KeysAndCert, RouterIdentity};
use ramson_proto::wire::mapping::Mapping;
use ramson_proto::wire::router_address::RouterAddress;
use ramson_proto::wire::router_info::RouterInfo;
use ramson_router::clock;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::Duration;

type Outcome<T> = Result<T, Box<dyn Error>>;

fn address(rng: &mut Rng, style: &str, more: &[(&str, String)]) -> RouterAddress {
    let mut options = Mapping::new();
    options.set("v", "2").set("s", base64(&rng.array::<32>()));
    options.set("i", base64(&rng.array::<16>()));
    for (key, value) in more {
        options.set(key, value.clone());
    }
    let style = style.to_owned();
    RouterAddress {
        cost: 10,
        expiration: 0,
        style,
        options,
    }
}

/// About 880 bytes, as they are on the live network.
fn router(rng: &mut Rng, n: usize) -> Outcome<RouterInfo> {
    let signing = SigningKey::random(rng);
    let filler = rng.bytes(320);
    let keys = KeysAndCert::ed25519(4, &rng.array::<32>(), &filler, &signing.public())?;
    let host = ("host", format!("10.{}.{}.7", n / 200, n % 200));
    let port = ("port", "20000".to_owned());
    let addresses = [
        address(rng, "NTCP2", &[host.clone(), port.clone()]),
        address(rng, "SSU2", &[host, port, ("caps", "BC".to_owned())]),
    ];
    let mut options = Mapping::new();
    options.set("netId", "99").set("router.version", "0.9.67");
    options.set("caps", if n.is_multiple_of(8) { "XfR" } else { "LR" });
    let wall = clock::now().wall;
    let identity = RouterIdentity(keys);
    Ok(RouterInfo::build(
        &identity, wall, &addresses, &options, &signing,
    )?)
}

/// Runs the program and prints its counts; ended whatever happens.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn measure(program: &Path, dir: &Path, seconds: u64, what: &str) -> Outcome<()> {
    let mut command = match std::env::var("MEMORY_RUNNER") {
        Ok(runner) => {
            let mut command = Command::new(runner);
            command.arg(program);
            command
        }
        Err(_) => Command::new(program),
    };
    let child = command.arg(dir.join("routerd.toml")).spawn()?;
    let mut running = Running(child);
    std::thread::sleep(Duration::from_secs(seconds));
    if let Some(status) = running.0.try_wait()? {
        return Err(format!("it ended: {status}").into());
    }
    let text = fs::read_to_string(format!("/proc/{}/status", running.0.id()))?;
    let of = |key: &str| {
        let line = text.lines().find_map(|l| l.strip_prefix(key));
        line.unwrap_or_default().trim().to_owned()
    };
    let (all, own) = (of("VmRSS:"), of("RssAnon:"));
    println!("{what}: resident {all}, of this {own} its own");
    Ok(())
}

fn main() -> Outcome<()> {
    let mut words = std::env::args_os().skip(1);
    let program = PathBuf::from(words.next().ok_or("memory ROUTERD [ROUTERS] [SECONDS]")?);
    let mut number = |default: u64| -> Outcome<u64> {
        let word = words.next().map(|w| w.to_string_lossy().parse());
        Ok(word.transpose()?.unwrap_or(default))
    };
    let (routers, seconds) = (number(2000)?, number(10)?);
    let dir = std::env::temp_dir().join(format!("ramson-memory-{}", std::process::id()));
    fs::create_dir_all(dir.join("seeds"))?;
    let at = dir.display();
    let config = format!(
        "data_dir = \"{at}/data\"\n[network]\nnet_id = 99\n[http_proxy]\nenabled = false\n\
         [sockets]\nstream = \"{at}/s.sock\"\ncontrol = \"{at}/c.sock\"\n[log]\nlevel = \"warn\"\n"
    );
    let file = dir.join("routerd.toml");
    fs::write(&file, &config)?;
    measure(&program, &dir, seconds, "idle")?;
    let (mut rng, mut bytes) = (Rng::from_number(1), 0);
    for n in 0..usize::try_from(routers)? {
        let info = router(&mut rng, n)?;
        bytes += info.as_bytes().len() as u64;
        fs::write(dir.join(format!("seeds/{n}.dat")), info.as_bytes())?;
    }
    fs::write(&file, config + "[seeds]\ndir = \"../seeds\"\n")?;
    let what = format!("{routers} routers of {} bytes", bytes / routers.max(1));
    measure(&program, &dir, seconds, &what)?;
    fs::remove_dir_all(dir)?;
    Ok(())
}
