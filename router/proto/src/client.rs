//! Codecs of the local protocols, without sockets.

pub mod error_page;
pub mod http_head;
pub mod http_request;
pub mod http_response;
