use super::*;
use crate::console::access::Window;
use crate::console::clock;
use std::time::Duration;

/// Others that note what they are asked.
#[derive(Default)]
struct Noted {
    lines: Vec<String>,
    kept: Vec<String>,
    files: Vec<Vec<u8>>,
    staged: Vec<String>,
    disk_full: bool,
    counter: u8,
}

impl Others for Noted {
    fn supervisor(&mut self, line: &str) -> String {
        self.lines.push(line.to_owned());
        match line {
            "devices" => "0a0b0c0d: <phone> 192.168.77.20; seen 3 s ago; names 1, streams 2, \
                          identity 1\n"
                .into(),
            "status" => "rules: loaded\nlan: not served, 192.168.1.1 gives out addresses there\n\
                         devices: 3\nlan packets dropped, odd: 7\nwan packets dropped, odd: 0\n"
                .into(),
            "clock" => "clock: not set, the router waits\n".into(),
            line if line.starts_with("clock-set 9") => "error: no time here\n".into(),
            "ports" => "port: lan0; 02:00:00:00:00:01; lan; link\n\
                        port: wan0; 02:00:00:00:00:02; wan; no link\n\
                        to be confirmed within: 70 s\n"
                .into(),
            "log" => "first <line>\nsecond\n".into(),
            "backup" => "ramson-backup 1\n".into(),
            "new-identity 00000000" => "error: no device 00000000 was seen lately\n".into(),
            _ => format!("{}: ok\n", line.split(' ').next().unwrap()),
        }
    }

    fn router(&mut self) -> Option<RouterState> {
        Some(RouterState {
            clock: "ok".into(),
            known: 12,
            ready: true,
            ..RouterState::default()
        })
    }

    fn reseed(&mut self, file: &[u8]) -> Result<String, String> {
        self.files.push(file.to_vec());
        match file {
            b"good" => Ok("77 routers\n".into()),
            _ => Err("no <reseed> file".into()),
        }
    }

    fn stage(&mut self, entries: &[Entry]) -> Result<(), String> {
        self.staged.extend(entries.iter().map(|e| e.name.clone()));
        Ok(())
    }

    fn keep(&mut self, hash: &str) -> Result<(), String> {
        self.kept.push(hash.to_owned());
        if self.disk_full {
            Err("no space left".into())
        } else {
            Ok(())
        }
    }

    fn random(&mut self) -> Option<[u8; 32]> {
        self.counter += 1;
        Some([self.counter; 32])
    }
}

fn console(now: Instant) -> Console {
    let window = Window {
        until: now + Duration::from_secs(900),
        code: Some(*b"12345678"),
        replaces: false,
    };
    let facts = Facts {
        v4: "192.168.77.1".parse().unwrap(),
        v6: None,
        name: "ramson".into(),
        domain: "internal".into(),
        probes: true,
        console: true,
    };
    Console {
        facts,
        access: Access::new(None, window, now),
        history: History::default(),
    }
}

fn get(path: &str) -> Asked {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    Asked {
        path: path.into(),
        query: query.into(),
        host: "192.168.77.1".into(),
        device: "0a0b0c0d".into(),
        ..Asked::default()
    }
}

fn post(path: &str, body: &str) -> Asked {
    Asked {
        post: true,
        origin: Some("http://192.168.77.1".into()),
        content_type: "application/x-www-form-urlencoded".into(),
        body: body.into(),
        ..get(path)
    }
}

/// A console with a password and somebody who has logged in: his cookie, and his forms' token.
fn logged_in(others: &mut Noted, now: Instant) -> (Console, String, String) {
    let mut console = console(now);
    let body = "code=1234+5678&new=correct+horse&again=correct+horse";
    let reply = console.answer(others, &post("/setup", body), now);
    assert_eq!(reply.status, 303, "{reply:?}");
    let cookie = header(&reply, "Set-Cookie");
    assert!(
        cookie.ends_with("; HttpOnly; SameSite=Strict; Path=/"),
        "{cookie}"
    );
    let cookie = cookie.split(';').next().unwrap().to_owned();
    let mut devices = get("/devices");
    devices.cookie = Some(cookie.clone());
    let page = console.answer(others, &devices, now).html;
    let token = page.split("name=\"token\" value=\"").nth(1).unwrap();
    let token = token.split('"').next().unwrap().to_owned();
    assert_eq!(token.len(), 32);
    (console, cookie, token)
}

fn header(reply: &Reply, name: &str) -> String {
    let mut all = reply.headers.iter();
    let found = all.find(|(n, _)| *n == name);
    found.map_or(String::new(), |(_, value)| value.clone())
}

