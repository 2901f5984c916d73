//! Messages for routers without a link, for the few seconds until there is one.
//!
//! Others' traffic and requests make us wait for routers of their choice, so these have limited
//! parts of the table: transit a part as a whole and one for each router that sends it, answers
//! that we owe another. What is our own has the rest, and takes the places of the others' when
//! there is none.

use super::queue::{Drops, size};
use crate::limits;
use crate::relay::limit::{Meter, PerPeer, Rate};
use crate::router::output::Class;
use crate::time::{Instant, Now};
use crate::wire::hash::RouterHash;
use crate::wire::i2np::Message;
use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;

/// How long messages wait for somebody to dial.
const WAIT: Duration = Duration::from_secs(5);
/// How long in all when a dial is under way.
const WAIT_DIAL: Duration = Duration::from_secs(10);
/// After a dial failed, messages alone cause no other one for this time.
const PAUSE: Duration = Duration::from_secs(5);
/// After a dial to a host that others caused failed, they cause no other one for this time.
const PAUSE_HOST: Duration = Duration::from_secs(20);
/// A router that others wanted may still be found for so long.
const LATE: Duration = Duration::from_secs(60);
/// Routers that one router's transit makes us look for in a second, and at once.
const PER_CAUSE: Rate = Rate {
    per_sec: 2,
    burst: 32,
};
/// Those of all transit.
const TRANSIT: Rate = Rate {
    per_sec: 20,
    burst: 128,
};
/// Those of all answers, requests that we pass on to a tunnel's next hop among them.
const ANSWERS: Rate = Rate {
    per_sec: 30,
    burst: 128,
};

/// Why a message is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cause {
    /// Its class.
    pub class: Class,
    /// Whose transit it is.
    pub from: Option<RouterHash>,
}

impl Cause {
    /// A message of the router.
    pub const fn of(class: Class) -> Self {
        Self { class, from: None }
    }
}

/// Whether the class is our own business.
pub const fn is_own(class: Class) -> bool {
    matches!(class, Class::Own | Class::Control)
}

struct Target {
    since: Instant,
    dialling: bool,
    /// The highest of its messages, and who caused it.
    cause: Cause,
    messages: VecDeque<(Class, Message)>,
    bytes: usize,
}

impl Target {
    fn until(&self) -> Instant {
        self.since + if self.dialling { WAIT_DIAL } else { WAIT }
    }

    fn drop_all(&self, drops: &mut Drops) {
        for (class, _) in &self.messages {
            count(drops, *class);
        }
    }

    /// Makes room for a message out of the lowest class; `false` when all that wait are above it.
    fn make_room(&mut self, class: Class, n: usize, drops: &mut Drops) -> bool {
        while self.bytes + n > limits::LINK_WAIT_BYTES {
            let lowest = self.messages.iter().map(|(c, _)| *c).min();
            let victim = lowest.filter(|lowest| *lowest <= class);
            let at = victim.and_then(|v| self.messages.iter().position(|(c, _)| *c == v));
            let Some((class, old)) = at.and_then(|at| self.messages.remove(at)) else {
                return false;
            };
            self.bytes -= size(&old);
            count(drops, class);
        }
        true
    }
}

/// All of them, by router.
pub struct Waiting {
    targets: BTreeMap<RouterHash, Target>,
    /// When a dial failed or the router was not found, and up to which class that is a reason to
    /// wait.
    failed: BTreeMap<RouterHash, (Instant, Class)>,
    /// Where a dial for others failed.
    hosts: BTreeMap<IpAddr, Instant>,
    /// What was asked for and did not come in time, in vain until now.
    late: BTreeMap<RouterHash, (Instant, Class)>,
    per_cause: PerPeer,
    transit: Meter,
    answers: Meter,
}

impl Default for Waiting {
    fn default() -> Self {
        Self {
            targets: BTreeMap::new(),
            failed: BTreeMap::new(),
            hosts: BTreeMap::new(),
            late: BTreeMap::new(),
            per_cause: PerPeer::new(PER_CAUSE, limits::LINK_CAUSES),
            transit: Meter::new(TRANSIT),
            answers: Meter::new(ANSWERS),
        }
    }
}

impl Waiting {
    /// Keeps a message. `true` when the router was not waited for before by anything of its class
    /// or above.
    ///
    /// The oldest messages of the lowest class for a router make room for newer ones; a new router
    /// beyond its class's part of [`limits::LINK_WAIT_TARGETS`] or rate is refused with its
    /// message.
    pub fn push(
        &mut self,
        now: Now,
        to: RouterHash,
        cause: Cause,
        message: Message,
        drops: &mut Drops,
    ) -> bool {
        let (class, n) = (cause.class, size(&message));
        let new = !self.targets.contains_key(&to);
        if n > limits::LINK_WAIT_BYTES || (new && !self.admit(now, cause, drops)) {
            count(drops, class);
            return false;
        }
        let target = self.targets.entry(to).or_insert_with(|| Target {
            since: now.mono,
            dialling: false,
            cause,
            messages: VecDeque::new(),
            bytes: 0,
        });
        if !target.make_room(class, n, drops) {
            count(drops, class);
            return false;
        }
        let raised = is_own(class) && !is_own(target.cause.class);
        if class > target.cause.class {
            target.cause = cause;
        }
        target.bytes += n;
        target.messages.push_back((class, message));
        new || raised
    }

