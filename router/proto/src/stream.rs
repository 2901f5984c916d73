//! Streaming: reliable byte streams over datagrams (i2p spec/streaming).
