//! The root part: rules, kernel settings, routes, sockets, and the life of `gatewayd`.
//!
//! It parses nothing that came from a network. What it does to the system is planned by pure
//! functions (`rules`, `sysctl`, `routes`) and carried out here, in this order: settings, rules,
//! read back, routes, LAN link, `gatewayd`, the router where it is ours to start. If any of the
//! first three fails, a rule set that refuses everything is left behind.

pub mod admin;
pub mod child;
pub mod clock;
pub mod command;
pub mod console;
pub mod directory;
pub mod health;
pub mod machine;
pub mod moving;
pub mod pace;
pub mod ports;
pub mod router;
pub mod routes;
pub mod rules;
pub mod sockets;
pub mod state;
pub mod sysctl;
pub mod update;
pub mod uplink;
pub mod wan;
pub mod watchdog;

use crate::backup::wipe;
use crate::channel::Question;
use crate::config::{Config, User, WanMode};
use crate::handover::Secrets;
use admin::{Admin, Request};
use child::Child;
use clock::{Changed, Clock, Hand};
use console::Console;
use health::Judge;
use router::{Router, RouterChild};
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use update::Updates;
use uplink::Uplink;
use wan::WanAddresses;
use watchdog::Watchdog;

/// How often settings are read back and the WAN's addresses are compared.
const WATCH: Duration = Duration::from_secs(5);

/// What the command line says.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where the configuration is, for `gatewayd` too.
    pub config_path: PathBuf,
    /// The program to run as the gateway's user.
    pub gatewayd: PathBuf,
    /// The router to run as its user, unless something else runs it.
    pub router: Option<Router>,
    /// The clock that is kept, where one is.
    pub clock: Hand,
    /// What the system says of itself, for updates.
    pub update: update::Files,
    /// Whether to take rules, routes and settings away at the end (tests).
    pub remove_rules_on_exit: bool,
}

struct Supervisor {
    config: Config,
    options: Options,
    secrets: Secrets,
    router: RouterChild,
    watchdog: Watchdog,
    change: ports::Change,
    /// Uid and gid of the router, and of the page where there is one.
    router_user: (u32, u32),
    page_user: Option<(u32, u32)>,
    uids: rules::Uids,
    /// Time servers, as the rules know them.
    times: Vec<IpAddr>,
    /// As the rules know it.
    wan: WanAddresses,
    /// Number of the LAN interface the sockets are bound to.
    lan_index: u32,
    corrected: u64,
    reloads: u64,
    /// Frames as of one port that came in by the other, since the rules were loaded, and questions
    /// that are certain to be ours.
    both_ports: [u64; 2],
    /// Whether the rules read back last time.
    intact: bool,
    judge: Judge,
}

/// Runs until SIGTERM or SIGINT.
///
/// # Errors
/// In words. The system is locked down then, unless a user of the configuration does not exist.
pub async fn run(config: Config, options: Options) -> Result<(), String> {
    let (machine, boot) = (config.clone(), options.update.boot.clone());
    let ended = seal_and_serve(config, options).await;
    if ended.is_err() && Judge::of(&boot).is_over() {
        eprintln!("supervisor: on trial: the box cannot be sealed");
        // What it says is less than why this ends.
        let _ = machine::end(&machine, true);
    }
    ended
}

