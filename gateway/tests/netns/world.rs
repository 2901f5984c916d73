//! Three namespaces (client, gateway, Internet), the real programs in the middle, a fake router.

use nix::sched::{CloneFlags, setns};
use nix::sys::signal::{Signal, kill};
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, setsockopt, socket, sockopt,
};
use nix::unistd::Pid;
use ramson_ipc::{Answer, CHUNK_END, Chunks, Open, Reason, chunk_head};
use std::fs::{self, File, Permissions};
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

pub const ROUTER: u32 = 64_101;
pub const GATEWAY: u32 = 64_102;
pub const WAN_DHCP: u32 = 64_103;
pub const CONSOLE: u32 = 64_104;
pub const CLOCK: u32 = 64_105;

const WAN_MAC: &str = "02:00:00:00:02:02";

/// Bytes of every site.
pub fn site() -> Vec<u8> {
    (0..3_000_000u32)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect()
}

/// Why the tests cannot run here.
pub fn missing() -> Option<&'static str> {
    let there = |program: &str, arg: &str| Command::new(program).arg(arg).output().is_ok();
    let able = nix::unistd::Uid::effective().is_root() && there("ip", "-V") && there("nft", "-v");
    (!able).then_some("needs root, ip and nft")
}

/// The namespaces, and the supervisor once started. Dropping it removes everything.
pub struct World {
    name: String,
    pub dir: PathBuf,
    pub supervisor: Option<Child>,
    /// Whether the supervisor takes its rules away at its end.
    pub remove_rules: bool,
    /// Where the WAN's addresses come from.
    pub wan_mode: &'static str,
    /// Whether there is a page that configures the box.
    pub console: bool,
    /// Further sections of the configuration.
    pub sections: String,
    /// Where programs are looked for before all other places.
    pub programs: Option<PathBuf>,
    /// Further arguments of the supervisor.
    pub arguments: Vec<String>,
}

static NUMBER: AtomicU32 = AtomicU32::new(0);

impl World {
    pub fn new() -> Self {
        let n = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("rgw{}x{n}", std::process::id());
        let dir = std::env::temp_dir().join(&name);
        fs::create_dir_all(&dir).unwrap();
        fs::set_permissions(&dir, Permissions::from_mode(0o755)).unwrap();
        let world = Self {
            name,
            dir,
            supervisor: None,
            remove_rules: true,
            wan_mode: "external",
            console: false,
            sections: String::new(),
            programs: None,
            arguments: Vec::new(),
        };
        for side in ["lan", "gw", "wan"] {
            ip(&format!("netns add {}", world.ns(side)));
        }
        world.links();
        world
    }

    /// Both links with everything that is not the gateway's own business.
    fn links(&self) {
        let (lan, gw, wan) = (self.ns("lan"), self.ns("gw"), self.ns("wan"));
        let outside = format!("eth0 address {WAN_MAC} netns {wan}");
        for line in [
            format!("-n {gw} link add lan0 type veth peer name eth0 netns {lan}"),
            format!("-n {gw} link add wan0 type veth peer name {outside}"),
            format!("-n {gw} addr add 10.9.0.1/8 dev wan0"),
            format!("-n {gw} link set wan0 up"),
            format!("-n {wan} addr add 10.1.0.1/8 dev eth0"),
            format!("-n {wan} link set eth0 up"),
            format!("-n {wan} route add 192.168.77.0/24 via 10.9.0.1"),
            format!("-n {wan} route add 198.18.0.0/15 via 10.9.0.1"),
            format!("-n {gw} route add default via 10.1.0.1"),
            format!("-n {lan} link set lo up"),
            format!("-n {lan} addr add 192.168.77.10/24 dev eth0"),
            format!("-n {lan} -6 addr add fd77:1::10/64 dev eth0 nodad"),
            format!("-n {lan} link set eth0 up"),
            format!("-n {lan} route add default via 192.168.77.1"),
            format!("-n {lan} -6 route add default via fd77:1::1"),
        ] {
            ip(&line);
        }
    }

    /// Takes both links away and makes new ones of the same names.
    pub fn replace_links(&self) {
        for link in ["lan0", "wan0"] {
            ip(&format!("-n {} link del {link}", self.ns("gw")));
        }
        self.links();
    }

    pub fn ns(&self, side: &str) -> String {
        format!("{}{side}", self.name)
    }

    /// Runs something in a namespace, on a thread of its own.
    pub fn inside<T: Send>(&self, side: &str, f: impl FnOnce() -> T + Send) -> T {
        let path = format!("/var/run/netns/{}", self.ns(side));
        let enter = move || {
            setns(File::open(path).unwrap(), CloneFlags::CLONE_NEWNET).unwrap();
            f()
        };
        std::thread::scope(|scope| scope.spawn(enter).join().unwrap())
    }

