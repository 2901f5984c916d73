//! Payloads: which blocks may go into which kind of message, and how much padding
//! (i2p spec/ecies, Block Ordering Rules and Padding).

use super::SealError;
use crate::garlic::clove::{Block, write_blocks};
use crate::limits;
use crate::rng::Rng;

/// Block header before padding.
const BLOCK_HEADER: usize = 3;
/// I2NP header inside tunnels, then the length of the Garlic message.
const BEFORE_CONTENT: usize = 16 + 4;
/// What one tunnel cell carries of a message that fits it, of the first fragment of one that does
/// not, and of any further fragment (i2p spec/tunnel-message, delivery to a tunnel).
const CELL_WHOLE: usize = 964;
const CELL_FIRST: usize = 960;
const CELL_NEXT: usize = 996;

/// Bytes that fit behind a message of this length without costing another tunnel cell.
const fn room(message: usize) -> usize {
    if message <= CELL_WHOLE {
        return CELL_WHOLE - message;
    }
    match (message - CELL_FIRST) % CELL_NEXT {
        0 => 0,
        over => CELL_NEXT - over,
    }
}

/// Writes the blocks, and random padding of up to `padding` bytes where it costs no tunnel cell.
/// `around` is what the message adds to its payload.
pub fn assemble(
    blocks: &[Block],
    padding: usize,
    around: usize,
    rng: &mut Rng,
) -> Result<Vec<u8>, SealError> {
    let mut out = write_blocks(blocks).map_err(|_| SealError::TooLarge)?;
    let length = BEFORE_CONTENT + around + out.len();
    let most = room(length).min(padding + BLOCK_HEADER);
    if let Some(most) = most.checked_sub(BLOCK_HEADER) {
        let n = rng.below(most + 1);
        let block = write_blocks(&[Block::Padding(n)]).map_err(|_| SealError::TooLarge)?;
        out.extend_from_slice(&block);
    }
    if 4 + around + out.len() > limits::I2NP_BODY_MAX {
        return Err(SealError::TooLarge);
    }
    Ok(out)
}

/// The blocks of `blocks` that a handshake message may carry.
pub fn of_handshake(blocks: &[Block]) -> impl Iterator<Item = Block> {
    let allowed = |b: &&Block| matches!(b, Block::Clove(_));
    blocks.iter().filter(allowed).cloned()
}

/// The blocks of `blocks` that the caller may put into a message of a session.
pub fn of_session(blocks: &[Block]) -> impl Iterator<Item = Block> {
    let allowed = |b: &&Block| {
        matches!(
            b,
            Block::Clove(_) | Block::DateTime(_) | Block::Termination(_)
        )
    };
    blocks.iter().filter(allowed).cloned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_costs_no_cell() {
        assert_eq!(room(960), 4);
        assert_eq!(room(964), 0);
        assert_eq!(room(965), CELL_NEXT - 5);
        assert_eq!(room(1956), 0);
        assert_eq!(room(1957), 995);
    }
}