async fn seal_and_serve(config: Config, options: Options) -> Result<(), String> {
    let router_user = config.users.router.resolve();
    let router_user = router_user.map_err(|e| format!("users.router: {e}"))?;
    let gateway = config.users.gateway.resolve();
    let gateway = gateway.map_err(|e| format!("users.gateway: {e}"))?;
    if gateway.0 == router_user.0 {
        return Err("users.gateway and users.router are the same user".into());
    }
    let secrets = state::load_or_make(&config.paths.state_dir);
    let secrets = secrets.map_err(|e| lock_down(&config, &e))?;
    let mut config = config.completed(&secrets);
    let lan = moving::remembered(&config);
    config.lan.address = lan.map_err(|e| lock_down(&config, &e))?;
    let users = &config.users;
    let wan_user = user(&config, "wan", &users.wan, config.wan.mode == WanMode::Dhcp)?;
    let console_user = user(&config, "console", &users.console, config.console.enabled)?;
    let clock_user = user(&config, "clock", &users.clock, config.clock.enabled)?;
    let gatewayd = options.gatewayd.clone();
    let beside = |name| gatewayd.with_file_name(name);
    let programs = (beside("console"), options.config_path.clone());
    let console = Console::new(&config, programs, console_user, gateway);
    let hand = options.clock.clone();
    let clock = Clock::new(&config, gatewayd.clone(), clock_user, hand);
    let mut clock = clock.map_err(|e| lock_down(&config, &e))?;
    let uplink = Uplink::new(&config, gatewayd.clone(), wan_user);
    let mut this = Supervisor {
        router: RouterChild::new(options.router.clone(), router_user),
        watchdog: Watchdog::new(&config.watchdog),
        change: ports::Change::None,
        router_user,
        page_user: console_user,
        config,
        options,
        secrets,
        uids: rules::Uids {
            router: router_user.0,
            dhcp: wan_user.map(|(uid, _)| uid),
            clock: clock_user.map(|(uid, _)| uid),
        },
        times: Vec::new(),
        wan: WanAddresses::default(),
        lan_index: 0,
        corrected: 0,
        reloads: 0,
        both_ports: [0; 2],
        intact: false,
        judge: Judge::default(),
    };
    this.times = this.time_servers(&uplink);
    this.seal().map_err(|e| lock_down(&this.config, &e))?;
    this.watchdog.feed();
    let mut admin = Admin::bind(&this.config.paths.admin_sock)?;
    let mut child = Child::new(&this.options, gateway);
    let console = console?;
    clock.set_servers(this.times.clone()).await;
    let updates = this.updates(beside("updater"));
    let mut others = Others {
        uplink,
        console,
        clock,
        updates: updates?,
    };
    let ended = this.serve(&mut admin, &mut child, &mut others).await;
    if ended.is_ok() {
        this.watchdog.stop();
    }
    this.end(child, others).await;
    ended
}

/// The processes besides `gatewayd` and the router.
struct Others {
    uplink: Uplink,
    console: Console,
    clock: Clock,
    updates: Updates,
}

/// Uid and gid of a user, where one is needed.
fn user(
    config: &Config,
    role: &str,
    user: &User,
    needed: bool,
) -> Result<Option<(u32, u32)>, String> {
    if !needed {
        return Ok(None);
    }
    let resolved = user.resolve();
    resolved
        .map(Some)
        .map_err(|e| lock_down(config, &format!("users.{role}: {e}")))
}

/// Refuses everything; the error's text, with what went wrong on the way.
///
/// The LAN's link goes down besides: nobody is served by a box whose rules are not known, and it is
/// seen at the other end of the cable. The next start that seals the box brings it up.
fn lock_down(config: &Config, error: &str) -> String {
    // It may not exist; and rules that refuse everything are enough.
    let down = command::ip(&format!("link set {} down", config.lan.interface));
    match (command::nft(rules::LOCKDOWN), down) {
        (Ok(()), _) => format!("{error}; everything is locked down"),
        (Err(e), Ok(())) => format!("{error}; the LAN is down, but there are no rules: {e}"),
        (Err(e), Err(_)) => format!("{error}; locking down failed too: {e}"),
    }
}

impl Supervisor {
    /// Settings, rules, routes, LAN link.
    fn seal(&mut self) -> Result<(), String> {
        sysctl::apply(&self.config)?;
        self.make_way(&wan::prefixes(&self.config)?)?;
        self.load_rules()?;
        for line in uplink::fixed(&self.config) {
            command::ip(&line)?;
        }
        for line in routes::up(&self.config) {
            command::ip(&line)?;
        }
        self.lan_index = self.lan_index_now();
        // Interfaces that came up meanwhile brought settings of their own.
        sysctl::apply(&self.config).map(|_| ())
    }

    fn load_rules(&mut self) -> Result<(), String> {
        let name = &self.config.wan.interface;
        let wan = wan::read(&self.config)?.ok_or(format!("interface {name} does not exist"))?;
        let text = rules::generate(&self.config, &self.secrets, self.uids, &wan, &self.times);
        command::nft(&text)?;
        if command::nft(rules::BRIDGE).is_err() {
            // A kernel without bridge rules can only be told, not sealed, there.
            eprintln!("supervisor: no bridge rules: interfaces must not be bridged");
        }
        if command::nft(&rules::arp(&self.config)).is_err() {
            eprintln!("supervisor: no ARP rules: clients can fill the neighbour table");
        }
        let loaded = command::nft_list()?;
        rules::verify(&loaded, &self.config)?;
        self.wan = wan;
        self.reloads += 1;
        self.both_ports = [0; 2];
        Ok(())
    }

