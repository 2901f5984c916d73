//! Outputs of the network database.

use super::tunnels::{context, pool_of};
use crate::netdb::{Context, NetDbOutput, Paths, ReplyPath, Source, Target};
use crate::rng::Rng;
use crate::router::Router;
use crate::router::output::{Class, LinkCmd, Output};
use crate::time::Now;
use crate::trace::{Event, Level, Sensitive};
use crate::tunnel::{InboundInfo, Tunnels, best_of};
use crate::wire::hash::{MessageId, RouterHash};
use crate::wire::i2np::tunnel::TunnelGateway;
use crate::wire::i2np::{Message, kind};

/// Reply paths out of our inbound tunnels.
struct OwnPaths<'a>(&'a Tunnels);

impl Paths for OwnPaths<'_> {
    fn reply_path(
        &self,
        ctx: Context,
        asked: Option<RouterHash>,
        rng: &mut Rng,
    ) -> Option<ReplyPath> {
        one_apart(&reply_paths(self.0.inbound(pool_of(ctx))), asked, rng)
    }

    fn has_outbound(&self, ctx: Context) -> bool {
        self.0.outbound(pool_of(ctx)).next().is_some()
    }
}

/// By which tunnels an answer may come: none that fails, and those in doubt only where there are no
/// others.
fn reply_paths(tunnels: impl Iterator<Item = InboundInfo>) -> Vec<ReplyPath> {
    let working: Vec<_> = tunnels.filter(|t| !t.failing).collect();
    let best = best_of(&working, InboundInfo::weakness).into_iter();
    best.map(|t| ReplyPath {
        gateway: t.gateway,
        tunnel: t.gateway_tunnel,
    })
    .collect()
}

/// One of these: the first with another gateway than `asked`, if somebody is asked.
fn one_apart(paths: &[ReplyPath], asked: Option<RouterHash>, rng: &mut Rng) -> Option<ReplyPath> {
    match asked {
        Some(asked) => {
            let other = paths.iter().find(|p| p.gateway != asked);
            other.or(paths.first()).copied()
        }
        None => rng.pick(paths).copied(),
    }
}

impl Router {
    pub(in crate::router) fn netdb_timeout(&mut self, now: Now) {
        self.netdb
            .handle_timeout(now, &mut self.rng, &OwnPaths(&self.tunnels));
    }

    pub(super) fn drain_netdb(&mut self, now: Now) -> bool {
        let mut busy = false;
        while let Some(output) = self.netdb.poll_output() {
            busy = true;
            self.on_netdb(now, output);
        }
        busy
    }

    fn on_netdb(&mut self, now: Now, output: NetDbOutput) {
        match output {
            NetDbOutput::Send {
                ctx,
                to,
                message,
                seal,
                direct,
            } => match (seal, direct) {
                (Some(key), false) => self.send_sealed(now, pool_of(ctx), to, &key, message),
                (None, false) => self.send_by_pool(now, pool_of(ctx), to, message),
                (_, true) => self.send_direct(to, class_of(&message), message),
            },
            NetDbOutput::SendTunnel {
                gateway,
                tunnel,
                message,
            } => {
                let inner = TunnelGateway {
                    id: tunnel,
                    inner: message.to_long(),
                };
                let id = MessageId(self.rng.nonzero_u32());
                match inner.to_message(id, message.expires) {
                    Ok(m) => self.send_direct(gateway, Class::Answer, m),
                    Err(_) => self.drop_one(),
                }
            }
            NetDbOutput::ExpectTag {
                path,
                tag,
                key,
                until,
                ..
            } => {
                // A tunnel that is gone meanwhile brings no reply.
                if let Some(tunnel) = self.tunnels.inbound_at(path.gateway, path.tunnel) {
                    self.tags.expect(tunnel, tag, key, until);
                }
            }
            NetDbOutput::Found { ctx, target, .. } => self.found(now, ctx, target),
            NetDbOutput::NotFound { ctx, target, .. } => self.not_found(now, ctx, target),
            NetDbOutput::Persist(p) => self.outputs.push_back(Output::Persist(p)),
            NetDbOutput::Observed { router, what } => self.peers.observed(now, router, what),
        }
    }

    /// A message for the database; one that is refused is counted.
    pub(super) fn tell_netdb(&mut self, now: Now, ctx: Context, source: Source, m: &Message) {
        if !self
            .netdb
            .handle_message(now, &mut self.rng, ctx, source, m)
            .unwrap_or(false)
        {
            self.drop_one();
        }
    }

