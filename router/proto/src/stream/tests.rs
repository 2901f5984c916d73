//! Streams against streams under virtual time.

mod ends;
mod hostile;
mod net;
mod senders;
mod silence;
mod transfer;
mod vectors;