#[test]
fn every_route_is_closed_to_strangers_but_the_open_ones() {
    let now = clock();
    for route in ROUTES {
        for is_post in [false, true] {
            let (mut console, mut others) = (console(now), Noted::default());
            let asked = if is_post {
                post(route.path, "device=all")
            } else {
                get(route.path)
            };
            let reply = console.answer(&mut others, &asked, now);
            let exists = if is_post { route.post } else { route.get }.is_some();
            match (exists, route.open) {
                (false, _) => assert_eq!(reply.status, 405, "{}", route.path),
                (true, true) => assert!(reply.status != 405, "{}", route.path),
                (true, false) => {
                    assert_eq!(header(&reply, "Location"), "/login", "{}", route.path);
                    assert!(others.lines.is_empty() && others.files.is_empty());
                }
            }
            assert!(others.kept.is_empty());
        }
    }
}

/// What changes something wants this host as origin, the session and the token: each alone fails.
#[test]
fn every_change_is_refused_to_other_sites_and_without_the_token() {
    let now = clock();
    let mut others = Noted::default();
    let (mut console, cookie, token) = logged_in(&mut others, now);
    let before = (others.kept.len(), others.files.len());
    for route in ROUTES.iter().filter(|route| route.post.is_some()) {
        let good = Asked {
            cookie: Some(cookie.clone()),
            ..post(
                route.path,
                &format!("token={token}&device=all&password=x&code=1"),
            )
        };
        let from = |origin: Option<&str>| Asked {
            origin: origin.map(str::to_owned),
            ..good.clone()
        };
        let refered = |referer: &str| Asked {
            referer: Some(referer.into()),
            ..good.clone()
        };
        let mut bad = vec![
            from(None),
            from(Some("null")),
            from(Some("http://evil.i2p")),
            from(Some("http://192.168.77.1.evil.i2p")),
            from(Some("http://192.168.77.10")),
            from(Some("https://192.168.77.1")),
            from(Some("http://192.168.77.1:8080")),
            refered("http://evil.i2p/192.168.77.1"),
        ];
        if !route.open {
            for body in ["device=all", "device=all&token=", "token=00", "token=0"] {
                bad.push(Asked {
                    body: body.into(),
                    ..good.clone()
                });
            }
        }
        for asked in bad {
            others.lines.clear();
            let reply = console.answer(&mut others, &asked, now);
            assert_eq!(reply.status, 403, "{} {asked:?}", route.path);
            assert!(others.lines.is_empty(), "{}", route.path);
        }
    }
    assert_eq!((others.kept.len(), others.files.len()), before);
    // The session still lives: nobody logged it out either.
    let mut devices = get("/devices");
    devices.cookie = Some(cookie);
    assert_eq!(console.answer(&mut others, &devices, now).status, 200);
}

#[test]
fn a_site_of_i2p_may_not_even_make_a_browser_read() {
    let now = clock();
    for from in [
        "http://evil.i2p/",
        "http://EVIL.I2P:8080/x",
        "http://user@evil.i2p.",
        "https://evil.i2p.alt/",
    ] {
        let referer = Asked {
            referer: Some(from.into()),
            ..get("/")
        };
        let origin = Asked {
            origin: Some(from.into()),
            ..get("/")
        };
        for asked in [referer, origin] {
            let reply = console(now).answer(&mut Noted::default(), &asked, now);
            assert_eq!(reply.status, 403, "{from}");
        }
    }
    let own = Asked {
        referer: Some("http://192.168.77.1/login?x=evil.i2p".into()),
        ..get("/")
    };
    assert_eq!(
        console(now).answer(&mut Noted::default(), &own, now).status,
        200
    );
}

