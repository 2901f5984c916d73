//! What systems ask to find out whether they are online, and what each wants to hear. Answered by
//! the gateway itself, so that devices stay on a network that has no way to the Internet.
//!
//! Names, paths and bodies are what the systems are seen to ask today. Where a system insists on
//! HTTPS there is no answer: the gateway has no certificate for the name.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// One question and its answer.
#[derive(Debug, PartialEq, Eq)]
pub struct Probe {
    /// Host name, lower case.
    pub host: &'static str,
    /// Path.
    pub path: &'static str,
    /// Status code and phrase.
    pub status: &'static str,
    /// Type of the body.
    pub kind: &'static str,
    /// The body.
    pub body: &'static str,
}

const HTML: &str = "text/html; charset=utf-8";
const TEXT: &str = "text/plain; charset=utf-8";
const APPLE: &str = "<HTML><HEAD><TITLE>Success</TITLE></HEAD><BODY>Success</BODY></HTML>\n";
const FIREFOX: &str = "<meta http-equiv=\"refresh\" content=\"0;url=https://support.mozilla.org/\
    kb/captive-portal\"/>";

const fn ok(
    host: &'static str,
    path: &'static str,
    kind: &'static str,
    body: &'static str,
) -> Probe {
    Probe {
        host,
        path,
        status: "200 OK",
        kind,
        body,
    }
}

const fn empty(host: &'static str, path: &'static str) -> Probe {
    Probe {
        host,
        path,
        status: "204 No Content",
        kind: "",
        body: "",
    }
}

/// All of them.
pub const PROBES: &[Probe] = &[
    // iOS, iPadOS, macOS.
    ok("captive.apple.com", "/", HTML, APPLE),
    ok("captive.apple.com", "/hotspot-detect.html", HTML, APPLE),
    ok("www.apple.com", "/library/test/success.html", HTML, APPLE),
    // Windows: NCSI, of today and of before version 1607.
    ok(
        "www.msftconnecttest.com",
        "/connecttest.txt",
        TEXT,
        "Microsoft Connect Test",
    ),
    ok(
        "ipv6.msftconnecttest.com",
        "/connecttest.txt",
        TEXT,
        "Microsoft Connect Test",
    ),
    ok("www.msftncsi.com", "/ncsi.txt", TEXT, "Microsoft NCSI"),
    ok("ipv6.msftncsi.com", "/ncsi.txt", TEXT, "Microsoft NCSI"),
    // Android and ChromeOS.
    empty("connectivitycheck.gstatic.com", "/generate_204"),
    empty("connectivitycheck.android.com", "/generate_204"),
    empty("clients3.google.com", "/generate_204"),
    empty("www.google.com", "/gen_204"),
    empty("www.google.com", "/generate_204"),
    empty("www.gstatic.com", "/generate_204"),
    empty("play.googleapis.com", "/generate_204"),
    // Firefox.
    ok(
        "detectportal.firefox.com",
        "/success.txt",
        TEXT,
        "success\n",
    ),
    ok("detectportal.firefox.com", "/canonical.html", HTML, FIREFOX),
    // NetworkManager: its own, and those that distributions set.
    ok(
        "nmcheck.gnome.org",
        "/check_network_status.txt",
        TEXT,
        "NetworkManager is online\n",
    ),
    ok(
        "network-test.debian.org",
        "/nm",
        TEXT,
        "NetworkManager is online\n",
    ),
    ok("fedoraproject.org", "/static/hotspot.txt", TEXT, "OK"),
    ok(
        "ping.archlinux.org",
        "/nm-check.txt",
        TEXT,
        "NetworkManager is online\n",
    ),
    ok(
        "conncheck.opensuse.org",
        "/",
        TEXT,
        "NetworkManager is online\n",
    ),
    empty("connectivity-check.ubuntu.com", "/"),
    ok("networkcheck.kde.org", "/", TEXT, "OK\n"),
];

/// Whether some system asks there.
#[must_use]
pub fn is_host(name: &str) -> bool {
    PROBES.iter().any(|probe| probe.host == name)
}

/// The answer to a request; `None` for what nobody is known to ask.
#[must_use]
pub fn find(host: &str, path: &str) -> Option<&'static Probe> {
    let path = path.split('?').next().unwrap_or_default();
    let mut all = PROBES.iter();
    all.find(|probe| probe.host == host && probe.path == path)
}

/// Windows also looks up a name of which it knows the addresses.
#[must_use]
pub fn known_address(name: &str) -> Option<[IpAddr; 2]> {
    const V4: Ipv4Addr = Ipv4Addr::new(131, 107, 255, 255);
    const V6: Ipv6Addr = Ipv6Addr::new(0xfd3e, 0x4f5a, 0x5b81, 0, 0, 0, 0, 1);
    (name == "dns.msftncsi.com").then_some([IpAddr::V4(V4), IpAddr::V6(V6)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_are_found_by_host_and_path() {
        let apple = find("captive.apple.com", "/hotspot-detect.html").unwrap();
        assert!(apple.body.contains("<TITLE>Success</TITLE>") && apple.status == "200 OK");
        assert_eq!(
            find("www.google.com", "/gen_204?x=1").unwrap().status,
            "204 No Content"
        );
        let firefox = find("detectportal.firefox.com", "/success.txt?ipv4").unwrap();
        assert_eq!(firefox.body, "success\n");
        assert!(is_host("www.msftconnecttest.com") && !is_host("example.org"));
        assert_eq!(find("www.google.com", "/"), None);
        assert_eq!(find("captive.apple.com", "/other"), None);
        assert!(known_address("dns.msftncsi.com").is_some());
        for probe in PROBES {
            assert_eq!(probe.host, probe.host.to_ascii_lowercase());
            assert_eq!(probe.status.starts_with("204"), probe.body.is_empty());
        }
    }
}
