use super::*;

fn facts() -> Facts {
    Facts {
        v4: Ipv4Addr::new(192, 168, 77, 1),
        v6: Some("fd77:1::1".parse().unwrap()),
        name: "ramson".into(),
        domain: "internal".into(),
        probes: true,
        console: false,
    }
}

fn what(request: &str) -> Asked {
    asked(request.as_bytes(), &facts()).unwrap().0
}

fn get(host: &str, path: &str) -> Asked {
    what(&format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n"))
}

#[test]
fn the_page_is_at_the_boxs_own_names_and_addresses() {
    for host in [
        "192.168.77.1",
        "192.168.77.1:80",
        "[fd77:1::1]",
        "[fe80::1]:80",
        "ramson",
        "RAMSON.internal",
        "ramson.internal.",
    ] {
        assert_eq!(get(host, "/"), Asked::Page, "{host}");
    }
    assert_eq!(what("GET / HTTP/1.0\r\n\r\n"), Asked::Page);
    assert_eq!(get("ramson", "/?x"), Asked::Page);
    assert_eq!(get("ramson", "/other"), Asked::Nothing);
    assert_eq!(get("x", "http://ramson.internal/"), Asked::Page);
}

/// A name of somebody else's that was made to lead here (DNS rebinding).
#[test]
fn names_of_others_are_misdirected() {
    for host in [
        "evil.example",
        "ramson.evil.example",
        "evilramson",
        "foo.i2p",
        "192.168.77.2",
        "[fd77:1::2]",
        "xinternal",
        "ramson.internal.evil.i2p",
        "",
    ] {
        assert_eq!(get(host, "/"), Asked::Misdirected, "{host}");
    }
    let two = "GET / HTTP/1.1\r\nHost: ramson\r\nHost: evil\r\n\r\n";
    assert_eq!(what(two), Asked::Malformed);
}

#[test]
fn odd_requests_are_told_so() {
    assert_eq!(
        what("POST / HTTP/1.1\r\nHost: ramson\r\n\r\n"),
        Asked::Method
    );
    assert_eq!(what("\u{16}\u{3}\u{1} x\r\n\r\n"), Asked::Malformed);
    assert!(asked(b"GET / HTTP/1.1\r\nHost: ram", &facts()).is_none());
    let many = format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(100));
    assert_eq!(what(&many), Asked::Malformed);
}

fn text(asked: &Asked, state: &State) -> String {
    String::from_utf8(answer(asked, false, &facts(), state)).unwrap()
}

#[test]
fn systems_get_exactly_what_they_ask_for() {
    let state = State {
        rogue: None,
        router: None,
    };
    let apple = text(&get("captive.apple.com", "/hotspot-detect.html"), &state);
    assert!(apple.starts_with("HTTP/1.1 200 OK\r\n") && apple.ends_with("</HTML>\n"));
    let android = text(
        &get("connectivitycheck.gstatic.com", "/generate_204"),
        &state,
    );
    assert!(android.starts_with("HTTP/1.1 204 No Content\r\n") && android.ends_with("\r\n\r\n"));
    assert!(!android.contains("Content-Length"));
    assert_eq!(get("www.google.com", "/search?q=x"), Asked::Nothing);
    let none = Facts {
        probes: false,
        ..facts()
    };
    let request = b"GET / HTTP/1.1\r\nHost: captive.apple.com\r\n\r\n";
    assert_eq!(asked(request, &none).unwrap().0, Asked::Misdirected);
}

#[test]
fn the_page_says_how_things_are() {
    let mut state = State {
        rogue: None,
        router: Some(RouterState {
            clock: "ok".into(),
            known: 120,
            peers: 7,
            tunnels: 6,
            ready: true,
            ..RouterState::default()
        }),
    };
    let page = text(&Asked::Page, &state);
    for part in [
        "Protected",
        "Connected",
        "<dd>120</dd>",
        "http://name.i2p/",
        "viewport",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
    assert!(!page.contains("<script") && !page.contains("Another router"));
    state.rogue = Some(Other::Server(Ipv4Addr::new(192, 168, 1, 1)));
    state.router = None;
    let page = text(&Asked::Page, &state);
    assert!(page.contains("192.168.1.1 gives out") && page.contains("Not running"));
    // A HEAD has no body, and says how long it would have been.
    let head = answer(&Asked::Page, true, &facts(), &state);
    assert!(head.ends_with(b"\r\n\r\n"));
    let misdirected = text(&Asked::Misdirected, &state);
    assert!(misdirected.starts_with("HTTP/1.1 421 "));
    assert!(text(&Asked::Method, &state).contains("Allow: GET, HEAD\r\n"));
}

/// Whatever a head is made of, it is judged, and a page comes of it.
#[test]
fn heads_with_anything_in_them_do_no_harm() {
    let good =
        b"POST /login?x HTTP/1.1\r\nHost: ramson\r\nContent-Length: 3\r\nCookie: a=b\r\n\r\nabc";
    let state = State {
        rogue: None,
        router: None,
    };
    for console in [false, true] {
        let facts = Facts { console, ..facts() };
        crate::mutate::each(good, |head| {
            if let Some((what, head_only)) = asked(head, &facts) {
                assert!(answer(&what, head_only, &facts, &state).starts_with(b"HTTP/1.1 "));
            }
        });
    }
}