#[test]
fn a_visitor_sets_the_password_sees_devices_and_gives_one_a_new_identity() {
    let now = clock();
    let mut others = Noted::default();
    let (mut console, cookie, token) = logged_in(&mut others, now);
    assert!(others.kept[0].starts_with("$argon2id$"));
    let mut ask = |mut asked: Asked| {
        asked.cookie = Some(format!("other=1; {cookie}"));
        others.lines.clear();
        let reply = console.answer(&mut others, &asked, now);
        (reply, others.lines.clone(), others.files.clone())
    };
    let (home, ..) = ask(get("/"));
    for part in [
        "192.168.1.1 gives out",
        "<dt>Devices seen lately</dt><dd>3</dd>",
        "odd</td><td>7",
    ] {
        assert!(home.html.contains(part), "{part}: {}", home.html);
    }
    assert!(!home.html.contains("wan packets"));
    let (devices, ..) = ask(get("/devices"));
    assert!(devices.html.contains("&lt;phone&gt; 192.168.77.20"));
    assert!(devices.html.contains("this device"));
    assert!(header(&devices, "Content-Security-Policy").contains("form-action 'self'"));
    let with_token = |rest: &str| format!("token={token}&{rest}");
    let (done, lines, _) = ask(post(
        "/devices/new-identity",
        &with_token("device=0a0b0c0d"),
    ));
    assert_eq!(
        (header(&done, "Location").as_str(), lines[0].as_str()),
        ("/devices?done", "new-identity 0a0b0c0d")
    );
    let (bad, lines, _) = ask(post(
        "/devices/new-identity",
        &with_token("device=x%0Areload"),
    ));
    assert!(bad.status == 400 && lines.is_empty());
    let (none, ..) = ask(post(
        "/devices/new-identity",
        &with_token("device=00000000"),
    ));
    assert!(none.status == 409 && none.html.contains("no device 00000000"));
    let (router, ..) = ask(get("/router?day"));
    assert!(router.html.matches("<svg").count() == 4 && router.html.contains("The last day"));
    for (file, status) in [("good", 200), ("bad", 422)] {
        let part = |head: &str, body: &str| {
            format!("--X\r\nContent-Disposition: form-data; {head}\r\n\r\n{body}\r\n")
        };
        let body = part("name=\"token\"", &token)
            + &part("name=\"file\"; filename=\"f\"", file)
            + "--X--\r\n";
        let asked = Asked {
            content_type: "multipart/form-data; boundary=X".into(),
            ..post("/reseed", &body)
        };
        let (reply, _, files) = ask(asked);
        assert_eq!(reply.status, status, "{}", reply.html);
        assert_eq!(files.last().unwrap(), file.as_bytes());
        assert!(!reply.html.contains("<reseed>"));
    }
    let (reloaded, lines, _) = ask(post("/reload", &with_token("")));
    assert_eq!(
        (header(&reloaded, "Location").as_str(), lines[0].as_str()),
        ("/?done", "reload")
    );
    let (out, ..) = ask(post("/logout", &with_token("")));
    assert!(header(&out, "Set-Cookie").contains("Max-Age=0"));
    assert_eq!(header(&ask(get("/devices")).0, "Location"), "/login");
}

#[test]
fn a_visitor_sets_the_clock() {
    let now = clock();
    let mut others = Noted::default();
    let (mut console, cookie, token) = logged_in(&mut others, now);
    let mut ask = |mut asked: Asked| {
        asked.cookie = Some(cookie.clone());
        others.lines.clear();
        let reply = console.answer(&mut others, &asked, now);
        (reply, others.lines.clone())
    };
    let with_token = |rest: &str| format!("token={token}&{rest}");
    let (clock, lines) = ask(get("/clock"));
    assert!(clock.html.contains("type=\"datetime-local\"") && lines == ["clock"]);
    let (set, lines) = ask(post(
        "/clock",
        &with_token("time=2026-11-26T21%3A05&zone=60"),
    ));
    assert_eq!(
        (header(&set, "Location").as_str(), lines[0].as_str()),
        ("/clock?done", "clock-set 1795723530")
    );
    let (odd, lines) = ask(post("/clock", &with_token("time=now&zone=0")));
    assert!(odd.status == 422 && lines.is_empty());
    let (early, _) = ask(post(
        "/clock",
        &with_token("time=1999-01-01T00%3A00&zone=0"),
    ));
    assert!(early.status == 422 && early.html.contains("no time here"));
}

/// A session is not enough to take the identity away or to forget it: the password is.
#[test]
fn the_machine_is_saved_restored_and_forgotten_with_the_password_only() {
    let now = clock();
    let mut others = Noted::default();
    let (mut console, cookie, token) = logged_in(&mut others, now);
    let mut ask = |path: &str, body: &str| {
        let mut asked = post(path, &format!("token={token}&{body}"));
        if let Some(text) = body.strip_prefix("FILE") {
            let part = |name: &str, text: &str| {
                format!("--X\r\nContent-Disposition: form-data; name={name}\r\n\r\n{text}\r\n")
            };
            let body = part("\"token\"", &token)
                + &part("\"password\"", "correct horse")
                + &part("\"file\"; filename=\"f\"", text)
                + "--X--\r\n";
            asked.body = body.into();
            asked.content_type = "multipart/form-data; boundary=X".into();
        }
        asked.cookie = Some(cookie.clone());
        others.lines.clear();
        let reply = console.answer(&mut others, &asked, now);
        (reply, others.lines.clone(), others.staged.clone())
    };
    let right = "password=correct+horse";
    for path in ["/machine/backup", "/machine/restore", "/machine/forget"] {
        let (reply, lines, _) = ask(path, "password=wrong&sure=yes");
        assert!(reply.status == 403 && lines.is_empty(), "{path}");
    }
    let (saved, lines, _) = ask("/machine/backup", right);
    assert_eq!(saved.html, "ramson-backup 1\n");
    assert!(header(&saved, "Content-Disposition").starts_with("attachment"));
    assert_eq!(lines, ["backup"]);
    let (unsure, lines, _) = ask("/machine/forget", right);
    assert!(unsure.status == 400 && lines.is_empty());
    assert_eq!(
        ask("/machine/forget", &format!("{right}&sure=yes")).1,
        ["factory-reset"]
    );
    let (none, lines, _) = ask("/machine/restore", right);
    assert!(none.status == 400 && lines.is_empty());
    let (odd, lines, staged) = ask("/machine/restore", "FILEnonsense");
    assert!(odd.status == 422 && lines.is_empty() && staged.is_empty());
    let good = identity::encode(&[Entry {
        name: "i2p/router.keys".into(),
        bytes: vec![7; 50].into(),
    }]);
    let (done, lines, staged) = ask("/machine/restore", &format!("FILE{}", *good));
    assert_eq!(
        (done.status, lines.as_slice()),
        (200, &["restore".to_owned()][..])
    );
    assert_eq!(staged, ["i2p/router.keys"]);
    assert_eq!(ask("/machine/reboot", "").1, ["reboot"]);
    assert_eq!(ask("/machine/power-off", "").1, ["power-off"]);
}

