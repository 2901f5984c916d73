//! Transparent listeners of streams: accepts, asks who and whereto, starts a flow.
//!
//! The kernel has answered the client's SYN by then, so every port of a virtual address looks
//! open; what cannot be opened is reset at once.

use crate::counters::{Count, Counters};
use crate::flow;
use crate::orig_dst;
use crate::policy::{Budget, Clients, Identities, Permit, Proof, Refused};
use crate::router_client::RouterClient;
use crate::vip::{ClientId, Vip};
use crate::web::serve::Web;
use std::cell::RefCell;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};

/// What every flow shares.
pub struct Gate {
    /// Names of virtual addresses.
    pub vip: Rc<RefCell<Vip>>,
    /// Who is who.
    pub clients: Rc<RefCell<Clients>>,
    /// As whom they open streams.
    pub identities: Rc<RefCell<Identities>>,
    /// How many flows are left.
    pub budget: Rc<Budget>,
    /// The way to the router.
    pub router: RouterClient,
    /// What was refused.
    pub counters: Rc<Counters>,
    /// The gateway's own page.
    pub web: Rc<Web>,
}

/// What a connection is for.
struct Admitted {
    name: String,
    port: u16,
    client: ClientId,
    pin: Pin,
    permit: Permit,
}

/// A name that keeps its virtual address as long as this lives.
struct Pin {
    vip: Rc<RefCell<Vip>>,
    client: ClientId,
    address: IpAddr,
}

impl Drop for Pin {
    fn drop(&mut self) {
        let now = tokio::time::Instant::now().into_std();
        self.vip.borrow_mut().close(self.client, self.address, now);
    }
}

/// One connection; `None` when there was none to take (the client is gone, or no descriptor is
/// free: then after a pause, for the backlog stays readable).
///
/// # Errors
/// The listener itself is unusable.
pub async fn accept(listener: &TcpListener) -> io::Result<Option<(TcpStream, SocketAddr)>> {
    use nix::libc::{EBADF, EINVAL, ENOTSOCK, EOPNOTSUPP};
    match listener.accept().await {
        Ok(accepted) => Ok(Some(accepted)),
        Err(e)
            if [EBADF, EINVAL, ENOTSOCK, EOPNOTSUPP]
                .map(Some)
                .contains(&e.raw_os_error()) =>
        {
            Err(e)
        }
        Err(_) => {
            tokio::time::sleep(Duration::from_millis(20)).await;
            Ok(None)
        }
    }
}

impl Gate {
    /// Accepts until the listener fails.
    ///
    /// # Errors
    /// The listener is unusable.
    pub async fn serve(self: Rc<Self>, listener: TcpListener) -> io::Result<()> {
        flow::buffers::bound_listener(&listener);
        loop {
            let Some((lan, from)) = accept(&listener).await? else {
                continue;
            };
            if self.is_own(&lan) {
                self.own_page(lan, from);
                continue;
            }
            match self.admit(&lan, from) {
                Err(why) => {
                    self.counters.add(why);
                    flow::reset(&lan);
                }
                Ok(admitted) => {
                    tokio::task::spawn_local(Rc::clone(&self).flow(lan, admitted));
                }
            }
        }
    }

    /// Whether a connection is to the gateway's own address; the rules let only port 80 through.
    fn is_own(&self, lan: &TcpStream) -> bool {
        let facts = &self.web.facts;
        orig_dst::of_stream(lan).is_ok_and(|to| match to.ip().to_canonical() {
            IpAddr::V4(v4) => v4 == facts.v4,
            IpAddr::V6(v6) => Some(v6) == facts.v6,
        })
    }

    fn own_page(&self, lan: TcpStream, from: SocketAddr) {
        let now = tokio::time::Instant::now().into_std();
        let client = self
            .clients
            .borrow_mut()
            .identify(from.ip(), Proof::Handshake, now);
        flow::reset(&lan);
        let opened = client.map(|client| self.web.open(client, lan));
        if !matches!(opened, Some(Ok(()))) {
            self.counters.add(Count::PageShare);
        }
    }

    async fn flow(self: Rc<Self>, lan: TcpStream, admitted: Admitted) {
        let Admitted {
            name,
            port,
            client,
            pin,
            permit,
        } = admitted;
        let tag = self.identities.borrow().tag(client);
        let open = flow::request(tag, name, port);
        let touch = || permit.touch(tokio::time::Instant::now().into_std());
        let run = flow::run(lan, &self.router, open, &self.counters, &touch);
        tokio::select! {
            () = run => {}
            // Dropping the connection resets it.
            () = permit.taken() => self.counters.add(Count::Displaced),
        }
        drop((pin, permit));
    }

    /// The name and port a connection is for, or why there is none.
    fn admit(&self, lan: &TcpStream, from: SocketAddr) -> Result<Admitted, Count> {
        let to = orig_dst::of_stream(lan).map_err(|_| Count::NoName)?;
        let address = to.ip().to_canonical();
        let now = tokio::time::Instant::now().into_std();
        let mut clients = self.clients.borrow_mut();
        let client = clients.identify(from.ip(), Proof::Handshake, now);
        let client = client.ok_or(Count::NoName)?;
        // The name first: what leads nowhere takes nothing from anybody.
        let name = self.vip.borrow_mut().open(client, address);
        let name = name.ok_or(Count::NoName)?;
        let pin = Pin {
            vip: Rc::clone(&self.vip),
            client,
            address,
        };
        let permit = self.budget.take(client, now).map_err(|why| match why {
            Refused::Share => Count::Share,
            Refused::Full => Count::Full,
        })?;
        Ok(Admitted {
            name,
            port: to.port(),
            client,
            pin,
            permit,
        })
    }
}
