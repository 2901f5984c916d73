//! What we know and think of other routers: profiles, bans, and the choice of hops
//! (i2p docs/how/peer-selection).

pub mod ban;
pub mod constraint;
pub mod profile;
pub mod select;
#[cfg(test)]
pub(crate) mod testing;
