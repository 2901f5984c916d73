//! Streams against streams under virtual time.

mod budget;
mod ends;
mod first;
mod hostile;
mod net;
mod repeats;
mod senders;
mod silence;
mod stall;
mod transfer;
mod vectors;
