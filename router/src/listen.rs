//! Local listeners: each turns bytes of a socket into commands for the core and back.

pub mod chunked;
pub mod conn;
pub mod control_sock;
pub mod http;
pub mod local;
mod mailbox;
pub mod pump;
pub mod stream_sock;