    /// Whether one more router may be waited for.
    fn admit(&mut self, now: Now, cause: Cause, drops: &mut Drops) -> bool {
        let full = self.targets.len() >= limits::LINK_WAIT_TARGETS;
        let of = |class| move |t: &&Target| t.cause.class == class;
        let others = self.targets.values();
        match cause.class {
            Class::Transit => {
                let same = others.filter(of(Class::Transit));
                let (mut all, mut of_cause) = (0, 0);
                for target in same {
                    all += 1;
                    of_cause += usize::from(target.cause.from == cause.from);
                }
                !full
                    && all < limits::LINK_WAIT_TRANSIT
                    && of_cause < limits::LINK_WAIT_PER_CAUSE
                    && cause.from.is_none_or(|p| self.per_cause.admit(now, p, 1))
                    && self.transit.admit(now, 1)
            }
            Class::Answer => {
                let answers = others.filter(of(Class::Answer)).count();
                !full && answers < limits::LINK_WAIT_ANSWERS && self.answers.admit(now, 1)
            }
            Class::Own | Class::Control => !full || self.displace(drops),
        }
    }

    /// Gives up the router that others have waited for longest, transit's first.
    fn displace(&mut self, drops: &mut Drops) -> bool {
        let others = self.targets.iter().filter(|(_, t)| !is_own(t.cause.class));
        let first = others.min_by_key(|(_, t)| (t.cause.class, t.since));
        let Some(to) = first.map(|(to, _)| *to) else {
            return false;
        };
        self.forget(&to, drops);
        true
    }

    /// Whose business a dial of the router is: of what waits, or did not long ago. If nothing does,
    /// only the router itself can want it.
    #[must_use]
    pub fn class(&self, now: Instant, to: &RouterHash) -> Class {
        let late = self.late.get(to);
        let late = late.filter(|(at, _)| now.since(*at) < LATE);
        let waits = self.targets.get(to).map(|t| t.cause.class);
        waits
            .or(late.map(|(_, class)| *class))
            .unwrap_or(Class::Control)
    }

    /// A dial failed.
    pub fn failed(&mut self, now: Instant, to: RouterHash) {
        self.pause(now, to, Class::Control);
    }

    /// The router was not found: others' messages are no reason to look again at once, since that
    /// may have failed for their number.
    pub fn not_found(&mut self, now: Instant, to: RouterHash) {
        self.pause(now, to, Class::Answer);
    }

    /// Above [`limits::LINK_WAIT_TARGETS`] it is not remembered.
    fn pause(&mut self, now: Instant, to: RouterHash, class: Class) {
        self.failed.retain(|_, (at, _)| now.since(*at) < PAUSE);
        if self.failed.len() < limits::LINK_WAIT_TARGETS {
            self.failed.insert(to, (now, class));
        }
    }

    /// Whether a dial has failed so lately that a message of this class is no reason for another.
    #[must_use]
    pub fn is_paused(&self, now: Instant, to: &RouterHash, class: Class) -> bool {
        let failed = self.failed.get(to);
        failed.is_some_and(|(at, up_to)| now.since(*at) < PAUSE && class <= *up_to)
    }

    /// A dial to this host that others caused failed. When there are
    /// [`limits::LINK_WAIT_TARGETS`] of them lately, one is forgotten.
    pub fn host_failed(&mut self, now: Instant, host: IpAddr) {
        self.hosts.retain(|_, at| now.since(*at) < PAUSE_HOST);
        if self.hosts.len() >= limits::LINK_WAIT_TARGETS {
            self.hosts.pop_first();
        }
        self.hosts.insert(host, now);
    }

    /// Whether others may not make us dial this host again so soon: with RouterInfos of their own
    /// making they would have us attack it.
    #[must_use]
    pub fn is_host_paused(&self, now: Instant, host: IpAddr) -> bool {
        let failed = self.hosts.get(&host);
        failed.is_some_and(|at| now.since(*at) < PAUSE_HOST)
    }

    /// A dial to the router is under way: its messages wait longer.
    pub fn dialling(&mut self, to: &RouterHash) {
        if let Some(t) = self.targets.get_mut(to) {
            t.dialling = true;
        }
    }

    /// There is a link: the messages for its queue, in order.
    pub fn release(&mut self, to: &RouterHash) -> VecDeque<(Class, Message)> {
        self.targets
            .remove(to)
            .map(|t| t.messages)
            .unwrap_or_default()
    }

    /// There will be no link: drops the messages.
    pub fn forget(&mut self, to: &RouterHash, drops: &mut Drops) {
        if let Some(t) = self.targets.remove(to) {
            t.drop_all(drops);
        }
    }

    /// When the first of them gives up.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.targets.values().map(Target::until).min()
    }

    /// Drops what waited too long.
    pub fn expire(&mut self, now: Instant, drops: &mut Drops) {
        let late = &mut self.late;
        late.retain(|_, (at, _)| now.since(*at) < LATE);
        self.targets.retain(|to, t| {
            let keep = now < t.until();
            if !keep {
                t.drop_all(drops);
                if !is_own(t.cause.class) && late.len() < limits::LINK_WAIT_TARGETS {
                    late.insert(*to, (now, t.cause.class));
                }
            }
            keep
        });
    }
}

fn count(drops: &mut Drops, class: Class) {
    if let Some(n) = drops.get_mut(class as usize) {
        *n += 1;
    }
}
