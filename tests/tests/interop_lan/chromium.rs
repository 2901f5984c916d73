//! Chromium on the LAN client, by its own network stack.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use ramson_tests::devtools::{Browser, Look, Tab};
use ramson_tests::fault::About;
use ramson_tests::scene::Scene;
use ramson_tests::site::PAGE_SAYS;
use ramson_tests::{places, wall};
use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(30);

/// Chromium with a profile of its own, in the LAN client's namespace.
pub fn start(scene: &Scene, profile: &str, settings: &[(&str, &str)], flags: &[&str]) -> Browser {
    let folder = scene.network.folder().join(format!("browser-{profile}"));
    for (file, text) in settings {
        let file = folder.join(file);
        places::folder(file.parent().unwrap().to_path_buf()).unwrap();
        places::write(&file, text).unwrap();
    }
    let client = &scene.lan.client;
    let connect =
        |port| client.inside(|| TcpStream::connect((Ipv4Addr::LOCALHOST, port)).about("chromium"));
    let mut command = client.command("chromium");
    command.args(flags);
    Browser::start(command, &folder, connect).unwrap()
}

/// The browser of a household, whose page about the address bar is open to the test.
pub fn household(scene: &Scene) -> Browser {
    let pages = ("Local State", "{\"internal_only_uis_enabled\": true}");
    start(scene, "household", &[pages], &[])
}

/// What the address bar makes of a text, by the browser's own account: where Enter leads.
const OMNIBOX: &str = include_str!("omnibox.js");

fn enter_leads_to(browser: &mut Browser, tab: &Tab, typed: &str) -> String {
    let fault = browser.go(tab, "chrome://omnibox/").unwrap();
    assert_eq!(fault, None);
    let ready = "!!(document.querySelector('omnibox-input') || {}).shadowRoot";
    wall::until("omnibox", PATIENCE, Duration::from_millis(50), || {
        let there = browser.value(tab, ready).ok();
        Ok(there.filter(|there| *there == Value::Bool(true)))
    })
    .unwrap();
    let script = OMNIBOX.replace("TYPED", &format!("{typed:?}"));
    let said = browser.value(tab, &script).unwrap();
    said.as_str().unwrap().to_owned()
}

/// Addresses as people type them: in full, with a slash, and as a bare name, which is a question
/// to the search engine and is refused at once.
pub fn typed_addresses(scene: &Scene, browser: &mut Browser) {
    let tab = browser.tab().unwrap();
    let bare = enter_leads_to(browser, &tab, "garden.i2p");
    assert!(
        bare.starts_with("https://") && bare.contains("q=garden.i2p"),
        "{bare}"
    );
    let start = wall::now();
    let refused = browser.go(&tab, &bare).unwrap();
    let took = wall::since(start);
    println!("a bare name: {bare}: {refused:?} after {took:.1} s");
    assert_eq!(refused.as_deref(), Some("net::ERR_NAME_NOT_RESOLVED"));
    assert!(took < 5.0, "{took}");
    picture(browser, &tab, "bare-name");
    for typed in ["garden.i2p/", "http://garden.i2p", "http://garden.i2p/"] {
        let to = enter_leads_to(browser, &tab, typed);
        assert_eq!(to.trim_end_matches('/'), "http://garden.i2p", "{typed}");
    }
    let before = scene.network.site.pages();
    assert_eq!(browser.go(&tab, "http://garden.i2p/").unwrap(), None);
    browser.until_shown(&tab, PAGE_SAYS, PATIENCE).unwrap();
    assert_eq!(scene.network.site.pages(), before + 1);
    // Who has typed it in full once needs the name alone afterwards.
    let bare = enter_leads_to(browser, &tab, "garden.i2p");
    assert_eq!(bare, "http://garden.i2p/");
    browser.close(&tab).unwrap();
}

