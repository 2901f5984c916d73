//! The client's side of a WebSocket, as far as a browser on the same machine needs it (RFC 6455).

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::fault::{About, Fault, Outcome};

/// Longest message that is taken: a picture, and much more.
const MESSAGE_MAX: u64 = 64 * 1024 * 1024;

/// Masks need not be secret here, only be there.
const MASK: [u8; 4] = [0x52, 0x6d, 0x73, 0x6e];

const TEXT: u8 = 1;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

pub struct Socket {
    stream: BufReader<TcpStream>,
}

impl Socket {
    /// Asks for `path`; reading gives up after `limit`.
    pub fn open(mut stream: TcpStream, path: &str, limit: Duration) -> Outcome<Socket> {
        stream.set_read_timeout(Some(limit))?;
        stream.set_nodelay(true)?;
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n\
             Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
             Sec-WebSocket-Version: 13\r\n\r\n"
        );
        stream.write_all(request.as_bytes())?;
        let mut stream = BufReader::new(stream);
        let mut first = String::new();
        stream.read_line(&mut first)?;
        if !first.contains(" 101 ") {
            return Err(Fault::new(format!("no WebSocket: {first}")));
        }
        let mut line = first;
        while !line.trim().is_empty() {
            line.clear();
            stream.read_line(&mut line)?;
        }
        Ok(Socket { stream })
    }

    pub fn send(&mut self, text: &str) -> Outcome<()> {
        self.write(TEXT, text.as_bytes())
    }

    fn write(&mut self, kind: u8, bytes: &[u8]) -> Outcome<()> {
        let mut frame = vec![0x80 | kind];
        match (u8::try_from(bytes.len()), u16::try_from(bytes.len())) {
            (Ok(n @ ..126), _) => frame.push(0x80 | n),
            (_, Ok(n)) => {
                frame.push(0x80 | 126);
                frame.extend(n.to_be_bytes());
            }
            _ => {
                frame.push(0x80 | 127);
                frame.extend((bytes.len() as u64).to_be_bytes());
            }
        }
        frame.extend(MASK);
        frame.extend(bytes.iter().zip(MASK.iter().cycle()).map(|(b, m)| b ^ m));
        self.stream.get_mut().write_all(&frame).about("WebSocket")
    }

    /// The next message.
    pub fn receive(&mut self) -> Outcome<String> {
        let mut message = Vec::new();
        loop {
            let mut head = [0; 2];
            self.stream.read_exact(&mut head)?;
            let length = match head[1] & 0x7f {
                126 => {
                    let mut long = [0; 2];
                    self.stream.read_exact(&mut long)?;
                    u64::from(u16::from_be_bytes(long))
                }
                127 => {
                    let mut long = [0; 8];
                    self.stream.read_exact(&mut long)?;
                    u64::from_be_bytes(long)
                }
                short => u64::from(short),
            };
            if length + message.len() as u64 > MESSAGE_MAX {
                return Err(Fault::new("a message that is too long"));
            }
            let mut bytes = vec![0; length as usize];
            self.stream.read_exact(&mut bytes)?;
            match head[0] & 0x0f {
                CLOSE => return Err(Fault::new("the browser has closed its door")),
                PING => self.write(PONG, &bytes)?,
                PONG => {}
                _ => {
                    message.extend(bytes);
                    if head[0] & 0x80 != 0 {
                        return String::from_utf8(message).map_err(|_| Fault::new("not text"));
                    }
                }
            }
        }
    }
}
