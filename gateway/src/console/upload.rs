//! An update that a visitor sends up: passed on as it comes, for it is larger than what there is
//! memory for. A thread of its own does so, and the page answers others meanwhile.
//!
//! The form has one part, the file, and the browser ends it as all do (RFC 2046, section 5.1.1):
//! what stands before the file and what follows it is taken off, the rest is the update.

use super::Reply;
use super::views;
use crate::ctl;
use std::io::{self, Read};
use std::path::Path;

/// Longest head of the part, bytes.
const HEAD_MAX: usize = 4096;

/// Passes a body on to the updater's socket; what the visitor is told. The end of the update is
/// told by the supervisor, too.
pub fn pass_on(content_type: &str, body: impl Read, socket: &Path) -> Reply {
    let file = match File::new(content_type, body) {
        Ok(file) => file,
        Err(e) => return views::update::failed(&format!("the form: {e}")),
    };
    match ctl::update(socket, file, &mut |_| {}) {
        Ok(_) => Reply::go("/update"),
        Err(why) => views::update::failed(&why),
    }
}

/// The file in a form of one part, as it comes.
struct File<R> {
    body: R,
    /// What follows the file.
    end: Vec<u8>,
    /// What was read and may be the end.
    held: Vec<u8>,
    over: bool,
}

impl<R: Read> File<R> {
    fn new(content_type: &str, mut body: R) -> io::Result<Self> {
        let bad = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what);
        let boundary = multer::parse_boundary(content_type).map_err(|_| bad("is none"))?;
        let mut held = Vec::new();
        let start = format!("--{boundary}\r\n");
        let end = loop {
            if let Some(at) = held.windows(4).position(|w| w == b"\r\n\r\n") {
                break at + 4;
            }
            if held.len() >= HEAD_MAX || fill(&mut body, &mut held)? == 0 {
                return Err(bad("has no file"));
            }
        };
        let rest = held.split_off(end);
        let head = String::from_utf8_lossy(&held).to_ascii_lowercase();
        let is_file = head.contains("\r\ncontent-disposition:") && head.contains("filename=");
        if !held.starts_with(start.as_bytes()) || !is_file {
            return Err(bad("has no file"));
        }
        Ok(Self {
            body,
            end: format!("\r\n--{boundary}--\r\n").into_bytes(),
            held: rest,
            over: false,
        })
    }
}

/// Reads some more.
fn fill(body: &mut impl Read, held: &mut Vec<u8>) -> io::Result<usize> {
    let mut piece = [0; 16 << 10];
    let n = body.read(&mut piece)?;
    held.extend_from_slice(piece.get(..n).unwrap_or_default());
    Ok(n)
}

impl<R: Read> Read for File<R> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        while !self.over && self.held.len() <= self.end.len() {
            if fill(&mut self.body, &mut self.held)? == 0 {
                // Some leave the last end of a line out.
                let short = self.end.len() - 2;
                let ends = [&self.end[..], self.end.get(..short).unwrap_or_default()];
                let found = ends.into_iter().find(|end| self.held.ends_with(end));
                let left = found.map(|end| self.held.len() - end.len());
                let broken = || io::Error::new(io::ErrorKind::UnexpectedEof, "is not whole");
                self.held.truncate(left.ok_or_else(broken)?);
                self.over = true;
            }
        }
        let keep = if self.over { 0 } else { self.end.len() };
        let n = to.len().min(self.held.len().saturating_sub(keep));
        for (to, from) in to.iter_mut().zip(self.held.drain(..n)) {
            *to = from;
        }
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIND: &str = "multipart/form-data; boundary=XyZ";
    const HEAD: &str = "--XyZ\r\nContent-Disposition: form-data; name=\"file\"; \
                        filename=\"a\"\r\nContent-Type: application/octet-stream\r\n\r\n";

    /// Gives few bytes at a time.
    struct Slow<'a>(&'a [u8], usize);

    impl Read for Slow<'_> {
        fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
            let n = self.1.min(self.0.len()).min(to.len());
            let (now, rest) = self.0.split_at(n);
            to[..n].copy_from_slice(now);
            self.0 = rest;
            Ok(n)
        }
    }

    fn file(body: &[u8], step: usize) -> io::Result<Vec<u8>> {
        let mut file = Vec::new();
        File::new(KIND, Slow(body, step))?.read_to_end(&mut file)?;
        Ok(file)
    }

    #[test]
    fn the_file_comes_out_as_it_went_in() {
        let bytes: Vec<u8> = (0..100_000u32).map(|n| (n % 256) as u8).collect();
        let tricky = b"a\r\n--XyZ--\r\nb\r\n--XyZ\r\n--XyZ--".to_vec();
        for want in [bytes, tricky, b"\r\n".to_vec(), Vec::new()] {
            for end in ["\r\n--XyZ--\r\n", "\r\n--XyZ--"] {
                let body = [HEAD.as_bytes(), &want, end.as_bytes()].concat();
                for step in [1, 7, 4096, 1 << 20] {
                    if step > 1 || want.len() < 1000 {
                        assert!(file(&body, step).unwrap() == want, "{step}");
                    }
                }
            }
        }
    }

    #[test]
    fn what_is_no_form_or_ends_early_is_an_error() {
        let whole = [HEAD.as_bytes(), b"abc\r\n--XyZ--\r\n"].concat();
        // Without the last end of a line it is whole, too.
        for len in 0..whole.len() - 2 {
            assert!(file(&whole[..len], 4096).is_err(), "{len}");
        }
        assert!(File::new("text/plain", &b""[..]).is_err());
        assert!(file(&vec![b'x'; 100_000], 4096).is_err());
        assert!(
            file(
                b"--XyZ\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1",
                9
            )
            .is_err()
        );
    }
}
