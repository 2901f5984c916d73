//! The daemon itself, alone: as a plain user, what it gives up, and what it answers without a
//! network.

// Helpers of a test may panic, and real processes need real time.
#![allow(clippy::disallowed_methods, clippy::unwrap_used)]

use ramson_ipc::{Answer, CHUNK_END, Chunks, Kind, Open, chunk_head};
use std::fs::{self, Permissions};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::Duration;

/// Runs as this user when the test is root; nothing else uses the number.
const USER: u32 = 61_002;
const PATIENCE: Duration = Duration::from_secs(20);

struct Daemon {
    process: Child,
    dir: PathBuf,
    proxy: SocketAddr,
}

impl Daemon {
    fn start() -> Self {
        let dir = std::env::temp_dir().join(format!("ramson-daemon-{}", std::process::id()));
        let data = dir.join("data");
        fs::create_dir_all(&data).unwrap();
        fs::set_permissions(&dir, Permissions::from_mode(0o755)).unwrap();
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let proxy = free.local_addr().unwrap();
        drop(free);
        let (text, at) = (dir.join("routerd.toml"), data.display());
        let config = format!(
            "data_dir = \"{at}\"\n[network]\nnet_id = 99\n[http_proxy]\nlisten = \"{proxy}\"\n\
             [sockets]\nstream = \"{at}/run/stream.sock\"\ncontrol = \"{at}/run/control.sock\"\n"
        );
        fs::write(&text, config).unwrap();
        // The build directory may be closed to other users.
        let program = dir.join("routerd");
        fs::copy(env!("CARGO_BIN_EXE_routerd"), &program).unwrap();
        let mut command = Command::new(program);
        command.arg(&text);
        if nix::unistd::geteuid().is_root() {
            chown(&data, Some(USER), Some(USER)).unwrap();
            command.uid(USER).gid(USER);
        }
        let process = command.spawn().unwrap();
        let daemon = Self {
            process,
            dir,
            proxy,
        };
        wait_for(|| daemon.ask("status\n"));
        daemon
    }

    fn data(&self) -> PathBuf {
        self.dir.join("data")
    }

    fn ask(&self, request: &str) -> Option<String> {
        self.give(request, &[])
    }

    /// One request with bytes behind it.
    fn give(&self, request: &str, bytes: &[u8]) -> Option<String> {
        let mut stream = UnixStream::connect(self.data().join("run/control.sock")).ok()?;
        stream.write_all(request.as_bytes()).unwrap();
        // Whoever wants none of it has answered, and has closed.
        let _ = stream.write_all(bytes);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        Some(answer)
    }

