//! Transparent listeners of streams: accepts, asks who and whereto, starts a flow.
//!
//! The kernel has answered the client's SYN by then, so every port of a virtual address looks
//! open; what cannot be opened is reset at once.

use crate::flow;
use crate::orig_dst;
use crate::policy::{Budget, Clients, Permit};
use crate::router_client::RouterClient;
use crate::vip::{ClientId, Vip};
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
    /// How many flows are left.
    pub budget: Rc<Budget>,
    /// The way to the router.
    pub router: RouterClient,
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
        loop {
            let Some((lan, from)) = accept(&listener).await? else {
                continue;
            };
            match self.admit(&lan, from) {
                None => flow::reset(&lan),
                Some((name, port, client, pin, permit)) => {
                    let gate = Rc::clone(&self);
                    tokio::task::spawn_local(async move {
                        flow::run(lan, &gate.router, client, name, port).await;
                        drop((pin, permit));
                    });
                }
            }
        }
    }

    /// The name and port a connection is for; `None` refuses it.
    fn admit(
        &self,
        lan: &TcpStream,
        from: SocketAddr,
    ) -> Option<(String, u16, ClientId, Pin, Permit)> {
        let to = orig_dst::of_stream(lan).ok()?;
        let address = to.ip().to_canonical();
        let now = tokio::time::Instant::now().into_std();
        let client = self.clients.borrow_mut().identify(from.ip(), now);
        let permit = self.budget.take(client)?;
        let name = self.vip.borrow_mut().open(client, address)?;
        let pin = Pin {
            vip: Rc::clone(&self.vip),
            client,
            address,
        };
        Some((name, to.port(), client, pin, permit))
    }
}