#[test]
fn a_visitor_reads_the_log() {
    let now = clock();
    let mut others = Noted::default();
    let (mut console, cookie, _) = logged_in(&mut others, now);
    let asked = Asked {
        cookie: Some(cookie),
        ..get("/log")
    };
    let page = console.answer(&mut others, &asked, now).html;
    let second = page.find("second").unwrap();
    assert!(second < page.find("first &lt;line&gt;").unwrap(), "{page}");
}

#[test]
fn a_password_that_is_not_kept_is_said() {
    let now = clock();
    let mut others = Noted {
        disk_full: true,
        ..Noted::default()
    };
    let body = "code=12345678&new=correct+horse&again=correct+horse";
    let reply = console(now).answer(&mut others, &post("/setup", body), now);
    assert!(reply.status == 500 && reply.html.contains("no space left"));
}

#[test]
fn odd_requests_are_answered_and_change_nothing() {
    let now = clock();
    let mut others = Noted::default();
    let (mut console, ..) = logged_in(&mut others, now);
    let kept = others.kept.len();
    for n in 0..=255u8 {
        let text: String = [n, b'=', n, b';', n]
            .iter()
            .map(|b| char::from(*b))
            .collect();
        for mut asked in [get("/"), post("/login", &text), post("/reseed", &text)] {
            asked.cookie = Some(format!("ramson={text}"));
            asked.content_type.push_str(&text);
            asked.device = text.clone();
            let status = console.answer(&mut others, &asked, now).status;
            assert!([200, 303, 400, 403, 429].contains(&status), "{n} {status}");
        }
    }
    for bad in [
        "ramson=+0000000000000000000000000000001",
        "ramson=",
        "ramson",
        "=;=;",
    ] {
        let mut asked = get("/devices");
        asked.cookie = Some(bad.into());
        assert_eq!(console.answer(&mut others, &asked, now).status, 303);
    }
    assert_eq!(
        console.answer(&mut others, &get("/nothing"), now).status,
        404
    );
    assert_eq!(others.kept.len(), kept);
}

#[test]
fn ports_are_chosen_and_confirmed() {
    let now = clock();
    let mut others = Noted::default();
    let (mut console, cookie, token) = logged_in(&mut others, now);
    let mut ask = |mut asked: Asked| {
        asked.cookie = Some(cookie.clone());
        others.lines.clear();
        let reply = console.answer(&mut others, &asked, now);
        (reply, others.lines.clone())
    };
    let (page, _) = ask(get("/ports"));
    for part in [
        "<td>lan0</td><td>02:00:00:00:00:01</td><td>this network (LAN)",
        "undone in 70 s",
        "<option value=\"wan0\" selected>",
    ] {
        assert!(page.html.contains(part), "{part}: {}", page.html);
    }
    let with_token = |rest: &str| format!("token={token}&{rest}");
    let (_, lines) = ask(post("/ports", &with_token("lan=wan0&wan=lan0")));
    assert_eq!(lines, ["ports-set wan0 lan0"]);
    let (odd, lines) = ask(post("/ports", &with_token("lan=a%0Areload&wan=lan0")));
    assert!(odd.status == 400 && lines.is_empty());
    let (kept, lines) = ask(post("/ports/confirm", &with_token("")));
    assert_eq!(header(&kept, "Location"), "/ports?done");
    assert_eq!(lines, ["ports-confirm"]);
}
