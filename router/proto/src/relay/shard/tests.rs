use super::*;
use crate::crypto::tunnel_aes::LayerKeys;
use crate::relay::vectors::{array, bytes, list, load, number};
use crate::secret::Secret;
use crate::time::Date;
use serde_json::Value;

const US: RouterHash = RouterHash([9; 32]);
const BEFORE: RouterHash = RouterHash([1; 32]);
const AFTER: RouterHash = RouterHash([2; 32]);
const ID: TunnelId = TunnelId(7);
const NEXT_ID: TunnelId = TunnelId(8);

fn start() -> Now {
    Now {
        mono: Instant(1_000_000),
        wall: Date::from_secs(1_795_447_440),
    }
}

fn keys() -> LayerKeys {
    LayerKeys {
        layer: [1; 32].into(),
        iv: [2; 32].into(),
    }
}

fn hop(role: Role) -> Hop {
    Hop {
        id: ID,
        role,
        from: (role != Role::InboundGateway).then_some(BEFORE),
        next: AFTER,
        next_id: NEXT_ID,
        keys: keys(),
        expires: start().mono + limits::HOP_LIFE,
    }
}

struct Bench {
    shard: Shard,
    rng: Rng,
    now: Now,
}

impl Bench {
    fn new(hops: impl IntoIterator<Item = Hop>) -> Self {
        Self::limited(ShardLimits::default(), hops)
    }

    fn limited(limits: ShardLimits, hops: impl IntoIterator<Item = Hop>) -> Self {
        let mut shard = Shard::new(US, limits);
        for hop in hops {
            shard.install(start(), hop);
        }
        let (rng, now) = (Rng::from_number(1), start());
        Self { shard, rng, now }
    }

    fn accept(&mut self, from: RouterHash, message: Message) -> Option<Message> {
        self.shard.accept(self.now, &mut self.rng, from, message)
    }

    /// A message that is not for the control plane, and what came of it.
    fn pass(&mut self, from: RouterHash, message: Message) -> Vec<ShardOutput> {
        assert_eq!(self.accept(from, message), None);
        core::iter::from_fn(|| self.shard.poll_output()).collect()
    }

    fn drops(&self) -> super::super::stats::Drops {
        self.shard.stats().drops
    }
}

fn message(kind: u8, body: Vec<u8>) -> Message {
    Message {
        kind,
        id: MessageId(5),
        expires: start().wall + Duration::from_secs(10),
        body,
    }
}

fn data(body: Vec<u8>) -> Message {
    message(kind::TUNNEL_DATA, body)
}

fn cell(id: TunnelId, cell: &[u8; CELL]) -> Message {
    data([&id.0.to_be_bytes(), cell.as_slice()].concat())
}

fn to_gateway(id: TunnelId, inner: &[u8]) -> Message {
    let gateway = TunnelGateway {
        id,
        inner: inner.to_vec(),
    };
    let expires = start().wall + Duration::from_secs(10);
    gateway.to_message(MessageId(5), expires).unwrap()
}

/// Cells that an endpoint with our keys opens to this message.
fn cells_for_endpoint(delivery: TunnelDelivery, inner: &[u8], rng: &mut Rng) -> Vec<Message> {
    let mut cells = fragment(&[(delivery, inner)], rng);
    for cell in &mut cells {
        keys().decrypt(cell);
    }
    cells.iter().map(|c| cell(ID, c)).collect()
}

fn sent(output: &ShardOutput) -> (RouterHash, &Message) {
    match output {
        ShardOutput::Send { to, message, .. } => (*to, message),
        ShardOutput::Up { .. } => panic!("not for us"),
    }
}

