//! Events of one stream that its socket's task has not taken: merged, so that what waits is
//! bounded by bytes and not by how finely the remote cut them.

use ramson_proto::router::input::ClientId;
use ramson_proto::router::output::{ClientEvent, Readiness, Refusal};
use ramson_proto::wire::hash::DestHash;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use tokio::sync::Notify;

/// Bytes waiting for one socket. Above the core's receive window, which bounds them; a stream
/// that overruns it is reset.
const BYTES: usize = 2 << 20;
/// Small pieces are joined up to this size.
const PIECE: usize = 16 * 1024;

#[derive(Default)]
struct State {
    resolved: Option<DestHash>,
    lacks: Option<Readiness>,
    credit: usize,
    opened: bool,
    data: VecDeque<Vec<u8>>,
    bytes: usize,
    finished: bool,
    end: Option<End>,
    /// Nothing comes any more.
    closed: bool,
}

#[derive(Clone, Copy)]
enum End {
    Refused(Refusal),
    Reset,
}

/// Both ends of the box; used on one thread.
#[derive(Clone, Default)]
pub struct Mailbox(Rc<(RefCell<State>, Notify)>);

impl Mailbox {
    /// Puts an event in; `false` when there is no room for its bytes.
    #[must_use]
    pub fn put(&self, event: ClientEvent) -> bool {
        let (state, wake) = &*self.0;
        let s = &mut *state.borrow_mut();
        match event {
            ClientEvent::Resolved { dest, .. } => s.resolved = Some(dest),
            ClientEvent::NotReady { readiness, .. } => s.lacks = Some(readiness),
            ClientEvent::Credit { n, .. } => s.credit += n,
            ClientEvent::Opened { .. } => s.opened = true,
            ClientEvent::Data { bytes, .. } => {
                if s.bytes + bytes.len() > BYTES {
                    return false;
                }
                s.push(bytes);
            }
            ClientEvent::Finished { .. } => s.finished = true,
            ClientEvent::Refused { why, .. } => s.end = Some(End::Refused(why)),
            ClientEvent::Reset { .. } => s.end = Some(End::Reset),
            // Only streams of a listener are incoming ones.
            ClientEvent::Incoming { .. } => {}
        }
        wake.notify_one();
        true
    }

    /// Nothing will be put in any more; what is there can still be taken.
    pub fn close(&self) {
        self.0.0.borrow_mut().closed = true;
        self.0.1.notify_one();
    }

    /// The next event, in the order of a stream's life; bytes and what comes after them only if
    /// `data`. `None` when the box is closed and empty.
    pub async fn take(&self, id: ClientId, data: bool) -> Option<ClientEvent> {
        loop {
            let (event, closed) = {
                let mut s = self.0.0.borrow_mut();
                (s.next(id, data), s.closed)
            };
            if event.is_some() || (closed && data) {
                return event;
            }
            self.0.1.notified().await;
        }
    }
}

impl State {
    fn push(&mut self, bytes: Vec<u8>) {
        self.bytes += bytes.len();
        match self.data.back_mut() {
            Some(last) if last.len() + bytes.len() <= PIECE => last.extend_from_slice(&bytes),
            _ => self.data.push_back(bytes),
        }
    }

    fn next(&mut self, id: ClientId, data: bool) -> Option<ClientEvent> {
        if let Some(dest) = self.resolved.take() {
            return Some(ClientEvent::Resolved { id, dest });
        }
        if let Some(readiness) = self.lacks.take() {
            return Some(ClientEvent::NotReady { id, readiness });
        }
        let n = std::mem::take(&mut self.credit);
        if n > 0 {
            return Some(ClientEvent::Credit { id, n });
        }
        if std::mem::take(&mut self.opened) {
            return Some(ClientEvent::Opened { id });
        }
        if !data {
            return None;
        }
        if let Some(bytes) = self.data.pop_front() {
            self.bytes -= bytes.len();
            return Some(ClientEvent::Data { id, bytes });
        }
        if std::mem::take(&mut self.finished) {
            return Some(ClientEvent::Finished { id });
        }
        self.end.take().map(|end| match end {
            End::Refused(why) => ClientEvent::Refused { id, why },
            End::Reset => ClientEvent::Reset { id },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: ClientId = ClientId(1);

    fn data(bytes: Vec<u8>) -> ClientEvent {
        ClientEvent::Data { id: ID, bytes }
    }

    #[tokio::test]
    async fn a_megabyte_in_single_bytes_waits_in_few_pieces() {
        let mailbox = Mailbox::default();
        for n in 0..1u32 << 20 {
            assert!(mailbox.put(data(vec![n.to_le_bytes()[0]])));
        }
        assert!(mailbox.0.0.borrow().data.len() <= 64);
        assert!(mailbox.put(ClientEvent::Reset { id: ID }));
        assert!(mailbox.put(ClientEvent::Credit { id: ID, n: 1 }));
        assert!(mailbox.put(ClientEvent::Credit { id: ID, n: 2 }));
        let first = mailbox.take(ID, false).await;
        assert!(matches!(first, Some(ClientEvent::Credit { n: 3, .. })));
        let mut got = 0u32;
        while let Some(ClientEvent::Data { bytes, .. }) = mailbox.take(ID, true).await {
            for byte in bytes {
                assert_eq!(byte, got.to_le_bytes()[0]);
                got += 1;
            }
        }
        assert_eq!(got, 1 << 20, "the reset came after all bytes");
        mailbox.close();
        assert!(mailbox.take(ID, true).await.is_none());
    }

    #[test]
    fn bytes_are_bounded() {
        let mailbox = Mailbox::default();
        assert!(mailbox.put(data(vec![0; BYTES])));
        assert!(!mailbox.put(data(vec![0])));
    }
}
