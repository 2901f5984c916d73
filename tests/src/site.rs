//! The web server behind the test site: a page, and bytes whose every value is known.
//!
//! `GET /` is a page, `GET /bytes/N` is N bytes, `POST /sum` answers the SHA-256 and the length of
//! what was sent; `/selftest` is a page that tests itself in a browser (`web`). One answer per
//! connection, which is closed right after its last byte: readers slower than the sender must still
//! get everything.

mod web;

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::fault::{About, Fault, Outcome};
use crate::netns::Netns;

/// The text of the page.
pub const PAGE: &str = "<html><body><h1>Hello from the garden</h1></body></html>\n";

/// What the page shows.
pub const PAGE_SAYS: &str = "Hello from the garden";

const CONNECTIONS: usize = 64;

/// What all connections know.
#[derive(Default)]
struct Shared {
    reports: web::Reports,
    /// A folder whose files are served, once there is one.
    files: OnceLock<PathBuf>,
    /// How often the page was asked for.
    pages: AtomicUsize,
}

/// The server; it ends when dropped.
pub struct Site {
    shared: Arc<Shared>,
    stop: Arc<AtomicBool>,
    open: Arc<AtomicUsize>,
    worker: Option<JoinHandle<()>>,
}

impl Site {
    /// Listens on `address` inside the namespace.
    pub fn start(namespace: &Netns, address: SocketAddr) -> Outcome<Site> {
        let listener = namespace.inside(|| TcpListener::bind(address).about("site"))?;
        listener.set_nonblocking(true)?;
        let stop = Arc::new(AtomicBool::new(false));
        let open = Arc::new(AtomicUsize::new(0));
        let shared = Arc::<Shared>::default();
        let worker = thread::spawn({
            let (stop, open) = (Arc::clone(&stop), Arc::clone(&open));
            let shared = Arc::clone(&shared);
            move || accept(&listener, &stop, &open, &shared)
        });
        Ok(Site {
            shared,
            stop,
            open,
            worker: Some(worker),
        })
    }

    /// What pages of the browser's own test have said; they are taken.
    pub fn reports(&self) -> Vec<String> {
        self.shared.reports.take()
    }

    /// How often the page was asked for.
    pub fn pages(&self) -> usize {
        self.shared.pages.load(Ordering::SeqCst)
    }

    /// Serves the files below a folder under `/files/`, from now on.
    pub fn serve_files(&self, folder: PathBuf) {
        // The first one stays.
        let _ = self.shared.files.set(folder);
    }

    /// How many connections are being served.
    pub fn open_connections(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        if let Some(worker) = self.worker.take() {
            let _ = worker.join();
        }
    }
}

fn accept(
    listener: &TcpListener,
    stop: &AtomicBool,
    open: &Arc<AtomicUsize>,
    shared: &Arc<Shared>,
) {
    while !stop.load(Ordering::SeqCst) {
        match listener.accept() {
            Ok((stream, _)) if open.load(Ordering::SeqCst) < CONNECTIONS => {
                open.fetch_add(1, Ordering::SeqCst);
                let (open, shared) = (Arc::clone(open), Arc::clone(shared));
                thread::spawn(move || {
                    let _ = serve(stream, &shared);
                    open.fetch_sub(1, Ordering::SeqCst);
                });
            }
            Ok(_) => {}
            Err(_) => thread::sleep(Duration::from_millis(5)),
        }
    }
}

fn serve(stream: TcpStream, shared: &Shared) -> Outcome<()> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    stream.set_write_timeout(Some(Duration::from_secs(120)))?;
    let mut reader = BufReader::new(stream.try_clone()?.take(1 << 40));
    let mut first = String::new();
    reader.read_line(&mut first)?;
    let (mut length, mut headers) = (0, Vec::new());
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 || line.trim().is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':')
            && headers.len() < 100
        {
            let (name, value) = (name.to_ascii_lowercase(), value.trim().to_owned());
            if name == "content-length" {
                length = value.parse().unwrap_or(0);
            }
            headers.push((name, value));
        }
    }
    let mut words = first.split_whitespace();
    let (method, path) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
    let path = path
        .strip_prefix("http://")
        .map_or(path, |p| p.find('/').map_or("/", |i| &p[i..]));
    let mut out = stream;
    let head_of = web::Head {
        method,
        path,
        headers: &headers,
        length,
    };
    if web::serve(&head_of, &mut reader, &mut out, &shared.reports)? {
        out.shutdown(Shutdown::Both)?;
        return Ok(());
    }
    match (method, path) {
        ("GET", "/" | "/index.html") => {
            shared.pages.fetch_add(1, Ordering::SeqCst);
            answer(&mut out, "text/html", PAGE.as_bytes())?;
        }
        ("POST", "/sum") => {
            let sum = sum_of(&mut reader.take(length))?;
            answer(&mut out, "text/plain", sum.as_bytes())?;
        }
        ("GET", path) => match path.strip_prefix("/bytes/").and_then(|n| n.parse().ok()) {
            Some(count) => send_bytes(&mut out, count)?,
            None => match file(path, shared) {
                Some(bytes) => answer(&mut out, "application/octet-stream", &bytes)?,
                None => out.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")?,
            },
        },
        _ => out.write_all(b"HTTP/1.1 405 No\r\nContent-Length: 0\r\n\r\n")?,
    }
    out.shutdown(Shutdown::Both)?;
    Ok(())
}