    /// What the explicit proxy answers.
    fn proxied(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(self.proxy).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    /// What a stream of the gateway is answered, and whether it ended in order.
    fn streamed(&self, open: &Open, request: &[u8]) -> (Answer, String, bool) {
        let mut stream = UnixStream::connect(self.data().join("run/stream.sock")).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let head = chunk_head(request.len()).unwrap();
        let all = [&open.encode().unwrap(), &head[..], request, &CHUNK_END].concat();
        stream.write_all(&all).unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        let (answer, used) = Answer::decode(&bytes).unwrap().unwrap();
        let (mut chunks, mut rest) = (Chunks::default(), bytes.split_off(used));
        let n = chunks.strip(&mut rest).unwrap();
        rest.truncate(n);
        (answer, String::from_utf8(rest).unwrap(), chunks.is_ended())
    }

    fn proc(&self, file: &str) -> String {
        fs::read_to_string(format!("/proc/{}/{file}", self.process.id())).unwrap()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It has ended already when all went well.
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = fs::remove_dir_all(&self.dir);
    }
}

fn wait_for<T>(mut f: impl FnMut() -> Option<T>) -> T {
    for _ in 0..400 {
        if let Some(found) = f() {
            return found;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("it did not happen");
}

/// No file of the daemon can be read by others; its sockets can be reached.
fn closed_to_others(dir: &Path) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let meta = path.symlink_metadata().unwrap();
        if path.ends_with("run") {
            assert_eq!(meta.mode() & 0o777, 0o755, "{}", path.display());
        } else {
            assert_eq!(meta.mode() & 0o077, 0, "{}", path.display());
            if meta.is_dir() {
                closed_to_others(&path);
            }
        }
    }
}

fn given_up(daemon: &Daemon) {
    let status = daemon.proc("status");
    assert!(status.contains("NoNewPrivs:\t1"), "{status}");
    let limits = daemon.proc("limits");
    let row = |name: &str| {
        let line = limits.lines().find(|l| l.starts_with(name)).unwrap();
        let fields = line.trim_start_matches(name).split_whitespace();
        fields.take(2).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(row("Max core file size"), ["0", "0"]);
    let files = row("Max open files");
    assert_eq!(files[0], files[1]);
}

fn pages(daemon: &Daemon) {
    for (request, code) in [
        ("GET http://nobody.i2p/ HTTP/1.1\r\n\r\n", "404 Not Found"),
        ("GET http://example.com/ HTTP/1.1\r\n\r\n", "403 Forbidden"),
        ("CONNECT example.com:443 HTTP/1.1\r\n\r\n", "403 Forbidden"),
        ("CONNECT nobody.i2p:443 HTTP/1.1\r\n\r\n", "404 Not Found"),
        (
            "GET https://nobody.i2p/ HTTP/1.1\r\n\r\n",
            "400 Bad Request",
        ),
        ("nonsense\r\n\r\n", "400 Bad Request"),
    ] {
        let answer = daemon.proxied(request);
        let start = format!("HTTP/1.1 {code}\r\n");
        assert!(answer.starts_with(&start), "{request}{answer}");
        assert!(answer.ends_with("</html>\n"), "{request}{answer}");
    }
}

fn streams(daemon: &Daemon) {
    let mut open = Open {
        tag: b"client".to_vec(),
        name: "nobody.i2p".to_owned(),
        port: 80,
        kind: Kind::Http,
    };
    let request = b"GET / HTTP/1.1\r\nHost: nobody.i2p\r\n\r\n";
    let (answer, page, ended) = daemon.streamed(&open, request);
    assert_eq!((answer, ended), (Answer::Opened, true));
    assert!(page.starts_with("HTTP/1.1 404 Not Found\r\n"), "{page}");
    open.kind = Kind::Raw;
    let (answer, bytes, _) = daemon.streamed(&open, b"hello");
    let unknown = Answer::Refused(ramson_ipc::Reason::UnknownName);
    assert_eq!((answer, bytes.as_str()), (unknown, ""));
}

/// A reseed file that is brought is judged as one that is configured, and what came of it is said.
fn brought(daemon: &Daemon) {
    let vectors = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/vectors");
    let good = fs::read(Path::new(vectors).join("i2pseeds.su3")).unwrap();
    let give = |file: &[u8], len: usize| daemon.give(&format!("reseed {len}\n"), file).unwrap();
    // All of them are of another network, if the certificate is still good.
    let whole = give(&good, good.len());
    let other = whole.starts_with("error: no usable RouterInfo; left out: ");
    let late = whole.contains("not valid");
    assert!(
        (other && whole.contains("of network 2, not 99")) || late,
        "{whole}"
    );
    let mut forged = good.clone();
    forged[good.len() / 2] ^= 1;
    for bad in [&forged, &good[..good.len() / 2], &[7; 20]] {
        let said = give(bad, bad.len());
        assert!(said.starts_with("error: ") && said != whole, "{said}");
    }
    assert_eq!(give(&good[..20], 21), "error: 20 bytes of 21 came\n");
    assert_eq!(give(&[], 0), "error: unknown request\n");
    assert_eq!(give(&good, 5 << 20), "error: unknown request\n");
    let forget = format!("forget {}\n", "0a".repeat(16));
    assert_eq!(daemon.ask(&forget).unwrap(), "forget: done\n");
    // It still answers, and one after the other was taken.
    assert!(daemon.ask("status\n").unwrap().contains("netdb.routers: 0"));
}

#[test]
fn a_daemon_without_privileges_and_without_a_network() {
    let mut daemon = Daemon::start();
    closed_to_others(&daemon.data());
    given_up(&daemon);
    pages(&daemon);
    streams(&daemon);
    brought(&daemon);
    let keys = fs::read(daemon.data().join("router.keys")).unwrap();
    assert_eq!(daemon.ask("shutdown\n").unwrap(), "shutdown: started\n");
    assert!(daemon.process.wait().unwrap().success());
    assert!(!keys.is_empty());
    assert!(!daemon.data().join("run/stream.sock").exists());
}