    /// Writes the configuration and starts the supervisor in the gateway's namespace.
    /// `address6` is a line of `[lan]`, or empty.
    pub fn start(&mut self, wan: &str, address6: &str) {
        let dir = self.dir.display();
        let text = format!(
            "[lan]\n{address6}\n[wan]\ninterface = \"{wan}\"\nmode = \"{}\"\n\
             [users]\nrouter = {ROUTER}\ngateway = {GATEWAY}\nwan = {WAN_DHCP}\n\
             console = {CONSOLE}\nclock = {CLOCK}\n{}\n[console]\nenabled = {}\n[paths]\n\
             console_sock = \"{dir}/page/console.sock\"\n\
             state_dir = \"{dir}/state\"\nstream_sock = \"{dir}/stream.sock\"\n\
             control_sock = \"{dir}/control.sock\"\n\
             admin_sock = \"{dir}/admin.sock\"\n",
            self.wan_mode, self.sections, self.console
        );
        let config = self.dir.join("gateway.toml");
        fs::write(&config, text).unwrap();
        // The build directory may be closed to other users.
        let gatewayd = self.dir.join("gatewayd");
        fs::copy(env!("CARGO_BIN_EXE_gatewayd"), &gatewayd).unwrap();
        let console = self.dir.join("console");
        fs::copy(env!("CARGO_BIN_EXE_console"), &console).unwrap();
        let updater = self.dir.join("updater");
        fs::copy(env!("CARGO_BIN_EXE_updater"), updater).unwrap();
        let mut command = Command::new("ip");
        command.args([
            "netns",
            "exec",
            &self.ns("gw"),
            env!("CARGO_BIN_EXE_supervisor"),
        ]);
        command
            .arg("--config")
            .arg(config)
            .arg("--gatewayd")
            .arg(gatewayd);
        command.args(&self.arguments);
        if let Some(programs) = &self.programs {
            let path = std::env::var("PATH").unwrap();
            command.env("PATH", format!("{}:{path}", programs.display()));
        }
        if self.remove_rules {
            command.arg("--remove-rules-on-exit");
        }
        self.supervisor = Some(command.spawn().unwrap());
    }

    /// Asks the supervisor; empty while it is not there.
    pub fn admin(&self, request: &str) -> String {
        let mut answer = String::new();
        if let Ok(mut stream) = UnixStream::connect(self.dir.join("admin.sock")) {
            stream.write_all(request.as_bytes()).unwrap();
            stream.read_to_string(&mut answer).unwrap();
        }
        answer
    }

    /// A number of the status.
    pub fn count(&self, key: &str) -> u64 {
        let status = self.admin("status\n");
        let line = status
            .lines()
            .find_map(|l| l.strip_prefix(key)?.strip_prefix(": "));
        line.unwrap_or_else(|| panic!("{key}: {status}"))
            .parse()
            .unwrap()
    }

    /// The client becomes another device, which asks for the gateway's MAC as all do.
    pub fn new_device(&self, mac: &str) {
        let (lan, gw) = (self.ns("lan"), self.ns("gw"));
        ip(&format!("-n {lan} link set eth0 address {mac}"));
        ip(&format!("-n {lan} neigh flush dev eth0"));
        ip(&format!("-n {gw} neigh flush dev lan0"));
    }

    /// The process id of `gatewayd`, once it runs.
    pub fn gatewayd(&self) -> Option<i32> {
        let status = self.admin("status\n");
        let pid = status
            .lines()
            .find_map(|l| l.strip_prefix("gatewayd: running, pid "))?;
        pid.parse().ok()
    }

    /// Ends the supervisor; its exit code.
    pub fn stop(&mut self) -> Option<i32> {
        let mut child = self.supervisor.take()?;
        kill(
            Pid::from_raw(i32::try_from(child.id()).unwrap()),
            Signal::SIGTERM,
        )
        .unwrap();
        child.wait().unwrap().code()
    }

    /// What a program says inside a namespace.
    pub fn output(&self, side: &str, program: &str, args: &[&str]) -> String {
        let mut command = Command::new("ip");
        let output = command
            .args(["netns", "exec", &self.ns(side), program])
            .args(args)
            .output();
        String::from_utf8(output.unwrap().stdout).unwrap()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.stop();
        for side in ["lan", "gw", "wan"] {
            let _ = Command::new("ip")
                .args(["netns", "del", &self.ns(side)])
                .status();
        }
        let _ = fs::remove_dir_all(&self.dir);
    }
}

pub fn ip(line: &str) {
    let status = Command::new("ip")
        .args(line.split_whitespace())
        .status()
        .unwrap();
    assert!(status.success(), "ip {line}");
}