/// The hop of a recorded tunnel.
fn recorded(t: &Value) -> Hop {
    let role = match t["role"].as_str().unwrap() {
        "gateway" => Role::InboundGateway,
        "participant" => Role::Participant,
        _ => Role::OutboundEndpoint,
    };
    Hop {
        id: TunnelId(number(&t["receive_tunnel"])),
        role,
        from: (role != Role::InboundGateway).then_some(BEFORE),
        next: RouterHash(array(&t["next_hash"])),
        next_id: TunnelId(number(&t["next_tunnel"])),
        keys: LayerKeys {
            layer: Secret::new(array(&t["layer_key"])),
            iv: Secret::new(array(&t["iv_key"])),
        },
        expires: start().mono + limits::HOP_LIFE,
    }
}

#[test]
fn recorded_participant() {
    let v = load("transit");
    let tunnels = list(&v["tunnels"]).iter();
    for t in tunnels.filter(|t| t["role"] == "participant") {
        let mut b = Bench::new([recorded(t)]);
        for c in list(&t["cells"]) {
            let out = b.pass(BEFORE, data(bytes(&c["received"])));
            let (to, message) = sent(&out[0]);
            assert_eq!((out.len(), to.0), (1, array(&t["next_hash"])));
            assert!(message.body == bytes(&c["sent"]));
            assert_ne!(message.id, MessageId(5));
        }
        assert_eq!(b.shard.stats().cells_in, list(&t["cells"]).len() as u64);
    }
}

#[test]
fn recorded_endpoint() {
    let v = load("transit");
    for t in list(&v["tunnels"])
        .iter()
        .filter(|t| t["role"] == "endpoint")
    {
        let mut b = Bench::new([recorded(t)]);
        for c in list(&t["cells"]) {
            let out = b.pass(BEFORE, data(bytes(&c["received"])));
            let delivered = list(&c["delivered"]);
            assert_eq!(out.len(), delivered.len());
            for (out, d) in out.iter().zip(delivered) {
                let (to, message) = sent(out);
                assert_eq!(to.0, array(&d["target"]));
                let inner = bytes(&d["message"]);
                if number(&d["delivery"]) == 1 {
                    let gateway = TunnelGateway::parse(&message.body).unwrap();
                    assert_eq!(gateway.id.0, number(&d["tunnel"]));
                    assert!(gateway.inner == inner);
                } else {
                    assert!(message.to_long() == inner);
                }
            }
        }
        assert_eq!(b.drops().total(), 0);
    }
}

#[test]
fn recorded_gateway() {
    let v = load("transit");
    for t in list(&v["tunnels"])
        .iter()
        .filter(|t| t["role"] == "gateway")
    {
        let hop = recorded(t);
        let mut b = Bench::new([hop.clone()]);
        for c in list(&t["cells"]) {
            let body = bytes(&c["gateway_message"]);
            let out = b.pass(AFTER, message(kind::TUNNEL_GATEWAY, body.clone()));
            assert_eq!(out.len(), list(&c["cells"]).len());
            let mut whole = Reassembler::new();
            let mut got = Vec::new();
            for (out, recorded) in out.iter().zip(list(&c["cells"])) {
                let mut ours = split(sent(out).1, hop.next_id);
                let theirs = bytes(&recorded["sent"]);
                assert_eq!(theirs[..4], hop.next_id.0.to_be_bytes());
                hop.keys.decrypt(&mut ours);
                let mut plain: [u8; CELL] = theirs[4..].try_into().unwrap();
                hop.keys.decrypt(&mut plain);
                if list(&c["cells"]).len() == 1 {
                    let content = bytes(&recorded["instructions"]);
                    assert!(ours.ends_with(&content) && plain.ends_with(&content));
                }
                got.extend(whole.accept(b.now, &ours).unwrap());
            }
            assert!(got == [(TunnelDelivery::Local, body[6..].to_vec())]);
        }
    }
}

fn split(message: &Message, id: TunnelId) -> [u8; CELL] {
    assert_eq!(message.body[..4], id.0.to_be_bytes());
    message.body[4..].try_into().unwrap()
}

