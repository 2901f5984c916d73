use super::*;

const UIDS: Uids = Uids {
    router: 1002,
    dhcp: None,
    clock: None,
};
fn secrets() -> Secrets {
    Secrets::from_random(&[0x42; 38])
}

fn check(name: &str, text: &str, golden: &str) {
    assert!(
        text == golden,
        "{name} differs from the golden file; it is now:\n{text}"
    );
}

#[test]
fn rules_equal_the_golden_files() {
    let text = "[lan]\naddress6 = \"fd77:1::1/64\"";
    let wan = WanAddresses {
        index: 2,
        v4: ["203.0.113.2/24".parse().unwrap()].into(),
        v6: ["2001:db8:1::2/64".parse().unwrap()].into(),
        ports: [Some([2, 0, 0, 0, 0, 1]), Some([2, 0, 0, 0, 0, 2])],
    };
    let both = generate(&Config::parse(text).unwrap(), &secrets(), UIDS, &wan, &[]);
    check(
        "both",
        &both,
        include_str!("../../../tests/golden/both.nft"),
    );
    let v4 = generate(
        &Config::default(),
        &secrets(),
        UIDS,
        &WanAddresses::default(),
        &[],
    );
    check("v4", &v4, include_str!("../../../tests/golden/v4.nft"));
    assert!(!v4.contains("fc42"));
}

/// Only where the clock is kept, only its user, and only to those servers.
#[test]
fn time_servers_are_named_one_by_one() {
    let servers = ["192.0.2.9", "2001:db8::9"].map(|a| a.parse().unwrap());
    let of = |clock| {
        let uids = Uids { clock, ..UIDS };
        let wan = WanAddresses::default();
        generate(&Config::default(), &secrets(), uids, &wan, &servers)
    };
    assert!(!of(None).contains("dport 123"));
    let text = of(Some(1005));
    let lines: Vec<_> = text.lines().filter(|l| l.contains("dport 123")).collect();
    assert_eq!(lines.len(), 2);
    for (line, to) in lines
        .iter()
        .zip(["ip daddr 192.0.2.9", "ip6 daddr 2001:db8::9"])
    {
        assert!(
            line.trim()
                .starts_with(&format!("{to} meta skuid 1005 udp dport 123 limit"))
        );
    }
}

#[test]
fn verify_wants_each_base_chain_in_its_table() {
    let config = Config::default();
    let good = "\
table inet ramson {
	chain pre {
		type filter hook prerouting priority raw; policy drop;
	}
	chain in {
		type filter hook input priority filter; policy drop;
	}
	chain fw {
		type filter hook forward priority filter; policy drop;
	}
	chain oraw {
		type filter hook output priority raw; policy accept;
	}
	chain out {
		type filter hook output priority filter; policy drop;
	}
}
table netdev ramson {
	chain wan {
		type filter hook egress device \"wan0\" priority filter; policy drop;
	}
}
";
    assert_eq!(verify(good, &config), Ok(()));
    assert_eq!(
        verify(&format!("table ip x {{\n}}\n{good}"), &config),
        Ok(())
    );
    assert!(verify("", &config).is_err());
    assert!(verify(&good.replace("netdev ramson", "netdev other"), &config).is_err());
    for hook in ["prerouting", "input", "forward", "egress"] {
        let n = good.find(hook).unwrap();
        let (head, tail) = good.split_at(n);
        let open = format!("{head}{}", tail.replacen("drop", "accept", 1));
        assert!(verify(&open, &config).is_err(), "{hook}");
    }
}
