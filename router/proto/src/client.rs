//! Codecs of the local protocols, without sockets.

pub mod error_page;
pub mod helper;
pub mod http_body;
pub mod http_head;
pub mod http_request;
pub mod http_response;
pub mod site;
pub mod sniff;
pub mod url;
pub mod visit;

#[cfg(test)]
mod tests;