    /// Ends all processes in order.
    async fn end(&mut self, mut child: Child, mut others: Others) {
        others.console.stop();
        others.clock.stop();
        others.updates.stop();
        child.stop().await;
        self.router.stop().await;
        others.uplink.stop();
        // The socket may be gone already.
        let _ = std::fs::remove_file(&self.config.paths.admin_sock);
        if self.options.remove_rules_on_exit {
            self.unseal();
        }
    }

    fn unseal(&self) {
        for line in routes::down() {
            // What is not there needs no removal.
            let _ = command::ip(&line);
        }
        let _ = command::nft(rules::REMOVE);
    }

    async fn serve(
        &mut self,
        admin: &mut Admin,
        child: &mut Child,
        others: &mut Others,
    ) -> Result<(), String> {
        let listen = |kind| signal(kind).map_err(|e| format!("signals: {e}"));
        let mut terminate = listen(SignalKind::terminate())?;
        let mut interrupt = listen(SignalKind::interrupt())?;
        let mut hang_up = listen(SignalKind::hangup())?;
        let mut died = listen(SignalKind::child())?;
        let mut watch = tokio::time::interval(WATCH);
        watch.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            self.tend_ports(child, others).await?;
            let pause = child.tend(&self.config, &self.secrets);
            let pause = pause.min(self.router.tend(others.clock.is_known()));
            let pause = pause.min(others.clock.tend());
            let pause = pause.min(self.ports_due());
            tokio::select! {
                _ = terminate.recv() => return Ok(()),
                _ = interrupt.recv() => return Ok(()),
                _ = hang_up.recv() => self.reload(child).await?,
                _ = died.recv() => {}
                _ = watch.tick() => {
                    self.watch(child).await?;
                    self.look(child, others.clock.is_known()).await;
                }
                () = others.updates.run() => {}
                () = tokio::time::sleep(pause) => {}
                event = others.uplink.next() => {
                    self.uplink(event, child, &mut others.uplink).await?;
                    others.clock.set_servers(self.times.clone()).await;
                }
                report = others.clock.next() => {
                    let changed = others.clock.hear(report);
                    self.clock_changed(changed);
                }
                asked = admin.next() => {
                    let text = self.answer(asked.request.clone(), child, others).await;
                    asked.reply(text.as_ref().map_or("reload: failed\n", String::as_str)).await;
                    wipe(text?);
                }
                request = others.console.next(&self.config) => {
                    let text = self.answer(request, child, others).await;
                    let said = text.as_ref().map_or("reload: failed\n", String::as_str);
                    others.console.answer(said).await;
                    wipe(text?);
                }
            }
        }
    }

    /// Does what is asked for; the answer.
    ///
    /// # Errors
    /// The rules could not be set: everything is locked down.
    async fn answer(
        &mut self,
        request: Request,
        child: &mut Child,
        others: &mut Others,
    ) -> Result<String, String> {
        let console = &mut others.console;
        Ok(match request {
            Request::Status => {
                let own = others.updates.status() + &console.status();
                let clock = others.clock.status();
                self.status(child, &others.uplink).await + &own + &clock
            }
            Request::Clock => others.clock.status(),
            Request::Version => others.updates.status(),
            Request::Ports => self.ports(),
            Request::ChoosePorts(lan, wan) => self.choose_ports(&lan, &wan),
            Request::ConfirmPorts => self.confirm_ports(),
            Request::Machine(wish) => self.machine(wish),
            Request::ClockSet(secs) => {
                let (changed, text) = others.clock.set_by_hand(secs);
                self.clock_changed(changed);
                text
            }
            Request::Devices => child.ask(Question::Devices).await,
            Request::NewIdentity(of) => child.ask(Question::NewIdentity(of)).await,
            Request::PasswordCode => console.code(&self.config),
            Request::PasswordSet => console.password_set(),
            Request::Reload => {
                self.reload(child).await?;
                "reload: ok\n".to_owned()
            }
        })
    }

    /// Who may be asked for the time: whom the settings name, then whom the WAN's network does.
    fn time_servers(&self, uplink: &Uplink) -> Vec<IpAddr> {
        let settings = &self.config.clock;
        let mut all = settings.servers.clone();
        if settings.dhcp_servers {
            all.extend(uplink.times());
        }
        let ours = |a: &IpAddr| match a {
            IpAddr::V4(v4) => {
                self.config.lan.address.contains(v4) || self.config.vip.v4.contains(v4)
            }
            IpAddr::V6(_) => false,
        };
        all.retain(|a| self.uids.clock.is_some() && !ours(a));
        let mut seen = std::collections::BTreeSet::new();
        all.retain(|a| seen.insert(*a));
        all.truncate(crate::clock::machine::SERVERS_MAX);
        all
    }

    /// The clock has been set.
    fn clock_changed(&mut self, changed: Changed) {
        if changed.router {
            self.router.begin_anew();
        }
    }

    /// Sets all again. Where the LAN has moved, `gatewayd` has to begin anew.
    async fn reload(&mut self, child: &mut Child) -> Result<(), String> {
        let before = self.config.lan.address;
        self.seal().map_err(|e| lock_down(&self.config, &e))?;
        self.watchdog.feed();
        if self.config.lan.address != before {
            child.stop().await;
        }
        Ok(())
    }

    /// The WAN has got an address, or lost it.
    async fn uplink(
        &mut self,
        event: uplink::Event,
        child: &mut Child,
        uplink: &mut Uplink,
    ) -> Result<(), String> {
        let uplink::Event::Lease(lease) = event else {
            return Ok(());
        };
        if let Some(lease) = lease {
            let net = lease.address;
            let sites = uplink::overlap(net, self.config.vip.v4);
            if sites || moving::place(&self.config, &[net]).is_none() {
                eprintln!("supervisor: the WAN is offered {net}, which is needed here: not taken");
                uplink.refuse().await;
                return Ok(());
            }
            // Before the address is there: until then no answer can go astray.
            if self
                .make_way(&[net])
                .map_err(|e| lock_down(&self.config, &e))?
            {
                child.stop().await;
            }
        }
        if let Err(e) = uplink.apply(lease) {
            eprintln!("supervisor: the WAN's address: {e}");
            uplink.refuse().await;
        }
        self.times = self.time_servers(uplink);
        self.reload(child).await
    }

    /// Puts right what changed under us. An interface that is away is waited for: its rules go
    /// by name, and the link behind it is dead.
    async fn watch(&mut self, child: &mut Child) -> Result<(), String> {
        self.intact = false;
        let corrected = sysctl::apply(&self.config).map_err(|e| lock_down(&self.config, &e))?;
        if corrected > 0 {
            eprintln!("supervisor: {corrected} kernel settings had changed, set again");
            self.corrected += corrected;
        }
        let lan_index = self.lan_index_now();
        let prefixes = wan::prefixes(&self.config).map_err(|e| lock_down(&self.config, &e))?;
        if moving::place(&self.config, &prefixes) != Some(self.config.lan.address) {
            return self.reload(child).await;
        }
        let Some(wan) = wan::read(&self.config).map_err(|e| lock_down(&self.config, &e))? else {
            return Ok(());
        };
        if lan_index == 0 {
            return Ok(());
        }
        let intact = command::nft_list().and_then(|list| rules::verify(&list, &self.config));
        if wan == self.wan && lan_index == self.lan_index && intact.is_ok() {
            self.watchdog.feed();
            self.intact = true;
            self.look_at_ports(child).await;
            return Ok(());
        }
        eprintln!("supervisor: interfaces, addresses or rules have changed, setting all again");
        if lan_index != self.lan_index {
            child.stop().await;
        }
        self.reload(child).await
    }

    /// Tells `gatewayd` when both ports turn out to be in one network.
    async fn look_at_ports(&mut self, child: &mut Child) {
        let counters = command::nft_counters().unwrap_or_default();
        let seen = ["both_ports", "both_proven"].map(|name| rules::count(&counters, name));
        // Where it is down, it hears of the next ones.
        if seen[1] > self.both_ports[1] {
            child.ask(Question::BothPorts).await;
        } else if seen[0] > self.both_ports[0] {
            child.ask(Question::MaybeBothPorts).await;
        }
        self.both_ports = seen;
    }

    fn lan_index_now(&self) -> u32 {
        nix::net::if_::if_nametoindex(self.config.lan.interface.as_str()).unwrap_or(0)
    }

    async fn status(&self, child: &mut Child, uplink: &Uplink) -> String {
        let counters = command::nft_counters();
        format!(
            "{}rules: loaded\nrule loads: {}\nsettings corrected: {}\nlan address: {}\n{}\
             wan addresses: {}\n{}{}",
            self.watchdog.status(),
            self.reloads,
            self.corrected,
            self.config.lan.address,
            uplink.status(),
            self.wan.len(),
            counters.map_or_else(
                |e| format!("counters: {e}\n"),
                |text| rules::meanings(&text)
            ),
            child.status().await + &self.router.status()
        )
    }
}
