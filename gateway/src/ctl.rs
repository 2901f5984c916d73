//! Asks the supervisor and the router over their sockets: one line, text until the end.

use std::fmt::Write as _;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long an update may stand still: disks are slow.
const UPDATE: Duration = Duration::from_secs(60);

/// Longest answer that is shown, bytes.
const ANSWER_MAX: u64 = 1 << 20;

/// Where the two listen.
#[derive(Debug, Clone)]
pub struct Sockets {
    /// The supervisor.
    pub gateway: PathBuf,
    /// The router's control socket.
    pub router: PathBuf,
}

/// The answer to one line.
///
/// # Errors
/// In words: nobody listens there, who asks is not allowed to, or the answer does not end.
pub fn ask(socket: &Path, line: &str) -> Result<String, String> {
    give(socket, line, &[])
}

/// The answer to one line with bytes behind it.
///
/// # Errors
/// As [`ask`].
pub fn give(socket: &Path, line: &str, bytes: &[u8]) -> Result<String, String> {
    let named = |e: io::Error| match e.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
            format!("is not running: nobody listens at {}", socket.display())
        }
        io::ErrorKind::PermissionDenied => {
            format!("{}: only root may ask", socket.display())
        }
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
            format!(
                "{}: no answer in {} seconds",
                socket.display(),
                PATIENCE.as_secs()
            )
        }
        _ => format!("{}: {e}", socket.display()),
    };
    let mut stream = UnixStream::connect(socket).map_err(named)?;
    stream.set_read_timeout(Some(PATIENCE)).map_err(named)?;
    stream.set_write_timeout(Some(PATIENCE)).map_err(named)?;
    stream
        .write_all(format!("{line}\n").as_bytes())
        .map_err(named)?;
    // One who does not want them has answered, and has closed.
    let _ = stream.write_all(bytes);
    let mut answer = Vec::new();
    stream
        .take(ANSWER_MAX)
        .read_to_end(&mut answer)
        .map_err(named)?;
    if answer.is_empty() {
        return Err(format!("{}: closed without an answer", socket.display()));
    }
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// Sends an update up, as it is read; `told` hears how far it is. What came of it.
///
/// # Errors
/// In words: why it was not taken.
pub fn update(
    socket: &Path,
    mut file: impl Read,
    told: &mut (dyn FnMut(&str) + Send),
) -> Result<String, String> {
    let named = |e: io::Error| format!("{}: {e}", socket.display());
    let stream = UnixStream::connect(socket).map_err(named)?;
    stream.set_read_timeout(Some(UPDATE)).map_err(named)?;
    stream.set_write_timeout(Some(UPDATE)).map_err(named)?;
    let mut to = stream.try_clone().map_err(named)?;
    let last = std::thread::scope(|threads| {
        let listening = threads.spawn(|| {
            let mut last = String::new();
            let lines = BufReader::new(stream.take(ANSWER_MAX)).lines();
            for line in lines.map_while(Result::ok) {
                told(&line);
                last = line;
            }
            last
        });
        // One who does not want it has answered, and has closed.
        let sent = io::copy(&mut file, &mut to);
        let _ = to.shutdown(std::net::Shutdown::Write);
        (sent, listening.join().unwrap_or_default())
    });
    match (last.1.split_once(": "), last.0) {
        (Some(("ok", done)), _) => Ok(done.to_owned()),
        (Some(("error", why)), _) => Err(why.to_owned()),
        (_, Err(e)) => Err(e.to_string()),
        _ => Err("the update was broken off".into()),
    }
}

/// Both statuses, each line with its part before it; whether both were answered.
#[must_use]
pub fn status(sockets: &Sockets) -> (String, bool) {
    let (mut text, mut well) = (String::new(), true);
    for (part, socket) in [("gateway", &sockets.gateway), ("router", &sockets.router)] {
        let lines = ask(socket, "status").unwrap_or_else(|e| {
            well = false;
            format!("error: {e}\n")
        });
        for line in lines.lines() {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{part}: {line}");
        }
    }
    (text, well)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;

    #[test]
    fn both_are_asked_and_who_is_away_is_named() {
        let dir = std::env::temp_dir().join(format!("ramson-ctl-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let sockets = Sockets {
            gateway: dir.join("admin.sock"),
            router: dir.join("control.sock"),
        };
        let (text, well) = status(&sockets);
        let missing = sockets.gateway.display();
        let expected = format!("gateway: error: is not running: nobody listens at {missing}\n");
        assert!(!well && text.starts_with(&expected), "{text}");
        let served: Vec<_> = [&sockets.gateway, &sockets.router]
            .into_iter()
            .map(|path| {
                let listener = UnixListener::bind(path).unwrap();
                std::thread::spawn(move || {
                    let (mut stream, _) = listener.accept().unwrap();
                    let mut line = [0; 7];
                    stream.read_exact(&mut line).unwrap();
                    assert_eq!(&line, b"status\n");
                    stream.write_all(b"a: 1\nb: 2\n").unwrap();
                })
            })
            .collect();
        let (text, well) = status(&sockets);
        assert!(well);
        assert_eq!(
            text,
            "gateway: a: 1\ngateway: b: 2\nrouter: a: 1\nrouter: b: 2\n"
        );
        served.into_iter().for_each(|thread| thread.join().unwrap());
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
