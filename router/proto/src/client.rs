//! Codecs of the local protocols, without sockets.