fn file(path: &str, shared: &Shared) -> Option<Vec<u8>> {
    let path = Path::new(path.split('?').next()?.strip_prefix("/files/")?);
    let plain = path.components().all(|c| matches!(c, Component::Normal(_)));
    let folder = shared.files.get().filter(|_| plain)?;
    std::fs::read(folder.join(path)).ok()
}

fn head(kind: &str, length: u64) -> String {
    format!(
        "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\
         Connection: close\r\n\r\n"
    )
}

fn answer(out: &mut TcpStream, kind: &str, body: &[u8]) -> Outcome<()> {
    let mut whole = head(kind, body.len() as u64).into_bytes();
    whole.extend_from_slice(body);
    out.write_all(&whole).about("answer")
}

fn send_bytes(out: &mut TcpStream, count: u64) -> Outcome<()> {
    out.write_all(head("application/octet-stream", count).as_bytes())?;
    let mut source = KnownBytes::new(count);
    std::io::copy(&mut source, out).about("bytes")?;
    Ok(())
}

/// `<hex of SHA-256> <length>` of everything in `input`.
pub fn sum_of(input: &mut impl Read) -> Outcome<String> {
    let mut hash = Sha256::new();
    let mut buffer = [0; 16384];
    let mut total = 0_u64;
    loop {
        let count = input.read(&mut buffer)?;
        if count == 0 {
            break;
        }
        hash.update(&buffer[..count]);
        total += count as u64;
    }
    let hex: String = hash
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    Ok(format!("{hex} {total}"))
}

/// The bytes of `/bytes/N`: eight at a time from a mix of their position, so that a piece that
/// is lost, doubled or moved shows.
pub struct KnownBytes {
    position: u64,
    end: u64,
}

impl KnownBytes {
    pub fn new(count: u64) -> KnownBytes {
        KnownBytes {
            position: 0,
            end: count,
        }
    }

    fn at(position: u64) -> u8 {
        let mut word = (position / 8)
            .wrapping_add(1)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15);
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (word ^ (word >> 27)).to_le_bytes()[(position % 8) as usize]
    }
}

impl Read for KnownBytes {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let count = (self.end - self.position).min(out.len() as u64) as usize;
        for (slot, position) in out.iter_mut().take(count).zip(self.position..) {
            *slot = KnownBytes::at(position);
        }
        self.position += count as u64;
        Ok(count)
    }
}

/// Compares a fetched file with what `/bytes/count` sends; the fault names the first difference.
pub fn check_bytes(file: &Path, count: u64) -> Outcome<()> {
    let got = BufReader::new(File::open(file).about(&file.to_string_lossy())?);
    let mut expected = BufReader::new(KnownBytes::new(count)).bytes();
    let mut position = 0_u64;
    for byte in got.bytes() {
        let byte = byte?;
        match expected.next() {
            Some(Ok(right)) if right == byte => position += 1,
            Some(_) => return Err(Fault::new(format!("wrong byte at {position} of {count}"))),
            None => return Err(Fault::new(format!("more than {count} bytes"))),
        }
    }
    if position == count {
        Ok(())
    } else {
        Err(Fault::new(format!("only {position} of {count} bytes")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_bytes_do_not_depend_on_read_sizes() {
        let mut whole = Vec::new();
        KnownBytes::new(1000).read_to_end(&mut whole).unwrap();
        let mut parts = Vec::new();
        let mut source = KnownBytes::new(1000);
        let mut small = [0; 7];
        while let Ok(count @ 1..) = source.read(&mut small) {
            parts.extend_from_slice(&small[..count]);
        }
        assert_eq!(whole, parts);
        assert_ne!(whole[..8], whole[8..16]);
    }

    #[test]
    fn differences_are_found() {
        let file = std::env::temp_dir().join(format!("ramson-known-{}", std::process::id()));
        let mut bytes = Vec::new();
        KnownBytes::new(5000).read_to_end(&mut bytes).unwrap();
        std::fs::write(&file, &bytes).unwrap();
        assert!(check_bytes(&file, 5000).is_ok());
        assert!(check_bytes(&file, 4999).is_err());
        assert!(check_bytes(&file, 5001).is_err());
        bytes.swap(40, 44);
        std::fs::write(&file, &bytes).unwrap();
        assert!(
            check_bytes(&file, 5000)
                .unwrap_err()
                .to_string()
                .contains("at 40")
        );
        std::fs::remove_file(&file).unwrap();
    }
}
