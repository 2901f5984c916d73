//! What can be changed while the router runs.

use super::Router;
use super::output::LinkCmd;
use crate::names::hosts::Hosts;
use crate::time::Now;
use crate::wire::router_info::RouterInfo;
use std::sync::Arc;

impl Router {
    /// Another address book; streams that are open stay with what their names meant.
    pub fn set_hosts(&mut self, hosts: Hosts) {
        self.hosts = hosts;
    }

    /// Verified RouterInfos of a seed or reseed file. How many of them are news.
    pub fn learn(&mut self, now: Now, routers: Vec<Arc<RouterInfo>>) -> usize {
        let mut news = 0;
        for info in routers {
            news += usize::from(self.netdb.load(now, info, false));
        }
        self.settle(now);
        news
    }

    /// Bytes per second that transit may use from now on.
    pub fn set_transit_limit(&mut self, bytes_per_sec: u64) {
        self.config.transit_bytes_per_sec = bytes_per_sec;
        self.link(LinkCmd::TransitLimit(bytes_per_sec));
    }
}
