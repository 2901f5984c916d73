use super::*;

fn error(text: &str) -> String {
    Config::parse(text).unwrap_err().to_string()
}

#[test]
fn the_shipped_file_spells_out_the_defaults() {
    let shipped = include_str!("../../gateway.toml");
    assert_eq!(Config::parse(shipped).unwrap(), Config::default());
    assert_eq!(Config::parse("").unwrap(), Config::default());
    for key in [
        "interface",
        "address",
        "ipv6",
        "address6",
        "name",
        "domain",
        "answer_probes",
        "port",
        "enabled",
        "first",
        "last",
        "lease_minutes",
        "mac",
        "alternatives",
        "mode",
        "gateway6",
        "wan",
        "router_port",
        "servers",
        "dhcp_servers",
        "device",
        "data",
        "confirm_seconds",
        "clock",
        "v4",
        "views",
        "router",
        "gateway",
        "state_dir",
        "stream_sock",
        "control_sock",
        "admin_sock",
        "flows",
        "flows_per_client",
    ] {
        let named = |line: &str| {
            line.trim_start_matches("# ")
                .starts_with(&format!("{key} ="))
        };
        assert!(shipped.lines().any(named), "{key}");
    }
}

#[test]
fn errors_carry_the_line() {
    assert!(error("[lan]\n\nport = 70000\n").starts_with("line 3: lan.port: "));
    assert!(error("[lan]\ncolour = 1\n").contains("unknown field"));
    assert!(error("[LAN]\n").starts_with("line 1: unknown field"));
    assert!(error("[lan]\ninterface = \"a\"\naddress = \"1.2.3\"\n").starts_with("line 3: "));
    assert!(error("[wan]\ninterface = \"a b\"").starts_with("line 2: wan.interface: not an"));
    assert!(error("\n[wan\n").starts_with("line 2: "));
}

#[test]
fn values_that_contradict_each_other_are_refused() {
    let overlap = "[lan]\naddress = \"10.0.0.1/8\"\n[virtual]\nv4 = \"10.64.0.0/16\"\n";
    assert_eq!(error(overlap), "line 4: virtual.v4 overlaps lan.address");
    assert_eq!(
        error("[lan]\ninterface = \"wan0\"\n"),
        "line 2: wan.interface is the same as lan.interface"
    );
    assert!(error("[lan]\naddress = \"192.168.1.0/24\"").starts_with("line 2: lan.address is not"));
    assert!(error("[lan]\naddress6 = \"2001:db8::1/64\"").starts_with("line 2: lan.address6"));
    assert!(error("[users]\nrouter = 5\ngateway = 5").starts_with("line 3: users.gateway"));
    assert!(error("[limits]\nflows = 2").starts_with("line 1: limits.flows_per_client"));
    assert!(error("[lan]\ninterface = \"lo\"").contains("reserved"));
}

/// Settings with values beyond their ends.
const EXTREMES: &[(&str, &str, &[&str])] = &[
    (
        "lan",
        "interface",
        &["\"\"", "\"0123456789abcdef\"", "\"a/b\"", "5"],
    ),
    (
        "lan",
        "address",
        &[
            "\"127.0.0.1/8\"",
            "\"224.0.0.1/24\"",
            "\"0.0.0.1/8\"",
            "\"10.0.0.1/31\"",
            "\"10.0.0.1\"",
            "\"169.254.1.1/24\"",
            "\"10.0.0.255/24\"",
        ],
    ),
    (
        "lan",
        "address6",
        &["\"fe80::1/64\"", "\"fd00::/64\"", "\"fd00::1/128\""],
    ),
    (
        "lan",
        "port",
        &["0", "53", "-1", "65536", "\"x\"", "9999999999999999999999"],
    ),
    ("wan", "interface", &["\"lo\"", "\"lan0\"", "\".a\""]),
    ("wan", "router_port", &["0", "53", "7002", "65536"]),
    (
        "virtual",
        "v4",
        &[
            "\"127.0.0.0/8\"",
            "\"0.0.0.0/8\"",
            "\"224.0.0.0/8\"",
            "\"198.18.0.1/15\"",
            "\"10.0.0.0/7\"",
            "\"10.0.0.0/21\"",
            "\"192.0.0.0/8\"",
        ],
    ),
    (
        "lan",
        "alternatives",
        &[
            "[\"10.0.0.0/24\"]",
            "[\"127.0.0.1/8\"]",
            "[\"x\"]",
            "\"10.0.0.1/24\"",
        ],
    ),
    ("wan", "mode", &["\"\"", "\"pppoe\"", "\"static\""]),
    ("wan", "address", &["\"192.0.2.7/24\"", "\"x\""]),
    ("wan", "gateway6", &["\"fe80::1\""]),
    (
        "users",
        "wan",
        &["0", "\"ramson\"", "\"ramson-gw\"", "\"\""],
    ),
    ("users", "clock", &["0", "\"ramson-www\"", "\"\""]),
    (
        "clock",
        "servers",
        &[
            "[\"pool.example\"]",
            "[\"127.0.0.1\"]",
            "[\"::\"]",
            "[\"ff02::1\"]",
            "\"192.0.2.1\"",
        ],
    ),
    ("clock", "dhcp_servers", &["0"]),
    ("machine", "confirm_seconds", &["4", "601", "\"90\""]),
    ("machine", "data", &["\"data\"", "\"/\""]),
    ("watchdog", "device", &["\"watchdog\"", "1"]),
    ("lan", "ipv6", &["1", "\"yes\""]),
    ("lan", "name", &["\"\"", "\"A\"", "\"a.b\"", "\"-a\""]),
    (
        "lan",
        "domain",
        &["\"\"", "\"a..b\"", "\"i2p\"", "\"x.alt\""],
    ),
    ("lan", "answer_probes", &["\"\""]),
    ("paths", "control_sock", &["\"x\"", "1"]),
    ("dhcp", "enabled", &["1"]),
    (
        "dhcp",
        "first",
        &["\"\"", "\"192.168.77.0\"", "\"10.0.0.1\""],
    ),
    ("dhcp", "last", &["\"192.168.77.255\"", "\"x\""]),
    ("dhcp", "lease_minutes", &["9", "525601", "-1"]),
    ("virtual", "views", &["\"\"", "\"device\"", "true"]),
    (
        "users",
        "router",
        &["0", "\"root\"", "\"\"", "-1", "4294967296", "1.5"],
    ),
    ("users", "gateway", &["0", "\"root\"", "\"ramson\""]),
    (
        "paths",
        "state_dir",
        &["\"\"", "\"a\"", "\"/\"", "\"/a/../b\""],
    ),
    ("paths", "stream_sock", &["\"\"", "\"a.sock\"", "7"]),
    (
        "paths",
        "admin_sock",
        &["\"/run/ramson/stream.sock\"", "\"x\""],
    ),
    ("limits", "flows", &["0", "16385", "-1", "\"many\""]),
    ("limits", "flows_per_client", &["0", "513", "1e3"]),
];

