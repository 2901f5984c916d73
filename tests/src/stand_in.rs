//! A stand-in for the router behind `stream.sock`: one known name, no I2P.
//!
//! It joins each stream of the gateway to the site's web server by plain TCP, so that the gateway
//! can be tested to the byte without tunnels. HTTP is passed on unfiltered.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use ramson_ipc::{Answer, CHUNK_END, Chunks, FRAME_MAX, Open, Reason, chunk_head};

use crate::fault::{About, Fault, Outcome};
use crate::network::SITE_NAME;
use crate::places;
use crate::slot::{GATEWAY_USER, ROUTER_USER, Slot};

/// Isolation tags that streams came with.
type Tags = Arc<Mutex<BTreeSet<Vec<u8>>>>;

/// The running stand-in; it ends when dropped.
pub struct StandIn {
    stop: Arc<AtomicBool>,
    tags: Tags,
    worker: Option<JoinHandle<()>>,
}

impl StandIn {
    /// Listens on the slot's stream socket; streams to the site go to `site` in `namespace`.
    pub fn start(slot: &Slot, namespace: &str, site: SocketAddr) -> Outcome<StandIn> {
        let path = slot.stream_socket();
        places::folder(slot.run())?;
        let listener = UnixListener::bind(&path).about(&path.to_string_lossy())?;
        chown(&path, Some(ROUTER_USER), Some(GATEWAY_USER))?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o660))?;
        listener.set_nonblocking(true)?;
        let (stop, tags) = (Arc::new(AtomicBool::new(false)), Tags::default());
        let worker = thread::spawn({
            let (stop, tags, namespace) = (stop.clone(), tags.clone(), namespace.to_string());
            move || {
                while !stop.load(Ordering::SeqCst) {
                    let Ok((stream, _)) = listener.accept() else {
                        thread::sleep(Duration::from_millis(5));
                        continue;
                    };
                    let (tags, namespace) = (tags.clone(), namespace.clone());
                    thread::spawn(move || serve(stream, &namespace, site, &tags));
                }
            }
        });
        Ok(StandIn {
            stop,
            tags,
            worker: Some(worker),
        })
    }

    /// How many different isolation tags were seen.
    pub fn tags(&self) -> usize {
        self.tags
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .len()
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        if let Some(worker) = self.worker.take() {
            let _ = worker.join();
        }
    }
}

fn serve(mut client: UnixStream, namespace: &str, site: SocketAddr, tags: &Tags) -> Outcome<()> {
    client.set_nonblocking(false)?;
    let (open, rest) = read_open(&mut client)?;
    tags.lock()
        .unwrap_or_else(PoisonError::into_inner)
        .insert(open.tag);
    let encoded = |answer: Answer| answer.encode().map_err(|error| Fault::new(error.0));
    if open.name != SITE_NAME {
        client.write_all(&encoded(Answer::Refused(Reason::UnknownName))?)?;
        return Ok(());
    }
    let server = crate::netns::inside(namespace, || TcpStream::connect(site).about("site"))?;
    client.write_all(&encoded(Answer::Opened)?)?;
    let (mut client_in, mut server_out) = (client.try_clone()?, server.try_clone()?);
    let upward = thread::spawn(move || {
        // A cut from the client ends the site's connection altogether.
        if !up(rest, &mut client_in, &mut server_out).unwrap_or(false) {
            let _ = server_out.shutdown(Shutdown::Both);
        }
    });
    let mut piece = [0; 16_384];
    loop {
        let count = (&server).read(&mut piece)?;
        let Some(head) = chunk_head(count) else { break };
        client.write_all(&head)?;
        client.write_all(&piece[..count])?;
    }
    client.write_all(&CHUNK_END)?;
    let _ = upward.join();
    Ok(())
}

/// Takes the client's chunks apart; whether it has said its end.
fn up(mut rest: Vec<u8>, client: &mut UnixStream, server: &mut TcpStream) -> Outcome<bool> {
    let mut chunks = Chunks::default();
    let mut filled = rest.len();
    loop {
        let bytes = rest.get_mut(..filled).unwrap_or_default();
        let count = chunks
            .strip(bytes)
            .map_err(|error| Fault::new(error.to_string()))?;
        server.write_all(&bytes[..count])?;
        if chunks.is_ended() {
            server.shutdown(Shutdown::Write)?;
            return Ok(true);
        }
        rest.resize(16_384, 0);
        filled = client.read(&mut rest)?;
        if filled == 0 {
            return Ok(false);
        }
    }
}

/// The Open frame and what came behind it.
fn read_open(client: &mut UnixStream) -> Outcome<(Open, Vec<u8>)> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 1024];
    loop {
        let frame = Open::decode(&bytes).map_err(|error| Fault::new(format!("{error:?}")))?;
        if let Some((open, length)) = frame {
            return Ok((open, bytes.split_off(length)));
        }
        let count = client.read(&mut buffer)?;
        if count == 0 || bytes.len() > FRAME_MAX {
            return Err(Fault::new("a connection without a frame"));
        }
        bytes.extend_from_slice(&buffer[..count]);
    }
}