#[test]
fn every_drop_has_its_reason() {
    let mut b = Bench::new([hop(Role::Participant)]);
    let mut rng = Rng::from_number(2);
    let good = cell(ID, &rng.array());
    assert!(b.pass(BEFORE, cell(TunnelId(99), &[0; CELL])).is_empty());
    assert_eq!(b.drops().unknown_id, 1);
    assert!(b.pass(AFTER, good.clone()).is_empty());
    assert!(b.pass(AFTER, to_gateway(ID, &[1; 40])).is_empty());
    assert_eq!(b.drops().wrong_previous, 2);
    assert_eq!(b.pass(BEFORE, good.clone()).len(), 1);
    assert!(b.pass(BEFORE, good.clone()).is_empty());
    assert_eq!(b.drops().replay, 1);
    for n in [0, 3, 4, 1027, 1029] {
        let body = [&ID.0.to_be_bytes()[..], &[0; 1025]].concat();
        assert!(b.pass(BEFORE, data(body[..n].to_vec())).is_empty());
    }
    assert!(
        b.pass(BEFORE, message(kind::TUNNEL_GATEWAY, vec![0; 5]))
            .is_empty()
    );
    assert_eq!(b.drops().malformed, 6);
    let mut old = cell(ID, &rng.array());
    old.expires = start().wall - Duration::from_secs(61);
    assert!(b.pass(BEFORE, old.clone()).is_empty());
    old.expires = start().wall - Duration::from_secs(60);
    assert_eq!(b.pass(BEFORE, old).len(), 1);
    b.now = b.now.after(limits::HOP_LIFE);
    let mut late = cell(ID, &rng.array());
    late.expires = b.now.wall;
    assert!(b.pass(BEFORE, late).is_empty());
    assert_eq!(b.drops().expired, 2);
    assert_eq!(b.drops().total(), 12);
}

#[test]
fn bandwidth_and_outputs_are_bounded() {
    let limits = ShardLimits {
        outputs: 3,
        ..ShardLimits::default()
    };
    let mut b = Bench::limited(limits, [hop(Role::Participant)]);
    for _ in 0..5 {
        let random = b.rng.array();
        b.accept(BEFORE, cell(ID, &random));
    }
    assert_eq!(b.drops().queue, 2);
    b.shard.set_transit_limit(0);
    while b.shard.poll_output().is_some() {}
    let random = b.rng.array();
    assert!(b.pass(BEFORE, cell(ID, &random)).is_empty());
    assert_eq!(b.drops().limit, 1);
}

#[test]
fn gateways_bound_each_sender() {
    let mut b = Bench::new([hop(Role::InboundGateway)]);
    let mut passed = 0;
    for _ in 0..1000 {
        passed += b.pass(AFTER, to_gateway(ID, &[1; 900])).len();
    }
    assert_eq!(passed, 128);
    assert_eq!(b.pass(BEFORE, to_gateway(ID, &[1; 900])).len(), 1);
    let longest = vec![1; limits::I2NP_BODY_MAX + 17];
    b.now = b.now.after(Duration::from_secs(2));
    assert!(b.pass(BEFORE, to_gateway(ID, &longest)).is_empty());
    assert!(b.pass(BEFORE, to_gateway(ID, &[])).is_empty());
    assert_eq!(b.drops().malformed, 2);
}