/// Each setting at and beyond its ends: the error has the line and the key.
#[test]
fn extremes_are_refused_by_line_and_key() {
    for (section, key, values) in EXTREMES {
        for value in *values {
            let said = error(&format!("# first\n[{section}]\n{key} = {value}\n"));
            let named = said.contains(&format!("{section}.{key}"));
            assert!(
                said.starts_with("line 3: ") && named,
                "{key} = {value}: {said}"
            );
        }
    }
    let long = format!("[paths]\nadmin_sock = \"/{}\"", "a".repeat(107));
    assert!(error(&long).starts_with("line 2: paths.admin_sock is longer"));
}

#[test]
fn users_are_names_or_numbers_but_never_root() {
    let config = Config::parse("[users]\nrouter = 1002").unwrap();
    assert_eq!(config.users.router.resolve(), Ok((1002, 1002)));
    assert!(User::Name("root".into()).resolve().is_err());
    assert!(User::Name("no such user".into()).resolve().is_err());
}

#[test]
fn static_leases_are_checked() {
    let with = |rest: &str| {
        let one = "[[dhcp.static]]\nmac = \"02:00:5e:10:00:01\"\naddress = \"192.168.77.20\"\n";
        Config::parse(&format!("{one}{rest}"))
    };
    let good = with("name = \"printer\"\n").unwrap();
    assert_eq!(good.dhcp.statics[0].mac.0, [2, 0, 0x5e, 0x10, 0, 1]);
    for (rest, said) in [
        ("name = \"wpad\"\n", "dhcp.static.name"),
        ("name = \"A b\"\n", "dhcp.static.name"),
        (
            "[[dhcp.static]]\nmac = \"02:00:5e:10:00:02\"\naddress = \"192.168.77.20\"",
            "twice",
        ),
        (
            "[[dhcp.static]]\nmac = \"02:00:5e:10:00:01\"\naddress = \"192.168.77.21\"",
            "twice",
        ),
        (
            "[[dhcp.static]]\nmac = \"02:00:5e:10:00:02\"\naddress = \"192.168.77.1\"",
            "free host",
        ),
        (
            "[[dhcp.static]]\nmac = \"2:0:5e:10:0:2\"\naddress = \"192.168.77.2\"",
            "MAC",
        ),
        (
            "[[dhcp.static]]\nmac = \"03:00:5e:10:00:02\"\naddress = \"192.168.77.2\"",
            "MAC",
        ),
        ("[[dhcp.static]]\naddress = \"192.168.77.2\"", "mac"),
    ] {
        let said_now = with(rest).unwrap_err().to_string();
        assert!(said_now.contains(said), "{rest}: {said_now}");
    }
    let order = error("[dhcp]\nfirst = \"192.168.77.9\"\nlast = \"192.168.77.8\"");
    assert_eq!(order, "line 3: dhcp.last is before dhcp.first");
}

#[test]
fn fixed_wan_addresses_are_checked() {
    let with = |rest: &str| Config::parse(&format!("[wan]\nmode = \"static\"\n{rest}"));
    assert!(with("address = \"192.0.2.7/24\"\ngateway = \"192.0.2.1\"").is_ok());
    assert!(with("address6 = \"2001:db8::7/64\"\ngateway6 = \"fe80::1\"").is_ok());
    for (rest, said) in [
        ("", "wan.mode"),
        ("address = \"192.0.2.0/24\"", "wan.address"),
        (
            "address = \"192.0.2.7/24\"\ngateway = \"192.0.3.1\"",
            "wan.gateway",
        ),
        (
            "address = \"192.0.2.7/24\"\ngateway6 = \"fe80::1\"",
            "wan.gateway6",
        ),
    ] {
        let error = with(rest).unwrap_err().to_string();
        assert!(error.contains(said), "{rest}: {error}");
    }
}
