//! Links to other routers.

pub mod ntcp2;
