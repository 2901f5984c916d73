//! The loop of the console: one request after the other, and a sample of the router in between.
//! Nothing in here is shared between threads.

use super::access::Access;
use super::handover::Handed;
use super::history::{History, STEP};
use super::routes::{Console, Others};
use super::upload::pass_on;
use super::{Asked, BODY_MAX, DEVICE, Reply, UPDATE, clock, views};
use crate::backup::Entry;
use crate::supervisor::machine;
use crate::web::Facts;
use crate::web::router_state::RouterState;
use crate::{ctl, saved};
use nix::fcntl::{OFlag, openat};
use nix::sys::socket::{MsgFlags, recv};
use nix::sys::stat::Mode;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;
use std::time::Duration;
use tiny_http::{Header, Method, Request, Response, Server};

/// Name of the password's file, and the longest that is read.
const FILE: &str = "password";
const FILE_MAX: u64 = 1024;

/// How long the supervisor may take: it may be loading rules.
const PATIENCE: Duration = Duration::from_secs(10);

/// Longest answer of the supervisor's that is read, bytes.
const ANSWER_MAX: u32 = 1 << 20;

/// How often it is looked whether the supervisor is still there.
const LOOK: Duration = Duration::from_secs(1);

/// The system, as the console sees it.
struct System {
    channel: UnixStream,
    control: PathBuf,
    dir: OwnedFd,
    /// Where updates are taken, and the one that is on its way.
    updates: PathBuf,
    upload: Option<JoinHandle<()>>,
    /// The supervisor is gone, or out of step.
    lost: bool,
}

/// Serves until the supervisor is gone.
///
/// # Errors
/// In words: the password's file cannot be read, or the socket is none.
pub fn run(
    facts: Facts,
    (control, updates): (&Path, PathBuf),
    handed: Handed,
    channel: UnixStream,
) -> Result<(), String> {
    let Handed {
        listener,
        dir,
        window,
    } = handed;
    let hash = read(&dir).map_err(|e| format!("{FILE}: {e}"))?;
    announce(&facts, hash.is_some(), &window);
    let text = |e: &dyn std::fmt::Display| e.to_string();
    listener.set_nonblocking(false).map_err(|e| text(&e))?;
    channel
        .set_read_timeout(Some(PATIENCE))
        .map_err(|e| text(&e))?;
    channel
        .set_write_timeout(Some(PATIENCE))
        .map_err(|e| text(&e))?;
    let server = Server::from_listener(listener, None).map_err(|e| text(&e))?;
    let mut console = Console {
        facts,
        access: Access::new(hash, window, clock()),
        history: History::default(),
    };
    let mut system = System {
        channel,
        control: control.to_owned(),
        dir,
        updates,
        upload: None,
        lost: false,
    };
    let mut sample = clock();
    while !system.lost {
        if sample <= clock() {
            let state = system.router();
            console.history.add(state, clock());
            sample = clock() + STEP;
        }
        match server.recv_timeout(LOOK) {
            Ok(Some(request)) => serve(&mut console, &mut system, request),
            Ok(None) => system.lost |= is_closed(&system.channel),
            Err(e) => return Err(format!("requests: {e}")),
        }
    }
    Ok(())
}

/// Where there is a screen or a serial line, what is said here is seen on it.
fn announce(facts: &Facts, has_password: bool, window: &super::access::Window) {
    let open = window.until > clock() && (window.replaces || !has_password);
    if !open {
        return;
    }
    let minutes = window
        .until
        .saturating_duration_since(clock())
        .as_secs()
        .div_ceil(60);
    let at = format!("http://{}/setup", facts.v4);
    match window
        .code
        .as_ref()
        .and_then(|code| std::str::from_utf8(code).ok())
    {
        Some(code) => {
            eprintln!(
                "console: to set a password open {at} within {minutes} minutes; code: {code}"
            );
        }
        None => eprintln!(
            "console: the first visitor of {at} sets the password, within {minutes} minutes"
        ),
    }
}

fn serve(console: &mut Console, system: &mut System, mut request: Request) {
    const MALFORMED: &str = "The request is malformed or too long.";
    let reply = match head(&request) {
        Some(asked) if asked.post && asked.path == UPDATE => {
            match console.upload(&asked, clock()) {
                // He is asked whether he may before anything is sent.
                Ok(()) if request.body_length() == Some(0) => Reply::nothing(),
                Ok(()) => match system.upload(request, asked.content_type) {
                    None => return,
                    Some(back) => {
                        request = back;
                        views::update::failed("another update is on its way")
                    }
                },
                Err(reply) => reply,
            }
        }
        Some(mut asked) => match body(&mut request, &mut asked) {
            Some(()) => console.answer(system, &asked, clock()),
            None => views::refused(400, MALFORMED),
        },
        None => views::refused(400, MALFORMED),
    };
    respond(request, reply);
}

