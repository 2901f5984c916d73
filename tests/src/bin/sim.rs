//! `cargo sim`: one simulated network of our own routers, from a seed, and what became of it.

use std::process::ExitCode;
use std::time::Duration;

use ramson_tests::sim::app::Transfer;
use ramson_tests::sim::world::World;

const USAGE: &str = "\
cargo sim [--seed N] [--routers N] [--floodfills N] [--hops N] [--servers N] [--bytes N]
          [--latency-ms N] [--loss-per-mille N] [--seconds N] [--trace]
    every client without a server of its own fetches --bytes from every server; --trace prints
    the first events of each router; the same words give the same trace hash";

/// When the clients begin, and how far apart.
const START: Duration = Duration::from_secs(20);
const APART: Duration = Duration::from_secs(2);

struct Options {
    world: World,
    bytes: usize,
    seconds: u64,
    trace: bool,
}

fn main() -> ExitCode {
    let options = match options(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(problem) => {
            eprintln!("sim: {problem}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    if run(&options) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn options(mut words: impl Iterator<Item = String>) -> Result<Options, String> {
    let world = World::default();
    let mut o = Options {
        world,
        bytes: 200_000,
        seconds: 600,
        trace: false,
    };
    while let Some(word) = words.next() {
        if word == "--trace" {
            o.trace = true;
            continue;
        }
        let value = words
            .next()
            .ok_or_else(|| format!("{word} needs a number"))?;
        let n: u64 = value
            .parse()
            .map_err(|_| format!("{word}: {value} is not a number"))?;
        let small = usize::try_from(n).map_err(|_| format!("{word}: {value} is too large"))?;
        match word.as_str() {
            "--seed" => o.world.seed = n,
            "--routers" => o.world.routers = small,
            "--floodfills" => o.world.floodfills = small,
            "--hops" => o.world.hops = u8::try_from(n.min(3)).unwrap_or(3),
            "--servers" => o.world.servers = small,
            "--bytes" => o.bytes = small,
            "--latency-ms" => o.world.conditions.latency = Duration::from_millis(n),
            "--loss-per-mille" => {
                o.world.conditions.loss_per_mille = u32::try_from(n.min(1000)).unwrap_or(1000);
            }
            "--seconds" => o.seconds = n,
            _ => return Err(format!("unknown option {word}")),
        }
    }
    let w = &o.world;
    if w.routers > 250 || w.servers == 0 || w.floodfills + w.servers >= w.routers {
        return Err("at most 250 routers, of which some are neither floodfill nor server".into());
    }
    Ok(o)
}

fn run(o: &Options) -> bool {
    let w = o.world;
    let mut sim = w.build();
    let clients = w.floodfills..w.routers - w.servers;
    for (n, client) in clients.enumerate() {
        for server in w.routers - w.servers..w.routers {
            let at = START + APART * u32::try_from(n).unwrap_or(0);
            let tag = b"sim".to_vec();
            sim.plan(
                at,
                Transfer {
                    client,
                    server,
                    tag,
                    bytes: o.bytes,
                },
            );
        }
    }
    sim.run(Duration::from_secs(o.seconds));
    for (t, p) in sim.apps().transfers() {
        let (Some(start), Some(first)) = (p.started, p.first) else {
            println!("{} from {}: nothing", t.client, t.server);
            continue;
        };
        let first_byte = first.since(start).as_secs_f64();
        let whole = p.finished.map_or(0.0, |end| end.since(start).as_secs_f64());
        println!(
            "{} from {}: {} bytes, first after {first_byte:.3} s, all after {whole:.3} s",
            t.client, t.server, p.received
        );
    }
    if o.trace {
        for (i, node) in sim.nodes().iter().enumerate() {
            for note in node.notes.iter().take(20) {
                println!("router {i}: {note:?}");
            }
        }
    }
    println!("{} messages delivered, {} lost", sim.delivered, sim.lost);
    println!("trace {}", sim.trace_hash());
    let faults = sim.faults();
    for fault in &faults {
        println!("fault: {fault}");
    }
    faults.is_empty()
}
