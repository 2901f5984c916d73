//! Local listeners: each turns bytes of a socket into commands for the core and back.

pub mod conn;
pub mod control_sock;
pub mod http;
pub mod pump;
pub mod stream_sock;