fn respond(request: Request, reply: Reply) {
    let Reply {
        status,
        headers,
        html,
    } = reply;
    let mut response = Response::from_string(html)
        .with_status_code(status)
        .with_chunked_threshold(usize::MAX);
    // The library's own guess stands first otherwise.
    for (name, value) in &headers {
        if let Ok(header) = Header::from_bytes(name.as_bytes(), value.as_bytes()) {
            response.add_header(header);
        }
    }
    // A visitor who is gone needs no answer.
    let _ = request.respond(response);
}

/// A request without its body.
fn head(request: &Request) -> Option<Asked> {
    let header = |name: &'static str| {
        let mut all = request.headers().iter();
        let found = all.find(|h| h.field.equiv(name))?;
        Some(found.value.as_str().to_owned())
    };
    let (path, query) = match request.url().split_once('?') {
        Some((path, query)) => (path.to_owned(), query.to_owned()),
        None => (request.url().to_owned(), String::new()),
    };
    Some(Asked {
        post: *request.method() == Method::Post,
        path,
        query,
        host: header("Host")?,
        origin: header("Origin"),
        referer: header("Referer"),
        cookie: header("Cookie"),
        content_type: header("Content-Type").unwrap_or_default(),
        device: header(DEVICE).unwrap_or_default(),
        body: Vec::new(),
    })
}

/// Its body.
fn body(request: &mut Request, asked: &mut Asked) -> Option<()> {
    let most = u64::try_from(BODY_MAX).unwrap_or(u64::MAX);
    let mut limited = request.as_reader().take(most + 1);
    limited.read_to_end(&mut asked.body).ok()?;
    (asked.body.len() <= BODY_MAX).then_some(())
}

impl Others for System {
    fn supervisor(&mut self, line: &str) -> String {
        self.exchange(line).unwrap_or_else(|e| {
            // Its answer may still come and would be taken for the next one's.
            self.lost = true;
            format!("error: the supervisor does not answer: {e}\n")
        })
    }

    fn router(&mut self) -> Option<RouterState> {
        let status = ctl::ask(&self.control, "status").ok()?;
        (!status.starts_with("error")).then(|| RouterState::parse(&status))
    }

    fn reseed(&mut self, file: &[u8]) -> Result<String, String> {
        let said = ctl::give(&self.control, &format!("reseed {}", file.len()), file)?;
        match said.strip_prefix("error: ") {
            Some(why) => Err(why.to_owned()),
            None => Ok(said),
        }
    }

    fn stage(&mut self, entries: &[Entry]) -> Result<(), String> {
        machine::stage(&self.dir, entries).map_err(|e| e.to_string())
    }

    fn keep(&mut self, hash: &str) -> Result<(), String> {
        saved::write(&self.dir, FILE, hash.as_bytes()).map_err(|e| e.to_string())?;
        // Should it not hear of it, this process ends; another would ask for the code once more.
        self.supervisor("password-set");
        Ok(())
    }

    fn random(&mut self) -> Option<[u8; 32]> {
        let mut random = [0; 32];
        getrandom::fill(&mut random).ok().map(|()| random)
    }
}

impl System {
    /// Passes an update on, one at a time, while others are answered; the request, when it is
    /// not taken.
    fn upload(&mut self, mut request: Request, content_type: String) -> Option<Request> {
        if self.upload.as_ref().is_some_and(|task| !task.is_finished()) {
            return Some(request);
        }
        let updates = self.updates.clone();
        self.upload = Some(std::thread::spawn(move || {
            let reply = pass_on(&content_type, request.as_reader(), &updates);
            // What is left of it the library would read at once.
            let _ = io::copy(request.as_reader(), &mut io::sink());
            respond(request, reply);
        }));
        None
    }

    fn exchange(&mut self, line: &str) -> io::Result<String> {
        self.channel.write_all(format!("{line}\n").as_bytes())?;
        let mut len = [0; 4];
        self.channel.read_exact(&mut len)?;
        let len = u32::from_be_bytes(len);
        if len > ANSWER_MAX {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mut text = vec![0; usize::try_from(len).map_err(io::Error::other)?];
        self.channel.read_exact(&mut text)?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }
}

fn is_closed(channel: &UnixStream) -> bool {
    let mut byte = [0];
    let flags = MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT;
    match recv(channel.as_raw_fd(), &mut byte, flags) {
        Ok(n) => n == 0,
        Err(nix::Error::EAGAIN | nix::Error::EINTR) => false,
        Err(_) => true,
    }
}

/// What was kept of the password.
fn read(dir: &OwnedFd) -> io::Result<Option<String>> {
    let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK;
    let fd = match openat(dir.as_fd(), FILE, flags, Mode::empty()) {
        Ok(fd) => fd,
        Err(nix::Error::ENOENT) => return Ok(None),
        Err(e) => return Err(e.into()),
    };
    let mut text = String::new();
    File::from(fd).take(FILE_MAX).read_to_string(&mut text)?;
    // One that is no hash opens for nobody, and is not taken for none.
    Ok(Some(text))
}
