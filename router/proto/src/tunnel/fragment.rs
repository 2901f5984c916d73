//! Messages cut into the cells of a tunnel, as its gateway does it
//! (i2p spec/tunnel-message). The cells are in clear: layers are the caller's.

use crate::crypto::tunnel_aes::CELL;
use crate::limits;
use crate::rng::Rng;
use crate::wire::cursor::Writer;
use crate::wire::hash::{RouterHash, TunnelId, sha256};

/// Bytes of instructions and fragments in one cell: all but IV, checksum and the zero byte.
pub const CELL_ROOM: usize = CELL - 16 - 4 - 1;
/// Bytes of the instructions of a follow-on fragment.
const FOLLOW_ON: usize = 7;
/// A first fragment is not started for fewer bytes than this.
const FIRST_MIN: usize = 64;

/// Where a tunnel's endpoint sends a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TunnelDelivery {
    /// To the endpoint itself: the owner of an inbound tunnel.
    Local,
    /// To the gateway of another tunnel.
    Tunnel(RouterHash, TunnelId),
    /// To a router.
    Router(RouterHash),
}

impl TunnelDelivery {
    /// Bytes of the instructions of an unfragmented message.
    const fn instructions(&self) -> usize {
        match self {
            Self::Local => 3,
            Self::Router(_) => 35,
            Self::Tunnel(..) => 39,
        }
    }

    fn write(&self, fragmented: bool, w: &mut Writer) {
        let more = if fragmented { 0x08 } else { 0 };
        match self {
            Self::Local => w.u8(more),
            Self::Tunnel(hash, id) => w.u8(0x20 | more).u32(id.0).put(&hash.0),
            Self::Router(hash) => w.u8(0x40 | more).put(&hash.0),
        };
    }
}

/// Cuts messages (16-byte I2NP header) into cells of IV, checksum, padding and fragments, in
/// order, several to a cell where they fit. Messages that are empty or longer than a tunnel
/// carries ([`limits::I2NP_BODY_MAX`] and the header) are left out.
#[must_use]
pub fn fragment<B: AsRef<[u8]>>(
    messages: &[(TunnelDelivery, B)],
    rng: &mut Rng,
) -> Vec<[u8; CELL]> {
    let packed = pack(messages, || rng.u32());
    packed
        .iter()
        .map(|content| {
            let (iv, mut padding) = (rng.array(), rng.bytes(CELL_ROOM - content.len()));
            for b in &mut padding {
                while *b == 0 {
                    *b = (rng.u32() & 0xff) as u8;
                }
            }
            cell(content, &iv, &padding)
        })
        .collect()
}

/// Cells that one message of `n` bytes becomes on its own, for the tunnel's owner.
#[must_use]
pub const fn cells_of(n: usize) -> usize {
    let whole = TunnelDelivery::Local.instructions() + n;
    if whole <= CELL_ROOM {
        return 1;
    }
    let first = CELL_ROOM - TunnelDelivery::Local.instructions() - 4;
    1 + (n - first).div_ceil(CELL_ROOM - FOLLOW_ON)
}

/// One cell of given parts: `padding` fills what `content` leaves of [`CELL_ROOM`] and has no zero.
fn cell(content: &[u8], iv: &[u8; 16], padding: &[u8]) -> [u8; CELL] {
    let sum = sha256(&[content, iv]);
    let bytes = iv
        .iter()
        .chain(sum.iter().take(4))
        .chain(padding)
        .chain(&[0])
        .chain(content);
    let mut out = [0; CELL];
    for (to, from) in out.iter_mut().zip(bytes) {
        *to = *from;
    }
    out
}

/// Instructions and fragments of each cell; `id` draws the fragment id of a message that is cut.
fn pack<B: AsRef<[u8]>>(
    messages: &[(TunnelDelivery, B)],
    mut id: impl FnMut() -> u32,
) -> Vec<Vec<u8>> {
    let mut packer = Packer::default();
    for (delivery, message) in messages {
        let message = message.as_ref();
        if message.is_empty() || message.len() > limits::I2NP_BODY_MAX + 16 {
            continue;
        }
        let whole = delivery.instructions() + message.len();
        if whole <= packer.room() {
            packer.whole(delivery, message);
        } else if whole <= CELL_ROOM {
            packer.next();
            packer.whole(delivery, message);
        } else {
            packer.cut(delivery, message, id());
        }
    }
    packer.next();
    packer.full
}

#[derive(Default)]
struct Packer {
    full: Vec<Vec<u8>>,
    current: Writer,
}

impl Packer {
    fn room(&self) -> usize {
        CELL_ROOM - self.current.len()
    }

    fn next(&mut self) {
        if !self.current.is_empty() {
            self.full
                .push(core::mem::take(&mut self.current).into_vec());
        }
    }

    fn whole(&mut self, delivery: &TunnelDelivery, message: &[u8]) {
        delivery.write(false, &mut self.current);
        self.current.u16(message.len() as u16).put(message);
    }

    fn cut(&mut self, delivery: &TunnelDelivery, message: &[u8], id: u32) {
        let head = delivery.instructions() + 4;
        if self.room() < head + FIRST_MIN {
            self.next();
        }
        let (first, mut rest) = message.split_at(message.len().min(self.room() - head));
        delivery.write(true, &mut self.current);
        self.current.u32(id).u16(first.len() as u16).put(first);
        let mut number = 1;
        while !rest.is_empty() {
            self.next();
            let (piece, after) = rest.split_at(rest.len().min(self.room() - FOLLOW_ON));
            rest = after;
            self.current
                .u8(0x80 | number << 1 | u8::from(rest.is_empty()));
            self.current.u32(id).u16(piece.len() as u16).put(piece);
            number += 1;
        }
    }
}

#[cfg(test)]
mod tests;