#[test]
fn an_endpoint_relays_any_type_and_keeps_what_is_ours() {
    let mut b = Bench::new([hop(Role::OutboundEndpoint)]);
    let mut rng = Rng::from_number(3);
    let odd = message(231, vec![4; 2000]);
    let cases = [
        (TunnelDelivery::Router(AFTER), Some(AFTER)),
        (TunnelDelivery::Router(US), None),
        (TunnelDelivery::Local, None),
        (TunnelDelivery::Tunnel(AFTER, NEXT_ID), Some(AFTER)),
    ];
    for (delivery, to) in cases {
        let mut out = Vec::new();
        for cell in cells_for_endpoint(delivery, &odd.to_long(), &mut rng) {
            out.extend(b.pass(BEFORE, cell));
        }
        assert_eq!(out.len(), 1);
        match (&out[0], to) {
            (ShardOutput::Up { from, message }, None) => {
                assert_eq!((*from, message), (BEFORE, &odd));
            }
            (ShardOutput::Send { to, message, .. }, Some(wanted)) => {
                assert_eq!(*to, wanted);
                if message.kind == kind::TUNNEL_GATEWAY {
                    let gateway = TunnelGateway::parse(&message.body).unwrap();
                    assert_eq!((gateway.id, gateway.inner), (NEXT_ID, odd.to_long()));
                } else {
                    assert_eq!(message, &odd);
                }
            }
            _ => panic!("wrong way"),
        }
    }
    let mut broken = odd.to_long();
    broken[20] ^= 1;
    for cell in cells_for_endpoint(TunnelDelivery::Router(AFTER), &broken, &mut rng) {
        assert!(b.pass(BEFORE, cell).is_empty());
    }
    assert_eq!(b.drops().malformed, 1);
}

#[test]
fn tunnel_delivery_to_ourselves() {
    let gateway = Hop {
        id: NEXT_ID,
        ..hop(Role::InboundGateway)
    };
    let mut b = Bench::new([hop(Role::OutboundEndpoint), gateway]);
    let mut rng = Rng::from_number(3);
    let inner = message(20, vec![4; 100]).to_long();
    let deliver = |b: &mut Bench, id, rng: &mut Rng| {
        let to = TunnelDelivery::Tunnel(US, id);
        b.pass(BEFORE, cells_for_endpoint(to, &inner, rng).remove(0))
    };
    let out = deliver(&mut b, NEXT_ID, &mut rng);
    assert_eq!((out.len(), sent(&out[0]).0), (1, AFTER));
    b.shard.install_own(TunnelId(30), AFTER);
    match deliver(&mut b, TunnelId(30), &mut rng).as_slice() {
        [ShardOutput::Up { message, .. }] => {
            let gateway = TunnelGateway::parse(&message.body).unwrap();
            assert_eq!((gateway.id, &gateway.inner), (TunnelId(30), &inner));
        }
        _ => panic!("for us"),
    }
    assert!(deliver(&mut b, ID, &mut rng).is_empty(), "an endpoint's id");
    assert_eq!(b.drops().wrong_previous, 1);
}

#[test]
fn own_tunnels_and_other_kinds_go_up() {
    let mut b = Bench::new([hop(Role::Participant)]);
    b.shard.install_own(ID, AFTER);
    assert_eq!(b.shard.stats().hops(), 0, "the transit hop gave way");
    let c = cell(ID, &[3; CELL]);
    assert_eq!(b.accept(AFTER, c.clone()), Some(c.clone()));
    assert_eq!(b.accept(BEFORE, c.clone()), None);
    assert_eq!(b.drops().wrong_previous, 1);
    let g = to_gateway(ID, &[1; 30]);
    assert_eq!(b.accept(BEFORE, g.clone()), Some(g.clone()));
    let other = message(kind::DATABASE_STORE, vec![1]);
    assert_eq!(b.accept(BEFORE, other.clone()), Some(other));
    b.shard.install(b.now, hop(Role::Participant));
    assert_eq!(b.shard.stats().not_installed, 1, "the id is ours");
    b.shard.remove_own(ID);
    assert_eq!(b.accept(AFTER, c), None);
    assert_eq!(b.drops().unknown_id, 1);
}

