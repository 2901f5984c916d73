use super::*;
use ramson_proto::limits;

#[test]
fn the_shipped_file_equals_the_defaults() {
    let shipped = include_str!("../../routerd.toml");
    assert_eq!(
        ConfigFile::parse(shipped, "routerd.toml"),
        Ok(ConfigFile::default())
    );
    assert_eq!(ConfigFile::parse("", "empty"), Ok(ConfigFile::default()));
    let core = ramson_proto::config::Config::default();
    assert_eq!(
        format!("{:?}", ConfigFile::default().core()),
        format!("{core:?}")
    );
}

#[test]
fn errors_name_file_and_line() {
    let cases = [
        ("[network]\nnet_id = 2\nnett = 3\n", "c:3: "),
        ("[tunnels]\n\nhops = 4\n", "c:3: hops must be 0 to 3"),
        (
            "[network]\nport = 70000\n",
            "c:2: port must be 0, or 1024 to 65535: ",
        ),
        ("[router]\nclass = \"Q\"\n", "c:2: class must be"),
        (
            "[network]\nhost = \"a.example\"\n",
            "c:2: host must be an IPv4 address",
        ),
        ("data_dir = 1\n", "c:1: data_dir must be a path: "),
        (
            "[http_proxy]\n\nlisten = \"x\"\n",
            "c:3: listen must be an address with a port",
        ),
        (
            "network = { net_id = 2, port = 80 }\n",
            "c:1: port must be 0, or 1024",
        ),
        (
            "transit.tunnels = -1\n",
            "c:1: tunnels must be 0 to 100000: ",
        ),
        (
            "[transit]\ntunnels = 7\n[tunnels]\nhops = 2\nhops = 3\n",
            "c:5: ",
        ),
    ];
    for (text, start) in cases {
        let e = ConfigFile::parse(text, "c").unwrap_err().0;
        assert!(e.starts_with(start), "{text}{e}");
        assert!(!e.contains('\n'), "{e}");
    }
}

/// Values that hardly anybody means.
const EXTREMES: &[&str] = &[
    "-9223372036854775808",
    "-1",
    "0",
    "1",
    "16",
    "17",
    "58",
    "63",
    "64",
    "68",
    "69",
    "255",
    "256",
    "1023",
    "1024",
    "65534",
    "65535",
    "65536",
    "100000",
    "100001",
    "4294967295",
    "4294967296",
    "9223372036854775807",
    "9223372036854775808",
    "1.5",
    "nan",
    "true",
    "false",
    "\"\"",
    "\" \"",
    "\"\\u0000\"",
    "\"\\n\"",
    "\"é\"",
    "\"/\"",
    "\"O\"",
    "\"OX\"",
    "\"info\"",
    "\"0.0.0.0\"",
    "\"255.255.255.255\"",
    "\"10.0.0.1\"",
    "\"8.8.8.8\"",
    "\"::\"",
    "\"::1\"",
    "\"2a00::1\"",
    "\"127.0.0.1:0\"",
    "\"[::1]:1\"",
    "\"127.0.0.1:99999\"",
    "[]",
    "[0]",
    "[-1]",
    "[4294967296]",
    "{}",
    "1979-05-27",
];

/// Every setting of every section at values that nobody meant: each is either taken, and the core
/// starts with it, or refused with its line, its name and what it may be.
#[test]
fn every_setting_at_its_extremes_works_or_is_named() {
    let long = format!("\"{}\"", "a".repeat(70_000));
    let mut taken = 0;
    for (section, key) in rules::names() {
        let head = if section.is_empty() {
            String::new()
        } else {
            format!("[{section}]\n")
        };
        for value in EXTREMES.iter().copied().chain([long.as_str()]) {
            let text = format!("{head}{key} = {value}\n");
            let at = if section.is_empty() { 1 } else { 2 };
            match ConfigFile::parse(&text, "c") {
                Ok(config) => {
                    taken += 1;
                    starts(&config, &text);
                }
                Err(e) if value.len() == 19 && value.ends_with("808") => {
                    assert!(e.0.starts_with(&format!("c:{at}: ")), "{text}{}", e.0);
                }
                Err(e) => {
                    let start = format!("c:{at}: {key} must be ");
                    assert!(e.0.starts_with(&start), "{text}{}", e.0);
                }
            }
        }
    }
    assert!(taken > 150, "{taken}");
}

/// The core runs for a minute with these settings.
fn starts(config: &ConfigFile, text: &str) {
    use ramson_proto::rng::Rng;
    use ramson_proto::router::Router;
    use ramson_proto::router::boot::Saved;
    use ramson_proto::time::{Date, Instant, Now};
    let mut rng = Rng::from_number(1);
    let keys = crate::keys::KeyFile::generate(&mut rng).unwrap();
    let mut now = Now {
        mono: Instant(1),
        wall: Date::from_secs(1_800_000_000),
    };
    let router = Router::new(config.core(), keys.router, Saved::default(), rng, now);
    let mut router = router.unwrap_or_else(|e| panic!("{text}{e}"));
    for _ in 0..60 {
        now = now.after(std::time::Duration::from_secs(1));
        router.handle_timeout(now);
        while router.poll_output().is_some() {}
    }
}

#[test]
fn what_streams_may_hold_is_a_setting() {
    let parse = |n: u64| ConfigFile::parse(&format!("[clients]\nreceive_mebibytes = {n}\n"), "c");
    assert_eq!(parse(3).unwrap().core().receive_budget, 3 << 20);
    assert!(parse(0).is_err() && parse(1025).is_err());
}

/// All destinations that may be configured get their tunnels.
#[test]
fn every_client_destination_has_a_pool() {
    let most = limits::CLIENT_DESTINATIONS_MAX;
    let text = format!("[clients]\ndestinations = {}\n", most + 1);
    let e = ConfigFile::parse(&text, "c").unwrap_err().0;
    assert!(e.contains("c:2: destinations must be 1 to 63"), "{e}");
    let mut tunnels =
        ramson_proto::tunnel::Tunnels::new(ramson_proto::wire::hash::RouterHash([1; 32]));
    let settings = ramson_proto::tunnel::PoolSettings {
        inbound_hops: 1,
        outbound_hops: 1,
        inbound_quantity: 1,
        outbound_quantity: 1,
    };
    let now = ramson_proto::time::Now::default();
    for n in 0..=most as u32 {
        assert!(
            tunnels.add_pool(now, ramson_proto::tunnel::PoolId(n), settings),
            "{n}"
        );
    }
}
