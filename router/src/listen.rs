//! Local listeners: each turns bytes of a socket into commands for the core and back.

mod accepted;
pub mod chunked;
pub mod conn;
pub mod control_sock;
mod helper;
pub mod http;
pub mod local;
mod mailbox;
pub mod pump;
pub mod stream_sock;
pub mod visitors;