#[test]
fn hops_are_bounded_and_end() {
    let limits = ShardLimits {
        hops: 2,
        ..ShardLimits::default()
    };
    let with = |id, role| Hop {
        id: TunnelId(id),
        ..hop(role)
    };
    let mut b = Bench::limited(
        limits,
        [
            with(1, Role::Participant),
            with(1, Role::OutboundEndpoint),
            with(2, Role::OutboundEndpoint),
            with(3, Role::Participant),
        ],
    );
    let stats = b.shard.stats();
    assert_eq!((stats.participants, stats.endpoints), (1, 1));
    assert_eq!(stats.not_installed, 2);
    b.shard.remove(TunnelId(1));
    b.shard.install(
        start(),
        Hop {
            next: US,
            ..with(4, Role::Participant)
        },
    );
    assert_eq!(b.shard.stats().not_installed, 3, "a loop");
    let deadline = b.shard.deadline().unwrap();
    assert_eq!(deadline, start().mono + limits::HOP_LIFE);
    b.shard
        .handle_timeout(start().after(limits::HOP_LIFE - Duration::from_micros(1)));
    assert_eq!(b.shard.stats().hops(), 1);
    b.shard.handle_timeout(start().after(limits::HOP_LIFE));
    assert_eq!((b.shard.stats().hops(), b.shard.deadline()), (0, None));
}

#[test]
fn fragments_at_endpoints_are_bounded_and_forgotten() {
    let limits = ShardLimits {
        fragment_bytes: 10_000,
        bytes_per_sec: 10_000_000,
        ..ShardLimits::default()
    };
    let mut b = Bench::limited(limits, [hop(Role::OutboundEndpoint)]);
    let mut rng = Rng::from_number(3);
    let to = TunnelDelivery::Router(AFTER);
    for _ in 0..100 {
        let cell = cells_for_endpoint(to, &[1; 3000], &mut rng).remove(1);
        assert!(b.pass(BEFORE, cell).is_empty());
        assert!(b.shard.held <= 10_000);
    }
    let deadline = b.shard.deadline().unwrap();
    assert_eq!(deadline, start().mono + limits::REASSEMBLY_TIMEOUT);
    b.shard
        .handle_timeout(start().after(limits::REASSEMBLY_TIMEOUT));
    assert_eq!(b.shard.held, 0);
    assert_eq!(b.shard.stats().fragments_lost, 100);
}

#[test]
fn hostile_bodies_are_only_counted() {
    let mut b = Bench::new([hop(Role::OutboundEndpoint)]);
    let mut rng = Rng::from_number(4);
    for n in 0..3000 {
        let random = rng.array();
        let len = rng.below(1100);
        let message = match n % 3 {
            0 => cell(ID, &random),
            1 => data(rng.bytes(len)),
            _ => message(kind::TUNNEL_GATEWAY, rng.bytes(len)),
        };
        b.now = b.now.after(Duration::from_micros(1));
        assert!(b.pass(BEFORE, message).is_empty());
    }
    assert_eq!(b.drops().total(), 3000);
}

#[test]
fn what_is_long_expired_leaves_no_tunnel() {
    let mut rng = Rng::from_number(3);
    let deliveries = [
        TunnelDelivery::Router(AFTER),
        TunnelDelivery::Router(US),
        TunnelDelivery::Local,
        TunnelDelivery::Tunnel(AFTER, NEXT_ID),
        TunnelDelivery::Tunnel(US, NEXT_ID),
    ];
    let gateway = Hop {
        id: NEXT_ID,
        ..hop(Role::InboundGateway)
    };
    let mut b = Bench::new([hop(Role::OutboundEndpoint), gateway]);
    let mut inner = message(20, vec![4; 100]);
    inner.expires = start().wall - Duration::from_secs(61);
    for (n, delivery) in deliveries.into_iter().enumerate() {
        for cell in cells_for_endpoint(delivery, &inner.to_long(), &mut rng) {
            assert!(b.pass(BEFORE, cell).is_empty());
        }
        assert_eq!(b.drops().expired, n as u64 + 1);
    }
    assert!(
        b.pass(AFTER, to_gateway(NEXT_ID, &inner.to_long()))
            .is_empty()
    );
    assert_eq!(b.drops().expired, 6);
    assert!(b.pass(AFTER, to_gateway(NEXT_ID, &[1; 15])).is_empty());
    for cell in cells_for_endpoint(deliveries[3], &[1; 15], &mut rng) {
        assert!(b.pass(BEFORE, cell).is_empty());
    }
    assert_eq!((b.drops().malformed, b.drops().expired), (2, 6));
    inner.expires = start().wall - Duration::from_secs(59);
    assert_eq!(
        b.pass(AFTER, to_gateway(NEXT_ID, &inner.to_long())).len(),
        1
    );
}

