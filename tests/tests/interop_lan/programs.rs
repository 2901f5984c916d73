//! Other programs on the LAN client: git over HTTP, a shell and a line service by raw ports, and a
//! large file.

use std::time::Duration;

use ramson_tests::network::SITE_NAME;
use ramson_tests::scene::Scene;
use ramson_tests::services::{Services, use_lines};
use ramson_tests::{probe, process, site, wall};

/// Other protocols by raw ports, in which the site speaks first, and git over HTTP.
pub fn other_clients(scene: &Scene) {
    let folder = scene.network.folder().join("services");
    let publisher = &scene.network.publisher().namespace;
    let services = Services::start(publisher, &folder).unwrap();
    scene.network.site.serve_files(Services::files(&folder));
    let address = probe::dns_query(&scene.lan.client, ramson_tests::lan::BOX, SITE_NAME);
    let to = (address.unwrap().unwrap(), 6667).into();
    // The first stream to a port may wait for its tunnels; the greeting itself is not held back.
    let times: Vec<_> = (0..5)
        .map(|_| use_lines(&scene.lan.client, to).unwrap())
        .collect();
    println!("greeting and answer of the line service, s: {times:.2?}");
    let best = times
        .iter()
        .map(|(greeted, _)| *greeted)
        .fold(f64::MAX, f64::min);
    assert!(best < 1.0, "{times:?}");
    let mut ssh = scene.lan.client.command("ssh");
    ssh.arg("-i").arg(&services.key).args([
        "-o",
        "UserKnownHostsFile=/dev/null",
        "-o",
        "StrictHostKeyChecking=no",
        "-o",
        "BatchMode=yes",
        "-o",
        "ConnectTimeout=30",
    ]);
    let start = wall::now();
    ssh.args(["root@garden.i2p", "seq 1 20000 | sha256sum; echo $HOME"]);
    let said = process::output(&mut ssh).unwrap();
    println!("a shell by SSH in {:.1} s", wall::since(start));
    let sum = process::run(&["sh", "-c", "seq 1 20000 | sha256sum"]).unwrap();
    let home = folder.join("home");
    assert_eq!(said.trim(), format!("{}\n{}", sum.trim(), home.display()));
    let clone = folder.join("clone");
    let mut git = scene.lan.client.command("git");
    git.args(["clone", "-q", "http://garden.i2p/files/garden.git"])
        .arg(&clone);
    let start = wall::now();
    process::output(&mut git).unwrap();
    println!("git clone over HTTP in {:.1} s", wall::since(start));
    let readme = std::fs::read_to_string(clone.join("readme")).unwrap();
    assert!(readme == services.readme);
}

/// 100 MB from the site, byte for byte.
pub fn a_large_file(scene: &Scene) {
    const COUNT: u64 = 100_000_000;
    let url = Scene::url(&format!("/bytes/{COUNT}"));
    let limit = Duration::from_secs(180);
    let got = scene.lan.curl(&url, limit, &[]).unwrap();
    assert!(got.is_ok(), "{got:?}");
    println!("100 MB at {:.1} MB/s", got.megabytes_per_s());
    site::check_bytes(&scene.lan.fetched(), COUNT).unwrap();
    std::fs::remove_file(scene.lan.fetched()).unwrap();
}
