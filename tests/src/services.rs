//! What the site offers besides pages: a shell by SSH, a line service that speaks first, and a git
//! repository among its files.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::fault::{About, Outcome};
use crate::netns::Netns;
use crate::process::{self, Process};
use crate::{places, wall};

/// Name of the tunnel, port of the site, and port beside the router that publishes it.
pub const PORTS: [(&str, u16, u16); 2] = [("shell", 22, 2222), ("lines", 6667, 2667)];

/// What the line service says first.
pub const GREETING: &str = ":garden NOTICE * :welcome";

/// Everything running; it ends when dropped.
pub struct Services {
    _shell: Process,
    /// The key that opens the shell.
    pub key: PathBuf,
    /// What the repository has in its file `readme`.
    pub readme: String,
    stop: Arc<AtomicBool>,
    lines: Option<JoinHandle<()>>,
}

impl Services {
    /// Starts all in the namespace of the site; `folder` is made.
    pub fn start(namespace: &Netns, folder: &Path) -> Outcome<Services> {
        let folder = places::folder(folder.to_path_buf())?;
        let key = folder.join("key");
        let shell = shell(namespace, &folder, &key)?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, PORTS[1].2));
        let listener = namespace.inside(|| TcpListener::bind(address).about("lines"))?;
        listener.set_nonblocking(true)?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let lines = thread::spawn(move || accept(&listener, &stopped));
        Ok(Services {
            _shell: shell,
            key,
            readme: repository(&folder)?,
            stop,
            lines: Some(lines),
        })
    }

    /// Where the repository is, below a folder given to [`Services::start`].
    pub fn files(folder: &Path) -> PathBuf {
        folder.join("files")
    }
}

impl Drop for Services {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        if let Some(lines) = self.lines.take() {
            let _ = lines.join();
        }
    }
}

/// A shell for root of the namespace, whose home is in `folder`, by key only.
fn shell(namespace: &Netns, folder: &Path, key: &Path) -> Outcome<Process> {
    let (home, host) = (folder.join("home"), folder.join("host"));
    let ssh = places::folder(home.join(".ssh"))?;
    for path in [&home, &ssh] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o700))?;
    }
    let (key_text, host_text) = (key.to_string_lossy(), host.to_string_lossy());
    process::run(&[
        "ssh-keygen",
        "-q",
        "-t",
        "ed25519",
        "-N",
        "",
        "-f",
        &key_text,
    ])?;
    process::run(&["dropbearkey", "-t", "ed25519", "-f", &host_text])?;
    let public = format!("{key_text}.pub");
    fs::copy(public, ssh.join("authorized_keys")).about("key")?;
    let root = format!("root:x:0:0:root:{}:/bin/sh\n", home.display());
    namespace.etc("passwd", &root)?;
    let mut command = namespace.command(places::program("dropbear")?);
    let listen = format!("127.0.0.1:{}", PORTS[0].2);
    command.args(["-F", "-E", "-s", "-p", &listen, "-r", &host_text]);
    let pid = folder.join("shell.pid");
    command.arg("-P").arg(pid);
    Process::start("dropbear", command, &folder.join("shell.log"))
}

/// A repository as plain files, with something in it.
fn repository(folder: &Path) -> Outcome<String> {
    let (work, files) = (
        folder.join("work"),
        places::folder(Services::files(folder))?,
    );
    let work_text = work.to_string_lossy().into_owned();
    let bare = files.join("garden.git").to_string_lossy().into_owned();
    process::run(&["git", "init", "-q", &work_text])?;
    let readme: String = (0..5000).map(|n| format!("line {n}\n")).collect();
    fs::write(work.join("readme"), &readme)?;
    let git = |words: &[&str]| {
        let who = ["-c", "user.name=anna", "-c", "user.email=anna@garden.i2p"];
        process::run(&[&["git", "-C", &work_text], &who[..], words].concat())
    };
    git(&["add", "readme"])?;
    git(&["commit", "-q", "-m", "seeds"])?;
    process::run(&["git", "clone", "-q", "--bare", &work_text, &bare])?;
    process::run(&["git", "-C", &bare, "update-server-info"])?;
    Ok(readme)
}

fn accept(listener: &TcpListener, stop: &AtomicBool) {
    while !stop.load(Ordering::SeqCst) {
        match listener.accept() {
            Ok((stream, _)) => {
                thread::spawn(move || talk(stream));
            }
            Err(_) => thread::sleep(Duration::from_millis(5)),
        }
    }
}

/// Greets, then says each line again.
fn talk(mut stream: TcpStream) -> Outcome<()> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    stream.write_all(format!("{GREETING}\r\n").as_bytes())?;
    let reader = BufReader::new(stream.try_clone()?);
    for line in reader.lines() {
        stream.write_all(format!(":garden ECHO {}\r\n", line?).as_bytes())?;
    }
    Ok(())
}

/// The line service as a client sees it: seconds to its greeting, and to an answer.
pub fn use_lines(client: &Netns, to: SocketAddr) -> Outcome<(f64, f64)> {
    client.inside(|| {
        let start = wall::now();
        let limit = Duration::from_secs(30);
        let mut stream = TcpStream::connect_timeout(&to, limit)?;
        stream.set_read_timeout(Some(limit))?;
        let mut reader = BufReader::new(stream.try_clone()?);
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let greeted = wall::since(start);
        if line.trim_end() != GREETING {
            return Err(crate::fault::Fault::new(format!("greeted by {line:?}")));
        }
        stream.write_all(b"NICK anna\r\n")?;
        line.clear();
        reader.read_line(&mut line)?;
        if line.trim_end() != ":garden ECHO NICK anna" {
            return Err(crate::fault::Fault::new(format!("answered {line:?}")));
        }
        Ok((greeted, wall::since(start)))
    })
}
