//! The project's own test bench: private networks of real peers, the commands `cargo demo` and
//! `cargo ci`, and the checks of the source tree.
//!
//! Nothing depends on this package. The parts that start processes and namespaces run as root on
//! a Linux machine; they leave nothing behind, whether they end well, fail or are interrupted.

pub mod appliance;
pub mod bins;
pub mod capture;
pub mod devtools;
pub mod fault;
pub mod i2pd;
pub mod lan;
pub mod leaks;
pub mod netns;
pub mod network;
pub mod peers;
pub mod places;
pub mod probe;
pub mod process;
pub mod router;
pub mod router_file;
pub mod scene;
pub mod services;
pub mod setup;
pub mod show;
pub mod sim;
pub mod site;
pub mod slot;
pub mod stand_in;
pub mod steps;
pub mod stop;
pub mod tidy;
pub mod wall;
