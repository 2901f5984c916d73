//! The narrow door between the LAN gateway and the router: the codecs of two local sockets.
//!
//! `stream.sock` carries one stream per connection: the client sends one [`Open`], the router
//! answers with one [`Answer`], everything afterwards in both directions is the stream's own bytes
//! in chunks (see [`Chunks`]). The end chunk is a half-close: the other direction goes on. A
//! connection that closes while a direction has not said its end is a reset of the stream, from
//! whichever side it comes: the router abandons the transfer, the gateway resets its client, and
//! what was cut never looks complete. The router may close as soon as it has said its end and
//! wants no more of the client; bytes that the gateway cannot deliver then are dropped.
//!
//! `control.sock` takes one line and answers text (see [`control`]). On both, a connection that
//! ends before its first byte is a probe of whether the router lives, and no error.
//!
//! [`page`] is the frame of the pages that both write.
//!
//! This crate is pure and has no dependencies. It opens no sockets and knows neither what a
//! destination is nor how names are resolved.
//!
//! A frame is `magic (1) | version (1) | body length (2, big endian) | body`.

mod chunk;
pub mod control;
mod frame;
pub mod page;
mod stream;

pub use chunk::{AfterEnd, CHUNK_END, CHUNK_HEAD_LEN, CHUNK_MAX, Chunks, chunk_head};
pub use frame::{FRAME_MAX, FrameError, HEADER_LEN, MAGIC, VERSION};
pub use stream::{Answer, EncodeError, Kind, NAME_MAX, Open, Reason, TAG_MAX};

/// Where the router listens for streams, unless configured otherwise.
pub const STREAM_SOCK: &str = "/run/ramson/stream.sock";

/// Where the router listens for control requests, unless configured otherwise.
pub const CONTROL_SOCK: &str = "/run/ramson/control.sock";
