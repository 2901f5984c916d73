//! Bytes between a local socket and a stream, with credit in both directions and half-close.

use super::conn::Conn;
use ramson_proto::client::http_response::{self, Progress};
use ramson_proto::router::input::ClientCmd;
use ramson_proto::router::output::{ClientEvent, Refusal};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// Bytes read from the socket at once.
const CHUNK: usize = 16 * 1024;

/// How a stream ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Both sides finished.
    Finished,
    /// Refused before any byte of an answer.
    Refused(Refusal),
    /// Reset by the remote, the core or the socket.
    Reset,
}

/// What stands between socket and stream.
pub enum Filter {
    /// Bytes pass.
    Raw,
    /// The response's head is filtered; so far these bytes of it came.
    ResponseHead(Vec<u8>),
}

/// One socket and its stream.
pub struct Pump<S> {
    /// The local socket.
    pub socket: S,
    /// The stream.
    pub conn: Conn,
    /// Bytes for the stream that came before the pump or wait for credit.
    pub pending: Vec<u8>,
    /// Bytes of the socket that may still be sent; what comes after them is ignored.
    pub body_left: u64,
    /// What the remote's bytes go through.
    pub filter: Filter,
    credit: usize,
    /// Something of the remote reached the socket.
    answered: bool,
    local_done: bool,
    remote_done: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Pump<S> {
    /// A pump that has moved nothing yet.
    pub const fn new(socket: S, conn: Conn, filter: Filter) -> Self {
        Self {
            socket,
            conn,
            pending: Vec::new(),
            body_left: u64::MAX,
            filter,
            credit: 0,
            answered: false,
            local_done: false,
            remote_done: false,
        }
    }

    /// Grants credit that came before the pump ran.
    pub const fn grant(&mut self, n: usize) {
        self.credit += n;
    }

    /// Moves bytes until both sides are done or one is gone.
    pub async fn run(&mut self) -> End {
        let mut chunk = vec![0; CHUNK];
        loop {
            self.flush_pending().await;
            if self.local_done && self.remote_done {
                self.conn.done();
                return End::Finished;
            }
            let want = (self.credit.min(CHUNK) as u64).min(self.body_left.max(1)) as usize;
            let read = !self.local_done && self.pending.is_empty() && want > 0;
            let end = tokio::select! {
                event = self.conn.event() => self.on_event(event).await,
                n = self.socket.read(chunk.get_mut(..want).unwrap_or_default()), if read => {
                    self.on_read(n, &chunk).await
                }
            };
            if let Some(end) = end {
                return end;
            }
        }
    }

    async fn flush_pending(&mut self) {
        let n = self.pending.len().min(self.credit);
        if n == 0 {
            return;
        }
        let bytes: Vec<u8> = self.pending.drain(..n).collect();
        self.credit -= n;
        self.conn
            .send(ClientCmd::Data {
                id: self.conn.id,
                bytes,
            })
            .await;
    }

    async fn on_read(&mut self, n: std::io::Result<usize>, chunk: &[u8]) -> Option<End> {
        let id = self.conn.id;
        match n {
            Ok(0) => {
                self.local_done = true;
                self.conn.send(ClientCmd::Finish { id }).await;
            }
            Ok(n) if self.body_left > 0 => {
                self.body_left = self.body_left.saturating_sub(n as u64);
                self.credit -= n;
                let bytes = chunk.get(..n).unwrap_or_default().to_vec();
                self.conn.send(ClientCmd::Data { id, bytes }).await;
            }
            // A second request on the connection: it was told that this one closes.
            Ok(_) => {}
            Err(_) => return Some(End::Reset),
        }
        None
    }

    async fn on_event(&mut self, event: Option<ClientEvent>) -> Option<End> {
        match event {
            Some(ClientEvent::Credit { n, .. }) => self.credit += n,
            Some(ClientEvent::Data { bytes, .. }) => {
                let n = bytes.len();
                if self.deliver(&bytes).await.is_err() {
                    return Some(End::Reset);
                }
                self.conn
                    .send(ClientCmd::Consumed {
                        id: self.conn.id,
                        n,
                    })
                    .await;
            }
            Some(ClientEvent::Finished { .. }) => {
                self.remote_done = true;
                if self.flush_filter().await.is_err() || self.socket.shutdown().await.is_err() {
                    return Some(End::Reset);
                }
                // An HTTP exchange is over with its answer.
                if !self.local_done && self.body_left != u64::MAX {
                    self.local_done = true;
                    self.conn.send(ClientCmd::Finish { id: self.conn.id }).await;
                }
            }
            Some(ClientEvent::Refused { why, .. }) if !self.answered => {
                return Some(End::Refused(why));
            }
            Some(ClientEvent::Reset { .. }) if !self.answered => {
                return Some(End::Refused(Refusal::NoAnswer));
            }
            Some(ClientEvent::Refused { .. } | ClientEvent::Reset { .. }) | None => {
                return Some(End::Reset);
            }
            Some(
                ClientEvent::Opened { .. }
                | ClientEvent::Resolved { .. }
                | ClientEvent::Incoming { .. },
            ) => {}
        }
        None
    }

    async fn deliver(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        let Filter::ResponseHead(head) = &mut self.filter else {
            self.answered = true;
            return self.socket.write_all(bytes).await;
        };
        head.extend_from_slice(bytes);
        loop {
            match http_response::read(head) {
                Ok(Progress::Wait) => return Ok(()),
                Ok(Progress::Interim(n)) => drop(head.drain(..n)),
                Ok(Progress::Head(mut out, n)) => {
                    out.extend_from_slice(head.get(n..).unwrap_or_default());
                    self.filter = Filter::Raw;
                    self.answered = true;
                    return self.socket.write_all(&out).await;
                }
                // Not HTTP/1: pass it as it is rather than guess.
                Err(_) => return self.flush_filter().await,
            }
        }
    }

    /// Passes on what a head filter still holds.
    async fn flush_filter(&mut self) -> std::io::Result<()> {
        if let Filter::ResponseHead(head) = std::mem::replace(&mut self.filter, Filter::Raw) {
            self.answered |= !head.is_empty();
            self.socket.write_all(&head).await?;
        }
        Ok(())
    }
}