/// Waits until something is there, at most ten seconds.
pub fn wait_for<T>(what: &str, mut f: impl FnMut() -> Option<T>) -> T {
    for _ in 0..200 {
        if let Some(found) = f() {
            return found;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("{what} did not happen");
}

/// Answers `Open` frames: `bad.i2p` is refused, `echo.i2p` echoes, `cut.i2p` sends half of
/// [`site`] and closes without an end, `long.i2p` sends as long as it is read, `still.i2p` takes
/// nothing for a minute, all others send
/// [`site`] after five bytes, say the end and close.
pub struct FakeRouter {
    pub opens: Arc<Mutex<Vec<Open>>>,
    /// Streams whose client has cut them.
    pub cuts: Arc<AtomicU32>,
    path: PathBuf,
    stop: Arc<AtomicBool>,
}

impl FakeRouter {
    pub fn start(dir: &Path) -> Self {
        let path = dir.join("stream.sock");
        let listener = UnixListener::bind(&path).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o666)).unwrap();
        let (opens, stop) = (Arc::default(), Arc::new(AtomicBool::new(false)));
        let cuts = Arc::new(AtomicU32::new(0));
        let router = Self {
            opens: Arc::clone(&opens),
            cuts: Arc::clone(&cuts),
            path,
            stop: Arc::clone(&stop),
        };
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                let (opens, cuts) = (Arc::clone(&opens), Arc::clone(&cuts));
                // As the router does.
                let size = ramson_gateway::flow::buffers::UNIX_SEND;
                let bounded = stream
                    .as_ref()
                    .map(|s| setsockopt(s, sockopt::SndBuf, &size));
                bounded.unwrap().unwrap();
                std::thread::spawn(move || {
                    let whole = serve(stream.unwrap(), &opens);
                    cuts.fetch_add(u32::from(whole.is_none()), Ordering::Relaxed);
                });
            }
        });
        router
    }

    /// Nobody listens afterwards.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = UnixStream::connect(&self.path);
    }
}

/// `None` when the client goes away before all is done.
fn serve(mut stream: UnixStream, opens: &Mutex<Vec<Open>>) -> Option<()> {
    let (mut buf, mut chunk) = (Vec::new(), [0; 4096]);
    let (open, used) = loop {
        let n = stream.read(&mut chunk).unwrap_or(0);
        if n == 0 {
            return Some(());
        }
        buf.extend_from_slice(&chunk[..n]);
        if let Some(done) = Open::decode(&buf).unwrap() {
            break done;
        }
    };
    let name = open.name.clone();
    opens.lock().unwrap().push(open);
    let refused = name == "bad.i2p";
    let answer = if refused {
        Answer::Refused(Reason::UnknownName)
    } else {
        Answer::Opened
    };
    let _ = stream.write_all(&answer.encode().unwrap());
    if refused {
        return Some(());
    }
    let (mut chunks, mut got) = (Chunks::default(), buf.split_off(used));
    let n = chunks.strip(&mut got).unwrap();
    got.truncate(n);
    while !chunks.is_ended() && (name == "echo.i2p" || got.len() < 5) {
        let n = stream.read(&mut chunk).ok().filter(|n| *n > 0)?;
        let n = chunks.strip(&mut chunk[..n]).unwrap();
        got.extend_from_slice(&chunk[..n]);
    }
    match name.as_str() {
        "echo.i2p" => send(&mut stream, &got)?,
        "cut.i2p" => return send(&mut stream, &site()[..1_500_000]),
        "still.i2p" => std::thread::sleep(Duration::from_secs(60)),
        "long.i2p" => {
            let site = site();
            loop {
                send(&mut stream, &site)?;
            }
        }
        _ => send(&mut stream, &site())?,
    }
    stream.write_all(&CHUNK_END).ok()
}

fn send(stream: &mut UnixStream, bytes: &[u8]) -> Option<()> {
    for piece in bytes.chunks(50_000) {
        stream.write_all(&chunk_head(piece.len()).unwrap()).ok()?;
        stream.write_all(piece).ok()?;
    }
    Some(())
}

/// Everything that arrives on the Internet's side of the WAN link.
pub struct Capture(OwnedFd);

impl Capture {
    pub fn new(world: &World) -> Self {
        world.inside("wan", || {
            let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
            let all = SockProtocol::EthAll;
            Self(socket(AddressFamily::Packet, SockType::Raw, flags, all).unwrap())
        })
    }

    /// Frames since the last call that came from the box and are not address resolution.
    pub fn frames(&self) -> Vec<Vec<u8>> {
        std::thread::sleep(Duration::from_millis(50));
        let (mut found, mut buf) = (Vec::new(), [0; 2048]);
        while let Ok(n) = recv(self.0.as_raw_fd(), &mut buf, MsgFlags::empty()) {
            let frame = &buf[..n];
            if frame[6..12] != [2, 0, 0, 0, 2, 2] && !resolution(frame) {
                found.push(frame.to_vec());
            }
        }
        found
    }
}

/// ARP, neighbour discovery, and the multicast reports that go with it.
fn resolution(frame: &[u8]) -> bool {
    match (&frame[12..14], frame.get(20), frame.get(54)) {
        ([8, 6], ..) => true,
        ([0x86, 0xdd], Some(58), Some(133..=136)) => true,
        ([0x86, 0xdd], Some(0), _) => frame.get(62) == Some(&143),
        _ => false,
    }
}
