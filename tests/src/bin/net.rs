//! `net`: a private test network for work by hand.
//!
//! `net up` stays in the foreground until Ctrl-C; the other commands, from another terminal, use
//! the network that was started last from the same build directory.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use ramson_tests::fault::{Fault, Outcome};
use ramson_tests::network::{Network, Plan, SITE_NAME, fetch_by_proxy};
use ramson_tests::peers::Suite;
use ramson_tests::{i2pd, netns, places, setup, site, wall};

const USAGE: &str = "\
net up [-n ROUTERS] [--ff N] [--hops N] [--suite trixie|forky|both] [--log LEVEL] [--slots N]
        starts a network and stays until Ctrl-C
net slot            the place for a router under test, its seeds renewed
net fetch [PATH]    the site through i2pd's own proxy, e.g. /bytes/2000000 (checked)
net console         figures of every router
net exec WHERE CMD  a command inside: slot, line, client, site, hub or a router's number
net sweep           removes what killed runs have left";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match command(&words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            eprintln!("net: {fault}");
            ExitCode::FAILURE
        }
    }
}

fn command(words: &[String]) -> Outcome<()> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["up", rest @ ..] => up(rest),
        ["slot"] => slot(),
        ["fetch"] => fetch("/"),
        ["fetch", path] => fetch(path),
        ["console"] => console(),
        ["exec", place, program, rest @ ..] => exec(place, program, rest),
        ["sweep"] => {
            println!("{} namespaces removed", netns::sweep());
            Ok(())
        }
        _ => Err(Fault::new(USAGE)),
    }
}

fn plan(words: &[&str]) -> Outcome<Plan> {
    let mut plan = Plan::default();
    let mut rest = words.iter();
    while let Some(word) = rest.next() {
        let value = *rest
            .next()
            .ok_or_else(|| Fault::new(format!("{word} needs a value")))?;
        let number = || {
            value
                .parse::<u8>()
                .map_err(|_| Fault::new(format!("{word} {value}")))
        };
        match *word {
            "-n" => plan.routers = number()?,
            "--ff" => plan.floodfills = number()?,
            "--hops" => plan.hops = number()?,
            "--slots" => plan.slots = number()?,
            "--suite" => plan.suites = Suite::parse(value)?,
            "--log" => {
                let levels = ["error", "warn", "info", "debug"];
                let found = levels.into_iter().find(|l| *l == value);
                plan.log_level = found.ok_or_else(|| Fault::new(levels.join("|")))?;
            }
            _ => return Err(Fault::new(USAGE)),
        }
    }
    Ok(plan)
}

fn up(words: &[&str]) -> Outcome<()> {
    let plan = plan(words)?;
    setup::ready(&plan.suites, false)?;
    let start = wall::now();
    let mut network = Network::up(&plan)?;
    println!(
        "{} routers up after {:.1} s",
        plan.routers,
        wall::since(start)
    );
    save(&network)?;
    print_state()?;
    match network.first_page(Duration::from_secs(180)) {
        Ok(page) => println!(
            "i2pd's own first page {:.1} s after start (answer in {:.2} s)",
            wall::since(network.started),
            page.total_s
        ),
        Err(fault) => println!("{fault}"),
    }
    println!("Ctrl-C takes everything down");
    let ended = loop {
        network.renew_seeds()?;
        if let Err(fault) = wall::pause(Duration::from_secs(60)).and_then(|()| network.check()) {
            break fault;
        }
    };
    println!("{ended}: going down");
    let _ = std::fs::remove_file(state_file());
    Ok(())
}

fn state_file() -> PathBuf {
    places::target().join("net-current")
}

