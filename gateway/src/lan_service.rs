//! What the LAN is served besides names and streams: addresses, the prefix, the resolver; with the
//! one judge of whether it is ours to serve.

use crate::config::Config;
use crate::counters::Counters;
use crate::dhcp4::leases::Leases;
use crate::dhcp4::serve::Watch;
use crate::dhcp4::{self, Server};
use crate::dhcp6;
use crate::handover::Secrets;
use crate::lan_names::LanNames;
use crate::neigh::Neighbours;
use crate::ra;
use crate::rogue::{self, Rogue};
use std::cell::RefCell;
use std::io;
use std::net::UdpSocket as StdUdpSocket;
use std::rc::Rc;
use tokio::net::UdpSocket;
use tokio::sync::Notify;
use tokio::task::JoinSet;

/// The state of the service.
pub struct LanService {
    /// What is leased; to be kept.
    pub leases: Rc<RefCell<Leases>>,
    /// What devices are called.
    pub names: Rc<RefCell<LanNames>>,
    /// Who else serves the LAN.
    pub rogue: Rc<Rogue>,
}

/// The sockets of the service.
pub struct Sockets {
    /// As a DHCP server, and as a client that looks for other servers.
    pub dhcp4: [StdUdpSocket; 2],
    /// As a DHCPv6 server.
    pub dhcp6: StdUdpSocket,
    /// ICMPv6, raw.
    pub icmp6: StdUdpSocket,
}

impl LanService {
    /// Nothing is leased yet.
    #[must_use]
    pub fn new(config: &Config, secrets: &Secrets) -> Self {
        let lan = config.lan.address;
        let leases = Leases::new(
            secrets.client_key,
            lan,
            config.dhcp.pool(lan),
            config.dhcp.time(),
            config.dhcp.statics(lan),
        );
        Self {
            leases: Rc::new(RefCell::new(leases)),
            names: Rc::default(),
            rogue: Rc::default(),
        }
    }

    /// Starts what the configuration wants; `end` comes before the tasks are dropped.
    ///
    /// # Errors
    /// A socket is unusable, or the interface is gone.
    pub fn start(
        &self,
        config: &Config,
        secrets: &Secrets,
        sockets: Sockets,
        counters: &Rc<Counters>,
        end: &Rc<Notify>,
        tasks: &mut JoinSet<io::Result<()>>,
    ) -> io::Result<()> {
        let watch = || Rc::<Rogue>::clone(&self.rogue) as Rc<dyn Watch>;
        let lan = config.lan.interface.as_str();
        if config.dhcp.enabled {
            let [server, client] = sockets.dhcp4;
            let (server, client) = (UdpSocket::from_std(server)?, UdpSocket::from_std(client)?);
            tasks.spawn_local(dhcp4::serve::serve(
                server,
                self.server(config),
                Neighbours::new(lan).ok(),
                Rc::clone(counters),
                watch(),
            ));
            let own = config.lan.address.addr();
            let rogue = Rc::clone(&self.rogue);
            tasks.spawn_local(rogue::probe(client, rogue, own, secrets.asker()));
        }
        let Some(own) = config.lan.address6.filter(|_| config.lan.ipv6) else {
            return Ok(());
        };
        let uuid = secrets.derive("dhcpv6 server");
        let uuid = *uuid.first_chunk().unwrap_or(&[0; 16]);
        tasks.spawn_local(dhcp6::serve(
            UdpSocket::from_std(sockets.dhcp6)?,
            dhcp6::Facts::new(own.addr(), uuid),
            Rc::clone(counters),
            watch(),
        ));
        let facts = ra::Facts {
            own,
            virtual6: secrets.prefix6,
            mac: ra::mac(lan).ok_or(io::ErrorKind::NotFound)?,
        };
        let (socket, end) = (ra::Socket::new(sockets.icmp6, lan)?, Rc::clone(end));
        tasks.spawn_local(ra::serve(
            socket,
            facts,
            Rc::clone(counters),
            watch(),
            async move { end.notified().await },
        ));
        Ok(())
    }

    fn server(&self, config: &Config) -> Server {
        let mtu = std::fs::read_to_string(format!("/sys/class/net/{}/mtu", config.lan.interface));
        let facts = dhcp4::Facts {
            own: config.lan.address,
            domain: config.lan.domain.clone(),
            name: config.lan.name.clone(),
            mtu: mtu.ok().and_then(|mtu| mtu.trim().parse().ok()),
        };
        let now = tokio::time::Instant::now().into_std();
        Server::new(facts, Rc::clone(&self.leases), Rc::clone(&self.names), now)
    }
}
