//! The DHCP client of the WAN (RFC 2131, section 4.4): a process and user of its own, that can send
//! nothing but these questions. It reads what comes from the network; the supervisor hears of a
//! lease in a message of fixed size and judges it again.
//!
//! What it sends tells as little as a common client does: the options that BusyBox's `udhcpc` asks
//! for and the packet size, but neither a vendor class nor a host name. Classless routes (RFC 3442)
//! are not asked for: a route could cover the LAN, and a box with one way out needs none.

pub mod lease;
pub mod machine;
pub mod serve;