fn save(network: &Network) -> Outcome<()> {
    let mut lines = vec![
        format!("hub={}-hub", network.prefix),
        format!("client={}", network.client().namespace.name()),
        format!("client_address={}", network.client().address),
        format!("site={}", network.publisher().namespace.name()),
        format!("b32={}", network.site_b32()?),
        format!("name={SITE_NAME}"),
        format!("folder={}", network.folder().display()),
        format!("net_id={}", i2pd::NET_ID),
        format!("port={}", i2pd::PORT),
    ];
    for node in &network.nodes {
        lines.push(format!("{}={}", node.number, node.namespace.name()));
    }
    for slot in &network.slots {
        let config = slot.write_config(3, "")?;
        lines.push(format!("slot={}", slot.namespace.name()));
        lines.push(format!("line={}", slot.line.name()));
        lines.push(format!("address={}", slot.address));
        lines.push(format!("seeds={}", slot.seeds().display()));
        lines.push(format!("hosts={}", slot.hosts().display()));
        lines.push(format!("config={}", config.display()));
    }
    places::write(&state_file(), lines.join("\n") + "\n")
}

fn state() -> Outcome<BTreeMap<String, String>> {
    let text = std::fs::read_to_string(state_file());
    let text = text.map_err(|_| Fault::new("no network is up from this build directory"))?;
    let pairs = text.lines().filter_map(|line| line.split_once('='));
    Ok(pairs
        .map(|(key, value)| (key.to_string(), value.to_string()))
        .collect())
}

fn value(key: &str) -> Outcome<String> {
    state()?
        .remove(key)
        .ok_or_else(|| Fault::new(format!("the network has no {key}")))
}

fn print_state() -> Outcome<()> {
    println!("net id {}, port {}", value("net_id")?, value("port")?);
    println!(
        "site   http://{}/  and  http://{}/",
        value("name")?,
        value("b32")?
    );
    println!("files  {}", value("folder")?);
    if let Ok(slot) = value("slot") {
        println!(
            "slot   address {}, seeds {}",
            value("address")?,
            value("seeds")?
        );
        println!(
            "       hosts {}, config {}",
            value("hosts")?,
            value("config")?
        );
        println!("       ip netns exec {slot} routerd {}", value("config")?);
    }
    Ok(())
}

fn slot() -> Outcome<()> {
    let (folder, seeds) = (
        PathBuf::from(value("folder")?),
        PathBuf::from(value("seeds")?),
    );
    for number in state()?.keys().filter(|key| key.parse::<u8>().is_ok()) {
        let bytes = places::read(&folder.join(format!("r{number}/router.info")))?;
        let hash = ramson_tests::router_file::parse(&bytes)?.hash;
        places::write(&seeds.join(format!("routerInfo-{hash}.dat")), &bytes)?;
    }
    print_state()
}

fn fetch(path: &str) -> Outcome<()> {
    let address: Ipv4Addr = value("client_address")?
        .parse()
        .map_err(|_| Fault::new("client_address"))?;
    let url = format!("http://{}{path}", value("b32")?);
    let body = Path::new(&value("folder")?).join("fetched");
    let limit = Duration::from_secs(120);
    let got = fetch_by_proxy(&value("client")?, address, &url, &body, limit)?;
    println!(
        "code {}, {} bytes, first byte {:.3} s, total {:.3} s, {:.2} MB/s {}",
        got.code,
        got.bytes,
        got.first_byte_s,
        got.total_s,
        got.megabytes_per_s(),
        got.complaint
    );
    if let Some(count) = path.strip_prefix("/bytes/").and_then(|n| n.parse().ok()) {
        site::check_bytes(&body, count)?;
        println!("every byte is right");
    }
    if got.is_ok() {
        Ok(())
    } else {
        Err(Fault::new("not fetched"))
    }
}

fn console() -> Outcome<()> {
    for (number, namespace) in state()?.iter().filter(|(key, _)| key.parse::<u8>().is_ok()) {
        let address = (Ipv4Addr::LOCALHOST, 7070).into();
        match ramson_tests::probe::http_get(namespace, address, "/") {
            Ok(page) => println!("{number}: {:?}", i2pd::Console::parse(&page)),
            Err(fault) => println!("{number}: {fault}"),
        }
    }
    Ok(())
}

fn exec(place: &str, program: &str, rest: &[&str]) -> Outcome<()> {
    let error = netns::command_in(&value(place)?, program).args(rest).exec();
    Err(error.into())
}