/// A page of the site tries what sites do: login, upload, WebSocket, many requests at once. By way
/// of a link that is clicked.
pub fn uses_the_site(scene: &mut Scene, browser: &mut Browser) {
    let start = wall::now();
    let tab = browser.tab().unwrap();
    assert_eq!(browser.go(&tab, &Scene::url("/link")).unwrap(), None);
    browser.until_shown(&tab, "on", PATIENCE).unwrap();
    let click = "document.querySelector('a').click()";
    browser.value(&tab, click).unwrap();
    let limit = Duration::from_secs(150);
    let report = wall::until(
        "the browser's report",
        limit,
        Duration::from_millis(200),
        || {
            scene.check()?;
            Ok(scene.network.site.reports().pop())
        },
    );
    let report = report.unwrap_or_else(|fault| panic!("{}", scene.with_logs(&fault.to_string())));
    let took = wall::since(start);
    println!("{report}\nthe browser's test took {took:.1} s");
    assert_eq!(report.lines().count(), 6);
    let fine = report.lines().all(|line| line.starts_with("ok "));
    assert!(fine, "{report}");
    browser.close(&tab).unwrap();
}

/// Thirty pages in thirty tabs, all open at once.
pub fn thirty_tabs(scene: &mut Scene, browser: &mut Browser) {
    let start = wall::now();
    let tab = browser.tab().unwrap();
    assert_eq!(browser.go(&tab, &Scene::url("/tabs")).unwrap(), None);
    let mut said = BTreeSet::new();
    let limit = Duration::from_secs(90);
    let all = wall::until("thirty tabs", limit, Duration::from_millis(200), || {
        scene.check()?;
        said.extend(scene.network.site.reports());
        Ok((said.len() >= 30).then_some(()))
    });
    all.unwrap_or_else(|fault| panic!("{}", scene.with_logs(&format!("{fault}: {said:?}"))));
    let open = browser.pages().unwrap();
    let open = open.iter().filter(|url| url.contains("garden.i2p/tab?"));
    assert_eq!(open.count(), 30);
    println!("thirty tabs in {:.1} s", wall::since(start));
}

/// With "always use secure connections" the browser stops at a warning of its own, which has a way
/// on; the site hears nothing before that is taken. The warning is a page here, which a test can
/// use, and a box of the same words in a window.
pub fn https_first(scene: &Scene) {
    let on = "{\"https_only_mode_enabled\": true}";
    let settings = [("Default/Preferences", on)];
    let flags = ["--disable-features=HttpsFirstDialogUi"];
    let mut browser = start(scene, "https-first", &settings, &flags);
    let tab = browser.tab().unwrap();
    let before = scene.network.site.pages();
    let refused = browser.go(&tab, &Scene::url("/")).unwrap();
    assert_eq!(refused.as_deref(), Some("net::ERR_BLOCKED_BY_CLIENT"));
    browser
        .until_shown(&tab, "Continue to site", PATIENCE)
        .unwrap();
    picture(&mut browser, &tab, "https-first");
    assert_eq!(scene.network.site.pages(), before);
    // Clicks right after it has come are not taken for the user's.
    let on = "(document.getElementById('proceed-button') || document.body).click()";
    let opened = wall::until(PAGE_SAYS, PATIENCE, Duration::from_secs(1), || {
        // Between two pages there is none to ask.
        let _ = browser.value(&tab, on);
        let shown = browser.shown(&tab).unwrap_or_default();
        Ok(shown.contains(PAGE_SAYS).then_some(()))
    });
    opened.unwrap();
    assert_eq!(scene.network.site.pages(), before + 1);
    println!("HTTPS-first: the browser's own warning, and a way on");
}

