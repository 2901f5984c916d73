//! What we know of other routers, and choosing hops among them.
