//! NTCP2: authenticated, obfuscated links over TCP (i2p spec/ntcp2). Machines only: sockets are
//! the shell's.

pub mod block;
pub mod established;
pub mod frame;
pub mod handshake;
pub mod replay;

/// Termination reasons (i2p spec/ntcp2, Termination).
pub mod reason {
    /// Normal close.
    pub const NORMAL: u8 = 0;
    /// Answer to a termination.
    pub const RECEIVED: u8 = 1;
    /// Nothing was sent for long.
    pub const IDLE: u8 = 2;
    /// The router shuts down.
    pub const SHUTDOWN: u8 = 3;
    /// A data-phase frame did not verify.
    pub const AEAD: u8 = 4;
    /// The clocks differ too much.
    pub const SKEW: u8 = 7;
    /// A frame length is not allowed.
    pub const FRAMING: u8 = 9;
    /// A block is malformed.
    pub const PAYLOAD: u8 = 10;
    /// What the third message of the handshake says is not acceptable.
    pub const MESSAGE_3: u8 = 13;
    /// A frame was begun and not finished.
    pub const FRAME_TIMEOUT: u8 = 14;
    /// The NTCP2 address of the RouterInfo is not sound.
    pub const ADDRESS: u8 = 16;
    /// Not wanted; said to those who call from elsewhere than they publish.
    pub const BANNED: u8 = 17;
}