/// What a household sees, kept as pictures, on a phone, in light and dark.
pub fn pictures(browser: &mut Browser) {
    let tab = browser.tab().unwrap();
    for (name, url, says) in [
        ("box", "http://ramson.internal/", "Protected"),
        ("site", "http://garden.i2p/", PAGE_SAYS),
        ("unknown", "http://nobody.i2p/", "not known"),
        ("bad-b32", "http://abcdef.b32.i2p/", "base32"),
    ] {
        assert_eq!(browser.go(&tab, url).unwrap(), None, "{url}");
        browser.until_shown(&tab, says, PATIENCE).unwrap();
        let width = picture(browser, &tab, name);
        // The site's own page is not made for phones.
        assert!(name == "site" || width <= 360.0, "{name}: {width} wide");
    }
    for (name, url, refused) in [
        (
            "clearnet",
            "http://example.org/",
            "net::ERR_NAME_NOT_RESOLVED",
        ),
        (
            "clearnet-address",
            "https://203.0.113.7/",
            "net::ERR_CONNECTION_REFUSED",
        ),
    ] {
        let said = browser.go(&tab, url).unwrap();
        picture(browser, &tab, name);
        assert_eq!(said.as_deref(), Some(refused), "{url}");
    }
    browser.close(&tab).unwrap();
}

/// Both pictures, and the width of the page on a phone.
fn picture(browser: &mut Browser, tab: &Tab, name: &str) -> f64 {
    let mut width = 0.0;
    let folder = places::folder(places::target().join("screenshots/lan")).unwrap();
    for (look, word) in [(Look::PHONE, ""), (Look::PHONE_DARK, "-dark")] {
        browser.look(tab, look).unwrap();
        let file = folder.join(format!("{name}{word}.png"));
        width = browser.picture(tab, &file).unwrap();
    }
    width
}

/// A page that asks its site again and again, with one long download beside it: both as the page
/// sees them.
const WATCH: &str = include_str!("watch.js");

/// What an open page sees of its site while parts of the box die.
pub struct Watch {
    tab: Tab,
}

impl Watch {
    pub fn start(browser: &mut Browser) -> Watch {
        let tab = browser.tab().unwrap();
        assert_eq!(browser.go(&tab, &Scene::url("/")).unwrap(), None);
        browser.until_shown(&tab, PAGE_SAYS, PATIENCE).unwrap();
        browser.value(&tab, WATCH).unwrap();
        Watch { tab }
    }

    /// Begins a download that lasts.
    pub fn load(&self, browser: &mut Browser) {
        browser.value(&self.tab, "load(); 0").unwrap();
        let begun = wall::until("a download", PATIENCE, Duration::from_millis(50), || {
            let got = browser.value(&self.tab, "got")?.as_u64();
            Ok(got.filter(|got| *got > 1_000_000))
        });
        begun.unwrap();
        assert_eq!(browser.value(&self.tab, "cut").unwrap(), Value::Null);
    }

    /// The download has ended as one that was cut, not as a whole one, and does not hang.
    pub fn was_cut(&self, browser: &mut Browser) {
        let start = wall::now();
        let end = wall::until(
            "end of a cut download",
            PATIENCE,
            Duration::from_millis(50),
            || Ok(browser.value(&self.tab, "cut")?.as_str().map(str::to_owned)),
        );
        let end = end.unwrap();
        println!(
            "the open download: {end}, {:.1} s later",
            wall::since(start)
        );
        assert!(end.starts_with("cut: "), "{end}");
    }

    /// Seconds until the page reaches its site again.
    pub fn until_answered(&self, browser: &mut Browser, what: &str) -> f64 {
        let start = wall::now();
        let step = Duration::from_millis(50);
        let answered = wall::until(what, PATIENCE, step, || {
            let said = browser.value(&self.tab, "ask().catch((why) => String(why))")?;
            Ok((said == "ok").then_some(()))
        });
        answered.unwrap();
        let took = wall::since(start);
        println!("{what}: the open page reaches its site after {took:.1} s");
        took
    }

    /// And a page that is opened anew comes.
    pub fn opens_anew(&self, browser: &mut Browser) {
        let tab = browser.tab().unwrap();
        assert_eq!(browser.go(&tab, &Scene::url("/")).unwrap(), None);
        browser.until_shown(&tab, PAGE_SAYS, PATIENCE).unwrap();
        browser.close(&tab).unwrap();
    }
}