    fn found(&mut self, now: Now, ctx: Context, target: Target) {
        match target {
            Target::Router(hash) => {
                if let Some(info) = self.netdb.router(&hash) {
                    self.link(LinkCmd::Dial(info));
                }
            }
            Target::LeaseSet(hash) => {
                self.trace(Event::Dest(Level::Debug, "LeaseSet found", Sensitive(hash)));
                let Some(ls) = self.netdb.lease_set(ctx, &hash) else {
                    return;
                };
                if let Some(dest) = self.dests.get_mut(pool_of(ctx)) {
                    dest.found(now, ls);
                }
                self.tend_clients(now);
            }
        }
    }

    fn not_found(&mut self, now: Now, ctx: Context, target: Target) {
        match target {
            Target::Router(hash) => self.link(LinkCmd::NoRouter(hash)),
            Target::LeaseSet(hash) => {
                self.trace(Event::Dest(
                    Level::Debug,
                    "no LeaseSet found",
                    Sensitive(hash),
                ));
                if let Some(dest) = self.dests.get_mut(pool_of(ctx)) {
                    dest.not_found(now, hash);
                }
            }
        }
    }

    /// Somebody has to be dialled whose RouterInfo is not here.
    pub(super) fn look_up_router(&mut self, now: Now, peer: RouterHash) {
        self.netdb
            .lookup(now, Context::Router, Target::Router(peer));
    }

    /// A destination needs the LeaseSet of a remote.
    pub(super) fn look_up_lease_set(
        &mut self,
        now: Now,
        pool: crate::tunnel::PoolId,
        hash: crate::wire::hash::DestHash,
    ) {
        self.trace(Event::Dest(
            Level::Debug,
            "looking up a LeaseSet",
            Sensitive(hash),
        ));
        self.netdb
            .lookup(now, context(pool), Target::LeaseSet(hash));
    }
}

/// Whose business a message to a router is: questions are our own, and so are stores whose
/// confirmation is asked for; the rest are floods and answers.
fn class_of(message: &Message) -> Class {
    let token = message.body.get(33..37);
    match message.kind {
        kind::DATABASE_LOOKUP => Class::Control,
        kind::DATABASE_STORE if token.is_some_and(|t| *t != [0; 4]) => Class::Control,
        _ => Class::Answer,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::{Date, Instant};
    use crate::tunnel::InboundId;
    use crate::wire::hash::TunnelId;

    #[test]
    fn the_one_that_is_asked_is_no_gateway_when_there_is_another() {
        let path = |n: u8| ReplyPath {
            gateway: RouterHash([n; 32]),
            tunnel: TunnelId(u32::from(n)),
        };
        let mut rng = Rng::from_number(1);
        let asked = Some(path(1).gateway);
        for _ in 0..32 {
            let two = [path(1), path(2)];
            assert_eq!(one_apart(&two, asked, &mut rng), Some(path(2)));
        }
        let only = one_apart(&[path(1), path(1)], asked, &mut rng);
        assert_eq!(only, Some(path(1)));
        assert_eq!(one_apart(&[], asked, &mut rng), None);
        let free = (0..64).filter_map(|_| one_apart(&[path(1), path(2)], None, &mut rng));
        let free: std::collections::BTreeSet<_> = free.map(|p| p.tunnel).collect();
        assert_eq!(free.len(), 2, "without one that is asked all are used");
    }

    fn tunnel(n: u8, failing: bool, doubted: bool) -> InboundInfo {
        InboundInfo {
            id: InboundId(n.into()),
            gateway: RouterHash([n; 32]),
            gateway_tunnel: TunnelId(n.into()),
            receive: TunnelId(1),
            last: RouterHash([n; 32]),
            expires: Instant(1),
            expires_date: Date::from_secs(1),
            hops: 1,
            rtt: None,
            failing,
            doubted,
            proven: true,
        }
    }

    #[test]
    fn answers_come_by_tunnels_in_doubt_only_when_there_are_no_others() {
        let gateways = |tunnels: &[InboundInfo]| -> Vec<u8> {
            let paths = reply_paths(tunnels.iter().copied());
            paths.iter().map(|path| path.gateway.0[0]).collect()
        };
        let [doubted, failing] = [tunnel(1, false, true), tunnel(2, true, false)];
        let good = [tunnel(3, false, false), tunnel(4, false, false)];
        assert_eq!(gateways(&[doubted, failing, good[0], good[1]]), [3, 4]);
        assert_eq!(gateways(&[failing, doubted]), [1]);
        assert_eq!(gateways(&[failing]), [0; 0]);
    }
}
