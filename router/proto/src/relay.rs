//! Transit: other routers' tunnels that pass through us.

pub mod hop;
#[cfg(test)]
pub(crate) mod vectors;