/// One hostile tunnel that never finishes a message takes no room from the others.
#[test]
fn the_endpoint_that_holds_most_fragments_gives_them_up() {
    let limits = ShardLimits {
        fragment_bytes: 20_000,
        bytes_per_sec: 10_000_000,
        ..ShardLimits::default()
    };
    let other = Hop {
        id: NEXT_ID,
        ..hop(Role::OutboundEndpoint)
    };
    let mut b = Bench::limited(limits, [hop(Role::OutboundEndpoint), other]);
    let mut rng = Rng::from_number(3);
    let to = TunnelDelivery::Router(AFTER);
    let honest = message(20, vec![1; 2500]).to_long();
    for _ in 0..50 {
        let mut out = Vec::new();
        for mut honest in cells_for_endpoint(to, &honest, &mut rng) {
            for _ in 0..10 {
                let hostile = cells_for_endpoint(to, &[1; 3000], &mut rng).remove(1);
                assert!(b.pass(BEFORE, hostile).is_empty());
            }
            honest.body[..4].copy_from_slice(&NEXT_ID.0.to_be_bytes());
            out.extend(b.pass(BEFORE, honest));
            assert!(b.shard.held <= 20_000);
        }
        assert_eq!(out.len(), 1);
    }
}

/// One cell can hold messages for many routers: each costs its part of the bandwidth.
#[test]
fn small_messages_to_many_routers_are_metered() {
    let mut b = Bench::new([hop(Role::OutboundEndpoint)]);
    b.shard.limits.outputs = 100_000;
    let mut rng = Rng::from_number(3);
    let inner = message(20, Vec::new()).to_long();
    let mut sent = 0;
    for _ in 0..300 {
        let messages: Vec<_> = (0..18)
            .map(|_| {
                (
                    TunnelDelivery::Router(RouterHash(rng.array())),
                    inner.clone(),
                )
            })
            .collect();
        let mut cells = fragment(&messages, &mut rng);
        assert_eq!(cells.len(), 1);
        keys().decrypt(&mut cells[0]);
        sent += b.pass(BEFORE, cell(ID, &cells[0])).len();
    }
    assert!((500..2300).contains(&sent), "{sent}");
    assert_eq!(b.shard.stats().bytes_sent, sent as u64 * 16);
    assert!(b.drops().limit + b.drops().share > 100);
}

#[test]
fn the_replay_filter_suffices_for_the_bandwidth() {
    let limits = ShardLimits {
        filter_bytes: 1024,
        ..ShardLimits::default()
    };
    for rate in [64 * 1024, 1 << 20, 10 << 20] {
        let cells = rate * limits::HOP_LIFE.as_secs() / CELL as u64 + rate / CELL as u64;
        assert!(IvFilter::certain(filter_bytes(&limits, rate)) as u64 >= cells);
    }
    // All cells that pass in a tunnel's life at the limit, then each of them again.
    let mut b = Bench::limited(limits, [hop(Role::Participant)]);
    let rate = 64 * 1024;
    b.shard.set_transit_limit(rate);
    let bytes = filter_bytes(&limits, rate);
    let mut filter = IvFilter::new(bytes, limits::HOP_LIFE);
    let cells = rate * limits::HOP_LIFE.as_secs() / CELL as u64;
    let at = |n: u64| start().after(Duration::from_micros(n * 1_000_000 * CELL as u64 / rate));
    for n in 0..cells {
        filter.insert(at(n), &mut b.rng, &n.to_be_bytes());
    }
    for n in 0..cells {
        assert!(!filter.insert(at(cells), &mut b.rng, &n.to_be_bytes()));
    }
}
